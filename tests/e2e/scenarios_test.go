package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

// readyURL is the URL at which each proxy says whether it is ready.
var readyURL = map[string]string{
	"linkerd": "http://127.0.0.1:4191/ready",
	"istio":   "http://127.0.0.1:15021/healthz/ready",
}

// needsProxy returns a script that fails if the proxy is not ready.
func needsProxy(mesh string) string { return "wget -q -O /dev/null " + readyURL[mesh] }

// watched is for how long a test watches a Job that must not end, after its command has ended.
const watched = 10 * time.Second

// slow is how long a proxy takes to be ready if a command must be made to wait for it.
const slow = time.Second

// This is the problem: the command has ended, the proxy has not, and the Job stays active for as long as it is watched.
func TestUnwrappedJobStaysActive(t *testing.T) {
	t.Parallel()
	for name := range readyURL {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if name == "linkerd" {
				showsStandIn(t, "Linkerd", false, results.Result{Shows: hangs})
			}
			s := newSpace(t, mesh{name: name})
			s.release(t, "hangs", []string{"true"}, values{"jobmesh": s.jobmesh(values{"enabled": false})})

			pod := s.assertStaysActive(t, "hangs", name+"-proxy")
			assert.Zero(t, terminated(t, pod, "main").ExitCode)
			seen, err := s.output("", s.kubectl, "get", "pods", "--namespace", s.name)
			require.NoError(t, err)
			assert.Regexp(t, `1/2 +NotReady`, seen)
		})
	}
}

// The same Job is wrapped: it waits for the proxy, does its work, stops the proxy and is complete.
func TestWrappedJobCompletes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mesh     mesh
		delivery string
	}{
		{mesh{name: "linkerd"}, "initContainer"},
		{mesh{name: "linkerd"}, "imageVolume"},
		{mesh{name: "linkerd"}, "inImage"},
		{mesh{name: "linkerd", native: true}, "initContainer"},
		{mesh{name: "linkerd", native: true}, "imageVolume"},
		{mesh{name: "istio"}, "initContainer"},
		{mesh{name: "istio"}, "imageVolume"},
		{mesh{name: "istio"}, "inImage"},
		{mesh{name: "istio", native: true}, "initContainer"},
	} {
		name := test.mesh.name + " " + test.delivery
		if test.mesh.native {
			name = "native " + name
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if test.mesh.name == "linkerd" {
				showsStandIn(t, "Linkerd", test.mesh.native, results.Result{Delivery: test.delivery, By: string(byChart), Shows: completes})
			}
			test.mesh.readyAfter = slow
			s := newSpace(t, test.mesh)
			v := values{"jobmesh": s.jobmesh(values{"delivery": test.delivery})}
			brought := map[string]string{test.delivery: s.wrapperImage()}
			if test.delivery == "inImage" {
				v["image"] = s.images.carrier.Name()
				brought = map[string]string{}
			}
			s.release(t, "completes", shell(needsProxy(test.mesh.name)+"; echo worked"), v)

			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "completes")))
			pod := s.pod(t, "completes")
			assert.Zero(t, terminated(t, pod, "main").ExitCode)
			assert.Contains(t, s.logs(t, pod, "main"), "worked\n")
			// Without an init container of jobmesh, the wrapper cannot know that Linkerd 2.20 has made its proxy native
			// by default. It stops the proxy, and the kubelet may start it once more before it sees that the command
			// has ended.
			if !(test.mesh.name == "linkerd" && test.mesh.native && test.delivery == "imageVolume") {
				assertUndisturbed(t, pod, test.mesh.name+"-proxy")
			}
			assert.Equal(t, brought, delivered(pod))
		})
	}
}

// wrapperImage returns the image reference that the charts must use: its digest is that of "make build".
func (s *suite) wrapperImage() string {
	return fmt.Sprintf("%s/%s@%s", s.given.Registry, wrapperRepository, s.digest)
}

// delivered returns how the wrapper came into a pod, and from which image.
func delivered(pod *corev1.Pod) map[string]string {
	found := map[string]string{}
	for _, c := range pod.Spec.InitContainers {
		if c.Name == "jobmesh-install" {
			found["initContainer"] = c.Image
		}
	}
	for _, v := range pod.Spec.Volumes {
		if v.Image != nil {
			found["imageVolume"] = v.Image.Reference
		}
	}
	return found
}

// A failed Job has the exit code of its command, not one of the wrapper, and its proxy is stopped all the same.
func TestFailedJobKeepsItsCode(t *testing.T) {
	t.Parallel()
	for script, code := range map[string]int32{
		"exit 3":     3,
		"kill -9 $$": 137,
	} {
		t.Run(script, func(t *testing.T) {
			t.Parallel()
			showsStandIn(t, "Linkerd", false, results.Result{Delivery: "initContainer", By: string(byChart), Shows: ends(code)})
			s := newSpace(t, mesh{name: "linkerd"})
			s.release(t, "fails", shell(script), nil)

			assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "fails")))
			pod := s.pod(t, "fails")
			assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
			assertUndisturbed(t, pod, "linkerd-proxy")
		})
	}
}

// With restartPolicy OnFailure the kubelet restarts the command beside the same proxy, which must still be there.
func TestRestartedCommandKeepsTheProxy(t *testing.T) {
	t.Parallel()
	showsStandIn(t, "Linkerd", false, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "`OnFailure`: started again in its pod"})
	s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
	s.release(t, "restarts", shell(needsProxy("linkerd")+"; test -e /scratch/tried || { touch /scratch/tried; exit 7; }"),
		values{"restartPolicy": "OnFailure", "backoffLimit": 3})

	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "restarts")))
	pod := s.pod(t, "restarts")
	command := container(pod, "main")
	assert.EqualValues(t, 1, command.RestartCount)
	assert.Zero(t, terminated(t, pod, "main").ExitCode)
	if first := command.LastTerminationState.Terminated; assert.NotNil(t, first) {
		assert.EqualValues(t, 7, first.ExitCode)
		assert.False(t, first.FinishedAt.Before(&terminated(t, pod, "linkerd-proxy").StartedAt))
	}
	assertUndisturbed(t, pod, "linkerd-proxy")
}

// Without a mesh the wrapper replaces itself by the command: process 1 of the container is the command.
func TestNoMesh(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	s.release(t, "alone", []string{"cat", "/proc/1/comm"}, nil)

	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "alone")))
	pod := s.pod(t, "alone")
	assert.Len(t, pod.Spec.Containers, 1)
	assert.Contains(t, delivered(pod), "initContainer")
	assert.Contains(t, strings.Split(s.logs(t, pod, "main"), "\n"), "cat")
}

// If a Job is deleted, its command is asked to stop, through the wrapper or the shell in its place, long before the
// grace period of 30 s is over.
func TestDeletedJobIsAskedToStop(t *testing.T) {
	t.Parallel()
	for name, jobmesh := range map[string]values{
		"wrap": the.jobmesh(nil),
		"hook": {"mode": "hook", "mesh": "linkerd"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd"})
			s.release(t, "deleted", shell(`trap "echo asked to stop; exit 0" TERM; echo started; while :; do sleep 0.1; done`),
				values{"jobmesh": jobmesh})
			pod := s.podWhen(t, "deleted", "its command runs", func(pod *corev1.Pod) bool {
				return container(pod, "main").State.Running != nil
			})
			lines := s.follow(t, pod, "main")
			awaitLine(t, lines, "started", jobLimit)

			require.NoError(t, s.run("", s.kubectl, "delete", "job", "deleted", "--namespace", s.name, "--wait=false"))
			awaitLine(t, lines, "asked to stop", jobLimit)
			s.awaitNoPods(t)
		})
	}
}

// This is the chart of a nightly report, installed in a namespace of a mesh.
func TestCronJobFires(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
	require.NoError(t, s.install(t, s.given.Helm4, "report", "nightly-report", values{
		"image":    s.shellImage(),
		"schedule": "* * * * *",
		"command":  []string{"sh", "-ec"},
		"args":     []string{needsProxy("linkerd") + "; echo reported"},
		"jobmesh":  s.jobmesh(nil),
	}))
	fired := s.fired(t)
	job := s.ended(t, fired)
	assert.Equal(t, batchv1.JobComplete, outcome(job))
	require.Len(t, job.OwnerReferences, 1)
	assert.Equal(t, "CronJob", job.OwnerReferences[0].Kind)
	pod := s.pod(t, fired)
	assert.Contains(t, s.logs(t, pod, "report"), "reported\n")
	assert.Zero(t, container(pod, "linkerd-proxy").RestartCount)
	assert.Zero(t, terminated(t, pod, "linkerd-proxy").ExitCode)
}

// fired returns the first Job that the only CronJob of the space makes by its schedule.
func (s space) fired(t *testing.T) string {
	t.Helper()
	var fired string
	require.Eventually(t, func() bool {
		jobs, err := s.client.BatchV1().Jobs(s.name).List(s.ctx, metav1.ListOptions{})
		if err != nil {
			return false
		}
		for _, job := range jobs.Items {
			if len(job.OwnerReferences) == 1 && job.OwnerReferences[0].Kind == "CronJob" {
				fired = job.Name
			}
		}
		return fired != ""
	}, jobLimit, 500*time.Millisecond, "the schedule makes a job every minute")
	return fired
}

// shellImage returns the image in the form of the charts' values.
func (s *suite) shellImage() values {
	return values{"repository": s.images.shell.Repository.Name(), "tag": s.images.shell.TagStr()}
}
