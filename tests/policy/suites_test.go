package policy

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// A suite is what a suite of helm-unittest says of the values of the chart in tests/chart.
type suite struct {
	Values []string
	Set    suiteValues
	Tests  []struct {
		It     string
		Values []string
		Set    suiteValues
	}
}

// suiteValues are the values with pods, as text or as a map, and with the names of the containers that do the work.
type suiteValues struct {
	PodSpec   *string
	Spec      any
	Manifests *string
	Jobmesh   struct{ Containers any }
}

// ofSuites returns the pods of all cases of the library chart's suites. It leaves out those that the API server would
// refuse, which the cases for errors have, and those that a template completes.
func ofSuites(t testing.TB) []sample {
	t.Helper()
	files, err := filepath.Glob("../chart/tests/*_test.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var all []sample
	for _, file := range files {
		var s suite
		read(t, file, &s)
		for _, test := range s.Tests {
			var values suiteValues
			for _, more := range append(s.Values, test.Values...) {
				read(t, filepath.Join(filepath.Dir(file), more), &values)
			}
			values = values.with(s.Set).with(test.Set)
			for i, template := range values.templates() {
				if containers, named := values.containers(); named && valid(template.Spec.Containers) {
					all = append(all, sample{fmt.Sprintf("%s: %s %d", filepath.Base(file), test.It, i), template, containers})
				}
			}
		}
	}
	return all
}

func read(t testing.TB, file string, into any) {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(content, into), file)
}

// with returns the values with those of another place over them.
func (v suiteValues) with(over suiteValues) suiteValues {
	if over.PodSpec != nil {
		v.PodSpec = over.PodSpec
	}
	if over.Spec != nil {
		v.Spec = over.Spec
	}
	if over.Manifests != nil {
		v.Manifests = over.Manifests
	}
	if over.Jobmesh.Containers != nil {
		v.Jobmesh = over.Jobmesh
	}
	return v
}

// templates returns the pod templates of Jobs in the values.
func (v suiteValues) templates() []corev1.PodTemplateSpec {
	var found []corev1.PodTemplateSpec
	add := func(text string) {
		var spec corev1.PodSpec
		if yaml.UnmarshalStrict([]byte(text), &spec) == nil && len(spec.Containers) > 0 {
			found = append(found, corev1.PodTemplateSpec{Spec: spec})
		}
	}
	if v.PodSpec != nil {
		add(*v.PodSpec)
	}
	switch spec := v.Spec.(type) {
	case string:
		add(spec)
	case map[string]any:
		if text, err := yaml.Marshal(spec); err == nil {
			add(string(text))
		}
	}
	if v.Manifests != nil {
		for _, template := range jobTemplates(*v.Manifests) {
			found = append(found, template)
		}
	}
	return found
}

// containers returns the value of the annotation for the containers that the values name; the bool is false where they
// are no names.
func (v suiteValues) containers() (string, bool) {
	var all []string
	switch names := v.Jobmesh.Containers.(type) {
	case string:
		return names, true
	case []any:
		for _, name := range names {
			text, isText := name.(string)
			if !isText {
				return "", false
			}
			all = append(all, text)
		}
	}
	return strings.Join(all, ","), true
}

// valid tells whether containers have what the API server asks of them, where the cases for errors do not.
func valid(containers []corev1.Container) bool {
	return len(containers) > 0 && !slices.ContainsFunc(containers, func(c corev1.Container) bool {
		return c.Name == "" || slices.ContainsFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			known := r.Action == corev1.ContainerRestartRuleActionRestart || r.Action == "RestartAllContainers"
			return !known || r.ExitCodes != nil && !slices.Contains([]string{"In", "NotIn"}, string(r.ExitCodes.Operator))
		})
	})
}
