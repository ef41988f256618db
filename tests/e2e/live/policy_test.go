package live

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admission/v1"
	registrationv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/sandbox"
)

// policyLimit is how long the API server may take to notice a policy.
const policyLimit = 2 * time.Minute

// TestPolicy installs the chart jobmesh-policy, as `make build` packs it, on a real API server, with a webhook that
// adds a proxy to pods as Istio's webhook does.
func TestPolicy(t *testing.T) {
	p := newPolicyTest(t)
	p.helm(t, "install", "jobmesh", policyArchive(t))
	p.injector(t, "proxy", "shop")
	p.await(t, "the policies and the webhook", func() bool {
		pod, err := p.create(p.pod("probe"), metav1.DryRunAll)
		return err == nil && pod.Spec.Containers[0].Command[0] == "/jobmesh/jobmesh-wrap" && len(pod.Spec.InitContainers) == 2
	})
	// The API server loads this kind of policy with a delay of its own.
	p.await(t, "a warning", func() bool {
		_, stderr, err := p.kubectl(twoContainers, "apply", "--dry-run=server", "-n", "shop", "-f", "-")
		return err == nil && strings.HasPrefix(stderr, "Warning: ")
	})

	t.Run("a pod of a Job", func(t *testing.T) {
		pod, err := p.create(p.pod("job"))
		require.NoError(t, err)
		require.Equal(t, []string{"/jobmesh/jobmesh-wrap", "--stop-when=success", "--", "/app"}, pod.Spec.Containers[0].Command)
		require.Equal(t, "istio-proxy", pod.Annotations["jobmesh.dev/native"])
		require.Len(t, pod.Spec.Containers, 1)
		require.Equal(t, []string{"istio-init", "istio-proxy"}, []string{pod.Spec.InitContainers[0].Name, pod.Spec.InitContainers[1].Name})
		proxy := pod.Spec.InitContainers[1]
		require.Equal(t, corev1.ContainerRestartPolicyAlways, *proxy.RestartPolicy)
		require.EqualValues(t, 120, proxy.StartupProbe.FailureThreshold)
		require.Equal(t, proxy.ReadinessProbe.HTTPGet, proxy.StartupProbe.HTTPGet)
		require.Regexp(t, `@sha256:[0-9a-f]{64}$`, pod.Spec.Volumes[0].Image.Reference)
	})
	t.Run("another namespace", p.leavesOthers)
	t.Run("beyond what an expression may cost", func(t *testing.T) {
		pod := p.pod("huge")
		pod.Annotations = map[string]string{"jobmesh.dev/containers": "all"}
		for n, first := range map[int]string{1: "/jobmesh/jobmesh-wrap", 1000: "/app"} {
			huge := pod.DeepCopy()
			for i := range n {
				huge.Spec.Containers = append(huge.Spec.Containers, corev1.Container{Name: fmt.Sprint("c", i), Image: "i", Command: []string{"/x"}})
			}
			made, err := p.create(huge, metav1.DryRunAll)
			require.NoError(t, err)
			require.Equal(t, first, made.Spec.Containers[0].Command[0], n)
		}
	})
	t.Run("warnings, and nothing that Git does not have", func(t *testing.T) {
		p.applied(t, `(?m)^Warning: .*JM101: `)
	})
	t.Run("the audit log", func(t *testing.T) {
		left := []byte(`"jobmesh-tell/left":"JM101: `)
		p.await(t, string(left), func() bool {
			log, err := os.ReadFile(p.audit)
			return err == nil && bytes.Contains(log, left)
		})
	})
	t.Run("upgrade, rollback and removal leave pods alone", func(t *testing.T) {
		before, err := p.client.CoreV1().Pods("shop").Get(p.ctx, "job", metav1.GetOptions{})
		require.NoError(t, err)
		becomes := func(what string, wrapped bool, containers int) {
			t.Helper()
			p.await(t, what, func() bool {
				pod, err := p.create(p.pod("probe"), metav1.DryRunAll)
				return err == nil && (pod.Spec.Containers[0].Command[0] != "/app") == wrapped && len(pod.Spec.Containers) == containers
			})
		}
		p.helm(t, "upgrade", "jobmesh", policyArchive(t), "--set", "nativize=false")
		becomes("an upgrade", true, 2)
		p.helm(t, "rollback", "jobmesh", "1")
		becomes("a rollback", true, 1)
		p.helm(t, "uninstall", "jobmesh")
		becomes("a removal", false, 2)
		after, err := p.client.CoreV1().Pods("shop").Get(p.ctx, "job", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, before.ResourceVersion, after.ResourceVersion)
	})
}

// TestUnknownField shows what the schema of the chart keeps away: where a policy writes a field that the API server does
// not know, the pod is refused although the policy says Ignore.
func TestUnknownField(t *testing.T) {
	p := newPolicyTest(t)
	const field = `"allowPrivilegeEscalation"`
	policies := policyChart(t, "--set", "delivery=initContainer")
	require.Contains(t, policies, field)
	_, stderr, err := p.kubectl(strings.ReplaceAll(policies, field, `"allowPrivilegeEscalated"`), "apply", "-f", "-")
	require.NoError(t, err, stderr)
	p.await(t, "a refusal", func() bool {
		_, err := p.create(p.pod("job"), metav1.DryRunAll)
		return err != nil && strings.Contains(err.Error(), "allowPrivilegeEscalated")
	})
}

// policyTest has a real API server and its client; controller is the client of the controller that makes the pods of
// Jobs. dir is a folder for what others write, and audit the log of the server.
type policyTest struct {
	ctx        context.Context
	client     kubernetes.Interface
	controller kubernetes.Interface
	kubectl    func(stdin string, arguments ...string) (stdout, stderr string, err error)
	dir        string
	kubeconfig string
	audit      string
}

// newPolicyTest starts an API server with the namespaces shop and other. Only shop has the label of jobmesh-policy.
func newPolicyTest(t *testing.T) policyTest {
	t.Helper()
	found, err := programs.Provide(context.Background(), "../cluster", os.Stderr)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	t.Cleanup(cancel)
	program, err := found.Find("kubectl")
	require.NoError(t, err)
	dir := t.TempDir()
	audit := filepath.Join(dir, "audit.log")
	kubeconfig, stop, err := cluster.StartAPI(ctx, cluster.Options{
		Programs: found, Dir: filepath.Join(dir, "cluster"), Logs: filepath.Join(dir, "logs"), Progress: os.Stderr, ServiceNetwork: sandbox.ServiceNetwork,
	}, audit)
	require.NoError(t, err)
	t.Cleanup(stop)
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:kube-system:job-controller",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:kube-system", "system:authenticated"},
	}
	controller, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	kubectl := func(stdin string, arguments ...string) (string, string, error) {
		cmd := exec.CommandContext(ctx, program, arguments...)
		cmd.Env = append(os.Environ(), "KUBECONFIG="+kubeconfig, "KUBECACHEDIR="+filepath.Join(dir, "cache"))
		var out, errs bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
		err := cmd.Run()
		return out.String(), errs.String(), err
	}
	p := policyTest{ctx, client, controller, kubectl, dir, kubeconfig, audit}
	p.namespace(t, "shop", "enabled")
	p.namespace(t, "other", "no")
	return p
}

// namespace makes a namespace with a value of the label of jobmesh-policy.
func (p policyTest) namespace(t *testing.T, name, label string) {
	t.Helper()
	_, err := p.client.CoreV1().Namespaces().Create(p.ctx, &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"jobmesh.dev/inject": label}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// given returns the path in a variable, or else one of the repository.
func given(variable, fallback string) string {
	return cmp.Or(os.Getenv(variable), filepath.Join("..", "..", "..", fallback))
}

// policyArchive returns the path of the packed chart.
func policyArchive(t *testing.T) string {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join(given("JOBMESH_DIST", "dist"), "charts", "jobmesh-policy-*.tgz"))
	require.NoError(t, err)
	require.Len(t, archives, 1, "make build")
	return archives[0]
}

// policyChart returns the packed chart, printed by Helm.
func policyChart(t *testing.T, arguments ...string) string {
	t.Helper()
	out, err := exec.Command(given("JOBMESH_HELM4", "bin/helm4"), append([]string{"template", "jobmesh", policyArchive(t)}, arguments...)...).Output()
	require.NoError(t, err)
	return string(out)
}

// helm runs Helm, which prints no warning of the API server.
func (p policyTest) helm(t *testing.T, arguments ...string) {
	t.Helper()
	cmd := exec.CommandContext(p.ctx, given("JOBMESH_HELM4", "bin/helm4"), arguments...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+p.kubeconfig, "HELM_CACHE_HOME="+p.dir, "HELM_CONFIG_HOME="+p.dir, "HELM_DATA_HOME="+p.dir)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	require.NoError(t, cmd.Run(), stderr.String())
	require.NotContains(t, strings.ToLower(stderr.String()), "warning")
}

// pod returns a pod that a Job owns; the Job itself does not exist.
func (p policyTest) pod(name string) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: "shop", OwnerReferences: []metav1.OwnerReference{
		{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "u", Controller: new(true)},
	}}}
	pod.Spec = corev1.PodSpec{RestartPolicy: corev1.RestartPolicyOnFailure, Containers: []corev1.Container{{Name: "main", Image: "i", Command: []string{"/app"}}}}
	return pod
}

func (p policyTest) create(pod *corev1.Pod, dryRun ...string) (*corev1.Pod, error) {
	return p.controller.CoreV1().Pods(pod.Namespace).Create(p.ctx, pod, metav1.CreateOptions{DryRun: dryRun})
}

func (p policyTest) await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	require.Eventually(t, holds, policyLimit, 50*time.Millisecond, what)
}

// leavesOthers checks that a pod in a namespace without the label stays as it is.
func (p policyTest) leavesOthers(t *testing.T) {
	pod := p.pod("job")
	pod.Namespace = "other"
	made, err := p.create(pod)
	require.NoError(t, err)
	require.Equal(t, []string{"/app"}, made.Spec.Containers[0].Command)
}

// applied applies manifests, of which kubectl tells only twoContainers something, and kubectl diff finds nothing in any.
func (p policyTest) applied(t *testing.T, warning string) {
	t.Helper()
	for _, manifest := range []string{twoContainers, cronJob, hook} {
		_, stderr, err := p.kubectl(manifest, "apply", "-n", "shop", "-f", "-")
		require.NoError(t, err, stderr)
		if manifest == twoContainers {
			require.Regexp(t, warning+`.* a, b do the work; annotate the pod template with jobmesh\.dev/containers: all, or with the names`, stderr)
		} else {
			require.Empty(t, stderr)
		}
		out, stderr, err := p.kubectl(manifest, "diff", "-n", "shop", "-f", "-")
		require.NoError(t, err, stderr)
		require.Empty(t, out)
	}
}

// injector installs a webhook that adds an init container and a proxy, as Istio's does for a classic sidecar. The API
// server calls webhooks by the order of their configurations' names.
func (p policyTest) injector(t *testing.T, configuration, namespace string) {
	t.Helper()
	server := httptest.NewTLSServer(http.HandlerFunc(inject))
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	webhook := registrationv1.MutatingWebhook{
		Name: "proxy.example.com", AdmissionReviewVersions: []string{"v1"}, SideEffects: new(registrationv1.SideEffectClassNone),
		ClientConfig:      registrationv1.WebhookClientConfig{URL: new(server.URL), CABundle: ca},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"kubernetes.io/metadata.name": namespace}},
		Rules: []registrationv1.RuleWithOperations{{
			Operations: []registrationv1.OperationType{registrationv1.Create},
			Rule:       registrationv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
		}},
	}
	_, err := p.client.AdmissionregistrationV1().MutatingWebhookConfigurations().Create(p.ctx, &registrationv1.MutatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: configuration}, Webhooks: []registrationv1.MutatingWebhook{webhook},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

func inject(w http.ResponseWriter, r *http.Request) {
	var review admissionv1.AdmissionReview
	var pod corev1.Pod
	if err := json.NewDecoder(r.Body).Decode(&review); err != nil || review.Request == nil || json.Unmarshal(review.Request.Object.Raw, &pod) != nil {
		http.Error(w, "no review of a pod", http.StatusBadRequest)
		return
	}
	type operation struct {
		Op    string `json:"op"`
		Path  string `json:"path"`
		Value any    `json:"value"`
	}
	patch, err := json.Marshal([]operation{
		{"add", "/spec/initContainers", append(pod.Spec.InitContainers, corev1.Container{Name: "istio-init", Image: "i"})},
		{"add", "/spec/containers/-", corev1.Container{Name: "istio-proxy", Image: "i", ReadinessProbe: &corev1.Probe{
			ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/healthz/ready", Port: intstr.FromInt32(15021)}},
		}}},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	review.Response = &admissionv1.AdmissionResponse{
		UID: review.Request.UID, Allowed: true, Patch: patch, PatchType: new(admissionv1.PatchTypeJSONPatch),
	}
	review.Request = nil
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(review) // the API server reports a missing answer
}

const twoContainers = `
apiVersion: batch/v1
kind: Job
metadata: {name: two}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: a, image: i, command: [/a]}
        - {name: b, image: i, command: [/b]}
`

const hook = `
apiVersion: batch/v1
kind: Job
metadata: {name: hook, annotations: {helm.sh/hook: pre-upgrade}}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - {name: migrate, image: i, command: [/migrate]}
`

const cronJob = `
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: "0 3 * * *"
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers:
            - {name: report, image: i, command: [/report]}
`
