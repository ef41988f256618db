package e2e

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
)

// limitMemory sets the memory limit of a container.
func limitMemory(c corev1.Container, limit string) corev1.Container {
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
	return c
}

// A command that exceeds the memory of its container is killed, but the wrapper beside it is not: it stops the proxy
// and passes on the exit code. This is so with cgroup v1, and with cgroup v2 if the kubelet kills single processes, as
// the kubelet of these tests does. By default a kubelet with cgroup v2 has the kernel kill the wrapper as well.
func TestCommandOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	main := limitMemory(s.wrapped("main", []string{besideEnvoy}, "tail", "/dev/zero"), "32Mi") // tail reads a line without an end
	s.create(t, s.plainJob("greedy", main, s.envoyWithAdmin()))

	assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "greedy")))
	pod := s.pod(t, "greedy")
	command := terminated(t, pod, "main")
	assert.EqualValues(t, 137, command.ExitCode)
	assert.Equal(t, "OOMKilled", command.Reason)
	assert.Contains(t, s.logs(t, pod, "main"), "jobmesh-wrap: envoy stopped after", "the wrapper has outlived the command")
	assertUndisturbed(t, pod, envoy.Program)
	s.assertStopRequests(t, pod, 1)
}

// The wrapper needs little memory: a container with 8 MiB can run it and a command.
func TestLittleMemory(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	s.create(t, s.plainJob("modest", limitMemory(s.wrapped("main", []string{besideEnvoy}, "true"), "8Mi"), s.envoyWithAdmin()))

	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "modest")))
	pod := s.pod(t, "modest")
	assert.Equal(t, "8Mi", pod.Spec.Containers[0].Resources.Limits.Memory().String())
	assertUndisturbed(t, pod, envoy.Program)
	s.assertStopRequests(t, pod, 1)
}

// Every namespace of the tests enforces the Pod Security Standard "restricted", which refuses other pods.
func TestNamespacesAreRestricted(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	careless := s.unwrapped("main", "true")
	careless.SecurityContext = nil
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "careless"}, Spec: s.plainJob("", careless).Spec.Template.Spec}
	_, err := s.client.CoreV1().Pods(s.name).Create(s.ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.ErrorContains(t, err, `violates PodSecurity "restricted:latest"`)
}

// The wrapper is installed, waits and stops, whatever user the pod runs as, and with only its volumes writable.
func TestUsers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		pod  *int64
		runs int64
	}{
		"that of the images":          {nil, 65532},
		"the same, by number":         {new(int64(65532)), 65532},
		"one that a platform made up": {new(int64(1000660000)), 1000660000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{})
			script := `id -u; grep -q "^[^ ]* / [^ ]* ro," /proc/mounts; ` + askEnvoy
			job := s.plainJob("somebody", s.wrapped("main", []string{besideEnvoy}, shell(script)...), s.envoyWithAdmin())
			job.Spec.Template.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: test.pod}
			s.create(t, job)

			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "somebody")))
			pod := s.pod(t, "somebody")
			log := s.logs(t, pod, "main")
			assert.Contains(t, log, strconv.FormatInt(test.runs, 10)+"\n")
			assert.Contains(t, log, envoy.Answer+"\n")
			assertUndisturbed(t, pod, envoy.Program)
			s.assertStopRequests(t, pod, 1)
		})
	}
}

// When a Job exceeds its deadline, its command is asked to stop, and its pod disappears.
func TestDeadline(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	script := `trap "echo asked to stop; exit 0" TERM; echo started; while :; do sleep 0.1; done`
	job := s.plainJob("late", s.wrapped("main", []string{besideEnvoy}, shell(script)...), s.envoyWithAdmin())
	job.Spec.ActiveDeadlineSeconds = new(int64(30)) // on a busy machine the pod needs a part of this time to start
	s.create(t, job)
	pod := s.podWhen(t, "late", "its command runs", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Running != nil
	})
	lines := s.follow(t, pod, "main")
	awaitLine(t, lines, "started", jobLimit)
	awaitLine(t, lines, "asked to stop", jobLimit)

	ended := s.ended(t, "late")
	assert.Equal(t, batchv1.JobFailed, outcome(ended))
	assert.Equal(t, batchv1.JobReasonDeadlineExceeded, reason(ended))
	s.awaitNoPods(t)
}

// reason returns the reason of the condition with which a Job has ended.
func reason(job *batchv1.Job) string {
	for _, condition := range job.Status.Conditions {
		if condition.Type == outcome(job) {
			return condition.Reason
		}
	}
	return ""
}

// With restartPolicy OnFailure a command fails twice. Envoy runs during all three tries, and is stopped after the last
// one.
func TestEnvoyOutlivesEveryRestart(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	script := askEnvoy + fmt.Sprintf("; echo >> %[1]s/tries; test $(wc -l < %[1]s/tries) = 3 || exit 7", scratchDir)
	job := s.plainJob("third-time", s.wrapped("main", []string{besideEnvoy, "--stop-when=success"}, shell(script)...), s.envoyWithAdmin())
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	job.Spec.BackoffLimit = new(int32(5))
	s.create(t, job)

	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "third-time")))
	pod := s.pod(t, "third-time")
	assert.EqualValues(t, 2, container(pod, "main").RestartCount)
	assert.Zero(t, terminated(t, pod, "main").ExitCode)
	if before := container(pod, "main").LastTerminationState.Terminated; assert.NotNil(t, before) {
		assert.EqualValues(t, 7, before.ExitCode)
	}
	assertUndisturbed(t, pod, envoy.Program)
	s.assertStopRequests(t, pod, 1)
}

// With restartPolicy Never the second try is a second pod with its own Envoy. Each Envoy is stopped once.
func TestSecondPodAfterTheFirstFailed(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	main := s.wrapped("main", []string{besideEnvoy}, shell(askEnvoy+unlessRepaired)...)
	main.Env = []corev1.EnvVar{repaired()}
	job := s.plainJob("second-try", main, s.envoyWithAdmin())
	job.Spec.BackoffLimit = new(int32(1))
	s.create(t, job)
	first := s.repair(t, "second-try")

	ended := s.ended(t, "second-try")
	assert.Equal(t, batchv1.JobComplete, outcome(ended))
	assert.EqualValues(t, 1, ended.Status.Failed)
	assert.EqualValues(t, 1, ended.Status.Succeeded)
	pods := s.pods(t, "second-try")
	require.Len(t, pods, 2)
	for _, pod := range pods {
		code := map[bool]int32{true: 3, false: 0}[pod.Name == first.Name]
		assert.Equal(t, code, terminated(t, &pod, "main").ExitCode, pod.Name)
		assertUndisturbed(t, &pod, envoy.Program)
		s.assertStopRequests(t, &pod, 1)
	}
}

// unlessRepaired ends a script with code 3 unless repair was called before.
const unlessRepaired = `; test -n "$REPAIRED" || exit 3`

// repaired returns the variable that tells the script whether repair was called.
func repaired() corev1.EnvVar {
	return corev1.EnvVar{Name: "REPAIRED", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "repaired"}, Key: "by", Optional: new(true),
	}}}
}

// repair waits until the first pod of such a Job has failed, lets the next pod succeed, and returns the first one.
func (s space) repair(t *testing.T, job string) *corev1.Pod {
	t.Helper()
	_, err := s.awaitJob(job, func(job *batchv1.Job) bool { return job.Status.Failed == 1 })
	require.NoError(t, err)
	first := s.pod(t, job) // the next pod is made 10 s later
	by := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "repaired"}, Data: map[string]string{"by": "hand"}}
	_, err = s.client.CoreV1().ConfigMaps(s.name).Create(s.ctx, by, metav1.CreateOptions{})
	require.NoError(t, err)
	return first
}
