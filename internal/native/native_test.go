package native

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"2.19": {2, 19}, "v1.27.3": {1, 27}, "1.33.5-gke.1200": {1, 33}, "stable-2.14.10": {2, 14}, "1.29+": {1, 29},
		"edge-26.6.1": {2, 20}, "edge-25.10.2": {2, 19}, "edge-24.11.8": {2, 17}, "edge-20.1.1": {2, 13},
	} {
		got, err := ParseVersion(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "2", "latest", "2.x", "-1.2", "0.0", "2.19beta", "edge-", "1.-2"} {
		_, err := ParseVersion(text)
		require.Error(t, err, text)
	}
	require.False(t, Version{}.AtLeast(0, 0))
	require.False(t, Version{}.Before(99, 0))
	require.Equal(t, "2.20", Version{2, 20}.String())
}

// The whole table of Istio's decision whether a pod gets a sidecar: label over
// annotation over namespace; "-" is absent.
func TestIstioInjected(t *testing.T) {
	namespaces := map[string]map[string]string{
		"-": nil, "enabled": {IstioNamespace: "enabled"}, "disabled": {IstioNamespace: "disabled"},
		"rev": {IstioRevision: "canary"}, "ambient": {IstioDataplane: "ambient", IstioNamespace: "enabled"},
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
				set(p.Labels, IstioInject, label)
				set(p.Annotations, IstioInject, annotation)
				require.Equal(t, want[name][i] == 't', Injected("istio", p).Yes, "namespace %s label %q annotation %q", name, label, annotation)
				p.HostNetwork = true
				require.False(t, Injected("istio", p).Yes)
				i++
			}
		}
	}
	// Unless the namespace opts out, a profile stands in for it.
	require.True(t, Injected("istio", Pod{Default: true}).Yes)
	require.False(t, Injected("istio", Pod{Default: true, NamespaceLabels: namespaces["disabled"]}).Yes)
	require.False(t, Injected("istio", Pod{Default: true, Annotations: map[string]string{IstioInject: "false"}}).Yes)
	require.False(t, Injected("istio", Pod{Default: true, Labels: map[string]string{IstioInject: "no"}}).Yes)
	require.True(t, Injected("istio", Pod{Default: true, Labels: map[string]string{IstioInject: "Yes"}}).Yes)
	require.False(t, Injected("istio", Pod{Labels: map[string]string{IstioInject: "Yes"}}).Yes, "the webhook selects on the word true")
	require.True(t, Injected("istio", Pod{Labels: map[string]string{IstioRevision: "canary"}}).Yes)
	require.True(t, Injected("istio", Pod{Labels: map[string]string{IstioDataplane: "none", IstioInject: "true"},
		NamespaceLabels: map[string]string{IstioDataplane: "ambient"}}).Yes)
}

func set(m map[string]string, name, value string) {
	if value != "" {
		m[name] = value
	}
}

// Istio: annotation x setting x version x oldest kubelet.
func TestIstioNative(t *testing.T) {
	for _, annotation := range []string{"", "true", "false", "False", "no", "0"} {
		for _, setting := range []Setting{"", Auto, True, False} {
			for _, version := range []Version{{}, {1, 24}, {1, 27}} {
				for _, kubelet := range []Version{{}, {1, 32}, {1, 33}, {1, 36}} {
					name := fmt.Sprintf("%q %q %s %s", annotation, setting, version, kubelet)
					p := Pod{Annotations: map[string]string{}}
					set(p.Annotations, IstioNative, annotation)
					var want bool
					switch {
					case annotation != "":
						want = annotation != "false"
					case setting == True:
						want = true
					case setting == False, version == Version{1, 24}:
						want = false
					default:
						want = kubelet == Version{1, 33} || kubelet == Version{1, 36}
					}
					require.Equal(t, want, Native("istio", Installation{version, setting, kubelet}, p).Yes, name)
				}
			}
		}
	}
	p := Pod{Annotations: map[string]string{"sidecar.istio.io/native-side": "true"}}
	require.False(t, Native("istio", Installation{}, p).Yes, "the spelling of the release note")
	require.NotEmpty(t, Native("istio", Installation{Version: Version{1, 27}}, Pod{}).Open)
}

// Linkerd: the three names of the annotation, on the pod and on the namespace, by
// version; a name counts from its release on, and a value that is no boolean never.
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
							in.Version = Version{2, minor}
						}
						read := prefix != "" && value != "enabled" && (minor == 0 || minor >= first)
						want := minor >= 20
						switch {
						case read:
							want = value == "true"
						case setting != Auto:
							want = setting == True
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
	require.False(t, Native("linkerd", Installation{Version: Version{2, 20}}, p).Yes)
	p.Annotations["config.linkerd.io/proxy-enable-native-sidecar"] = "true"
	require.True(t, Native("linkerd", Installation{Version: Version{2, 20}}, p).Yes)
	require.False(t, Native("linkerd", Installation{Version: Version{2, 18}}, p).Yes, "2.18 reads the alpha name alone")
}

func TestInjected(t *testing.T) {
	annotated := func(name, value string) Pod { return Pod{Annotations: map[string]string{name: value}} }
	labelled := func(name, value string) Pod { return Pod{Labels: map[string]string{name: value}} }
	for name, c := range map[string]struct {
		mesh string
		pod  Pod
		want bool
	}{
		"linkerd enabled":             {"linkerd", annotated(LinkerdInject, "enabled"), true},
		"linkerd ingress":             {"linkerd", annotated(LinkerdInject, "ingress"), true},
		"linkerd disabled":            {"linkerd", annotated(LinkerdInject, "disabled"), false},
		"linkerd true":                {"linkerd", annotated(LinkerdInject, "true"), false},
		"linkerd profile":             {"linkerd", Pod{Default: true}, true},
		"linkerd nothing":             {"linkerd", Pod{}, false},
		"linkerd namespace":           {"linkerd", Pod{NamespaceAnnotations: map[string]string{LinkerdInject: "enabled"}}, true},
		"linkerd namespace off":       {"linkerd", Pod{Default: true, NamespaceAnnotations: map[string]string{LinkerdInject: "disabled"}}, false},
		"linkerd host network":        {"linkerd", Pod{Default: true, HostNetwork: true}, false},
		"kuma label":                  {"kuma", labelled(KumaInject, "enabled"), true},
		"kuma label off":              {"kuma", Pod{Default: true, Labels: map[string]string{KumaInject: "disabled"}}, false},
		"kuma namespace":              {"kuma", Pod{NamespaceLabels: map[string]string{KumaInject: "enabled"}}, true},
		"kuma profile":                {"kuma", Pod{Default: true}, true},
		"consul annotation":           {"consul", annotated(ConsulInject, "true"), true},
		"consul annotation off":       {"consul", Pod{Default: true, Annotations: map[string]string{ConsulInject: "false"}}, false},
		"consul no boolean":           {"consul", annotated(ConsulInject, "yes"), false},
		"consul profile":              {"consul", Pod{Default: true}, true},
		"dapr annotation":             {"dapr", annotated(DaprEnabled, "true"), true},
		"dapr never by default":       {"dapr", Pod{Default: true}, false},
		"a proxy that nobody injects": {"envoy", Pod{Default: true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			d := Injected(c.mesh, c.pod)
			require.Equal(t, c.want, d.Yes)
			require.NotEmpty(t, d.By)
		})
	}
}

// No webhook is asked about the namespaces of Kubernetes itself.
func TestSparedNamespaces(t *testing.T) {
	for mesh, ns := range map[string]string{"linkerd": "kube-system", "istio": "kube-public"} {
		p := Pod{Namespace: ns, Default: true, Annotations: map[string]string{LinkerdInject: "enabled"}, Labels: map[string]string{IstioInject: "true"}}
		require.False(t, Injected(mesh, p).Yes)
		p.Namespace = "shop"
		require.True(t, Injected(mesh, p).Yes)
	}
}

func TestNativeOfTheOthers(t *testing.T) {
	require.True(t, Native("kuma", Installation{Version: Version{2, 14}}, Pod{}).Yes)
	require.False(t, Native("kuma", Installation{Version: Version{2, 13}}, Pod{}).Yes)
	require.False(t, Native("kuma", Installation{Version: Version{2, 14}, Native: False}, Pod{}).Yes)
	require.NotEmpty(t, Native("kuma", Installation{}, Pod{}).Open)
	for mesh, annotation := range map[string]string{"consul": ConsulNative, "dapr": DaprNative} {
		require.False(t, Native(mesh, Installation{}, Pod{}).Yes)
		require.True(t, Native(mesh, Installation{}, Pod{Annotations: map[string]string{annotation: "true"}}).Yes)
		require.True(t, Native(mesh, Installation{Native: True}, Pod{}).Yes)
		require.False(t, Native(mesh, Installation{Native: True}, Pod{Annotations: map[string]string{annotation: "false"}}).Yes)
	}
	require.False(t, Native("envoy", Installation{Native: True}, Pod{}).Yes)
}
