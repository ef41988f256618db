package e2e

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

// besideWork returns a Job of one pod with an init container, the work, and a helper, as people write them: without the
// wrapper, and with the helper among the containers.
func (s *suite) besideWork(name, before, work string, helper corev1.Container) *batchv1.Job {
	job := s.plainJob(name, s.unwrapped("main", shell(work)...), helper)
	spec := &job.Spec.Template.Spec
	first := s.unwrapped("before", shell(before)...)
	first.VolumeMounts[0].ReadOnly = true // if it could write, inject would take it for an init container that the helper depends on
	spec.InitContainers = []corev1.Container{first}
	spec.Volumes = spec.Volumes[1:] // without the volume of the wrapper
	return job
}

// injected returns what jobmesh inject makes of a Job with these settings.
func (s space) injected(t *testing.T, job *batchv1.Job, settings ...string) string {
	t.Helper()
	raw, err := json.Marshal(job)
	require.NoError(t, err)
	arguments := []string{"inject", "--strict"}
	for _, setting := range settings {
		arguments = append(arguments, "--set", setting)
	}
	printed, err := s.jobmeshPlugin(t, `{"apiVersion": "batch/v1", "kind": "Job", `+string(raw[1:]), arguments...)
	require.NoError(t, err)
	return printed
}

// moved creates a Job whose helper jobmesh inject has made native. lint must find nothing wrong with it.
func (s space) moved(t *testing.T, job *batchv1.Job, helper string) {
	t.Helper()
	injected := s.injected(t, job, "mode=native", "sidecars={"+helper+"}")
	verdict, err := s.jobmeshPlugin(t, injected, "lint", "--kube-version", "1.36", "--fail-on", "warning")
	require.NoError(t, err, verdict)
	s.apply(t, injected)
}

// proxyToMove returns a real cloud-sql-proxy with only the flags that it needs to serve.
func (s *suite) proxyToMove() corev1.Container {
	return corev1.Container{
		Name: "proxy", Image: s.images.cloudSQL.Name(), Command: []string{"/" + programs.CloudSQLProxy},
		Args: []string{"--token=none", "project:region:instance?port=5432"}, SecurityContext: restricted(),
	}
}

// A real cloud-sql-proxy that was made native serves an init container and the work, which connect at once, and the
// kubelet ends it after them. The Job ends as the work does.
func TestMovedProxy(t *testing.T) {
	t.Parallel()
	const connect = "nc -w 60 127.0.0.1 5432 </dev/null; echo connected"
	for name, code := range map[string]int32{"succeeds": 0, "fails": 3} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{})
			s.moved(t, s.besideWork("moved", connect, fmt.Sprintf("%s; exit %d", connect, code), s.proxyToMove()), "proxy")

			assert.Equal(t, outcomeOf(code), outcome(s.ended(t, "moved")))
			pod := s.pod(t, "moved")
			assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
			for _, name := range []string{"before", "main"} {
				assert.Contains(t, s.logs(t, pod, name), "connected\n", name)
			}
			assertUndisturbed(t, pod, "proxy")
		})
	}
}

// ready is the file by which the helper of helperThat shows that it serves.
const ready = scratchDir + "/ready"

// helperThat returns a helper that serves after a moment, and runs onTERM on SIGTERM.
func (s *suite) helperThat(onTERM string) corev1.Container {
	c := s.unwrapped("helper", shell(fmt.Sprintf("trap '%s' TERM; sleep 1; touch %s; while true; do sleep 1 & wait $! || true; done", onTERM, ready))...)
	c.ReadinessProbe = &corev1.Probe{ProbeHandler: corev1.ProbeHandler{Exec: &corev1.ExecAction{Command: []string{"test", "-e", ready}}}}
	return c
}

// The exit code of a native helper does not matter, nor whether it handles SIGTERM: the Job ends as the work does. The
// containers after the helper start when it serves.
func TestMovedHelper(t *testing.T) {
	t.Parallel()
	const serves = "test -e " + ready
	for name, onTERM := range map[string]string{"ends with 143": "exit 143", "ends with 1": "exit 1", "ignores SIGTERM": ""} {
		for shows, code := range map[string]int32{"work succeeds": 0, "work fails": 3} {
			t.Run(name+", "+shows, func(t *testing.T) {
				t.Parallel()
				s := newSpace(t, mesh{})
				job := s.besideWork("moved", serves, fmt.Sprintf("%s; exit %d", serves, code), s.helperThat(onTERM))
				grace := int64(2) // short for the helper that ignores SIGTERM; the others get more than they need
				if onTERM != "" {
					grace = 60
				}
				job.Spec.Template.Spec.TerminationGracePeriodSeconds = &grace
				s.moved(t, job, "helper")

				assert.Equal(t, outcomeOf(code), outcome(s.ended(t, "moved")))
				pod := s.pod(t, "moved")
				assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
				want := map[string]int32{"exit 143": 143, "exit 1": 1, "": 137}[onTERM]
				assert.Equal(t, want, terminated(t, pod, "helper").ExitCode)
			})
		}
	}
}

// Work that is restarted in its pod finds the helper unchanged.
func TestMovedHelperOutlivesRestarts(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	again := scratchDir + "/again"
	work := fmt.Sprintf("test -e %s; if ! test -e %s; then touch %s; exit 3; fi", ready, again, again)
	job := s.besideWork("moved", "test -e "+ready, work, s.helperThat("exit 143"))
	tries := int32(6)
	job.Spec.BackoffLimit = &tries
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	s.moved(t, job, "helper")

	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "moved")))
	pod := s.pod(t, "moved")
	assert.EqualValues(t, 1, container(pod, "main").RestartCount)
	assert.Zero(t, container(pod, "helper").RestartCount)
}

// A container restarts all containers of its pod after the other container has left its mark. The init containers run
// again too, and `install` removes the marks, so that no wrapper believes that the others have ended. The proxy is
// stopped once, after the last container.
func TestAllContainersAreStartedAgain(t *testing.T) {
	t.Parallel()
	const second = scratchDir + "/second"
	s := newSpace(t, mesh{})
	never := corev1.ContainerRestartPolicyNever
	main := s.member("main", fmt.Sprintf("%s; if ! test -e %s; then touch %s; exit 88; fi; %s", awaitFile("first.done"), second, second, askEnvoy))
	main.RestartPolicy = &never
	main.RestartPolicyRules = []corev1.ContainerRestartRule{{
		Action: corev1.ContainerRestartRuleActionRestartAllContainers,
		ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{
			Operator: corev1.ContainerRestartRuleOnExitCodesOpIn, Values: []int32{88},
		},
	}}
	job := s.plainJob("again", s.member("first", askEnvoy), s.envoyWithAdmin())
	spec := &job.Spec.Template.Spec
	spec.Containers = append(spec.Containers, main)
	install := &spec.InitContainers[0]
	install.Args = []string{"install", "--state-dir=" + scratchDir, wrapperDir}
	install.VolumeMounts = append(install.VolumeMounts, corev1.VolumeMount{Name: "scratch", MountPath: scratchDir})
	marks := s.unwrapped("marks", shell("for f in "+scratchDir+"/*.done; do test ! -e $f; done; test ! -e "+second+" || echo again")...)
	spec.InitContainers = append(spec.InitContainers, marks)
	s.create(t, job)

	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "again")))
	pod := s.pod(t, "again")
	assert.Contains(t, s.logs(t, pod, "marks"), "again\n", "the init containers have run in the second life")
	for _, name := range []string{"first", "main"} {
		assert.Zero(t, terminated(t, pod, name).ExitCode, name)
	}
	s.assertStopRequests(t, pod, 1)
}
