package e2e

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
	watchtools "k8s.io/client-go/tools/watch"
)

// jobLimit bounds how long a Job that does almost nothing may take, even on a busy machine.
const jobLimit = 3 * time.Minute

// release installs the tests' own chart: a Job of that name with one container, main, which runs the command.
func (s space) release(t *testing.T, name string, command []string, more values) {
	t.Helper()
	v := values{"image": s.images.shell.Name(), "command": command, "jobmesh": s.jobmesh(nil)}
	for key, value := range more {
		v[key] = value
	}
	require.NoError(t, s.install(t, s.given.Helm4, name, "job", v))
}

// shell returns the command line of a script that stops at the first command that fails. A dollar sign is doubled,
// because Kubernetes expands variables in the command of a container.
func shell(script string) []string {
	return []string{"sh", "-ec", strings.ReplaceAll(script, "$", "$$")}
}

// ended returns the Job when it is complete or has failed.
func (s space) ended(t *testing.T, name string) *batchv1.Job {
	t.Helper()
	job, err := s.awaitJob(name, func(job *batchv1.Job) bool { return outcome(job) != "" })
	require.NoError(t, err)
	return job
}

// awaitJob watches a Job until the condition holds.
func (s space) awaitJob(name string, until func(*batchv1.Job) bool) (*batchv1.Job, error) {
	ctx, cancel := context.WithTimeout(s.ctx, jobLimit)
	defer cancel()
	jobs := cache.NewListWatchFromClient(
		s.client.BatchV1().RESTClient(), "jobs", s.name, fields.OneTermEqualSelector("metadata.name", name))
	event, err := watchtools.UntilWithSync(ctx, jobs, &batchv1.Job{}, nil, func(event watch.Event) (bool, error) {
		job, is := event.Object.(*batchv1.Job)
		return is && until(job), nil
	})
	if err != nil {
		return nil, fmt.Errorf("job %s: %w", name, err)
	}
	return event.Object.(*batchv1.Job), nil
}

// assertStaysActive checks that a Job stays active for the time that it is watched, although its command has ended,
// because its proxy has not. It returns the Job's pod.
func (s space) assertStaysActive(t *testing.T, name, proxy string) *corev1.Pod {
	t.Helper()
	s.podWhen(t, name, "its command has ended", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Terminated != nil && container(pod, proxy).State.Running != nil
	})
	time.Sleep(watched)
	job, err := s.client.BatchV1().Jobs(s.name).Get(s.ctx, name, metav1.GetOptions{})
	require.NoError(t, err)
	assert.Empty(t, outcome(job))
	assert.EqualValues(t, 1, job.Status.Active)
	pod := s.pod(t, name)
	assert.NotNil(t, container(pod, proxy).State.Running)
	return pod
}

// outcome is Complete or Failed; it is empty while the Job is active.
func outcome(job *batchv1.Job) batchv1.JobConditionType {
	for _, condition := range job.Status.Conditions {
		terminal := condition.Type == batchv1.JobComplete || condition.Type == batchv1.JobFailed
		if terminal && condition.Status == corev1.ConditionTrue {
			return condition.Type
		}
	}
	return ""
}

// pods returns all pods of the Job.
func (s space) pods(t *testing.T, job string) []corev1.Pod {
	t.Helper()
	pods, err := s.client.CoreV1().Pods(s.name).List(s.ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
	require.NoError(t, err)
	return pods.Items
}

// pod returns the only pod of the Job.
func (s space) pod(t *testing.T, job string) *corev1.Pod {
	t.Helper()
	pods := s.pods(t, job)
	require.Len(t, pods, 1, "pods of job %s", job)
	return &pods[0]
}

// podWhen returns the Job's pod when the condition holds.
func (s space) podWhen(t *testing.T, job, reason string, until func(*corev1.Pod) bool) *corev1.Pod {
	t.Helper()
	var found *corev1.Pod
	require.Eventually(t, func() bool {
		pods, err := s.client.CoreV1().Pods(s.name).List(s.ctx, metav1.ListOptions{LabelSelector: batchv1.JobNameLabel + "=" + job})
		if err != nil || len(pods.Items) != 1 || !until(&pods.Items[0]) {
			return false
		}
		found = &pods.Items[0]
		return true
	}, jobLimit, 100*time.Millisecond, "pod of job %s: %s", job, reason)
	return found
}

// awaitNoPods waits until no pods of the space are left.
func (s space) awaitNoPods(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		pods, err := s.client.CoreV1().Pods(s.name).List(s.ctx, metav1.ListOptions{})
		return err == nil && len(pods.Items) == 0
	}, jobLimit, 100*time.Millisecond, "the pod is gone")
}

// container returns the status of a container or native sidecar.
func container(pod *corev1.Pod, name string) corev1.ContainerStatus {
	for _, statuses := range [][]corev1.ContainerStatus{pod.Status.ContainerStatuses, pod.Status.InitContainerStatuses} {
		for _, status := range statuses {
			if status.Name == name {
				return status
			}
		}
	}
	return corev1.ContainerStatus{}
}

// terminated returns how a container ended; the test stops if it has not ended.
func terminated(t *testing.T, pod *corev1.Pod, name string) *corev1.ContainerStateTerminated {
	t.Helper()
	state := container(pod, name).State
	require.NotNil(t, state.Terminated, "container %s has not ended: %+v", name, state)
	return state.Terminated
}

// logs returns the log of a container that has ended.
func (s space) logs(t *testing.T, pod *corev1.Pod, container string) string {
	t.Helper()
	content, err := s.client.CoreV1().Pods(s.name).GetLogs(pod.Name, &corev1.PodLogOptions{Container: container}).DoRaw(s.ctx)
	require.NoError(t, err)
	return string(content)
}

// follow sends the lines of a running container until it ends.
func (s space) follow(t *testing.T, pod *corev1.Pod, container string) <-chan string {
	t.Helper()
	options := &corev1.PodLogOptions{Container: container, Follow: true}
	stream, err := s.client.CoreV1().Pods(s.name).GetLogs(pod.Name, options).Stream(s.ctx)
	require.NoError(t, err)
	t.Cleanup(func() { stream.Close() })
	lines := make(chan string, 100)
	go func() {
		defer close(lines)
		for scanner := bufio.NewScanner(io.Reader(stream)); scanner.Scan(); {
			lines <- scanner.Text()
		}
	}()
	return lines
}

// awaitLine waits until a container has written a line with this prefix.
func awaitLine(t *testing.T, lines <-chan string, want string, limit time.Duration) {
	t.Helper()
	late := time.After(limit)
	var seen []string
	for {
		select {
		case line, more := <-lines:
			if strings.HasPrefix(line, want) {
				return
			}
			seen = append(seen, line)
			require.True(t, more, "the container ended without %q, after %q", want, seen)
		case <-late:
			require.Fail(t, "late", "no %q after %s, only %q", want, limit, seen)
		}
	}
}

// assertUndisturbed checks that the proxy ran once, until after the command, and ended with code 0.
func assertUndisturbed(t *testing.T, pod *corev1.Pod, proxy string) {
	t.Helper()
	assertOutlived(t, pod, proxy, "main")
}

// assertOutlived checks that the proxy ran once, until after these containers, and ended with code 0.
func assertOutlived(t *testing.T, pod *corev1.Pod, proxy string, commands ...string) {
	t.Helper()
	assert.Zero(t, container(pod, proxy).RestartCount, "restarts of the proxy")
	ended := terminated(t, pod, proxy)
	assert.Zero(t, ended.ExitCode, "exit code of the proxy")
	for _, name := range commands {
		// The wrapper ends a moment after the proxy that it has stopped, and times in a status are whole seconds.
		command := terminated(t, pod, name)
		assert.False(t, ended.FinishedAt.Add(time.Second).Before(command.FinishedAt.Time),
			"the proxy ended at %s, the command of %s at %s", ended.FinishedAt, name, command.FinishedAt)
	}
}

// stopRequest is what a stand-in for a mesh's proxy logs when it is asked to stop.
var stopRequest = map[string]string{
	"linkerd": "proxy: POST /shutdown\n",
	"istio":   "proxy: POST /quitquitquit\n",
}

// assertStoppedOnce checks that the proxy of the mesh was asked to stop exactly once.
func (s space) assertStoppedOnce(t *testing.T, pod *corev1.Pod, mesh string) {
	t.Helper()
	assert.Equal(t, 1, strings.Count(s.logs(t, pod, mesh+"-proxy"), stopRequest[mesh]), "stop requests")
}
