package e2e

import (
	"fmt"
	"maps"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

// strictService has a server that refuses clients without a certificate of the mesh.
const strictService = `
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {name: default}
spec: {mtls: {mode: STRICT}}
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{name: http, port: 80, targetPort: 8080}]}
`

// startStrictServer starts this server in a namespace of Istio. It answers each client with the identity that it sees.
// startStrictServer returns a script that calls the server.
func startStrictServer(t *testing.T) string {
	t.Helper()
	s := newIstioSpace(t, istioWithInit)
	s.apply(t, strictService)
	s.startServer(t, "$HTTP_X_FORWARDED_CLIENT_CERT", nil)
	return fmt.Sprintf("wget -q -O - http://server.%s.svc.cluster.local/cgi-bin/who", s.name)
}

// assertServed checks that the server has answered a container, and has identified it by its certificate.
func (s space) assertServed(t *testing.T, pod *corev1.Pod, container string) {
	t.Helper()
	assert.Contains(t, s.logs(t, pod, container), "URI=spiffe://cluster.local/ns/"+s.name+"/sa/default\n")
}

// assertAgentAsked checks in the log of Istio's agent how often it was asked to stop.
func (s space) assertAgentAsked(t *testing.T, pod *corev1.Pod, times int) {
	t.Helper()
	assert.Equal(t, times, strings.Count(s.logs(t, pod, istioProxy), "handling /quitquitquit"), "stop requests")
}

// askedBy returns how often the wrapper asks the proxy to stop: never if the proxy is a native sidecar.
func askedBy(native bool) int { return map[bool]int{false: 1, true: 0}[native] }

// kind returns the name of a kind of sidecar.
func kind(native bool) string { return map[bool]string{false: "classic", true: "native"}[native] }

// TestIstio uses a real Istio that requires mutual TLS.
func TestIstio(t *testing.T) {
	t.Parallel()
	ask := startStrictServer(t)
	t.Run("jobs", func(t *testing.T) {
		t.Run("without jobmesh", func(t *testing.T) { istioWithoutJobmesh(t, ask) })
		t.Run("wrapped", func(t *testing.T) { istioWrapped(t, ask) })
		t.Run("status port", istioStatusPort)
		t.Run("restarted", func(t *testing.T) { istioRestarted(t, ask) })
		t.Run("deleted", func(t *testing.T) { istioDeleted(t, ask) })
		t.Run("deadline", func(t *testing.T) { istioDeadline(t, ask) })
		t.Run("two containers", func(t *testing.T) { istioTwoContainers(t, ask) })
		t.Run("network during init", func(t *testing.T) { istioNetworkDuringInit(t, ask) })
		t.Run("beside cloud-sql-proxy", func(t *testing.T) { istioBesideCloudSQLProxy(t, ask) })
		t.Run("moved cloud-sql-proxy", func(t *testing.T) { istioMovedProxy(t, ask) })
		t.Run("by policy", func(t *testing.T) { istioByPolicy(t, ask) })
		t.Run("charts by policy", func(t *testing.T) { istioChartsByPolicy(t, ask) })
		t.Run("without a label", istioWithoutLabel)
		t.Run("left", istioLeaves)
		t.Run("beside Dapr", func(t *testing.T) { istioBesideDapr(t, ask) })
	})
}

// A client outside the mesh is refused. A client in the mesh is served; then a classic proxy keeps the Job, and a
// native one does not. The server requires a certificate, so the proxy must be ready before the command starts.
func istioWithoutJobmesh(t *testing.T, ask string) {
	t.Parallel()
	t.Run("stranger", func(t *testing.T) {
		t.Parallel()
		s := newSpace(t, mesh{})
		s.create(t, s.bareJob("stranger", s.unwrapped("main", shell(ask)...)))
		assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "stranger")))
		assert.Contains(t, s.logs(t, s.pod(t, "stranger"), "main"), "Connection reset by peer")
	})
	t.Run("classic hangs", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Istio", false, results.Result{Shows: hangs})
		s := newIstioSpace(t, istioWithInit)
		s.create(t, annotate(s.bareJob("hangs", s.unwrapped("main", "true")), istioSidecar(false, nil)))
		pod := s.assertStaysActive(t, "hangs", istioProxy)
		assert.Zero(t, terminated(t, pod, "main").ExitCode)
	})
	t.Run("native finishes", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Istio", true, results.Result{Shows: finishes})
		s := newIstioSpace(t, istioWithInit)
		s.create(t, annotate(s.bareJob("finishes", s.unwrapped("main", shell(ask)...)), istioSidecar(true, nil)))
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "finishes")))
		s.assertServed(t, s.pod(t, "finishes"), "main")
	})
}

// An istioCase is one way to run a Job beside Istio.
type istioCase struct {
	revision istioRevision
	native   bool
	by       way
	delivery string
	code     int32
}

func (c istioCase) String() string {
	return fmt.Sprintf("%s %s, %s, %s, exit %d", c.revision.title, kind(c.native), c.by, c.delivery, c.code)
}

// istioCases are the cases of every run: every pair of kind and delivery, by every way, with and without istio-init.
var istioCases = []istioCase{
	{istioWithInit, false, byChart, "initContainer", 0},
	{istioWithInit, false, byInject, "imageVolume", 3},
	{istioWithInit, false, byHand, "initContainer", 0},
	{istioWithInit, true, byChart, "imageVolume", 3},
	{istioWithInit, true, byInject, "initContainer", 0},
	{istioWithInit, true, byHand, "initContainer", 0},
	{istioWithCNI, false, byChart, "imageVolume", 0},
	{istioWithCNI, false, byInject, "initContainer", 3},
	{istioWithCNI, true, byChart, "initContainer", 0},
	{istioWithCNI, true, byInject, "imageVolume", 0},
	{istioWithoutProbe, true, byChart, "initContainer", 0},
	{istioWithoutProbe, true, byInject, "imageVolume", 3},
}

// allIstioCases returns all combinations that make sense.
func allIstioCases() []istioCase {
	var all []istioCase
	for _, revision := range []istioRevision{istioWithInit, istioWithCNI, istioWithoutProbe} {
		for _, native := range []bool{false, true} {
			for _, by := range []way{byChart, byInject, byHand} {
				for _, delivery := range []string{"initContainer", "imageVolume"} {
					for _, code := range []int32{0, 3} {
						c := istioCase{revision, native, by, delivery, code}
						if c.makesSense() {
							all = append(all, c)
						}
					}
				}
			}
		}
	}
	return all
}

// makesSense excludes plain manifests with another delivery than an init container, because they always have one. It
// excludes the revision without a startup probe for classic sidecars, which it does not concern, and for plain
// manifests, where nothing tells the wrapper that the sidecar is native.
func (c istioCase) makesSense() bool {
	if c.by == byHand && c.delivery != "initContainer" {
		return false
	}
	return c.revision.title != istioWithoutProbe.title || c.native && c.by != byHand
}

func istioWrapped(t *testing.T, ask string) {
	t.Parallel()
	cases, inEachRun := istioCases, map[string]bool{}
	for _, c := range cases {
		inEachRun[c.String()] = true
	}
	if the.given.AllMeshes {
		cases = allIstioCases()
	}
	for _, test := range cases {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", test.native, results.Result{
				Delivery: test.delivery, By: string(test.by), Shows: ends(test.code) + test.revision.shows, All: !inEachRun[test.String()],
			})
			s := newIstioSpace(t, test.revision)
			s.start(t, test.by, work{
				name: "asks", script: fmt.Sprintf("%s; exit %d", ask, test.code),
				annotations: istioSidecar(test.native, nil),
				values:      values{"delivery": test.delivery},
				flags:       []string{"--mesh=istio"},
			})
			assert.Equal(t, outcomeOf(test.code), outcome(s.ended(t, "asks")))
			pod := s.pod(t, "asks")
			assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
			s.assertServed(t, pod, "main")
			assertUndisturbed(t, pod, istioProxy)
			s.assertAgentAsked(t, pod, askedBy(test.native))
			assert.Contains(t, delivered(pod), test.delivery)
		})
	}
}

// The agent takes the stop request at a port that can be moved or switched off. The admin port of Envoy is always open,
// and the agent ends with code 0 after its Envoy was asked to stop.
func istioStatusPort(t *testing.T) {
	t.Parallel()
	for _, port := range []string{"16020", "0"} {
		t.Run(port, func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", false, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "status port " + port})
			s := newIstioSpace(t, istioWithInit)
			s.start(t, byChart, work{
				name: "moved", script: "echo worked",
				annotations: istioSidecar(false, map[string]string{"status.sidecar.istio.io/port": port}),
			})
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "moved")))
			pod := s.pod(t, "moved")
			assert.Contains(t, s.logs(t, pod, "main"), "worked\n")
			assertUndisturbed(t, pod, istioProxy)
			s.assertAgentAsked(t, pod, 0)
		})
	}
}

// A command that is restarted in its pod still has the proxy.
func istioRestarted(t *testing.T, ask string) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		t.Run(kind(native), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", native, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "`OnFailure`: started again in its pod"})
			s := newIstioSpace(t, istioWithInit)
			s.start(t, byChart, work{
				name: "again", script: ask + "; test -e /scratch/tried || { touch /scratch/tried; exit 7; }",
				annotations: istioSidecar(native, nil),
				more:        values{"restartPolicy": "OnFailure", "backoffLimit": 3},
			})
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "again")))
			pod := s.pod(t, "again")
			assert.EqualValues(t, 1, container(pod, "main").RestartCount)
			assert.Zero(t, terminated(t, pod, "main").ExitCode)
			s.assertServed(t, pod, "main")
			assertUndisturbed(t, pod, istioProxy)
			s.assertAgentAsked(t, pod, askedBy(native))
		})
	}
}

// When a Job is deleted, a wrapper that still waits gives up at once, and a running command is asked to stop.
func istioDeleted(t *testing.T, ask string) {
	t.Parallel()
	t.Run("while it waits", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Istio", false, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "deleted while it waits"})
		s := newIstioSpace(t, istioWithInit)
		s.start(t, byChart, work{
			name: "waits", script: "echo started",
			// A proxy whose control plane does not answer never becomes ready.
			annotations: istioSidecar(false, map[string]string{"proxy.istio.io/config": `{"discoveryAddress": "nobody.istio-system.svc:15012"}`}),
		})
		pod := s.podWhen(t, "waits", "both containers run", func(pod *corev1.Pod) bool {
			return container(pod, "main").State.Running != nil && container(pod, istioProxy).State.Running != nil
		})
		lines := s.follow(t, pod, "main")
		s.deleteJob(t, "waits")
		awaitLine(t, lines, "jobmesh-wrap: wait for istio ended by SIGTERM", jobLimit)
		s.awaitNoPods(t)
	})
	for _, native := range []bool{false, true} {
		t.Run(kind(native)+", while it runs", func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", native, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "deleted while it runs"})
			s := newIstioSpace(t, istioWithInit)
			s.start(t, byChart, work{name: "runs", script: ask + "; " + untilAsked, annotations: istioSidecar(native, nil)})
			lines := s.followWhenRunning(t, "runs")
			awaitLine(t, lines, "started", jobLimit)
			s.deleteJob(t, "runs")
			awaitLine(t, lines, "asked to stop", jobLimit)
			s.awaitNoPods(t)
		})
	}
}

// The Job exceeds its activeDeadlineSeconds.
func istioDeadline(t *testing.T, ask string) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		t.Run(kind(native), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", native, results.Result{Delivery: "initContainer", By: string(byHand), Shows: "`activeDeadlineSeconds`"})
			s := newIstioSpace(t, istioWithInit)
			job := s.plainJob("late", s.wrapped("main", []string{"--mesh=istio"}, shell(ask+"; "+untilAsked)...))
			s.create(t, annotate(job, istioSidecar(native, nil)))
			lines := s.followWhenRunning(t, "late")
			awaitLine(t, lines, "started", jobLimit)
			// The deadline is set only now, because on a busy machine a pod may take any time to start.
			require.NoError(t, s.run("", s.kubectl, "patch", "job", "late", "--namespace", s.name, "--type=merge", "--patch", `{"spec": {"activeDeadlineSeconds": 1}}`))
			awaitLine(t, lines, "asked to stop", jobLimit)
			ended := s.ended(t, "late")
			assert.Equal(t, batchv1.JobReasonDeadlineExceeded, reason(ended))
			s.awaitNoPods(t)
		})
	}
}

// A pod has two wrapped containers. The one that ends first leaves the proxy to the other one.
func istioTwoContainers(t *testing.T, ask string) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		t.Run(kind(native), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", native, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "two wrapped containers"})
			s := newIstioSpace(t, istioWithInit)
			s.start(t, byChart, work{
				name: "two", script: "until test -e /scratch/first-asked; do sleep 0.1; done; sleep 1; " + ask,
				annotations: istioSidecar(native, nil),
				values:      values{"containers": "all"},
				more:        values{"first": shell(ask + "; touch /scratch/first-asked")},
			})
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "two")))
			pod := s.pod(t, "two")
			for _, name := range []string{"first", "main"} {
				assert.Zero(t, terminated(t, pod, name).ExitCode, name)
				s.assertServed(t, pod, name)
			}
			assertOutlived(t, pod, istioProxy, "first", "main")
			s.assertAgentAsked(t, pod, askedBy(native))
		})
	}
}

// An init container that needs the network of the mesh has it only beside a native sidecar.
func istioNetworkDuringInit(t *testing.T, ask string) {
	t.Parallel()
	showsReal(t, "Istio", true, results.Result{Delivery: "initContainer", By: string(byHand), Shows: "an init container that needs the network"})
	s := newIstioSpace(t, istioWithInit)
	job := s.plainJob("fetches", s.wrapped("main", []string{"--mesh=istio"}, shell(ask)...))
	spec := &job.Spec.Template.Spec
	spec.InitContainers = append(spec.InitContainers, s.unwrapped("fetch", shell(ask)...))
	s.create(t, annotate(job, istioSidecar(true, nil)))
	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "fetches")))
	pod := s.pod(t, "fetches")
	s.assertServed(t, pod, "fetch")
	s.assertServed(t, pod, "main")
	assertUndisturbed(t, pod, istioProxy)
}

// untilAsked is a script that runs until it gets SIGTERM.
const untilAsked = `trap "echo asked to stop; exit 0" TERM; echo started; while :; do sleep 0.1; done`

// followWhenRunning follows the log of container main as soon as it runs.
func (s space) followWhenRunning(t *testing.T, job string) <-chan string {
	t.Helper()
	return s.follow(t, s.podWhen(t, job, "its command runs", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Running != nil
	}), "main")
}

func (s space) deleteJob(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, s.run("", s.kubectl, "delete", "job", name, "--namespace", s.name, "--wait=false"))
}

// The pod also has the proxy of a database, which its author has put there. The wrapper waits for both proxies, and
// stops both, except for a native one.
func istioBesideCloudSQLProxy(t *testing.T, ask string) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		t.Run(kind(native), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", native, results.Result{Delivery: "initContainer", By: string(byHand), Shows: "beside Cloud SQL Auth Proxy"})
			s := newIstioSpace(t, istioWithInit)
			flags := []string{"--mesh=istio", "--mesh=" + programs.CloudSQLProxy}
			main := s.wrapped("main", flags, shell(ask+"; nc -w 60 127.0.0.1 5432 </dev/null; echo connected")...)
			job := s.plainJob("queries", main, s.cloudSQLProxy("--quitquitquit"))
			s.create(t, annotate(job, istioSidecar(native, nil)))
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "queries")))
			pod := s.pod(t, "queries")
			s.assertServed(t, pod, "main")
			assert.Contains(t, s.logs(t, pod, "main"), "connected\n")
			assertUndisturbed(t, pod, "proxy")
			assertUndisturbed(t, pod, istioProxy)
			s.assertAgentAsked(t, pod, askedBy(native))
		})
	}
}

// jobmesh inject has made the proxy of a database a native sidecar. Beside a native proxy of the mesh it wraps nothing;
// beside a classic one it wraps the command.
func istioMovedProxy(t *testing.T, ask string) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		for _, code := range []int32{0, 3} {
			t.Run(fmt.Sprintf("%s, exit %d", kind(native), code), func(t *testing.T) {
				t.Parallel()
				shows := results.Result{Delivery: "initContainer", By: string(byInject), Shows: "a moved Cloud SQL Auth Proxy: " + ends(code)}
				s := newIstioSpace(t, istioWithInit)
				settings := []string{"mesh=istio", "sidecars={proxy}", "image.registry=" + s.given.Registry}
				if native {
					settings, shows.Delivery = append(settings, "mode=native"), ""
				}
				showsReal(t, "Istio", native, shows)
				work := fmt.Sprintf("%s; nc -w 60 127.0.0.1 5432 </dev/null && echo connected; exit %d", ask, code)
				job := s.besideWork("moved", "true", work, s.proxyToMove())
				s.apply(t, s.injected(t, annotate(job, istioSidecar(native, nil)), settings...))

				assert.Equal(t, outcomeOf(code), outcome(s.ended(t, "moved")))
				pod := s.pod(t, "moved")
				assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
				s.assertServed(t, pod, "main")
				assert.Contains(t, s.logs(t, pod, "main"), "connected\n")
				assertUndisturbed(t, pod, "proxy")
				assertUndisturbed(t, pod, istioProxy)
				s.assertAgentAsked(t, pod, askedBy(native))
			})
		}
	}
}

// Two meshes are in one pod, each by its own injector. Dapr's sidecar reaches its control plane through Istio's
// sidecar, which therefore has to be ready first.
func istioBesideDapr(t *testing.T, ask string) {
	t.Parallel()
	for _, native := range []bool{false, true} {
		t.Run(kind(native), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Istio", native, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "beside Dapr"})
			labels := istioLabels(t, istioWithInit)
			maps.Copy(labels, daprLabels(t))
			s := newMeshSpace(t, istioWithInit.standard, labels)
			annotations := istioSidecar(native, daprPod("both", daprSidecar(native, nil)))
			annotations["proxy.istio.io/config"] = `{"holdApplicationUntilProxyStarts": true}`
			s.start(t, byChart, work{name: "both", script: ask + "; wget -q -O - http://127.0.0.1:3500/v1.0/metadata", annotations: annotations})
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "both")))
			pod := s.pod(t, "both")
			s.assertServed(t, pod, "main")
			assert.Contains(t, s.logs(t, pod, "main"), `"id":"both"`)
			assertUndisturbed(t, pod, daprProxy)
			assertUndisturbed(t, pod, istioProxy)
			s.assertAgentAsked(t, pod, askedBy(native))
		})
	}
}
