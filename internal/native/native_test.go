package native

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// inject returns the injection row of a mesh.
func inject(name string) string {
	m, _ := mesh.ByName(name)
	return m.Inject.Key
}

func native(name string) string {
	m, _ := mesh.ByName(name)
	return m.Native.Words[0].Name
}

// This is Istio's whole decision table: label over annotation over namespace label; "-" means
// absent.
func TestIstioInjected(t *testing.T) {
	namespaces := map[string]map[string]string{
		"-": nil, "enabled": {mesh.IstioNamespace: "enabled"}, "disabled": {mesh.IstioNamespace: "disabled"},
		"rev": {mesh.IstioRevision: "canary"}, "ambient": {mesh.IstioDataplane: "ambient", mesh.IstioNamespace: "enabled"},
	}
	want := map[string]string{ // namespace -> verdict for label/annotation: -/-, -/t, -/f, t/-, t/t, t/f, f/-, f/t, f/f
		"-":        "-t-ttt---",
		"enabled":  "tt-ttt---",
		"disabled": "---ttt---",
		"rev":      "tt-ttt---",
		"ambient":  "---------",
	}
	for name, labels := range namespaces {
		i := 0
		for _, label := range []string{"", "true", "false"} {
			for _, annotation := range []string{"", "true", "false"} {
				p := Pod{Labels: map[string]string{}, Annotations: map[string]string{}, NamespaceLabels: labels}
				set(p.Labels, inject("istio"), label)
				set(p.Annotations, inject("istio"), annotation)
				require.Equal(t, want[name][i] == 't', Injected("istio", p).Yes, "namespace %s label %q annotation %q", name, label, annotation)
				p.HostNetwork = true
				require.False(t, Injected("istio", p).Yes)
				i++
			}
		}
	}
	// A profile decides for the namespace, unless the namespace opts out.
	require.True(t, Injected("istio", Pod{Default: true}).Yes)
	require.False(t, Injected("istio", Pod{Default: true, NamespaceLabels: namespaces["disabled"]}).Yes)
	require.False(t, Injected("istio", Pod{Default: true, Annotations: map[string]string{inject("istio"): "false"}}).Yes)
	require.False(t, Injected("istio", Pod{Default: true, Labels: map[string]string{inject("istio"): "no"}}).Yes)
	require.True(t, Injected("istio", Pod{Default: true, Labels: map[string]string{inject("istio"): "Yes"}}).Yes)
	require.False(t, Injected("istio", Pod{Labels: map[string]string{inject("istio"): "Yes"}}).Yes, "the webhook selects on the word true")
	require.True(t, Injected("istio", Pod{Labels: map[string]string{mesh.IstioRevision: "canary"}}).Yes)
	require.True(t, Injected("istio", Pod{Labels: map[string]string{mesh.IstioDataplane: "none", inject("istio"): "true"},
		NamespaceLabels: map[string]string{mesh.IstioDataplane: "ambient"}}).Yes)
}

func set(m map[string]string, name, value string) {
	if value != "" {
		m[name] = value
	}
}

// The dimensions are annotation, setting, version and oldest kubelet.
func TestIstioNative(t *testing.T) {
	minor := func(m int) mesh.Version { return mesh.Version{Major: 1, Minor: m} }
	for _, annotation := range []string{"", "true", "false", "False", "no", "0"} {
		for _, setting := range []Setting{"", Auto, True, False} {
			for _, version := range []mesh.Version{{}, minor(18), minor(19), minor(23), minor(24), minor(27)} {
				for _, kubelet := range []mesh.Version{{}, minor(32), minor(33), minor(36)} {
					name := fmt.Sprintf("%q %q %s %s", annotation, setting, version, kubelet)
					p := Pod{Annotations: map[string]string{}}
					set(p.Annotations, native("istio"), annotation)
					var want bool
					switch {
					case annotation != "" && !version.Before(1, 24):
						want = annotation != "false"
					case setting == True:
						want = !version.Before(1, 19)
					case setting == False, version.Before(1, 27):
						want = false
					default:
						want = !kubelet.Before(1, 33)
					}
					require.Equal(t, want, Native("istio", Installation{Version: version, Native: setting, MinKubelet: kubelet}, p).Yes, name)
				}
			}
		}
	}
	p := Pod{Annotations: map[string]string{"sidecar.istio.io/native-side": "true"}}
	require.False(t, Native("istio", Installation{Version: minor(24)}, p).Yes, "the spelling of the release note")
	p = Pod{Annotations: map[string]string{native("istio"): "true"}}
	require.Contains(t, Native("istio", Installation{Version: minor(20)}, p).By, "does not read "+native("istio")+" yet: Istio 1.24 and newer do")
}

// Where only the API server's version is known, the oldest kubelet beside it decides.
func TestOldestKubelet(t *testing.T) {
	minor := func(m int) mesh.Version { return mesh.Version{Major: 1, Minor: m} }
	for _, c := range []struct{ server, kubelet, want mesh.Version }{
		{mesh.Version{}, mesh.Version{}, Newest},
		{minor(36), mesh.Version{}, minor(33)},
		{minor(28), mesh.Version{}, minor(25)},
		{minor(27), mesh.Version{}, minor(25)},
		{minor(1), mesh.Version{}, minor(0)},
		{minor(36), minor(35), minor(35)},
		{mesh.Version{}, minor(30), minor(30)},
	} {
		got, said := Installation{Kubernetes: c.server, MinKubelet: c.kubelet}.OldestKubelet()
		require.Equal(t, c.want, got)
		require.Equal(t, c.kubelet.Known(), said)
	}
	d := Native("istio", Installation{Version: minor(29), Kubernetes: minor(35)}, Pod{})
	require.False(t, d.Yes)
	require.Contains(t, d.Open, "--min-kubelet")
	require.True(t, Native("istio", Installation{Version: minor(29), Kubernetes: minor(36)}, Pod{}).Yes)
}

// Linkerd has three names for the annotation, read on the pod and on the namespace. A name
// counts from the release on that introduced it; a value that is not a boolean never counts.
func TestLinkerdNative(t *testing.T) {
	since := map[string]int{"": 0, "config.linkerd.io/": 20, "config.beta.linkerd.io/": 19, "config.alpha.linkerd.io/": 15}
	for prefix, first := range since {
		for _, value := range []string{"true", "false", "enabled"} {
			for _, onNamespace := range []bool{false, true} {
				for _, minor := range []int{0, 14, 15, 18, 19, 20, 21} {
					for _, setting := range []Setting{Auto, True, False} {
						name := fmt.Sprintf("%s %s namespace %v 2.%d %s", prefix, value, onNamespace, minor, setting)
						annotations := map[string]string{}
						if prefix != "" {
							annotations[prefix+"proxy-enable-native-sidecar"] = value
						}
						p := Pod{Annotations: annotations}
						if onNamespace {
							p = Pod{NamespaceAnnotations: annotations}
						}
						in := Installation{Native: setting}
						if minor > 0 {
							in.Version = mesh.Version{Major: 2, Minor: minor}
						}
						read := prefix != "" && value != "enabled" && (minor == 0 || minor >= first)
						want := minor == 0 || minor >= 20
						switch {
						case read:
							want = value == "true"
						case setting != Auto:
							want = setting == True && minor != 14 // 2.14 has no such setting
						}
						require.Equal(t, want, Native("linkerd", in, p).Yes, name)
					}
				}
			}
		}
	}
	// The pod wins over the namespace, and the newer name over the older.
	p := Pod{
		Annotations:          map[string]string{"config.alpha.linkerd.io/proxy-enable-native-sidecar": "false"},
		NamespaceAnnotations: map[string]string{"config.linkerd.io/proxy-enable-native-sidecar": "true"},
	}
	require.False(t, Native("linkerd", Installation{Version: mesh.Version{Major: 2, Minor: 20}}, p).Yes)
	p.Annotations["config.linkerd.io/proxy-enable-native-sidecar"] = "true"
	require.True(t, Native("linkerd", Installation{Version: mesh.Version{Major: 2, Minor: 20}}, p).Yes)
	require.False(t, Native("linkerd", Installation{Version: mesh.Version{Major: 2, Minor: 18}}, p).Yes, "2.18 reads the alpha name alone")
}

func TestInjected(t *testing.T) {
	annotated := func(name, value string) Pod { return Pod{Annotations: map[string]string{name: value}} }
	labelled := func(name, value string) Pod { return Pod{Labels: map[string]string{name: value}} }
	for name, c := range map[string]struct {
		mesh string
		pod  Pod
		want bool
	}{
		"linkerd enabled":             {"linkerd", annotated(inject("linkerd"), "enabled"), true},
		"linkerd ingress":             {"linkerd", annotated(inject("linkerd"), "ingress"), true},
		"linkerd disabled":            {"linkerd", annotated(inject("linkerd"), "disabled"), false},
		"linkerd true":                {"linkerd", annotated(inject("linkerd"), "true"), false},
		"linkerd profile":             {"linkerd", Pod{Default: true}, true},
		"linkerd nothing":             {"linkerd", Pod{}, false},
		"linkerd namespace":           {"linkerd", Pod{NamespaceAnnotations: map[string]string{inject("linkerd"): "enabled"}}, true},
		"linkerd namespace off":       {"linkerd", Pod{Default: true, NamespaceAnnotations: map[string]string{inject("linkerd"): "disabled"}}, false},
		"linkerd host network":        {"linkerd", Pod{Default: true, HostNetwork: true}, false},
		"kuma label":                  {"kuma", labelled(inject("kuma"), "enabled"), true},
		"kuma label off":              {"kuma", Pod{Default: true, Labels: map[string]string{inject("kuma"): "disabled"}}, false},
		"kuma namespace":              {"kuma", Pod{NamespaceLabels: map[string]string{inject("kuma"): "enabled"}}, true},
		"kuma profile":                {"kuma", Pod{Default: true}, true},
		"consul annotation":           {"consul", annotated(inject("consul"), "true"), true},
		"consul annotation off":       {"consul", Pod{Default: true, Annotations: map[string]string{inject("consul"): "false"}}, false},
		"consul no boolean":           {"consul", annotated(inject("consul"), "yes"), false},
		"consul profile":              {"consul", Pod{Default: true}, true},
		"dapr annotation":             {"dapr", annotated(inject("dapr"), "true"), true},
		"dapr never by default":       {"dapr", Pod{Default: true}, false},
		"dapr host network":           {"dapr", Pod{HostNetwork: true, Annotations: map[string]string{inject("dapr"): "true"}}, true},
		"vault":                       {"vault-agent", annotated(inject("vault-agent"), "true"), true},
		"vault never by default":      {"vault-agent", Pod{Default: true}, false},
		"vault no boolean":            {"vault-agent", annotated(inject("vault-agent"), "yes"), false},
		"a proxy that nobody injects": {"envoy", Pod{Default: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := Injected(c.mesh, c.pod)
			require.Equal(t, c.want, d.Yes)
			require.NotEmpty(t, d.By)
		})
	}
}

// An explicit opt-out keeps the proxy out, whatever else asks for it.
func TestOptOuts(t *testing.T) {
	for _, m := range mesh.All() {
		for _, value := range m.Inject.No {
			for _, level := range m.Inject.OptOut {
				p := Pod{
					Default: true, Labels: map[string]string{}, Annotations: map[string]string{},
					NamespaceLabels:      map[string]string{mesh.IstioNamespace: "enabled", inject("kuma"): "enabled"},
					NamespaceAnnotations: map[string]string{inject("linkerd"): "enabled"},
				}
				words, _ := p.at(level)
				words[m.Inject.Key] = value
				require.False(t, Injected(m.Name, p).Yes, "%s: %s: %s", m.Name, m.Inject.Key, value)
			}
		}
	}
}

// The API server calls no webhook for the namespaces of Kubernetes itself.
func TestSparedNamespaces(t *testing.T) {
	for mesh, ns := range map[string]string{"linkerd": "kube-system", "istio": "kube-public"} {
		p := Pod{Namespace: ns, Default: true, Annotations: map[string]string{inject("linkerd"): "enabled"}, Labels: map[string]string{inject("istio"): "true"}}
		require.False(t, Injected(mesh, p).Yes)
		p.Namespace = "shop"
		require.True(t, Injected(mesh, p).Yes)
	}
}

func TestNativeOfTheOthers(t *testing.T) {
	require.True(t, Native("kuma", Installation{Version: mesh.Version{Major: 2, Minor: 14}}, Pod{}).Yes)
	require.False(t, Native("kuma", Installation{Version: mesh.Version{Major: 2, Minor: 13}}, Pod{}).Yes)
	require.False(t, Native("kuma", Installation{Version: mesh.Version{Major: 2, Minor: 14}, Native: False}, Pod{}).Yes)
	require.True(t, Native("kuma", Installation{}, Pod{}).Yes)
	for mesh, annotation := range map[string]string{"consul": native("consul"), "dapr": native("dapr")} {
		require.False(t, Native(mesh, Installation{}, Pod{}).Yes)
		require.True(t, Native(mesh, Installation{}, Pod{Annotations: map[string]string{annotation: "true"}}).Yes)
		require.True(t, Native(mesh, Installation{Native: True}, Pod{}).Yes)
		require.False(t, Native(mesh, Installation{Native: True}, Pod{Annotations: map[string]string{annotation: "false"}}).Yes)
	}
	require.False(t, Native("envoy", Installation{Native: True}, Pod{}).Yes)
}
