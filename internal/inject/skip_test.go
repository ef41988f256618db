package inject

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// podWith is an object with a pod template; tests fill in its metadata and spec.
const podWith = "apiVersion: batch/v1\nkind: Job\nspec: {template: {metadata: {%M}, spec: {%S}}}\n"

func TestSkipReason(t *testing.T) {
	const alone = "hostNetwork: true, where no mesh puts a proxy into this pod"
	for _, c := range []struct{ metadata, spec, mesh, mode, want string }{
		{"", "", "auto", "wrap", ""},
		{`annotations: {linkerd.io/inject: disabled}`, "", "auto", "wrap", "the pod template opts out by the annotation linkerd.io/inject: disabled; if the pod is in another mesh, --set mesh=istio injects it"},
		{`annotations: {linkerd.io/inject: disabled}`, "", "linkerd", "native", "the pod template opts out by the annotation linkerd.io/inject: disabled"},
		{`annotations: {linkerd.io/inject: disabled}`, "", "istio", "wrap", ""},
		{`annotations: {linkerd.io/inject: disabled}`, "", "auto", "optOut", ""},
		{`annotations: {linkerd.io/inject: enabled}`, "", "auto", "wrap", ""},
		{`annotations: {sidecar.istio.io/inject: "false"}`, "", "auto", "wrap", "the pod template opts out by the annotation sidecar.istio.io/inject: false; if the pod is in another mesh, --set mesh=linkerd injects it"},
		{`annotations: {sidecar.istio.io/inject: "false"}, labels: {sidecar.istio.io/inject: "true"}`, "", "auto", "wrap", ""},
		{`annotations: {sidecar.istio.io/inject: "true"}, labels: {sidecar.istio.io/inject: "false"}`, "", "auto", "wrap", "the pod template opts out by the label sidecar.istio.io/inject: false; if the pod is in another mesh, --set mesh=linkerd injects it"},
		{`labels: {linkerd.io/inject: disabled}`, "", "auto", "wrap", ""},
		{"", "hostNetwork: true", "auto", "optOut", alone},
		{"", "hostNetwork: false", "auto", "wrap", ""},
		{"", "hostNetwork: true", "linkerd", "wrap", alone},
		{"", "hostNetwork: true", "none", "wrap", alone},
		// Dapr's injector ignores hostNetwork and reads the annotation alone.
		{`annotations: {dapr.io/enabled: "true"}`, "hostNetwork: true", "auto", "wrap", ""},
		{`annotations: {dapr.io/enabled: "true"}`, "hostNetwork: true", "dapr", "wrap", ""},
		{"", "hostNetwork: true", "dapr", "wrap", ""},
		{`annotations: {dapr.io/enabled: "true"}`, "hostNetwork: true", "istio", "wrap", alone},
		// A proxy that the manifest contains, or that no injector adds, is one that the pod may
		// have.
		{"", "hostNetwork: true, containers: [{name: istio-proxy}]", "auto", "wrap", ""},
		{"", "hostNetwork: true, initContainers: [{name: linkerd-proxy, restartPolicy: Always}]", "linkerd", "wrap", ""},
		{"", "hostNetwork: true", "cloud-sql-proxy", "wrap", ""},
		{"", "os: {name: windows}", "none", "wrap", "it asks for Windows nodes, for which jobmesh has no wrapper"},
		{"", "nodeSelector: {kubernetes.io/os: linux}", "auto", "wrap", ""},
	} {
		text := strings.NewReplacer("%M", c.metadata, "%S", c.spec).Replace(podWith)
		d := manifest.Parse("f", 1, []byte(text))
		require.NoError(t, d.Err)
		templates := d.Objects()[0].PodTemplates()
		require.Equal(t, c.want, skipReason(templates[0], c.mesh, c.mode, false), text)
	}
}

func TestSkipReasonWhereContainersMove(t *testing.T) {
	d := manifest.Parse("f", 1, []byte(strings.NewReplacer("%M", "annotations: {linkerd.io/inject: disabled}", "%S", "hostNetwork: true").Replace(podWith)))
	require.NoError(t, d.Err)
	template := d.Objects()[0].PodTemplates()[0]
	for _, c := range []struct{ mesh, mode string }{{"none", "wrap"}, {"auto", "native"}, {"auto", "optOut"}} {
		require.Empty(t, skipReason(template, c.mesh, c.mode, true), c)
	}
	require.NotEmpty(t, skipReason(template, "linkerd", "wrap", true))
}
