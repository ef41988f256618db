// Package live tests the verbs that read clusters against a real API server without a kubelet. The status of the
// objects is made up, requests are counted in the audit log, and rights come from roles. It needs bin/jobmesh (make
// build).
package live

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/sandbox"
)

// These are the numbers of further objects in the cluster. ci/bench measures with more of them.
var (
	pods     = flag.Int("pods", 300, "pods of 8 KB")
	cronJobs = flag.Int("cronjobs", 50, "CronJobs")
	nodes    = flag.Int("nodes", 0, "nodes")
)

func TestLive(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	found, err := programs.Provide(ctx, "../cluster", os.Stderr)
	require.NoError(t, err)
	dir := t.TempDir()
	audit := filepath.Join(dir, "audit.log")
	kubeconfig, stop, err := cluster.StartAPI(ctx, cluster.Options{
		Programs: found, Dir: filepath.Join(dir, "cluster"), Logs: filepath.Join(dir, "logs"), Progress: os.Stderr, ServiceNetwork: sandbox.ServiceNetwork,
	}, audit)
	require.NoError(t, err)
	defer stop()
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	require.NoError(t, err)
	config.QPS, config.Burst = 500, 500
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	load(ctx, t, client)

	t.Run("why, a kind and a name", func(t *testing.T) {
		code, out, _, requests := run(t, kubeconfig, audit, "why", "-n", "prod", "job/migrate", "-o", "json")
		require.Equal(t, 1, code, out)
		var verdict struct{ Verdict, Reason string }
		require.NoError(t, json.Unmarshal([]byte(out), &verdict))
		require.Equal(t, "stuck beside-proxy", verdict.Verdict+" "+verdict.Reason)
		require.LessOrEqual(t, len(requests), 6, requests)
	})
	t.Run("why, a name", func(t *testing.T) {
		code, out, _, requests := run(t, kubeconfig, audit, "why", "-n", "prod", "migrate")
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "Node old-1 turns")
		require.LessOrEqual(t, len(requests), 14, requests)
	})
	t.Run("lint --cluster", func(t *testing.T) {
		code, out, _, requests := run(t, kubeconfig, audit, "lint", "--cluster", "-A", "-o", "json")
		require.Equal(t, 1, code, out)
		require.Equal(t, 1, strings.Count(out, `"rule": "JM113"`))
		require.Equal(t, 6, lists(requests), requests)
		require.Contains(t, strings.Join(requests, "\n"), "sendInitialEvents=true", "pods are streamed")
	})
	t.Run("kubectl, for comparison", func(t *testing.T) {
		file, err := found.Find("kubectl")
		require.NoError(t, err)
		program := exec.Command(file, "get", "pods", "-A", "--no-headers", "--kubeconfig", kubeconfig)
		began := time.Now()
		out, err := program.Output()
		require.NoError(t, err)
		require.Equal(t, *pods+1, bytes.Count(out, []byte("\n")))
		t.Logf("kubectl get pods -A: %s", cost(time.Since(began), program.ProcessState))
	})
	t.Run("rescue shows, and changes nothing", func(t *testing.T) {
		code, out, _, requests := run(t, kubeconfig, audit, "rescue", "-n", "prod")
		require.Equal(t, 1, code, out)
		require.Contains(t, out, "end  prod/migrate-x")
		require.Len(t, requests, 1)
	})
	t.Run("a namespace with the label of jobmesh-policy", func(t *testing.T) {
		labelled(ctx, t, client)
		code, out, _, requests := run(t, kubeconfig, audit, "why", "-n", "shop", "cronjob/report")
		require.Equal(t, 1, code, out)
		require.Contains(t, strings.Join(strings.Fields(out), " "), "jobmesh-policy is not installed in this cluster")
		require.LessOrEqual(t, len(requests), 6, requests)
		_, out, notes, _ := run(t, kubeconfig, audit, "lint", "--cluster", "-n", "shop")
		require.Contains(t, out, "JM106")
		require.Contains(t, notes, "jobmesh-policy is not installed in this cluster")
		install := func(name string) {
			t.Helper()
			_, err := client.AdmissionregistrationV1().MutatingAdmissionPolicies().Create(ctx, aPolicy(name), metav1.CreateOptions{})
			require.NoError(t, err)
		}
		install("jobmesh-policy-wrap")
		code, out, _, _ = run(t, kubeconfig, audit, "why", "-n", "shop", "cronjob/report")
		require.Equal(t, 1, code, "without nativize a helper stays where it is: %s", out)
		install("jobmesh-policy-nativize")
		code, out, _, requests = run(t, kubeconfig, audit, "why", "-n", "shop", "cronjob/report")
		require.Equal(t, 0, code, out)
		require.LessOrEqual(t, len(requests), 6, requests)
		_, out, notes, requests = run(t, kubeconfig, audit, "lint", "--cluster", "-n", "shop")
		require.Equal(t, 7, lists(requests), requests)
		require.NotContains(t, out, "JM106")
		require.Contains(t, out, "JM507", "the wrapper comes by an image volume, which the old node does not mount")
		require.Contains(t, notes, "the Jobs of namespace shop are judged as jobmesh-policy changes their pods")
		_, _, _, requests = run(t, kubeconfig, audit, "lint", "--cluster", "-A", "-o", "json")
		require.Equal(t, 7, lists(requests), requests)
	})
	for _, verb := range []string{"why", "lint", "rescue"} {
		t.Run("the role of "+verb, func(t *testing.T) {
			bind(ctx, t, client, verb)
			arguments := map[string][]string{
				"why": {"why", "-n", "prod", "migrate"}, "lint": {"lint", "--cluster", "-A"}, "rescue": {"rescue", "-n", "prod", "migrate"},
			}[verb]
			asked := func() (int, string) {
				code, _, notes, _ := run(t, kubeconfig, audit, append(arguments, "--as", "only-"+verb)...)
				return code, notes
			}
			require.Eventually(t, func() bool { code, _ := asked(); return code == 1 }, time.Minute, 200*time.Millisecond, "the role is in force after a moment")
			_, notes := asked()
			require.NotContains(t, notes, "may not be read")
			code, _, _, _ := run(t, kubeconfig, audit, append(arguments, "--as", "nobody")...)
			require.Equal(t, 6, code)
		})
	}
}

// run runs jobmesh. It returns the exit code, stdout, stderr, and the requests of jobmesh from the audit log.
func run(t *testing.T, kubeconfig, audit string, arguments ...string) (code int, out, notes string, requests []string) {
	t.Helper()
	before, err := os.ReadFile(audit)
	require.NoError(t, err)
	program := exec.Command("../../../bin/jobmesh", append(arguments, "--kubeconfig", kubeconfig)...)
	began := time.Now()
	var said bytes.Buffer
	program.Stderr = &said
	text, err := program.Output()
	t.Logf("%s: %s", strings.Join(arguments, " "), cost(time.Since(began), program.ProcessState))
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		code = exit.ExitCode()
	} else {
		require.NoError(t, err)
	}
	t.Log(said.String())
	after, err := os.ReadFile(audit)
	require.NoError(t, err)
	for _, line := range bytes.Split(bytes.TrimSpace(after[len(before):]), []byte("\n")) {
		var event struct{ Verb, RequestURI, UserAgent string }
		if json.Unmarshal(line, &event) == nil && event.UserAgent == "jobmesh" {
			requests = append(requests, event.Verb+" "+event.RequestURI)
		}
	}
	return code, string(text), said.String(), requests
}

// lists counts the lists among requests; one that is streamed is a watch.
func lists(requests []string) int {
	count := 0
	for _, r := range requests {
		if strings.HasPrefix(r, "list ") || strings.HasPrefix(r, "watch ") {
			count++
		}
	}
	return count
}

// cost describes the time and memory that a program took.
func cost(took time.Duration, state *os.ProcessState) string {
	text := took.Round(time.Millisecond).String()
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok {
		text += fmt.Sprintf(", %d MB", usage.Maxrss/1024)
	}
	return text
}

// bind gives a user the role that jobmesh rbac prints.
func bind(ctx context.Context, t *testing.T, client kubernetes.Interface, verb string) {
	t.Helper()
	text, err := exec.Command("../../../bin/jobmesh", "rbac", verb).Output()
	require.NoError(t, err)
	var role rbacv1.ClusterRole
	require.NoError(t, yaml.UnmarshalStrict(text, &role))
	_, err = client.RbacV1().ClusterRoles().Create(ctx, &role, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.RbacV1().ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role.Name}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: role.Name},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "only-" + verb}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// load fills the cluster with an old node, a stuck Job, and many objects that are not stuck.
func load(ctx context.Context, t *testing.T, client kubernetes.Interface) {
	t.Helper()
	do := func(_ any, err error) { t.Helper(); require.NoError(t, err) }
	create := metav1.CreateOptions{}
	do(client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "prod", Labels: map[string]string{"istio-injection": "enabled"}}}, create))
	for name, kubelet := range map[string]string{"old-1": "v1.32.4", "new-1": "v1.37.2"} {
		node, err := client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}}, create)
		require.NoError(t, err)
		node.Status.NodeInfo.KubeletVersion = kubelet
		do(client.CoreV1().Nodes().UpdateStatus(ctx, node, metav1.UpdateOptions{}))
	}
	work := corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{{Name: "a", Image: "a", Command: []string{"a"}}}}}
	job, err := client.BatchV1().Jobs("prod").Create(ctx, &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: "migrate"}, Spec: batchv1.JobSpec{Template: work}}, create)
	require.NoError(t, err)
	yes, now := true, metav1.Now()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: "migrate-x", Labels: map[string]string{batchv1.JobNameLabel: "migrate"}, Annotations: map[string]string{"sidecar.istio.io/status": "{}"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "migrate", UID: job.UID, Controller: &yes}},
	}, Spec: *work.Spec.DeepCopy()}
	pod.Spec.NodeName = "old-1"
	pod.Spec.Containers = append(pod.Spec.Containers, corev1.Container{Name: "istio-proxy", Image: "istio/proxyv2:1.29.1"})
	pod, err = client.CoreV1().Pods("prod").Create(ctx, pod, create)
	require.NoError(t, err)
	pod.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{
		{Name: "a", State: corev1.ContainerState{Terminated: &corev1.ContainerStateTerminated{FinishedAt: now}}},
		{Name: "istio-proxy", Ready: true, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}},
	}}
	do(client.CoreV1().Pods("prod").UpdateStatus(ctx, pod, metav1.UpdateOptions{}))
	for i := range *nodes {
		do(client.CoreV1().Nodes().Create(ctx, &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("n-%d", i)}}, create))
	}
	filler := strings.Repeat("x", 7500)
	for i := range *cronJobs {
		do(client.BatchV1().CronJobs("default").Create(ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("c-%d", i)}, Spec: batchv1.CronJobSpec{
			Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: work}},
		}}, create))
	}
	for i := range *pods {
		do(client.CoreV1().Pods("default").Create(ctx, &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprintf("web-%d", i), Annotations: map[string]string{"filler": filler},
		}, Spec: corev1.PodSpec{
			NodeName: "new-1", Containers: []corev1.Container{{Name: "a", Image: "a"}},
		}}, create))
	}
}

// labelled makes a namespace with the label of jobmesh-policy. It has a CronJob whose pods its proxy and its helper
// keep, and as many more of them as the other namespaces have.
func labelled(ctx context.Context, t *testing.T, client kubernetes.Interface) {
	t.Helper()
	_, err := client.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		Name: "shop", Labels: map[string]string{"istio-injection": "enabled", "jobmesh.dev/inject": "enabled"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	for i := range *cronJobs + 1 {
		name := "report"
		if i > 0 {
			name = fmt.Sprintf("report-%d", i)
		}
		template := corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{
			{Name: "a", Image: "a", Command: []string{"a", name}}, {Name: "db", Image: "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.27.0"},
		}}}
		_, err = client.BatchV1().CronJobs("shop").Create(ctx, &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.CronJobSpec{
			Schedule: "0 3 * * *", JobTemplate: batchv1.JobTemplateSpec{Spec: batchv1.JobSpec{Template: template}},
		}}, metav1.CreateOptions{})
		require.NoError(t, err)
	}
}

// aPolicy returns a policy with the kind and the label of those of the chart, by which the verbs find them. It changes
// nothing.
func aPolicy(name string) *admissionv1.MutatingAdmissionPolicy {
	return &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: name, Labels: map[string]string{"app.kubernetes.io/name": "jobmesh-policy"}},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{RuleWithOperations: admissionv1.RuleWithOperations{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{""}, APIVersions: []string{"v1"}, Resources: []string{"pods"}},
			}}}},
			Mutations: []admissionv1.Mutation{{PatchType: admissionv1.PatchTypeJSONPatch, JSONPatch: &admissionv1.JSONPatch{Expression: `[JSONPatch{op: "test", path: "/kind", value: "Pod"}]`}}},
		},
	}
}
