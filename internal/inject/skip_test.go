package inject

import (
	"encoding/json"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// TestOptOuts: what the chart writes in mode optOut is an opt-out here.
func TestOptOuts(t *testing.T) {
	text, err := fs.ReadFile(library.LibraryChart, "library-chart/templates/_meshes.tpl")
	require.NoError(t, err)
	_, table, _ := strings.Cut(string(text), `{{- define "jobmesh._meshes" -}}`)
	table, _, _ = strings.Cut(table, "{{- end -}}")
	var meshes map[string]struct {
		OptOut struct{ Annotations, Labels map[string]string }
	}
	require.NoError(t, json.Unmarshal([]byte(table), &meshes))
	found := 0
	for mesh, row := range meshes {
		for label, entries := range map[bool]map[string]string{false: row.OptOut.Annotations, true: row.OptOut.Labels} {
			for key, value := range entries {
				found++
				require.True(t, slices.ContainsFunc(optOuts, func(o optOut) bool {
					return o.mesh == mesh && o.label == label && o.key == key && slices.Contains(o.values, value)
				}), "%s: %s: %s", mesh, key, value)
			}
		}
	}
	require.Greater(t, found, 5)
}

func TestSkipReason(t *testing.T) {
	const pod = "apiVersion: batch/v1\nkind: Job\nspec: {template: {metadata: {%M}, spec: {%S}}}\n"
	for _, c := range []struct{ metadata, spec, mesh, mode, want string }{
		{"", "", "auto", "wrap", ""},
		{`annotations: {linkerd.io/inject: disabled}`, "", "auto", "wrap", "the pod template opts out by the annotation linkerd.io/inject: disabled"},
		{`annotations: {linkerd.io/inject: disabled}`, "", "linkerd", "native", "the pod template opts out by the annotation linkerd.io/inject: disabled"},
		{`annotations: {linkerd.io/inject: disabled}`, "", "istio", "wrap", ""},
		{`annotations: {linkerd.io/inject: disabled}`, "", "auto", "optOut", ""},
		{`annotations: {linkerd.io/inject: enabled}`, "", "auto", "wrap", ""},
		{`annotations: {sidecar.istio.io/inject: "false"}`, "", "auto", "wrap", "the pod template opts out by the annotation sidecar.istio.io/inject: false"},
		{`annotations: {sidecar.istio.io/inject: "false"}, labels: {sidecar.istio.io/inject: "true"}`, "", "auto", "wrap", ""},
		{`annotations: {sidecar.istio.io/inject: "true"}, labels: {sidecar.istio.io/inject: "false"}`, "", "auto", "wrap", "the pod template opts out by the label sidecar.istio.io/inject: false"},
		{`labels: {linkerd.io/inject: disabled}`, "", "auto", "wrap", ""},
		{"", "hostNetwork: true", "auto", "optOut", "hostNetwork: true, where no mesh puts a proxy"},
		{"", "hostNetwork: false", "auto", "wrap", ""},
		{"", "os: {name: windows}", "none", "wrap", "it asks for Windows nodes, for which there is no wrapper"},
		{"", "nodeSelector: {kubernetes.io/os: linux}", "auto", "wrap", ""},
	} {
		text := strings.NewReplacer("%M", c.metadata, "%S", c.spec).Replace(pod)
		d := manifest.Parse("f", 1, []byte(text))
		require.NoError(t, d.Err)
		templates := d.Objects()[0].PodTemplates()
		require.Equal(t, c.want, skipReason(templates[0], c.mesh, c.mode), text)
	}
}
