package e2e

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// These tests cover what the library chart does besides wrapping the one container of a Job.

// The library chart wraps several containers, all of them or those that are named. The proxy must still run for the
// last container, whatever the exit codes of the others are.
func TestChartOfSeveralContainers(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		containers  any
		first, last int32
	}{
		"all succeed":     {"all", 0, 0},
		"the first fails": {[]string{"first", "main"}, 3, 0},
		"the last fails":  {"all", 0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
			// When the file exists, the first container has left its mark. The proxy must still be there a moment
			// later.
			last := "until test -e /jobmesh-state/first.done; do sleep 0.1; done; sleep 1"
			s.release(t, "several", shell(fmt.Sprintf("%s; %s; exit %d", last, needsProxy("linkerd"), test.last)), values{
				"first":   shell(fmt.Sprintf("%s; exit %d", needsProxy("linkerd"), test.first)),
				"jobmesh": s.jobmesh(values{"containers": test.containers}),
			})

			assert.Equal(t, outcomeOf(test.first+test.last), outcome(s.ended(t, "several")))
			pod := s.pod(t, "several")
			assert.Equal(t, test.first, terminated(t, pod, "first").ExitCode)
			assert.Equal(t, test.last, terminated(t, pod, "main").ExitCode)
			assertOutlived(t, pod, "linkerd-proxy", "first", "main")
			s.assertStoppedOnce(t, pod, "linkerd")
		})
	}
}

// installed installs a chart of one Job as "app", and returns the Job's pod when the Job is complete.
func (s space) installed(t *testing.T, chart string, v values) *corev1.Pod {
	t.Helper()
	require.NoError(t, s.install(t, s.given.Helm4, "app", chart, v))
	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "app-1")))
	return s.pod(t, "app-1")
}

// asking returns the values of such a chart whose command asks the proxy of the mesh and reports that this worked.
func (s space) asking(mesh string) values {
	return values{
		"image":   s.images.shell.Name(),
		"command": shell(needsProxy(mesh) + "; echo worked"),
		"jobmesh": values{"mesh": mesh},
	}
}

// This is the example chart with two containers, unchanged.
func TestTwoContainersChart(t *testing.T) {
	t.Parallel()
	for name := range readyURL {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: name, readyAfter: slow})
			pod := s.installed(t, "two-containers", values{"image": s.images.shell.Name(), "jobmesh": s.jobmesh(nil)})
			logs := ""
			for container, says := range map[string]string{"export": "exported\n", "upload": "uploaded\n"} {
				assert.Zero(t, terminated(t, pod, container).ExitCode, container)
				log := s.logs(t, pod, container)
				assert.Contains(t, log, says)
				logs += log
			}
			// Both containers end at about the same time, so the proxy may be gone before it gets a second request.
			assert.Equal(t, 1, len(regexp.MustCompile("jobmesh-wrap: "+name+" (stopped|took the stop) after").FindAllString(logs, -1)), logs)
			assertOutlived(t, pod, name+"-proxy", "export", "upload")
			s.assertStoppedOnce(t, pod, name)
		})
	}
}

// This is the example chart of mode hook: the shell of the image waits for the proxy and stops it.
func TestShellHookChart(t *testing.T) {
	t.Parallel()
	for name := range readyURL {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: name, readyAfter: slow})
			s.assertHooked(t, s.installed(t, "shell-hook", s.asking(name)), name, 0)
		})
	}
}

// Mode hook sends no stop request to a native sidecar, because the kubelet would restart it.
func TestShellHookLeavesANativeSidecar(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{name: "istio", native: true, readyAfter: slow})
	pod := s.installed(t, "shell-hook", s.asking("istio"))
	assert.Equal(t, "worked\n", s.logs(t, pod, "main"))
	assertUndisturbed(t, pod, "istio-proxy")
	assert.NotContains(t, s.logs(t, pod, "istio-proxy"), stopRequest["istio"])
}

// Mode hook keeps the exit code of the command, and stops the proxy all the same.
func TestShellHookKeepsTheCode(t *testing.T) {
	t.Parallel()
	for end, code := range map[string]int32{"exit 3": 3, "kill -9 $$": 137} {
		t.Run(end, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
			s.release(t, "fails", shell(needsProxy("linkerd")+"; echo worked; "+end),
				values{"jobmesh": values{"mode": "hook", "mesh": "linkerd"}})

			assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "fails")))
			s.assertHooked(t, s.pod(t, "fails"), "linkerd", code)
		})
	}
}

// assertHooked checks that the command ended with the code and that the proxy was stopped after it. The pod must have
// no other images than those of the command and the proxy.
func (s space) assertHooked(t *testing.T, pod *corev1.Pod, mesh string, code int32) {
	t.Helper()
	assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
	log := s.logs(t, pod, "main")
	assert.Contains(t, log, "worked\n")
	assert.NotContains(t, log, "jobmesh: ", "what it says where something went wrong")
	assertUndisturbed(t, pod, mesh+"-proxy")
	s.assertStoppedOnce(t, pod, mesh)
	images := map[string]string{}
	for _, c := range append(pod.Spec.InitContainers, pod.Spec.Containers...) {
		images[c.Name] = c.Image
	}
	assert.Equal(t, map[string]string{"main": s.images.shell.Name(), mesh + "-proxy": s.images.proxy.Name()}, images)
	assert.Empty(t, delivered(pod))
}

// This is the example chart of mode optOut: what it writes on the pod keeps the injector from adding a proxy.
func TestOptOutChart(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ namespace, setting string }{
		"linkerd":          {"linkerd", "linkerd"},
		"istio":            {"istio", "istio"},
		"linkerd, unnamed": {"linkerd", "auto"},
		"istio, unnamed":   {"istio", "auto"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: test.namespace})
			pod := s.installed(t, "opt-out", values{
				"image":   s.images.shell.Name(),
				"command": []string{"cat", "/proc/1/comm"},
				"jobmesh": values{"mesh": test.setting},
			})
			assert.Len(t, pod.Spec.Containers, 1)
			assert.Empty(t, pod.Spec.InitContainers)
			assert.Equal(t, "cat\n", s.logs(t, pod, "main"))
		})
	}
}

// This is the example chart of mode native: the proxy is a native sidecar, although the namespace asks for a classic
// one.
func TestNativeChart(t *testing.T) {
	t.Parallel()
	for name := range readyURL {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: name, readyAfter: slow})
			pod := s.installed(t, "native", s.asking(name))
			assert.Equal(t, "worked\n", s.logs(t, pod, "main"))
			assert.Len(t, pod.Spec.Containers, 1)
			require.Len(t, pod.Spec.InitContainers, 1)
			assert.Equal(t, name+"-proxy", pod.Spec.InitContainers[0].Name)
			assertUndisturbed(t, pod, name+"-proxy")
		})
	}
}

// This is the example chart for an image with an ENTRYPOINT: the command comes from the lock file or from the values.
func TestEntrypointChart(t *testing.T) {
	t.Parallel()
	the.resolve(t, the.images.task.Name(), filepath.Join(the.chart("entrypoint"), "jobmesh.lock.yaml"))
	for name, test := range map[string]struct {
		image   string
		jobmesh values
	}{
		"lock":   {the.images.task.Name(), nil},
		"values": {the.images.shell.Name(), values{"entrypoints": values{"main": shell(taskConfig.Cmd[0])}}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
			pod := s.installed(t, "entrypoint", values{"image": test.image, "jobmesh": s.jobmesh(test.jobmesh)})
			assert.Zero(t, terminated(t, pod, "main").ExitCode)
			assert.Contains(t, s.logs(t, pod, "main"), "worked\n")
			assert.Equal(t, map[string]string{"initContainer": s.wrapperImage()}, delivered(pod))
			assertUndisturbed(t, pod, "linkerd-proxy")
			s.assertStoppedOnce(t, pod, "linkerd")
		})
	}
}

// The chart makes a Job and a CronJob from values only. The Job fails once, and by the chart's default it is restarted
// beside the same proxy. The CronJob is started in the way that the chart's notes describe.
func TestCronJobsChart(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
	twice := needsProxy("linkerd") + "; test -e /scratch/tried || { touch /scratch/tried; exit 7; }; echo seeded for $WHOM"
	v := s.cronJobs([]string{"true"}, nil)
	v["jobs"] = values{"seed": values{
		"image":        s.images.shell.Name(),
		"command":      shell(twice),
		"env":          values{"WHOM": "tests"},
		"volumes":      []values{{"name": "scratch", "emptyDir": values{}}},
		"volumeMounts": []values{{"name": "scratch", "mountPath": "/scratch"}},
	}}
	v["cronJobs"] = values{"report": values{
		"schedule": "0 0 29 2 *",
		"image":    s.images.shell.Name(),
		"command":  shell(needsProxy("linkerd") + "; echo reported"),
	}}
	require.NoError(t, s.install(t, s.given.Helm4, "app", "cronjobs", v))
	require.NoError(t, s.run("", s.kubectl, "create", "job", "--namespace", s.name, "--from=cronjob/app-report", "app-report-now"))

	for job, test := range map[string]struct {
		container, says string
		restarts        int32
	}{
		"app-seed-1":     {"seed", "seeded for tests\n", 1},
		"app-report-now": {"report", "reported\n", 0},
	} {
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, job)), job)
		pod := s.pod(t, job)
		assert.Contains(t, s.logs(t, pod, test.container), test.says)
		assert.Equal(t, test.restarts, container(pod, test.container).RestartCount, job)
		assert.Equal(t, map[string]string{"initContainer": s.wrapperImage()}, delivered(pod))
		assertOutlived(t, pod, "linkerd-proxy", test.container)
		s.assertStoppedOnce(t, pod, "linkerd")
	}
}

// `helm test` waits for a pod that no Job owns. Helm deletes the pod when it has succeeded, so the test watches it
// meanwhile.
func TestHelmTestSucceeds(t *testing.T) {
	t.Parallel()
	for name, helm := range map[string]string{"Helm 3": the.given.Helm3, "Helm 4": the.given.Helm4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
			require.NoError(t, s.install(t, helm, "app", "cronjobs", s.cronJobs(shell(needsProxy("linkerd")), nil)))
			limit := int64(jobLimit.Seconds())
			pods, err := s.client.CoreV1().Pods(s.name).Watch(s.ctx, metav1.ListOptions{TimeoutSeconds: &limit})
			require.NoError(t, err)
			defer pods.Stop()
			require.NoError(t, s.run("", helm, "test", "app", "--namespace", s.name, "--timeout", jobLimit.String()))

			var last *corev1.Pod
			for last == nil || last.Status.Phase != corev1.PodSucceeded {
				event, more := <-pods.ResultChan()
				require.True(t, more, "the watch ended before the pod did: %+v", last)
				seen, is := event.Object.(*corev1.Pod)
				require.True(t, is, "%+v", event)
				last = seen
			}
			assert.Equal(t, "app-test", last.Name)
			assert.Zero(t, terminated(t, last, "test").ExitCode)
			assert.Equal(t, map[string]string{"initContainer": s.wrapperImage()}, delivered(last))
			assertOutlived(t, last, "linkerd-proxy", "test")
			assert.Equal(t, "Succeeded", s.testPhase(t, helm))
		})
	}
}

// Without jobmesh the same pod never ends, so that `helm test` fails for a working release.
func TestUnwrappedHelmTestFails(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{name: "linkerd"})
	require.NoError(t, s.install(t, s.given.Helm4, "app", "cronjobs", s.cronJobs([]string{"true"}, values{"enabled": false})))
	require.Error(t, s.run("", s.given.Helm4, "test", "app", "--namespace", s.name, "--timeout", "15s"))
	assert.Equal(t, "Failed", s.testPhase(t, s.given.Helm4))

	var pod *corev1.Pod
	require.Eventually(t, func() bool {
		var err error
		pod, err = s.client.CoreV1().Pods(s.name).Get(s.ctx, "app-test", metav1.GetOptions{})
		return err == nil && container(pod, "test").State.Terminated != nil
	}, jobLimit, 100*time.Millisecond, "the test ends, which Helm may not have waited for")
	assert.Zero(t, terminated(t, pod, "test").ExitCode, "the test itself succeeded")
	assert.NotNil(t, container(pod, "linkerd-proxy").State.Running)
}

// cronJobs returns the values of charts/cronjobs with a test that runs the command.
func (s *suite) cronJobs(test []string, jobmesh values) values {
	return values{
		"test":    values{"image": s.images.shell.Name(), "command": test},
		"jobmesh": s.jobmesh(jobmesh),
	}
}

// testPhase returns the phase that Helm has recorded for the only test of the release.
func (s space) testPhase(t *testing.T, helm string) string {
	t.Helper()
	output, err := s.output("", helm, "status", "app", "--namespace", s.name, "--output", "json")
	require.NoError(t, err)
	var status helmStatus
	require.NoError(t, json.Unmarshal([]byte(output), &status), output)
	require.Len(t, status.Hooks, 1)
	assert.Equal(t, "Pod", status.Hooks[0].Kind)
	return status.Hooks[0].LastRun.Phase
}
