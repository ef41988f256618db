package e2e

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

// These tests use a real Dapr: sentry, operator and injector from its own chart, and daprd in the pods.

// daprProxy is the container that the injector adds.
const daprProxy = "daprd"

const daprSystem = "dapr-system"

// newDaprSpace makes a namespace in which Dapr's injector changes the pods that ask for it by annotation. The first
// call installs Dapr. A pod that does not ask for a kind of sidecar gets the one that the running tests have
// configured.
func newDaprSpace(t *testing.T) space {
	t.Helper()
	return newMeshSpace(t, "restricted", daprLabels(t))
}

// daprLabels returns the labels of such a namespace.
func daprLabels(t *testing.T) map[string]string {
	t.Helper()
	requireOwnCluster(t)
	require.NoError(t, installDapr())
	return map[string]string{"dapr": "enabled"}
}

var installDapr = sync.OnceValue(func() error {
	dirs, err := the.meshPrograms()
	if err != nil {
		return err
	}
	images := map[string]string{}
	for _, name := range []string{"sentry", "operator", "injector", "daprd"} {
		program, err := dirs.Find(name)
		if err != nil {
			return err
		}
		images[name], err = the.pushContents("dapr-"+name, image.Contents{Programs: map[string]string{name: program}}, v1.Config{User: "65532:65532"})
		if err != nil {
			return err
		}
	}
	return the.helmInstall(dirs, "dapr", "dapr", daprSystem, daprValues(images))
})

func daprValues(images map[string]string) values {
	return values{
		"global": values{
			"seccompProfile": "RuntimeDefault",
			// No Job of the tests needs actors or reminders.
			"actors": values{"enabled": false}, "scheduler": values{"enabled": false},
		},
		"dapr_sentry":   values{"image": values{"name": images["sentry"]}, "resources": controlPlaneResources},
		"dapr_operator": values{"image": values{"name": images["operator"]}, "watchInterval": "0", "resources": controlPlaneResources},
		"dapr_sidecar_injector": values{
			"resources": controlPlaneResources,
			"image":     values{"name": images["daprd"]}, "injectorImage": values{"name": images["injector"]},
			"sidecarDropALLCapabilities": true, "webhookFailurePolicy": "Fail",
			// Without this selector the webhook would be called for the injector's own pod, before the injector runs.
			"namespaceSelector": values{"matchLabels": values{"dapr": "enabled"}},
		},
	}
}

// makeDaprNative makes native sidecars the default of the installation, and returns when the injector applies it.
func makeDaprNative(t *testing.T, s space) {
	t.Helper()
	dirs, err := s.meshPrograms()
	require.NoError(t, err)
	chart, err := dirs.Beside(filepath.Join(programs.Charts, "dapr"))
	require.NoError(t, err)
	require.NoError(t, s.run("", s.given.Helm4, "upgrade", "dapr", chart, "--namespace", daprSystem,
		"--reuse-values", "--set", "dapr_sidecar_injector.nativeSidecar=true", "--wait", "--timeout", meshLimit.String()))
	template := annotate(s.bareJob("", s.unwrapped("main", "true")), daprPod("probe", nil)).Spec.Template
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe", Annotations: template.Annotations}, Spec: template.Spec}
	require.Eventually(t, func() bool {
		made, err := s.client.CoreV1().Pods(s.name).Create(s.ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		return err == nil && len(made.Spec.InitContainers) == 1
	}, meshLimit, 100*time.Millisecond, "the injector makes native sidecars")
}

// daprPod returns the annotations of a pod that asks for Dapr, in a namespace that enforces "restricted".
func daprPod(name string, more map[string]string) map[string]string {
	annotations := map[string]string{
		"dapr.io/enabled": "true", "dapr.io/app-id": name,
		"dapr.io/sidecar-seccomp-profile-type": "RuntimeDefault",
		// The secret store needs the token of the service account, which not every Job here has.
		"dapr.io/disable-builtin-k8s-secret-store": "true",
		// On a busy machine daprd can take longer to start than its liveness probe allows.
		"dapr.io/sidecar-liveness-probe-delay-seconds": "600",
		"dapr.io/sidecar-cpu-request":                  "20m",
	}
	maps.Copy(annotations, more)
	return annotations
}

// daprSidecar adds the annotation that asks for one kind of sidecar.
func daprSidecar(native bool, more map[string]string) map[string]string {
	annotations := map[string]string{"dapr.io/enable-native-sidecar": fmt.Sprint(native)}
	maps.Copy(annotations, more)
	return annotations
}

// startDaprServer starts a server that reports who has called it, in a namespace of Dapr. It returns a script that
// calls the server through the caller's own daprd.
func startDaprServer(t *testing.T) string {
	t.Helper()
	s := newDaprSpace(t)
	s.startServer(t, `called by $HTTP_DAPR_CALLER_APP_ID of $HTTP_DAPR_CALLER_NAMESPACE`, daprPod("server", daprSidecar(false, map[string]string{
		"dapr.io/app-port": "8080",
	})))
	require.Eventually(t, func() bool {
		_, err := s.client.CoreV1().Services(s.name).Get(context.WithoutCancel(s.ctx), "server-dapr", metav1.GetOptions{})
		return err == nil
	}, meshLimit, 100*time.Millisecond, "Dapr's operator makes a Service")
	return fmt.Sprintf(`wget -q -O - --header "dapr-api-token: $DAPR_API_TOKEN" http://127.0.0.1:3500/v1.0/invoke/server.%s/method/cgi-bin/who`, s.name)
}

// assertCalled checks that the server was called by this app.
func (s space) assertCalled(t *testing.T, pod *corev1.Pod, app string) {
	t.Helper()
	assert.Contains(t, s.logs(t, pod, "main"), fmt.Sprintf("called by %s of %s\n", app, s.name))
}

// TestDapr uses a real Dapr. The Jobs call a server in another namespace through it.
func TestDapr(t *testing.T) {
	t.Parallel()
	call := startDaprServer(t)
	t.Run("jobs", func(t *testing.T) {
		t.Run("without jobmesh", func(t *testing.T) { daprWithoutJobmesh(t, call) })
		t.Run("wrapped", func(t *testing.T) { daprWrapped(t, call) })
		t.Run("by policy", func(t *testing.T) { daprByPolicy(t, call) })
		t.Run("left", daprLeaves)
		t.Run("API token", func(t *testing.T) { daprToken(t, call) })
	})
	t.Run("native by installation", func(t *testing.T) {
		makeDaprNative(t, newDaprSpace(t))
		t.Run("left", func(t *testing.T) {
			t.Parallel()
			newDaprSpace(t).assertLeft(t, "dapr-native-by-installation", "dapr", daprProxy, daprPod("looks", nil), daprReady)
		})
		daprNativeByInstallation(t, call)
	})
}

// littleCPU makes daprd take seconds to start. A command that does not wait finds its port closed meanwhile.
var littleCPU = map[string]string{"dapr.io/sidecar-cpu-limit": "30m"}

// A classic daprd keeps the Job. A native one does not, but nothing waits until it is ready: it has no startup probe,
// so the command starts at the same time.
func daprWithoutJobmesh(t *testing.T, call string) {
	t.Parallel()
	t.Run("classic hangs", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Dapr", false, results.Result{Shows: hangs})
		s := newDaprSpace(t)
		s.create(t, annotate(s.bareJob("hangs", s.unwrapped("main", "true")), daprPod("hangs", daprSidecar(false, nil))))
		pod := s.assertStaysActive(t, "hangs", daprProxy)
		assert.Zero(t, terminated(t, pod, "main").ExitCode)
	})
	t.Run("native meets a closed port", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Dapr", true, results.Result{Shows: "without jobmesh: starts too early and fails (JM210)"})
		s := newDaprSpace(t)
		job := annotate(s.bareJob("early", s.unwrapped("main", shell(call)...)), daprPod("early", daprSidecar(true, littleCPU)))
		verdict, err := s.jobmeshPlugin(t, manifestOf(t, job), "lint", "--mesh", "dapr", "--output", "json")
		require.NoError(t, err)
		assert.Contains(t, verdict, `"JM210"`)

		s.create(t, job)
		assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "early")))
		pod := s.pod(t, "early")
		assert.Contains(t, s.logs(t, pod, "main"), "can't connect to remote host (127.0.0.1): Connection refused")
		for _, c := range pod.Spec.InitContainers {
			assert.Nil(t, c.StartupProbe, c.Name)
		}
	})
	t.Run("native waited for", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Dapr", true, results.Result{Delivery: "initContainer", By: string(byChart), Shows: "waits for a sidecar that takes seconds"})
		s := newDaprSpace(t)
		s.start(t, byChart, work{name: "late", script: call, annotations: daprPod("late", daprSidecar(true, littleCPU))})
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "late")))
		s.assertCalled(t, s.pod(t, "late"), "late")
	})
}

// A daprCase is one way to run a Job beside Dapr.
type daprCase struct {
	native   bool
	by       way
	delivery string
	code     int32
}

func (c daprCase) String() string {
	return fmt.Sprintf("%s, %s, %s, exit %d", kind(c.native), c.by, c.delivery, c.code)
}

// daprCases are the cases of every run.
var daprCases = []daprCase{
	{false, byChart, "initContainer", 0},
	{false, byInject, "imageVolume", 3},
	{false, byHand, "initContainer", 0},
	{true, byChart, "imageVolume", 3},
	{true, byInject, "initContainer", 0},
	{true, byHand, "initContainer", 0},
}

func allDaprCases() []daprCase {
	var all []daprCase
	for _, native := range []bool{false, true} {
		for _, by := range []way{byChart, byInject, byHand} {
			for _, delivery := range []string{"initContainer", "imageVolume"} {
				for _, code := range []int32{0, 3} {
					if by == byHand && delivery != "initContainer" {
						continue // plain manifests always use an init container
					}
					all = append(all, daprCase{native, by, delivery, code})
				}
			}
		}
	}
	return all
}

func daprWrapped(t *testing.T, call string) {
	t.Parallel()
	cases, inEachRun := daprCases, map[string]bool{}
	for _, c := range cases {
		inEachRun[c.String()] = true
	}
	if the.given.AllMeshes {
		cases = allDaprCases()
	}
	for _, test := range cases {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Dapr", test.native, results.Result{
				Delivery: test.delivery, By: string(test.by), Shows: ends(test.code), All: !inEachRun[test.String()],
			})
			s := newDaprSpace(t)
			flags := []string{"--mesh=dapr"}
			if test.native {
				flags = append(flags, "--native=dapr") // in a plain manifest, only this flag says that the sidecar is native
			}
			s.start(t, test.by, work{
				name: "calls", script: fmt.Sprintf("%s; exit %d", call, test.code),
				annotations: daprPod("calls", daprSidecar(test.native, nil)),
				values:      values{"delivery": test.delivery},
				flags:       flags,
			})
			assert.Equal(t, outcomeOf(test.code), outcome(s.ended(t, "calls")))
			pod := s.pod(t, "calls")
			assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
			s.assertCalled(t, pod, "calls")
			assertUndisturbed(t, pod, daprProxy)
			s.assertHandedOver(t, pod, test.native)
			assert.Contains(t, delivered(pod), test.delivery)
		})
	}
}

// assertHandedOver checks whether the wrapper has replaced itself by the command. It does so if it has nothing to stop.
func (s space) assertHandedOver(t *testing.T, pod *corev1.Pod, want bool) {
	t.Helper()
	assert.Equal(t, want, strings.Contains(s.logs(t, pod, "main"), "jobmesh-wrap: nothing to do after the command: handing over to it"))
}

// If Dapr requires an API token, the wrapper sends the one of its container. Without a token Dapr refuses the stop
// request, and the wrapper says what is missing.
func daprToken(t *testing.T, call string) {
	t.Parallel()
	const secret = "token"
	start := func(t *testing.T, s space, env ...corev1.EnvVar) {
		_, err := s.client.CoreV1().Secrets(s.name).Create(s.ctx, &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Name: secret}, StringData: map[string]string{secret: "open sesame"},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		main := s.wrapped("main", []string{"--mesh=dapr"}, shell(call+" || echo refused")...)
		main.Env = env
		asks := daprSidecar(false, map[string]string{"dapr.io/api-token-secret": secret})
		s.create(t, annotate(s.plainJob("calls", main), daprPod("calls", asks)))
	}
	t.Run("given", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Dapr", false, results.Result{Delivery: "initContainer", By: string(byHand), Shows: "API token"})
		s := newDaprSpace(t)
		start(t, s, corev1.EnvVar{Name: "DAPR_API_TOKEN", ValueFrom: &corev1.EnvVarSource{SecretKeyRef: &corev1.SecretKeySelector{
			LocalObjectReference: corev1.LocalObjectReference{Name: secret}, Key: secret,
		}}})
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "calls")))
		pod := s.pod(t, "calls")
		s.assertCalled(t, pod, "calls")
		assertUndisturbed(t, pod, daprProxy)
	})
	t.Run("not given", func(t *testing.T) {
		t.Parallel()
		showsReal(t, "Dapr", false, results.Result{Delivery: "initContainer", By: string(byHand), Shows: "API token that is not given: said in the log"})
		s := newDaprSpace(t)
		start(t, s)
		pod := s.assertStaysActive(t, "calls", daprProxy)
		log := s.logs(t, pod, "main")
		assert.Contains(t, log, "refused\n")
		assert.Contains(t, log, "DAPR_API_TOKEN", "the wrapper says what is missing")
	})
}

// If the installation decides that sidecars are native, the pod does not show it, so the wrapper asks a native daprd to
// stop. The Job still ends with the outcome of its command.
func daprNativeByInstallation(t *testing.T, call string) {
	for _, test := range []daprCase{
		{true, byChart, "initContainer", 0},
		{true, byInject, "imageVolume", 3},
	} {
		t.Run(test.String(), func(t *testing.T) {
			t.Parallel()
			showsReal(t, "Dapr", true, results.Result{Delivery: test.delivery, By: string(test.by), Shows: ends(test.code) + " (native by the installation)"})
			s := newDaprSpace(t)
			s.start(t, test.by, work{
				name: "calls", script: fmt.Sprintf("%s; exit %d", call, test.code),
				annotations: daprPod("calls", nil),
				values:      values{"delivery": test.delivery},
			})
			assert.Equal(t, outcomeOf(test.code), outcome(s.ended(t, "calls")))
			pod := s.pod(t, "calls")
			assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
			s.assertCalled(t, pod, "calls")
			assert.Contains(t, names(pod.Spec.InitContainers), daprProxy)
		})
	}
}
