package running_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/running"
)

var ended = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// pod has one container `work` that has ended with a code.
func pod(policy corev1.RestartPolicy, code int32, change func(*corev1.Container)) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p"}, Spec: corev1.PodSpec{
		RestartPolicy: policy, Containers: []corev1.Container{{Name: "work", Image: "example.com/work", Command: []string{"work"}}},
	}}
	p.Status.Phase = corev1.PodRunning
	p.Status.ContainerStatuses = []corev1.ContainerStatus{{Name: "work", State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(ended)},
	}}}
	if change != nil {
		change(&p.Spec.Containers[0])
	}
	return p
}

func read(t *testing.T, p *corev1.Pod) running.Pod {
	t.Helper()
	r, err := running.Read(p, lint.New(lint.Profile{}, nil))
	require.NoError(t, err)
	return r
}

func rule(action corev1.ContainerRestartRuleAction, operator corev1.ContainerRestartRuleOnExitCodesOperator, codes ...int32) func(*corev1.Container) {
	return func(c *corev1.Container) {
		never := corev1.ContainerRestartPolicyNever
		c.RestartPolicy = &never
		c.RestartPolicyRules = append(c.RestartPolicyRules, corev1.ContainerRestartRule{
			Action: action, ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: operator, Values: codes},
		})
	}
}

// What the kubelet does with a container that has ended (KEP-5307, KEP-5532).
func TestAgain(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	for name, c := range map[string]struct {
		pod           *corev1.Pod
		again, byRule bool
	}{
		"Never, 0":                 {pod(corev1.RestartPolicyNever, 0, nil), false, false},
		"Never, 1":                 {pod(corev1.RestartPolicyNever, 1, nil), false, false},
		"OnFailure, 0":             {pod(corev1.RestartPolicyOnFailure, 0, nil), false, false},
		"OnFailure, 1":             {pod(corev1.RestartPolicyOnFailure, 1, nil), true, false},
		"its own Always":           {pod(corev1.RestartPolicyNever, 0, func(c *corev1.Container) { c.RestartPolicy = &always }), true, true},
		"a rule that matches":      {pod(corev1.RestartPolicyNever, 42, rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpIn, 42)), true, true},
		"a rule for another code":  {pod(corev1.RestartPolicyNever, 41, rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpIn, 42)), false, false},
		"every code but one":       {pod(corev1.RestartPolicyNever, 1, rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpNotIn, 0)), true, true},
		"the code that is spared":  {pod(corev1.RestartPolicyNever, 0, rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpNotIn, 0)), false, false},
		"its rule over the pod":    {pod(corev1.RestartPolicyOnFailure, 1, rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpIn, 2)), false, false},
		"all containers":           {pod(corev1.RestartPolicyNever, 88, rule(corev1.ContainerRestartRuleActionRestartAllContainers, corev1.ContainerRestartRuleOnExitCodesOpIn, 88)), true, true},
		"an action nobody knows":   {pod(corev1.RestartPolicyNever, 1, rule("Explode", corev1.ContainerRestartRuleOnExitCodesOpIn, 1)), false, false},
		"an operator nobody knows": {pod(corev1.RestartPolicyNever, 1, rule(corev1.ContainerRestartRuleActionRestart, "Near", 1)), false, false},
		"a pod that has ended already": {func() *corev1.Pod {
			p := pod(corev1.RestartPolicyOnFailure, 1, nil)
			p.Status.Phase = corev1.PodFailed
			return p
		}(), false, false},
	} {
		t.Run(name, func(t *testing.T) {
			r := read(t, c.pod)
			require.Equal(t, c.again, r.Containers[0].Again)
			require.Equal(t, c.byRule, r.Containers[0].ByRule)
			done, at := r.Done()
			require.Equal(t, !c.again, done)
			if done {
				require.Equal(t, ended, at)
			}
		})
	}
}

// Whose a container is comes from the tables.
func TestRoles(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := pod(corev1.RestartPolicyNever, 0, nil)
	p.Spec.InitContainers = []corev1.Container{
		{Name: "istio-init", Image: "istio/proxyv2"}, {Name: "logs", Image: "fluent/fluent-bit:3", RestartPolicy: &always},
		{Name: "linkerd-proxy", Image: "linkerd/proxy"}, // another webhook took its restartPolicy
	}
	p.Spec.Containers = append(p.Spec.Containers,
		corev1.Container{Name: "istio-proxy", Image: "istio/proxyv2"},
		corev1.Container{Name: "db", Image: "gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.27.0"},
		corev1.Container{Name: "vault-agent", Image: "hashicorp/vault"},
		corev1.Container{Name: "other", Image: "example.com/other"},
	)
	type whose struct {
		role running.Role
		of   string
	}
	got := map[string]whose{}
	r := read(t, p)
	for _, c := range r.Containers {
		got[c.Name] = whose{c.Role, c.Of}
	}
	require.Equal(t, map[string]whose{
		"istio-init": {running.Init, ""}, "logs": {running.Native, ""}, "linkerd-proxy": {running.Proxy, "Linkerd"},
		"work": {running.Work, ""}, "istio-proxy": {running.Proxy, "Istio"}, "db": {running.Helper, "Cloud SQL Auth Proxy"},
		"vault-agent": {running.Helper, "Vault Agent"}, "other": {running.Work, ""},
	}, got)
	done, _ := r.Done()
	require.False(t, done, "other has no status yet")
}

// A pod may have hundreds of containers, and no status of any.
func TestManyContainers(t *testing.T) {
	p := pod(corev1.RestartPolicyNever, 0, nil)
	p.Spec.Containers = nil
	for i := range 600 {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "c" + string(rune('a'+i%26)) + time.Duration(i).String(), Image: "example.com/x\x00\u202e"})
	}
	r := read(t, p)
	require.Len(t, r.Containers, 600)
	done, _ := r.Done()
	require.False(t, done)
}
