package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

// besideEnvoy is the one flag that a command beside Envoy needs.
const besideEnvoy = "--mesh=envoy"

// TestEnvoy uses a real Envoy. If Envoy is an ordinary container, the wrapper waits for it, since the command needs it,
// and asks it to stop. If Envoy is a native sidecar, its end is left to the kubelet.
func TestEnvoy(t *testing.T) {
	t.Parallel()
	const (
		waits   = "jobmesh-wrap: envoy ready after"
		stops   = "jobmesh-wrap: envoy stopped after"
		ignores = "jobmesh-wrap: no proxy to wait for: --mesh none"
	)
	unnamed, left := []string{"--mesh=none"}, []string{besideEnvoy, "--stop-when=never"}
	for name, test := range map[string]struct {
		native bool
		flags  []string
		code   int32
		says   []string
		stops  int
	}{
		"classic, succeeds":            {false, []string{besideEnvoy}, 0, []string{waits, stops}, 1},
		"classic, fails":               {false, []string{besideEnvoy}, 3, []string{waits, stops}, 1},
		"native, not named, succeeds":  {true, unnamed, 0, []string{ignores}, 0},
		"native, not named, fails":     {true, unnamed, 3, []string{ignores}, 0},
		"native, never to stop":        {true, left, 0, []string{waits}, 0},
		"native, never to stop, fails": {true, left, 3, []string{waits}, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Envoy", test.native, results.Result{Delivery: "initContainer", By: string(byHand), Shows: ends(test.code)})
			s := newSpace(t, mesh{})
			proxy := s.envoyWithAdmin()
			if test.native {
				proxy = native(proxy)
			}
			script := fmt.Sprintf("%s; exit %d", askEnvoy, test.code)
			s.create(t, s.plainJob("beside-envoy", s.wrapped("main", test.flags, shell(script)...), proxy))

			assert.Equal(t, outcomeOf(test.code), outcome(s.ended(t, "beside-envoy")))
			pod := s.pod(t, "beside-envoy")
			assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
			log := s.logs(t, pod, "main")
			for _, line := range append(test.says, envoy.Answer) {
				assert.Contains(t, log, line)
			}
			assertUndisturbed(t, pod, envoy.Program)
			s.assertStopRequests(t, pod, test.stops)
		})
	}
}

// outcomeOf returns how a Job ends if its command has this exit code and there is no further try.
func outcomeOf(code int32) batchv1.JobConditionType {
	if code == 0 {
		return batchv1.JobComplete
	}
	return batchv1.JobFailed
}

// An Envoy without an admin interface is ended by a signal, in a pod whose containers share a process namespace and a
// user. If the command failed, Envoy is killed at once.
func TestStopProcess(t *testing.T) {
	t.Parallel()
	const (
		byTERM = 0 // Envoy ends by itself
		byKILL = 137
	)
	for name, test := range map[string]struct{ code, proxy int32 }{
		"succeeds": {0, byTERM},
		"fails":    {3, byKILL},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Envoy", false, results.Result{Delivery: "initContainer", By: string(byHand), Shows: ends(test.code) + " (signal)"})
			s := newSpace(t, mesh{})
			flags := []string{fmt.Sprintf("--ready-url=http://127.0.0.1:%d/", envoy.Port), "--stop-process=" + envoy.Program}
			script := fmt.Sprintf("%s; exit %d", askEnvoy, test.code)
			job := s.plainJob("by-signal", s.wrapped("main", flags, shell(script)...), s.envoyWithoutAdmin())
			yes := true
			job.Spec.Template.Spec.ShareProcessNamespace = &yes
			s.create(t, job)

			assert.Equal(t, outcomeOf(test.code), outcome(s.ended(t, "by-signal")))
			pod := s.pod(t, "by-signal")
			assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
			assert.Contains(t, s.logs(t, pod, "main"), envoy.Answer+"\n")
			assert.Equal(t, test.proxy, terminated(t, pod, envoy.Program).ExitCode)
		})
	}
}

// A database in another pod starts late. The command waits for it after Envoy is ready, which an init container could
// not do, because Envoy does not run yet at that time. The name of the database is that of a Service.
func TestWaitFor(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	s.startDatabase(t)

	flags := []string{besideEnvoy, "--wait-for=tcp://database:5432"}
	job := s.plainJob("depends", s.wrapped("main", flags, shell("echo started; wget -q -O - http://database:5432/")...), s.envoyWithAdmin())
	s.create(t, job)
	pod := s.podWhen(t, "depends", "its containers run", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Running != nil && container(pod, envoy.Program).State.Running != nil
	})
	awaitLine(t, s.follow(t, pod, "main"), "jobmesh-wrap: envoy ready after", jobLimit)
	time.Sleep(time.Second) // long enough for a command that does not wait to start
	assert.NotContains(t, s.logs(t, pod, "main"), "started\n")

	require.NoError(t, s.run("", s.kubectl, "exec", "database", "--namespace", s.name, "--", "touch", databaseOpens))
	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "depends")))
	log := s.logs(t, pod, "main")
	assert.Contains(t, log, "jobmesh-wrap: tcp://database:5432 ready after")
	assert.Contains(t, log, "started\n")
	assert.Contains(t, log, "one row\n")
	assertUndisturbed(t, s.pod(t, "depends"), envoy.Program)
}

// databaseOpens is the file whose existence makes the database listen.
const databaseOpens = scratchDir + "/opens"

// startDatabase starts a pod that listens when databaseOpens exists, and makes the Service "database" for it.
func (s space) startDatabase(t *testing.T) {
	t.Helper()
	script := fmt.Sprintf("until test -e %s; do sleep 0.1; done; echo one row > /scratch/index.html; exec httpd -f -p 5432 -h /scratch", databaseOpens)
	spec := s.plainJob("", s.unwrapped("database", shell(script)...)).Spec.Template.Spec
	now := int64(1) // its process 1 does not handle SIGTERM
	spec.TerminationGracePeriodSeconds = &now
	labels := map[string]string{"app": "database"}
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "database"},
		Spec:       corev1.ServiceSpec{Selector: labels, Ports: []corev1.ServicePort{{Port: 5432}}},
	}
	_, err := s.client.CoreV1().Services(s.name).Create(s.ctx, service, metav1.CreateOptions{})
	require.NoError(t, err)
	pods := s.client.CoreV1().Pods(s.name)
	_, err = pods.Create(s.ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "database", Labels: labels}, Spec: spec}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.EventuallyWithT(t, func(c *assert.CollectT) {
		pod, err := pods.Get(context.WithoutCancel(s.ctx), "database", metav1.GetOptions{})
		require.NoError(c, err)
		require.NotNil(c, container(pod, "database").State.Running)
	}, jobLimit, 100*time.Millisecond)
}
