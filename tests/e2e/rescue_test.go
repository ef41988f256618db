package e2e

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/sandbox"
)

// A holder keeps pods running after their work is done, in a namespace without jobmesh.
type holder struct {
	name        string
	space       func(*testing.T) space  // makes a namespace, whose injector may add the proxy
	annotations map[string]string       // of the pods, for the injector
	beside      func() corev1.Container // the container that the author has put beside the work
	container   string                  // the name of the proxy's or helper's container
	port        int                     // where it takes its stop request
	reason      string                  // the reason of why if the work has succeeded
}

// holders returns the holders of the fleet. Istio and Dapr are real if they can be installed.
func holders() []holder {
	all := []holder{
		{
			name: "linkerd", space: inMesh("linkerd"), annotations: map[string]string{"config.linkerd.io/proxy-admin-shutdown": "enabled"},
			container: "linkerd-proxy", port: 4191, reason: "beside-proxy",
		},
		{name: "cloud-sql", space: inMesh(""), beside: cloudSQL("--quitquitquit"), container: "proxy", port: 9091, reason: "beside-helper"},
		{name: "envoy", space: inMesh(""), beside: func() corev1.Container { return the.envoyWithAdmin() }, container: envoy.Program, port: 15000, reason: "beside-helper"},
	}
	if !sandbox.Inside() {
		return append(all, holder{name: "istio", space: inMesh("istio"), container: istioProxy, port: 15020, reason: "beside-proxy"})
	}
	return append(all,
		holder{
			name: "istio", space: func(t *testing.T) space { t.Helper(); return newIstioSpace(t, istioWithInit) },
			annotations: istioSidecar(false, nil), container: istioProxy, port: 15020, reason: "beside-proxy",
		},
		holder{
			name: "dapr", space: newDaprSpace, annotations: daprPod("held", daprSidecar(false, nil)),
			container: daprProxy, port: 3500, reason: "beside-proxy",
		},
	)
}

// inMesh returns a function that makes a namespace with a stand-in for a mesh, or without a mesh.
func inMesh(name string) func(*testing.T) space {
	return func(t *testing.T) space { t.Helper(); return newSpace(t, mesh{name: name}) }
}

// cloudSQL returns a cloud-sql-proxy with a flag.
func cloudSQL(flag string) func() corev1.Container {
	return func() corev1.Container {
		return authProxy(the.images.cloudSQL.Name(), programs.CloudSQLProxy, flag, "project:region:instance?port=5432")
	}
}

func authProxy(image, name, flag, instance string) corev1.Container {
	return corev1.Container{Name: "proxy", Image: image, Command: []string{"/" + name}, Args: []string{flag, "--token=none", instance}, SecurityContext: restricted()}
}

// For each holder, these numbers of Jobs succeed and fail.
const succeed, fail = 8, 2

// TestRescue makes a fleet of Jobs whose work is done while something keeps their pods, and some Jobs that still work
// or will work again. Each namespace has one holder. One rescue command in each namespace ends the first Jobs, and
// touches none of the others.
//
// No other test runs meanwhile, so that the printed time is that of the command.
func TestRescue(t *testing.T) {
	all := holders()
	spaces := make([]space, len(all))
	for i, h := range all {
		spaces[i] = h.space(t)
		for n := range succeed {
			spaces[i].create(t, spaces[i].heldJob(h, fmt.Sprintf("done-%d", n), 0))
		}
		for n := range fail {
			spaces[i].create(t, spaces[i].heldJob(h, fmt.Sprintf("failed-%d", n), 3))
		}
		works := spaces[i].heldJob(h, "works", 0)
		works.Spec.Template.Spec.Containers[0].Command = shell("while true; do sleep 1; done")
		spaces[i].create(t, works)
		again := spaces[i].heldJob(h, "again", 4) // the kubelet restarts it again and again
		again.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
		again.Spec.BackoffLimit = nil
		spaces[i].create(t, again)
	}
	untouched := map[string]corev1.Pod{}
	for i, h := range all {
		s := spaces[i]
		for _, name := range fleet() {
			s.podWhen(t, name, "its work has ended, and "+h.container+" runs", func(pod *corev1.Pod) bool {
				return container(pod, "main").State.Terminated != nil && container(pod, h.container).State.Running != nil
			})
		}
		untouched[h.name+"/works"] = *s.podWhen(t, "works", "it works", func(pod *corev1.Pod) bool {
			return container(pod, "main").State.Running != nil && container(pod, h.container).State.Running != nil
		})
		untouched[h.name+"/again"] = *s.podWhen(t, "again", "it has failed, and its proxy runs", func(pod *corev1.Pod) bool {
			main := container(pod, "main")
			return (main.State.Terminated != nil || main.RestartCount > 0) && container(pod, h.container).State.Running != nil
		})
		assert.Equal(t, verdict{1, "stuck", h.reason}, s.why(t, "job/done-0"))
		assert.Equal(t, verdict{1, "stuck", "failed-and-held"}, s.why(t, "job/failed-0"))
		assert.Equal(t, 1, s.command(t, "rescue").code, "it only shows what it would do")
	}

	results := make([]ran, len(all))
	began := time.Now()
	var group sync.WaitGroup
	for i, s := range spaces {
		group.Go(func() { results[i] = s.command(t, "rescue", "--yes", "-o", "json") })
	}
	group.Wait()
	fmt.Printf("e2e: rescue: %d Jobs in %d namespaces ended within %s\n", len(all)*len(fleet()), len(all), time.Since(began).Round(10*time.Millisecond))

	for i, h := range all {
		s := spaces[i]
		// On a busy machine the kubelet may report the end of a container only after rescue has stopped waiting for it.
		// Such a pod is reported as asked, with exit code 1; another rescue then finds nothing to do.
		ended, asked := results[i].ended(t)
		assert.Equal(t, len(fleet()), ended+asked, "%s: %s", h.name, results[i].out)
		assert.Equal(t, asked > 0, results[i].code != 0, "%s: %s", h.name, results[i].said)
		if asked > 0 {
			require.Eventually(t, func() bool { return s.command(t, "rescue", "--yes").code == 0 }, jobLimit, time.Second, "%s: all have ended", h.name)
		}
		for _, name := range fleet() {
			code := int32(0)
			if strings.HasPrefix(name, "failed") {
				code = 3
			}
			assert.Equal(t, outcomeOf(code), outcome(s.ended(t, name)), "%s, %s", h.name, name)
			pod := s.pod(t, name) // there was exactly one pod
			assert.Zero(t, container(pod, "main").RestartCount)
			assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
			assert.Equal(t, "ran\n", s.logs(t, pod, "main"))
			assert.Zero(t, terminated(t, pod, h.container).ExitCode, "%s, %s", h.name, name)
		}
		for _, name := range []string{"works", "again"} {
			before, after := untouched[h.name+"/"+name], s.pod(t, name)
			assert.Equal(t, before.UID, after.UID)
			assert.Equal(t, container(&before, h.container).ContainerID, container(after, h.container).ContainerID, "%s, %s", h.name, name)
			assert.NotNil(t, container(after, h.container).State.Running, "%s, %s", h.name, name)
		}
		assert.Equal(t, verdict{0, "finished", "finished"}, s.why(t, "job/done-0"))
		assert.Equal(t, verdict{0, "finished", "failed"}, s.why(t, "job/failed-0"))
		assert.Zero(t, s.command(t, "rescue", "--yes").code, "there is nothing left to do")
	}
}

// fleet returns the names of the stuck Jobs of one holder.
func fleet() []string {
	var names []string
	for n := range succeed {
		names = append(names, fmt.Sprintf("done-%d", n))
	}
	for n := range fail {
		names = append(names, fmt.Sprintf("failed-%d", n))
	}
	return names
}

// TestRescueVia tries the other ways to a container, and what no way can do.
func TestRescueVia(t *testing.T) {
	t.Parallel()
	linkerd := holder{space: inMesh("linkerd"), container: "linkerd-proxy", port: 4191}
	linkerdOn := linkerd
	linkerdOn.annotations = map[string]string{"config.linkerd.io/proxy-admin-shutdown": "enabled"}
	withZero := holder{space: inMesh(""), beside: cloudSQL("--exit-zero-on-sigterm"), container: "proxy", port: 5432}
	withShell := withZero
	withShell.beside = func() corev1.Container {
		c := withZero.beside()
		c.Image = the.images.cloudSQLShell.Name()
		return c
	}
	for name, test := range map[string]struct {
		holder holder
		user   int64 // the user id in the pod; 0 for none
		via    string
		ends   bool
		says   string
	}{
		"exec, in an image with kill":           {holder: withShell, via: "exec", ends: true},
		"exec, in one without":                  {holder: withZero, via: "exec", says: "exec: "},
		"ephemeral, by its request":             {holder: linkerdOn, via: "ephemeral", ends: true},
		"ephemeral, with the request off":       {holder: linkerd, via: "ephemeral", says: "`jobmesh-stop-1` ended with "},
		"ephemeral, by a signal":                {holder: withZero, user: 65532, via: "ephemeral", ends: true},
		"ephemeral, by a signal of nobody":      {holder: withZero, via: "ephemeral", says: "runs as a user id that the pod does not name"},
		"port-forward, with the request off":    {holder: linkerd, via: "port-forward", says: "its stop request is off (404)"},
		"what ends with another code than zero": {holder: holder{space: inMesh(""), beside: cloudSQL("--health-check"), container: "proxy", port: 5432}, via: "port-forward", says: "ends with 143 on TERM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := test.holder.space(t)
			job := s.heldJob(test.holder, "held", 0)
			if test.user != 0 {
				job.Spec.Template.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &test.user}
			}
			s.create(t, job)
			before := s.podWhen(t, "held", "its work has ended", func(pod *corev1.Pod) bool {
				return container(pod, "main").State.Terminated != nil && container(pod, test.holder.container).State.Running != nil
			})

			got := s.command(t, "rescue", "held", "--yes", "--via", test.via, "--image", s.wrapperImage())
			after := s.pod(t, "held")
			if test.ends {
				assert.Zero(t, got.code, got.out+got.said)
				assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "held")))
				assert.Zero(t, terminated(t, s.pod(t, "held"), test.holder.container).ExitCode)
				return
			}
			assert.Equal(t, 1, got.code, got.out+got.said)
			assert.Contains(t, got.out, test.says)
			assert.Equal(t, before.UID, after.UID)
			assert.Equal(t, container(before, test.holder.container).ContainerID, container(after, test.holder.container).ContainerID)
			assert.NotNil(t, container(after, test.holder.container).State.Running)
		})
	}
}

// Two rescues at the same time do the same as one: the work is done once, and the Job is complete.
func TestRescueBesideAnother(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	h := holder{beside: cloudSQL("--quitquitquit"), container: "proxy", port: 9091}
	s.create(t, s.heldJob(h, "held", 0))
	s.podWhen(t, "held", "its work has ended", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Terminated != nil && container(pod, h.container).State.Running != nil
	})
	var group sync.WaitGroup
	for range 2 {
		group.Go(func() { s.command(t, "rescue", "held", "--yes") })
	}
	group.Wait()
	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "held")))
	pod := s.pod(t, "held")
	assert.Equal(t, "ran\n", s.logs(t, pod, "main"))
	assert.Zero(t, terminated(t, pod, h.container).ExitCode)
}

// heldJob returns a Job whose author does not know that another container will run beside it. Its work begins when the
// holder listens. If the work succeeds, the Job has the default number of retries.
func (s space) heldJob(h holder, name string, code int) *batchv1.Job {
	main := s.unwrapped("main", shell(fmt.Sprintf("until nc -w 1 127.0.0.1 %d </dev/null; do sleep 0.2; done >/dev/null 2>&1; echo ran; exit %d", h.port, code))...)
	main.VolumeMounts = nil
	containers := []corev1.Container{main}
	if h.beside != nil {
		containers = append(containers, h.beside())
	}
	job := s.plainJob(name, containers...)
	pod := &job.Spec.Template
	pod.Annotations, pod.Spec.InitContainers, pod.Spec.Volumes = h.annotations, nil, nil
	pod.Spec.TerminationGracePeriodSeconds = new(int64(1)) // a shell that is process 1 does not handle SIGTERM
	if code == 0 {
		job.Spec.BackoffLimit = nil
	}
	return job
}

// ran is the result of a program.
type ran struct {
	out, said string
	code      int
}

// command runs jobmesh in the namespace.
func (s space) command(t *testing.T, arguments ...string) ran {
	t.Helper()
	c := exec.CommandContext(s.ctx, program(t), append(arguments, "-n", s.name, "--kubeconfig", s.given.Kubeconfig)...)
	var out, said bytes.Buffer
	c.Stdout, c.Stderr = &out, &said
	err := c.Run()
	if exit := (*exec.ExitError)(nil); err != nil && !errors.As(err, &exit) {
		t.Errorf("jobmesh: %v", err)
	}
	return ran{out.String(), said.String(), c.ProcessState.ExitCode()}
}

// ended counts the pods that rescue has ended, and the pods that accepted the stop request and had not ended when
// rescue returned.
func (r ran) ended(t *testing.T) (ended, asked int) {
	t.Helper()
	var data struct {
		Pods []struct{ Name, Action, Result string }
	}
	require.NoError(t, json.Unmarshal([]byte(r.out), &data), r.out)
	for _, pod := range data.Pods {
		switch {
		case pod.Action != "end":
		case pod.Result == "ended":
			ended++
		case strings.HasPrefix(pod.Result, "asked: "):
			asked++
		}
	}
	return ended, asked
}

// verdict is the answer of why.
type verdict struct {
	code            int
	verdict, reason string
}

func (s space) why(t *testing.T, object string) verdict {
	t.Helper()
	got := s.command(t, "why", object, "-o", "json")
	var data struct{ Verdict, Reason string }
	require.NoError(t, json.Unmarshal([]byte(got.out), &data), got.out+got.said)
	return verdict{got.code, data.Verdict, data.Reason}
}
