package running_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/running"
)

var ended = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// pod returns a pod with one container `work` that has ended with an exit code.
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
	r, err := running.Read(p, running.Node{}, lint.New(lint.Profile{}, nil))
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

// TestAgain checks what the kubelet does with a container that has ended (KEP-5307, KEP-5532).
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

// TestAgainOnNode checks whether a node applies the rules of a container. The features that the
// node declares decide; if it declares none, the version of its kubelet decides.
func TestAgainOnNode(t *testing.T) {
	restart := pod(corev1.RestartPolicyNever, 42, rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpIn, 42))
	all := pod(corev1.RestartPolicyNever, 42, rule(corev1.ContainerRestartRuleActionRestartAllContainers, corev1.ContainerRestartRuleOnExitCodesOpIn, 42))
	// A second rule does not count if the kubelet cannot do what the first one says.
	both := pod(corev1.RestartPolicyNever, 42, rule(corev1.ContainerRestartRuleActionRestartAllContainers, corev1.ContainerRestartRuleOnExitCodesOpIn, 42))
	rule(corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleOnExitCodesOpIn, 42)(&both.Spec.Containers[0])
	const feature = "RestartAllContainersOnContainerExits"
	for name, c := range map[string]struct {
		minor    int
		declares []string
		// These say for each of the three pods whether its container is restarted.
		restart, all, both bool
	}{
		"nothing is known":                        {0, nil, true, true, true},
		"a kubelet without rules":                 {33, nil, false, false, false},
		"a kubelet with rules that may be on":     {34, nil, true, false, false},
		"a kubelet with rules":                    {35, nil, true, false, false},
		"the action, turned on":                   {35, []string{feature}, true, true, true},
		"the action, by its version":              {36, nil, true, true, true},
		"the action, declared":                    {37, []string{"Other", feature}, true, true, true},
		"the action, turned off":                  {37, []string{"Other"}, true, false, false},
		"a kubelet that need not declare it":      {38, []string{"Other"}, true, true, true},
		"what no kubelet of that age can declare": {33, []string{feature}, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			node := running.Node{Name: "n", Declares: c.declares}
			if c.minor > 0 {
				node.Kubelet = mesh.Version{Major: 1, Minor: c.minor}
			}
			for _, one := range []struct {
				pod   *corev1.Pod
				again bool
			}{{restart, c.restart}, {all, c.all}, {both, c.both}} {
				r, err := running.Read(one.pod, node, lint.New(lint.Profile{}, nil))
				require.NoError(t, err)
				require.Equal(t, one.again, r.Containers[0].Again)
			}
		})
	}
}

// While all containers are being restarted, no container is over, whatever its status says.
func TestRestarting(t *testing.T) {
	p := pod(corev1.RestartPolicyNever, 0, nil)
	p.Status.Conditions = []corev1.PodCondition{{Type: corev1.AllContainersRestarting, Status: corev1.ConditionTrue}}
	r := read(t, p)
	done, _ := r.Done()
	require.False(t, done)
	p.Status.Conditions[0].Status = corev1.ConditionFalse
	r = read(t, p)
	done, _ = r.Done()
	require.True(t, done)
}

// A node is found by its name. A pod without a node name is on no node.
func TestNodes(t *testing.T) {
	nodes := running.NodesOf([]corev1.Node{
		{ObjectMeta: metav1.ObjectMeta{Name: "new"}, Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.37.2"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "old"}, Status: corev1.NodeStatus{NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v1.32.4-eks-1"}}},
		{ObjectMeta: metav1.ObjectMeta{Name: "mute"}},
	})
	require.Equal(t, "old", running.Oldest(nodes).Name)
	require.Equal(t, "mute", running.NodeOf(&corev1.Pod{Spec: corev1.PodSpec{NodeName: "mute"}}, nodes).Name)
	require.Zero(t, running.NodeOf(&corev1.Pod{}, append(nodes, running.Node{})))
	require.Zero(t, running.NodeOf(&corev1.Pod{Spec: corev1.PodSpec{NodeName: "gone"}}, nodes))
	features, said := running.Declared(nodes)
	require.Empty(t, features)
	require.False(t, said)
	nodes[0].Declares = []string{"Other"}
	features, said = running.Declared(nodes)
	require.Empty(t, features)
	require.True(t, said)
	nodes[2].Declares = []string{"RestartAllContainersOnContainerExits"}
	features, _ = running.Declared(nodes)
	require.Equal(t, []string{"RestartAllContainersOnContainerExits"}, features)
}

// The tables decide which role a container has.
func TestRoles(t *testing.T) {
	always := corev1.ContainerRestartPolicyAlways
	p := pod(corev1.RestartPolicyNever, 0, nil)
	p.Spec.InitContainers = []corev1.Container{
		{Name: "istio-init", Image: "istio/proxyv2"}, {Name: "logs", Image: "fluent/fluent-bit:3", RestartPolicy: &always},
		{Name: "linkerd-proxy", Image: "linkerd/proxy"}, // another webhook has removed its restartPolicy
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

// A pod may have hundreds of containers, and no status for any of them.
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
