package policy

import (
	"context"
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	plugincel "k8s.io/apiserver/pkg/admission/plugin/cel"
	"k8s.io/apiserver/pkg/admission/plugin/policy/validating"
	celconfig "k8s.io/apiserver/pkg/apis/cel"
	"k8s.io/apiserver/pkg/cel/environment"
)

var update = flag.Bool("update", false, "write what the policies cost into docs/policy.md, instead of comparing")

// A count is the CEL cost of one object in a policy, in the units of the API server.
type count struct {
	conditions int64 // cost of the match conditions
	largest    int64 // cost of the most expensive expression
	all        int64 // cost of the expressions that do the work, with the variables that they read
}

// limits are the limits of the API server for each of these costs.
var limits = count{celconfig.RuntimeCELCostBudgetMatchConditions, celconfig.PerCallLimit, celconfig.RuntimeCELCostBudget}

// A meter evaluates expressions as the API server does.
type meter struct {
	compiler *plugincel.CompositedCompiler
	names    []string // of the variables, in their order
}

// declared says what expressions of these policies may refer to.
var declared = plugincel.OptionalVariableDeclarations{HasAuthorizer: true, HasPatchTypes: true}

func newMeter(t testing.TB, variables []admissionv1.Variable) meter {
	t.Helper()
	compiler, err := plugincel.NewCompositedCompiler(environment.MustBaseEnvSet(environment.DefaultCompatibilityVersion()))
	require.NoError(t, err)
	m := meter{compiler: compiler}
	for _, v := range variables {
		result := compiler.CompileAndStoreVariable(&validating.Variable{Name: v.Name, Expression: v.Expression}, declared, environment.StoredExpressions)
		require.Nil(t, result.Error, v.Name)
		m.names = append(m.names, v.Name)
	}
	return m
}

// spent returns the cost of expressions that share their variables.
func (m meter) spent(t testing.TB, a admission.Attributes, expressions ...string) int64 {
	t.Helper()
	return m.prepared(t, a, expressions...)()
}

// prepared compiles expressions, and returns a function that evaluates them and returns their cost.
func (m meter) prepared(t testing.TB, a admission.Attributes, expressions ...string) func() int64 {
	t.Helper()
	var accessors []plugincel.ExpressionAccessor
	for _, e := range expressions {
		accessors = append(accessors, &validating.Variable{Expression: e})
	}
	versioned, err := admission.NewVersionedAttributes(a, a.GetKind(), interfaces)
	require.NoError(t, err)
	request := plugincel.CreateAdmissionRequest(a, metav1.GroupVersionResource(a.GetResource()), metav1.GroupVersionKind(a.GetKind()))
	const budget = 1 << 40 // far above the API server's limit, so that a higher cost is measured too
	compiled := m.compiler.CompileCondition(accessors, declared, environment.StoredExpressions)
	return func() int64 {
		results, left, err := compiled.ForInput(context.Background(), versioned, request, plugincel.OptionalVariableBindings{}, nil, budget)
		require.NoError(t, err)
		for i, r := range results {
			require.NoError(t, r.Error, expressions[i])
		}
		return budget - left
	}
}

// largest returns the cost of the most expensive expression, among the variables and these expressions.
func (m meter) largest(t testing.TB, a admission.Attributes, expressions []string) int64 {
	t.Helper()
	var read []string
	for _, name := range m.names {
		read = append(read, "variables."+name)
	}
	read = append(read, expressions...)
	var most, before int64
	for i := range read {
		so := m.spent(t, a, read[:i+1]...)
		most, before = max(most, so-before), so
	}
	return most
}

// counted measures the costs of one object in a policy.
func counted(t testing.TB, policy runtime.Object, object runtime.Object) count {
	t.Helper()
	var variables []admissionv1.Variable
	var conditions []admissionv1.MatchCondition
	var work []string
	evaluations := int64(1)
	a := attributes(object, "Pod", "pods", "")
	switch p := policy.(type) {
	case *admissionv1.MutatingAdmissionPolicy:
		variables, conditions = p.Spec.Variables, p.Spec.MatchConditions
		for _, m := range p.Spec.Mutations {
			work = append(work, m.JSONPatch.Expression)
		}
	case *admissionv1.ValidatingAdmissionPolicy:
		variables, conditions = p.Spec.Variables, p.Spec.MatchConditions
		for _, v := range p.Spec.Validations {
			work = append(work, v.Expression)
		}
		// The validation, its message and its audit annotation are each evaluated with their own variables.
		evaluations = 3
		a = attributes(object, "Job", "jobs", "batch")
	default:
		require.Fail(t, "no policy", "%T", policy)
	}
	var c count
	m := newMeter(t, variables)
	for _, condition := range conditions {
		c.conditions += m.spent(t, a, condition.Expression)
	}
	c.largest = m.largest(t, a, work)
	c.all = evaluations * m.spent(t, a, work...)
	return c
}

// TestCosts checks that pods cost what docs/policy.md says, and that this is within the limits of the API server.
func TestCosts(t *testing.T) {
	all := rendered(t)
	of := func(name string) runtime.Object { return named(all, name)[0] }
	w := injects([]string{"istio-init"}, []string{"istio-proxy"})
	table := "| pod | policy | match conditions | largest expression | all expressions |\n| --- | --- | --- | --- | --- |\n"
	row := func(pod, policy string, c count) {
		table += fmt.Sprintf("| %s | %s | %s | %s | %s |\n", pod, policy, rounded(c.conditions), rounded(c.largest), rounded(c.all))
	}
	row("any: the limit", "any", limits)
	for _, p := range []struct {
		title string
		pod   *corev1.Pod
	}{
		{"one container, Istio's proxy", pod(t, plain)},
		{"one container, a Cloud SQL proxy, Istio's proxy", pod(t, withDatabase)},
		{"20 containers that are named, each with a script of 12,000 characters, Istio's proxy", large(20)},
	} {
		// nativize has the most work when it is called again, after wrap and the webhook.
		injected := chain{mutator(t, named(all, "-wrap"))}.admitted(t, p.pod, "in", w)
		job := &batchv1.Job{
			TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "in"},
			Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: p.pod.Annotations}, Spec: p.pod.Spec}},
		}
		written := p.pod.DeepCopy()
		written.TypeMeta, written.Namespace = injected.TypeMeta, injected.Namespace
		for _, c := range []struct {
			policy string
			object runtime.Object
		}{{"wrap", written}, {"nativize", injected}, {"tell", job}} {
			costs := counted(t, of("-"+c.policy), c.object)
			require.Less(t, costs.conditions, limits.conditions)
			require.Less(t, costs.largest, limits.largest)
			require.Less(t, costs.all, limits.all)
			row(p.title, c.policy, costs)
		}
	}
	requireInDocs(t, "costs", table)
}

// rounded rounds a cost up to two digits.
func rounded(cost int64) string {
	unit := int64(1)
	for cost/unit >= 100 {
		unit *= 10
	}
	digits := fmt.Sprint((cost + unit - 1) / unit * unit)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// requireInDocs compares the part of docs/policy.md between two comments with what was measured, or writes it there.
func requireInDocs(t testing.TB, part, measured string) {
	t.Helper()
	const page = "../../docs/policy.md"
	content, err := os.ReadFile(page)
	require.NoError(t, err)
	before, rest, found := strings.Cut(string(content), "<!-- "+part+": written by ci/policy -update -->\n")
	_, after, ended := strings.Cut(rest, "<!-- end of "+part+" -->\n")
	require.True(t, found && ended, "the comments around %s in %s", part, page)
	wanted := before + "<!-- " + part + ": written by ci/policy -update -->\n" + measured + "<!-- end of " + part + " -->\n" + after
	if *update {
		require.NoError(t, os.WriteFile(page, []byte(wanted), 0o644))
		return
	}
	require.Equal(t, wanted, string(content), "%s: ci/policy -update writes it", page)
}
