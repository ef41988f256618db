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

// limitMemory gives a container no more than that.
func limitMemory(c corev1.Container, limit string) corev1.Container {
	c.Resources.Limits = corev1.ResourceList{corev1.ResourceMemory: resource.MustParse(limit)}
	return c
}

// A command that takes more memory than its container has is killed, the wrapper beside it is not: it stops the proxy and
// passes on the code. This is so with version 1 of the control groups, and with version 2 where the kubelet is told to
// kill single processes, as the one of the tests is. Left alone it has the kernel kill the wrapper as well.
func TestCommandOutOfMemory(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	main := limitMemory(s.wrapped("main", []string{besideEnvoy}, "tail", "/dev/zero"), "32Mi") // a line without an end
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

// The wrapper is a small guest: a container of 8 MiB runs a command with it.
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

// Every pod of the tests is held to the Pod Security Standard "restricted": one that does not keep to it is refused.
func TestNamespacesAreRestricted(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	careless := s.unwrapped("main", "true")
	careless.SecurityContext = nil
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "careless"}, Spec: s.plainJob("", careless).Spec.Template.Spec}
	_, err := s.client.CoreV1().Pods(s.name).Create(s.ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.ErrorContains(t, err, `violates PodSecurity "restricted:latest"`)
}

// Whoever the pod runs as, and with nothing to write to but its volumes: the wrapper is installed, waits and stops.
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

// A Job that is out of time: its command is asked to end, and nothing of its pod is left.
func TestDeadline(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	script := `trap "echo asked to stop; exit 0" TERM; echo started; while :; do sleep 0.1; done`
	job := s.plainJob("late", s.wrapped("main", []string{besideEnvoy}, shell(script)...), s.envoyWithAdmin())
	job.Spec.ActiveDeadlineSeconds = new(int64(30)) // on a busy machine a pod takes some of it to start
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

// reason is why a Job has ended the way it has.
func reason(job *batchv1.Job) string {
	for _, condition := range job.Status.Conditions {
		if condition.Type == outcome(job) {
			return condition.Reason
		}
	}
	return ""
}

// With restartPolicy OnFailure, here for a command that fails twice, Envoy sees all three tries and is stopped after the
// last.
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

// With restartPolicy Never a second try is a second pod, with an Envoy of its own. Each is stopped once.
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

// unlessRepaired is what ends a script with 3 until somebody has repaired what keeps it from its work.
const unlessRepaired = `; test -n "$REPAIRED" || exit 3`

// repaired is the variable by which the script knows.
func repaired() corev1.EnvVar {
	return corev1.EnvVar{Name: "REPAIRED", ValueFrom: &corev1.EnvVarSource{ConfigMapKeyRef: &corev1.ConfigMapKeySelector{
		LocalObjectReference: corev1.LocalObjectReference{Name: "repaired"}, Key: "by", Optional: new(true),
	}}}
}

// repair waits until the first pod of such a Job has failed, which it returns, and repairs it for the next one.
func (s space) repair(t *testing.T, job string) *corev1.Pod {
	t.Helper()
	_, err := s.awaitJob(job, func(job *batchv1.Job) bool { return job.Status.Failed == 1 })
	require.NoError(t, err)
	first := s.pod(t, job) // the next one is made 10 s later
	by := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "repaired"}, Data: map[string]string{"by": "hand"}}
	_, err = s.client.CoreV1().ConfigMaps(s.name).Create(s.ctx, by, metav1.CreateOptions{})
	require.NoError(t, err)
	return first
}
