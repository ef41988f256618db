package live

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// These variables name Kyverno's admission controller and the folder of the sources that it was compiled from.
// ci/kyverno sets them.
const (
	kyvernoProgram = "JOBMESH_KYVERNO_CONTROLLER"
	kyvernoSource  = "JOBMESH_KYVERNO_SOURCE"
)

// TestKyverno installs Kyverno on a real API server, and the chart jobmesh-policy for it. The admission controller runs
// beside the API server, since there is no node.
func TestKyverno(t *testing.T) {
	p := newPolicyTest(t)
	kill := p.kyverno(t)
	policies := policyChart(t, "--set", "engine=kyverno")
	p.await(t, "Kyverno's webhook for policies", func() bool {
		_, stderr, err := p.kubectl(policies, "apply", "-f", "-")
		require.NotContains(t, stderr, "Warning: ")
		return err == nil
	})
	// The API server calls Istio's webhook before that of Kyverno, and Linkerd's behind it.
	p.namespace(t, "last", "enabled")
	p.injector(t, "istio-sidecar-injector", "shop")
	p.injector(t, "linkerd-proxy-injector-webhook-config", "last")
	wrapped := func(namespace string) bool {
		pod := p.pod("probe")
		pod.Namespace = namespace
		made, err := p.create(pod, metav1.DryRunAll)
		require.NoError(t, err)
		return made.Spec.Containers[0].Command[0] == "/jobmesh/jobmesh-wrap" && len(made.Spec.Containers) == 2
	}
	for _, namespace := range []string{"shop", "last"} {
		p.await(t, "the policies and the webhook in "+namespace, func() bool { return wrapped(namespace) })
		t.Run("a pod of a Job in "+namespace, func(t *testing.T) {
			pod := p.pod("job")
			pod.Namespace = namespace
			made, err := p.create(pod)
			require.NoError(t, err)
			require.Equal(t, []string{"/jobmesh/jobmesh-wrap", "--stop-when=success", "--", "/app"}, made.Spec.Containers[0].Command)
			require.Regexp(t, `@sha256:[0-9a-f]{64}$`, made.Spec.Volumes[0].Image.Reference)
			require.Equal(t, "istio-proxy", made.Spec.Containers[1].Name)
			require.Empty(t, made.Spec.Containers[1].Command)
			require.Len(t, made.Spec.InitContainers, 1, "Kyverno makes no proxy native")
		})
		t.Run("all containers in "+namespace, func(t *testing.T) {
			pod := p.pod("all")
			pod.Namespace, pod.Annotations = namespace, map[string]string{"jobmesh.dev/containers": "all"}
			pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "second", Image: "i", Command: []string{"/b"}})
			made, err := p.create(pod)
			require.NoError(t, err)
			require.Contains(t, made.Spec.Containers[0].Command, "--members=2")
			require.Contains(t, made.Spec.Containers[1].Command, "--members=2")
			require.Equal(t, "istio-proxy", made.Spec.Containers[2].Name)
			require.Empty(t, made.Spec.Containers[2].Command)
		})
	}
	t.Run("another namespace", p.leavesOthers)
	t.Run("warnings, and nothing that Git does not have", func(t *testing.T) {
		p.await(t, "a warning", func() bool {
			_, stderr, err := p.kubectl(twoContainers, "apply", "--dry-run=server", "-n", "shop", "-f", "-")
			return err == nil && stderr != ""
		})
		p.applied(t, `^Warning: Policy jobmesh-tell failed: JM101: `)
	})
	t.Run("lint and why", func(t *testing.T) {
		hangs := strings.Replace(cronJob, "nightly", "hangs", 1) + "            - {name: db, image: \"gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.27.0\"}\n"
		_, stderr, err := p.kubectl(hangs, "apply", "-n", "shop", "-f", "-")
		require.NoError(t, err, stderr)
		_, _, notes, _ := run(t, p.kubeconfig, p.audit, "lint", "--cluster", "-n", "shop")
		require.Contains(t, notes, "what Kyverno makes of their pods is not known")
		_, out, _, requests := run(t, p.kubeconfig, p.audit, "why", "-n", "shop", "cronjob/hangs")
		require.Contains(t, strings.Join(strings.Fields(out), " "), "Kyverno applies jobmesh-policy in namespace shop")
		require.LessOrEqual(t, len(requests), 6, requests)
	})
	t.Run("without image volumes", func(t *testing.T) {
		_, stderr, err := p.kubectl(policyChart(t, "--set", "engine=kyverno,delivery=initContainer"), "apply", "-f", "-")
		require.NoError(t, err, stderr)
		for _, namespace := range []string{"shop", "last"} {
			pod := p.pod("old")
			pod.Namespace = namespace
			var made *corev1.Pod
			p.await(t, "the other delivery in "+namespace, func() bool {
				made, err = p.create(pod, metav1.DryRunAll)
				require.NoError(t, err)
				return len(made.Spec.InitContainers) == 2
			})
			require.Equal(t, []string{"jobmesh-install", "istio-init"}, []string{made.Spec.InitContainers[0].Name, made.Spec.InitContainers[1].Name})
			require.Equal(t, []string{"/jobmesh/jobmesh-wrap", "--stop-when=success", "--", "/app"}, made.Spec.Containers[0].Command)
			require.Contains(t, made.Spec.Containers[0].VolumeMounts, corev1.VolumeMount{Name: "jobmesh", MountPath: "/jobmesh", ReadOnly: true})
		}
	})
	t.Run("removal leaves pods alone", func(t *testing.T) {
		before, err := p.client.CoreV1().Pods("shop").Get(p.ctx, "job", metav1.GetOptions{})
		require.NoError(t, err)
		_, stderr, err := p.kubectl(policies, "delete", "-f", "-")
		require.NoError(t, err, stderr)
		p.await(t, "a pod as it is written", func() bool { return !wrapped("shop") })
		after, err := p.client.CoreV1().Pods("shop").Get(p.ctx, "job", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, before.ResourceVersion, after.ResourceVersion)
	})
	t.Run("without Kyverno pods are as they are written", func(t *testing.T) {
		_, stderr, err := p.kubectl(policies, "apply", "-f", "-")
		require.NoError(t, err, stderr)
		p.await(t, "the policies", func() bool { return wrapped("shop") })
		kill()
		require.False(t, wrapped("shop"))
	})
}

// kyverno installs Kyverno by the manifest in its sources, and starts its admission controller as the Deployment there
// says. It returns what kills it.
func (p policyTest) kyverno(t *testing.T) (kill func()) {
	t.Helper()
	program, source := os.Getenv(kyvernoProgram), os.Getenv(kyvernoSource)
	require.NotEmpty(t, program, "hint: ci/kyverno builds the program and sets the variable")
	_, stderr, err := p.kubectl("", "apply", "--server-side", "-f", filepath.Join(source, "config", "install-latest-testing.yaml"))
	require.NoError(t, err, stderr)
	_, stderr, err = p.kubectl("", "wait", "--for=condition=Established", "--timeout=2m", "crd", "--all")
	require.NoError(t, err, stderr)
	deployment, err := p.client.AppsV1().Deployments("kyverno").Get(p.ctx, "kyverno-admission-controller", metav1.GetOptions{})
	require.NoError(t, err)
	container := deployment.Spec.Template.Spec.Containers[0]
	address := freeAddress(t)
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	// Of a flag that is given twice the last one holds. --serverIP is for an admission controller outside of the cluster.
	cmd := exec.CommandContext(p.ctx, program, append(container.Args, "--kubeconfig="+p.kubeconfig, "--serverIP="+address,
		"--webhookServerHost=127.0.0.1", "--webhookServerPort="+port, "--disableMetrics=true", "--controllerRuntimeMetricsAddress=0")...)
	cmd.Env = os.Environ()
	for _, e := range container.Env {
		cmd.Env = append(cmd.Env, e.Name+"="+valueIn(e))
	}
	log, err := os.Create(filepath.Join(p.dir, "kyverno.log"))
	require.NoError(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	require.NoError(t, cmd.Start())
	kill = func() {
		_ = cmd.Process.Kill() // fails where it was killed already
		_ = cmd.Wait()
	}
	t.Cleanup(func() {
		kill()
		_ = log.Close()
		if t.Failed() {
			said, err := os.ReadFile(log.Name())
			require.NoError(t, err)
			t.Logf("Kyverno said last:\n%s", said[max(0, len(said)-4_000):])
		}
	})
	return kill
}

// valueIn returns the value of a variable in the only pod of the Deployment.
func valueIn(e corev1.EnvVar) string {
	if e.ValueFrom == nil || e.ValueFrom.FieldRef == nil {
		return e.Value
	}
	return map[string]string{"metadata.namespace": "kyverno", "metadata.name": "kyverno-0"}[e.ValueFrom.FieldRef.FieldPath]
}

// freeAddress returns an address of the loopback interface on which nobody listens. Kyverno takes no port 0.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}
