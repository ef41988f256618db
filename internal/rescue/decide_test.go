package rescue_test

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/rescue"
	"github.com/jobmesh/jobmesh/internal/running"
)

var now = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

func runs(name string) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: metav1.NewTime(now.Add(-time.Hour))}}}
}

func ended(name string, code int32) corev1.ContainerStatus {
	return corev1.ContainerStatus{Name: name, State: corev1.ContainerState{
		Terminated: &corev1.ContainerStateTerminated{ExitCode: code, FinishedAt: metav1.NewTime(now.Add(-10 * time.Minute))},
	}}
}

// stuck returns a pod whose work has ended while one other container still runs.
func stuck(beside corev1.Container, change func(*corev1.Pod)) *corev1.Pod {
	p := &corev1.Pod{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{
		{Name: "work", Image: "example.com/work", Command: []string{"work"}}, beside,
	}}}
	p.Name, p.Namespace = "p", "prod"
	p.Status = corev1.PodStatus{Phase: corev1.PodRunning, ContainerStatuses: []corev1.ContainerStatus{ended("work", 0), runs(beside.Name)}}
	if change != nil {
		change(p)
	}
	return p
}

func decide(t *testing.T, p *corev1.Pod, o rescue.Options) rescue.Plan {
	t.Helper()
	read, err := running.Read(p, running.Node{}, lint.New(lint.Profile{}, nil))
	require.NoError(t, err)
	o.Now = now
	return rescue.Decide(&read, o)
}

func TestDecide(t *testing.T) {
	istio := corev1.Container{Name: "istio-proxy", Image: "istio/proxyv2:1.29.1"}
	helper := func(image string, args ...string) corev1.Container {
		return corev1.Container{Name: "helper", Image: image, Args: args}
	}
	user := int64(1000)
	withUser := func(p *corev1.Pod) { p.Spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: &user} }
	share := func(p *corev1.Pod) { yes := true; p.Spec.ShareProcessNamespace = &yes; withUser(p) }
	for name, c := range map[string]struct {
		pod    *corev1.Pod
		via    rescue.Via
		older  time.Duration
		action rescue.Action
		why    string
		does   string
	}{
		"Istio by port-forward":           {pod: stuck(istio, nil), action: rescue.End, why: "the work ended 10 minutes ago, and `istio-proxy` (Istio) keeps the pod", does: "POST http://127.0.0.1:15020/quitquitquit"},
		"Istio by exec":                   {pod: stuck(istio, nil), via: rescue.Exec, action: rescue.End, does: "pilot-agent request POST quitquitquit"},
		"Istio by an ephemeral container": {pod: stuck(istio, nil), via: rescue.Ephemeral, action: rescue.End, does: "stop --mesh istio"},
		"Linkerd by exec":                 {pod: stuck(corev1.Container{Name: "linkerd-proxy", Image: "x"}, nil), via: rescue.Exec, action: rescue.Refuse, why: "is not known to end with 0 on a signal"},
		"a helper that is not asked to serve its request": {pod: stuck(helper("cloud-sql-proxy:2.27.0"), nil), action: rescue.Refuse,
			why: "takes its stop request only with --quitquitquit, and ends with 143 on TERM"},
		"one that would end with 0 on a signal": {pod: stuck(helper("cloud-sql-proxy:2.27.0", "--exit-zero-on-sigterm"), nil), action: rescue.Refuse,
			why: "takes its stop request only with --quitquitquit; --via ephemeral or --via exec sends it a signal"},
		"the same from beside, for want of the request": {pod: stuck(helper("cloud-sql-proxy:2.27.0", "--exit-zero-on-sigterm"), withUser), via: rescue.Ephemeral, action: rescue.End,
			does: "stop --stop-process cloud-sql-proxy=TERM"},
		"a request by a variable": {pod: stuck(corev1.Container{Name: "helper", Image: "cloud-sql-proxy:2.27.0", Env: []corev1.EnvVar{{Name: "CSQL_PROXY_QUITQUITQUIT", Value: "true"}}}, nil),
			action: rescue.End, does: "POST http://127.0.0.1:9091/quitquitquit"},
		"a request by a file that nobody sees": {pod: stuck(helper("cloud-sql-proxy:2.27.0", "--config-file=/a"), nil), action: rescue.End, does: "POST http://127.0.0.1:9091/quitquitquit"},
		"a helper with a request":              {pod: stuck(helper("cloud-sql-proxy:2.27.0", "--quitquitquit"), nil), action: rescue.End, does: "POST http://127.0.0.1:9091/quitquitquit"},
		"a helper without one":                 {pod: stuck(helper("fluent-bit:3"), nil), action: rescue.Refuse, why: "has no stop request; --via ephemeral or --via exec sends it a signal"},
		"a helper by a signal":                 {pod: stuck(helper("fluent-bit:3"), nil), via: rescue.Exec, action: rescue.End, does: "kill -TERM 1"},
		"one that ends with 0 on another":      {pod: stuck(helper("pgbouncer"), nil), via: rescue.Exec, action: rescue.End, does: "kill -INT 1"},
		"a signal that would fail the pod": {pod: stuck(helper("cloud-sql-proxy:2.27.0"), nil), via: rescue.Exec, action: rescue.Refuse,
			why: "ends with 143 on TERM: the pod would fail and its Job run again"},
		"a flag that makes it end with 0": {pod: stuck(helper("cloud-sql-proxy:2.27.0", "--exit-zero-on-sigterm"), nil), via: rescue.Exec, action: rescue.End, does: "kill -TERM 1"},
		"a code that nobody knows":        {pod: stuck(helper("gce-proxy:1.33"), nil), via: rescue.Exec, action: rescue.Refuse, why: "a code that is not known"},
		"a signal from beside":            {pod: stuck(helper("fluent-bit:3"), withUser), via: rescue.Ephemeral, action: rescue.End, does: "stop --stop-process fluent-bit=TERM"},
		"a user that nobody knows":        {pod: stuck(helper("fluent-bit:3"), nil), via: rescue.Ephemeral, action: rescue.Refuse, why: "user id that the pod does not name"},
		"a shared process namespace":      {pod: stuck(helper("fluent-bit:3"), share), via: rescue.Exec, action: rescue.Refuse, why: "shares the process namespace"},
		"the same from beside":            {pod: stuck(helper("fluent-bit:3"), share), via: rescue.Ephemeral, action: rescue.Refuse, why: "shares the process namespace"},
		"too young":                       {pod: stuck(istio, nil), older: time.Hour, action: rescue.Skip, why: "its work ended 10 minutes ago"},
		"work that goes on":               {pod: stuck(istio, func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = runs("work") }), action: rescue.Skip, why: "`work` still works"},
		"work without a status":           {pod: stuck(istio, func(p *corev1.Pod) { p.Status.ContainerStatuses = p.Status.ContainerStatuses[1:] }), action: rescue.Skip, why: "`work` has not begun"},
		"work that is started again": {pod: stuck(istio, func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
			p.Status.ContainerStatuses[0] = ended("work", 1)
		}), action: rescue.Skip, why: "`work` has ended and is started again"},
		"a pod that is being deleted": {pod: stuck(istio, func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: now} }), action: rescue.Skip, why: "it is being deleted"},
		"a pod that has ended":        {pod: stuck(istio, func(p *corev1.Pod) { p.Status.Phase = corev1.PodSucceeded }), action: rescue.Skip, why: "it has ended"},
		"a pod that has not begun":    {pod: stuck(istio, func(p *corev1.Pod) { p.Status.Phase = corev1.PodPending }), action: rescue.Skip, why: "it has not begun"},
		"nothing is left":             {pod: stuck(istio, func(p *corev1.Pod) { p.Status.ContainerStatuses[1] = ended("istio-proxy", 0) }), action: rescue.Skip, why: "nothing keeps it"},
		"a proxy between two starts": {pod: stuck(istio, func(p *corev1.Pod) {
			p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
			p.Status.ContainerStatuses[1] = ended("istio-proxy", 1)
		}), action: rescue.Refuse, why: "is being started again"},
		"failed work is ended too": {pod: stuck(istio, func(p *corev1.Pod) { p.Status.ContainerStatuses[0] = ended("work", 7) }), action: rescue.End},
		"what it has asked itself": {pod: stuck(istio, func(p *corev1.Pod) {
			p.Spec.Containers[0].Command = []string{"jobmesh-wrap", "--", "work"}
			p.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.NewTime(now.Add(-3 * time.Second))
		}), action: rescue.Skip, why: "has asked what is left to stop"},
		"what its control plane may stop yet": {pod: stuck(corev1.Container{Name: "kuma-sidecar", Image: "x"}, func(p *corev1.Pod) {
			p.Status.ContainerStatuses[0].State.Terminated.FinishedAt = metav1.NewTime(now.Add(-3 * time.Second))
		}), action: rescue.Skip, why: "what is left is stopped from outside of the pod"},
		"what its control plane has not stopped": {pod: stuck(corev1.Container{Name: "kuma-sidecar", Image: "x"}, nil), action: rescue.End},
		"a container that nobody knows":          {pod: stuck(corev1.Container{Name: "other", Image: "example.com/other"}, nil), action: rescue.Skip, why: "`other` still works"},
		"one of two that cannot be ended": {pod: stuck(istio, func(p *corev1.Pod) {
			p.Spec.Containers = append(p.Spec.Containers, helper("promtail"))
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, runs("helper"))
		}), action: rescue.Refuse, why: "`helper` (Promtail)"},
	} {
		t.Run(name, func(t *testing.T) {
			via := c.via
			if via == "" {
				via = rescue.PortForward
			}
			plan := decide(t, c.pod, rescue.Options{Via: via, OlderThan: c.older})
			require.Equal(t, c.action, plan.Action, plan.Why)
			require.Contains(t, plan.Why, c.why)
			if c.does != "" {
				require.Equal(t, c.does, plan.Steps[0].Request+strings.Join(plan.Steps[0].Command, " "))
			}
		})
	}
}

// willRun is a second, independent statement of whether the kubelet still runs a container of the
// work, or will run it again. It follows the words of KEP-5307 and KEP-5532, not the code under
// test.
func willRun(p *corev1.Pod, c corev1.Container, s *corev1.ContainerStatus) bool {
	if s == nil || s.State.Terminated == nil {
		return true
	}
	if _, found := rule(c, s.State.Terminated.ExitCode); found {
		return true
	}
	policy := string(p.Spec.RestartPolicy)
	if c.RestartPolicy != nil {
		policy = string(*c.RestartPolicy)
	}
	return policy == "Always" || policy == "OnFailure" && s.State.Terminated.ExitCode != 0
}

// rule returns the action of the first rule of a container that matches an exit code.
func rule(c corev1.Container, code int32) (action corev1.ContainerRestartRuleAction, found bool) {
	for _, r := range c.RestartPolicyRules {
		if slices.Contains(r.ExitCodes.Values, code) == (r.ExitCodes.Operator == corev1.ContainerRestartRuleOnExitCodesOpIn) {
			return r.Action, true
		}
	}
	return "", false
}

// all tells whether the end of a container restarts all containers of the pod, including itself.
func all(c corev1.Container, s *corev1.ContainerStatus) bool {
	if s == nil || s.State.Terminated == nil {
		return false
	}
	action, _ := rule(c, s.State.Terminated.ExitCode)
	return action == corev1.ContainerRestartRuleActionRestartAllContainers
}

func statusOf(p *corev1.Pod, name string) *corev1.ContainerStatus {
	for i := range p.Status.ContainerStatuses {
		if s := &p.Status.ContainerStatuses[i]; s.Name == name {
			return s
		}
	}
	return nil
}

// TestNoneThatWorksIsTouched checks on random pods that rescue never touches a container that works
// or will work again.
func TestNoneThatWorksIsTouched(t *testing.T) {
	random, linter := rand.New(rand.NewPCG(18, 26)), lint.New(lint.Profile{}, nil)
	pick := func(n int) bool { return random.IntN(n) == 0 }
	policies := []corev1.ContainerRestartPolicy{corev1.ContainerRestartPolicyNever, corev1.ContainerRestartPolicyOnFailure, corev1.ContainerRestartPolicyAlways}
	actions := []corev1.ContainerRestartRuleAction{corev1.ContainerRestartRuleActionRestart, corev1.ContainerRestartRuleActionRestartAllContainers}
	operators := []corev1.ContainerRestartRuleOnExitCodesOperator{corev1.ContainerRestartRuleOnExitCodesOpIn, corev1.ContainerRestartRuleOnExitCodesOpNotIn}
	besides := []corev1.Container{
		{Name: "istio-proxy", Image: "istio/proxyv2"}, {Name: "linkerd-proxy", Image: "linkerd/proxy"}, {Name: "daprd", Image: "daprd"},
		{Name: "db", Image: "cloud-sql-proxy"}, {Name: "logs", Image: "fluent-bit"},
	}
	rules := func() (all []corev1.ContainerRestartRule) {
		for range random.IntN(3) {
			all = append(all, corev1.ContainerRestartRule{
				Action:    actions[random.IntN(2)],
				ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{Operator: operators[random.IntN(2)], Values: []int32{int32(random.IntN(3))}},
			})
		}
		return all
	}
	touched, cleared := 0, 0
	for i := range 3000 {
		p := &corev1.Pod{}
		p.Name, p.Namespace = "p", "prod"
		p.Spec.RestartPolicy = []corev1.RestartPolicy{corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure}[random.IntN(2)]
		p.Status.Phase = corev1.PodRunning
		var working []string
		for j := range 1 + random.IntN(3) {
			c := corev1.Container{Name: "work" + string(rune('a'+j)), Image: "example.com/work", Command: []string{"work"}}
			if pick(3) {
				c.RestartPolicy = &policies[random.IntN(3)]
				c.RestartPolicyRules = rules()
			}
			p.Spec.Containers = append(p.Spec.Containers, c)
			var status *corev1.ContainerStatus
			switch random.IntN(6) {
			case 0:
			case 1:
				s := runs(c.Name)
				status = &s
			default:
				s := ended(c.Name, int32(random.IntN(3)))
				status = &s
			}
			if status != nil {
				p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, *status)
			}
			if willRun(p, c, status) {
				working = append(working, c.Name)
			}
		}
		for _, b := range besides {
			if !pick(2) {
				continue
			}
			status := runs(b.Name)
			// The end of a helper may restart all containers, including the work.
			if pick(8) {
				b.RestartPolicy, b.RestartPolicyRules = &policies[0], rules()
				status = ended(b.Name, int32(random.IntN(3)))
				if all(b, &status) {
					working = append(working, b.Name)
				}
			}
			p.Spec.Containers = append(p.Spec.Containers, b)
			p.Status.ContainerStatuses = append(p.Status.ContainerStatuses, status)
		}
		random.Shuffle(len(p.Spec.Containers), func(a, b int) {
			p.Spec.Containers[a], p.Spec.Containers[b] = p.Spec.Containers[b], p.Spec.Containers[a]
		})
		if slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool { return all(c, statusOf(p, c.Name)) }) {
			cleared++
		}
		read, err := running.Read(p, running.Node{}, linter)
		require.NoError(t, err)
		for _, via := range []rescue.Via{rescue.PortForward, rescue.Exec, rescue.Ephemeral} {
			plan := rescue.Decide(&read, rescue.Options{Via: via, Now: now})
			if len(working) > 0 {
				require.Equal(t, rescue.Skip, plan.Action, "pod %d: %v works: %s", i, working, plan.Why)
			}
			for _, step := range plan.Steps {
				require.False(t, strings.HasPrefix(step.Container, "work"))
				require.NotNil(t, statusOf(p, step.Container).State.Running, "pod %d: %s", i, step.Container)
				touched++
			}
		}
	}
	require.Greater(t, cleared, 100, "too few pods were cleared by a rule for the property to say anything")
	require.Greater(t, touched, 300, "too few pods were stuck for the property to say anything")
}
