// Package native decides whether a mesh puts a proxy into a pod, and whether that
// proxy is a native sidecar: an init container with restartPolicy Always, which the
// kubelet stops when the pod's work is done (KEP-753, on by default since
// Kubernetes 1.29). It knows what the meshes' injectors read, in the order in which
// they read it, and nothing of files or clusters.
package native

import (
	"slices"
	"strconv"
	"strings"
)

// Setting is what the installation of a mesh says about native sidecars.
type Setting string

// The settings. Auto leaves it to the mesh: its version, and for Istio the nodes.
const (
	Auto  Setting = "auto"
	True  Setting = "true"
	False Setting = "false"
)

// Settings are the words of Setting.
func Settings() []string { return []string{string(Auto), string(True), string(False)} }

// Installation is the mesh as it is installed in a cluster.
type Installation struct {
	Version Version
	// Native is the installation's setting; empty is Auto.
	Native Setting
	// MinKubelet is the oldest kubelet of the cluster; unknown counts as old.
	MinKubelet Version
}

// Pod is what an injector reads: the metadata of the pod template and of its
// namespace.
type Pod struct {
	// Namespace is its name.
	Namespace                             string
	Labels, Annotations                   map[string]string
	NamespaceLabels, NamespaceAnnotations map[string]string
	// HostNetwork is the field of the pod spec.
	HostNetwork bool
	// Default tells whether the pods of the namespace get a proxy unless
	// something says otherwise.
	Default bool
}

// Decision is a verdict with the thing that decided.
type Decision struct {
	Yes bool
	// By names what decided, for a person: a field, a setting or a version.
	By string
	// Open is set where the verdict rests on something that is not known, and
	// says what to find out.
	Open string
}

// Meshes are those whose injection this package knows.
func Meshes() []string {
	return []string{"linkerd", "istio", "kuma", "consul", "dapr"}
}

// Annotations that decide about Linkerd's native sidecar, the one that wins
// first, with the first release that reads them.
var LinkerdNative = []struct {
	Name  string
	Since Version
}{
	{"config.linkerd.io/proxy-enable-native-sidecar", Version{2, 20}},
	{"config.beta.linkerd.io/proxy-enable-native-sidecar", Version{2, 19}},
	{"config.alpha.linkerd.io/proxy-enable-native-sidecar", Version{2, 15}},
}

// Names of the labels and annotations that are read.
const (
	LinkerdInject  = "linkerd.io/inject"
	IstioInject    = "sidecar.istio.io/inject"
	IstioNative    = "sidecar.istio.io/nativeSidecar"
	IstioNamespace = "istio-injection"
	IstioRevision  = "istio.io/rev"
	IstioDataplane = "istio.io/dataplane-mode"
	KumaInject     = "kuma.io/sidecar-injection"
	ConsulInject   = "consul.hashicorp.com/connect-inject"
	ConsulNative   = "consul.hashicorp.com/enable-consul-dataplane-as-sidecar"
	DaprEnabled    = "dapr.io/enabled"
	DaprNative     = "dapr.io/enable-native-sidecar"
)

// spared are namespaces that a mesh's webhook leaves out as it is installed, whatever
// a pod there asks for.
var spared = map[string][]string{
	"linkerd": {"kube-system"},
	"istio":   {"kube-system", "kube-public", "kube-node-lease", "local-path-storage"},
}

// Injected decides whether a mesh puts a proxy into the pod.
func Injected(mesh string, p Pod) Decision {
	if p.HostNetwork && mesh != "dapr" {
		return Decision{By: "hostNetwork: true"}
	}
	if slices.Contains(spared[mesh], p.Namespace) {
		return Decision{By: "no webhook looks at namespace " + p.Namespace}
	}
	switch mesh {
	case "linkerd":
		return linkerdInjected(p)
	case "istio":
		return istioInjected(p)
	case "kuma":
		return kumaInjected(p)
	case "consul":
		return consulInjected(p)
	case "dapr":
		return daprInjected(p)
	}
	return Decision{By: "no injector of that name"}
}

// Linkerd's webhook injects on "enabled" and "ingress" and on no other word; the
// pod's annotation wins over the namespace's.
func linkerdInjected(p Pod) Decision {
	for _, from := range []struct {
		annotations map[string]string
		where       string
	}{{p.Annotations, "the pod's annotation "}, {p.NamespaceAnnotations, "the namespace's annotation "}} {
		if value, ok := from.annotations[LinkerdInject]; ok {
			return Decision{Yes: value == "enabled" || value == "ingress", By: from.where + LinkerdInject + ": " + value}
		}
	}
	return fallback(p)
}

// Istio: ambient first, then pod label over pod annotation over namespace label.
// The webhook is not even asked where neither the namespace nor the label "true"
// selects the pod.
func istioInjected(p Pod) Decision {
	mode, from := p.Labels[IstioDataplane], "the pod's label "
	if mode == "" {
		mode, from = p.NamespaceLabels[IstioDataplane], "the namespace's label "
	}
	if mode == "ambient" {
		return Decision{By: from + IstioDataplane + ": ambient"}
	}
	namespace, known := istioNamespace(p)
	if !known {
		namespace = fallback(p)
	}
	if value, ok := p.Labels[IstioInject]; ok && value != "" {
		by := "the pod's label " + IstioInject + ": " + value
		return Decision{Yes: value == "true" || namespace.Yes && istioYes(value), By: by}
	}
	selected := namespace.Yes || !known && p.Labels[IstioRevision] != ""
	if value, ok := p.Annotations[IstioInject]; ok && value != "" {
		// Without a namespace or label that selects it, the annotation "true" is
		// never seen; in a manifest by itself it is all there is to go by.
		by := "the pod's annotation " + IstioInject + ": " + value
		return Decision{Yes: istioYes(value) && (selected || !known), By: by}
	}
	if selected && !namespace.Yes {
		return Decision{Yes: true, By: "the pod's label " + IstioRevision}
	}
	return namespace
}

// istioNamespace reads the labels of the namespace; "istio-injection" wins.
func istioNamespace(p Pod) (d Decision, known bool) {
	if value, ok := p.NamespaceLabels[IstioNamespace]; ok {
		return Decision{Yes: value == "enabled", By: "the namespace's label " + IstioNamespace + ": " + value}, true
	}
	if value := p.NamespaceLabels[IstioRevision]; value != "" {
		return Decision{Yes: true, By: "the namespace's label " + IstioRevision + ": " + value}, true
	}
	return Decision{}, false
}

// istioYes are the words that Istio's webhook takes for yes; any other is no.
func istioYes(value string) bool {
	return slices.Contains([]string{"y", "yes", "true", "on"}, strings.ToLower(value))
}

// Kuma reads its label, on the pod and on the namespace, and an annotation of the
// same name that it used to read.
func kumaInjected(p Pod) Decision {
	for _, from := range []struct {
		metadata map[string]string
		where    string
	}{
		{p.Labels, "the pod's label "}, {p.Annotations, "the pod's annotation "},
		{p.NamespaceLabels, "the namespace's label "}, {p.NamespaceAnnotations, "the namespace's annotation "},
	} {
		if value, ok := from.metadata[KumaInject]; ok {
			return Decision{Yes: value == "enabled" || value == "true", By: from.where + KumaInject + ": " + value}
		}
	}
	return fallback(p)
}

func consulInjected(p Pod) Decision {
	if value, ok := p.Annotations[ConsulInject]; ok {
		yes, err := strconv.ParseBool(value)
		return Decision{Yes: yes && err == nil, By: "the pod's annotation " + ConsulInject + ": " + value}
	}
	return fallback(p)
}

// Dapr injects where the pod asks for it, and nowhere else.
func daprInjected(p Pod) Decision {
	value := p.Annotations[DaprEnabled]
	return Decision{Yes: Truthy(value), By: "the pod's annotation " + DaprEnabled + ": " + value}
}

// Truthy is how Dapr reads a flag.
func Truthy(value string) bool {
	return slices.Contains([]string{"y", "yes", "true", "on", "1"}, strings.ToLower(value))
}

func fallback(p Pod) Decision {
	if p.Default {
		return Decision{Yes: true, By: "the profile"}
	}
	return Decision{By: "nothing asks for a proxy"}
}

// Native decides whether the proxy that the mesh puts into the pod is a native
// sidecar.
func Native(mesh string, in Installation, p Pod) Decision {
	switch mesh {
	case "linkerd":
		return linkerdNative(in, p)
	case "istio":
		return istioNative(in, p)
	case "kuma":
		return kumaNative(in)
	case "consul":
		return flagOrSetting(ConsulNative, in, p)
	case "dapr":
		return flagOrSetting(DaprNative, in, p)
	}
	return Decision{By: "no injector of that name"}
}

// Linkerd: pod annotation, namespace annotation, the installation's value. It
// never looks at nodes. Of the three names a release reads those it knows; a value
// that is not a boolean counts as absent.
func linkerdNative(in Installation, p Pod) Decision {
	for _, from := range []struct {
		annotations map[string]string
		where       string
	}{{p.Annotations, "the pod's annotation "}, {p.NamespaceAnnotations, "the namespace's annotation "}} {
		for _, known := range LinkerdNative {
			value, ok := from.annotations[known.Name]
			yes, err := strconv.ParseBool(value)
			if !ok || err != nil || in.Version.Before(known.Since.Major, known.Since.Minor) {
				continue
			}
			return Decision{Yes: yes, By: from.where + known.Name + ": " + value}
		}
	}
	switch {
	case in.Native == True || in.Native == False:
		return setting(in)
	case !in.Version.Known():
		return Decision{By: "nothing asks for a native sidecar", Open: "Linkerd 2.20 and newer use one by default: say --mesh-version"}
	}
	return Decision{Yes: in.Version.AtLeast(2, 20), By: "the default of Linkerd " + in.Version.String()}
}

// Istio: the pod's annotation, where any word but "false" turns it on; then the
// installation's setting, which since 1.27 is auto: on when every kubelet of the
// cluster is 1.33 or newer, and off when that is not known.
func istioNative(in Installation, p Pod) Decision {
	if value, ok := p.Annotations[IstioNative]; ok {
		return Decision{Yes: value != "false", By: "the pod's annotation " + IstioNative + ": " + value}
	}
	switch {
	case in.Native == True || in.Native == False:
		return setting(in)
	case in.Version.Before(1, 27):
		return Decision{By: "the default of Istio " + in.Version.String()}
	case !in.MinKubelet.Known():
		return Decision{By: "nothing asks for a native sidecar",
			Open: "Istio 1.27 and newer use one when every kubelet is 1.33 or newer: say --min-kubelet"}
	}
	return Decision{Yes: in.MinKubelet.AtLeast(1, 33), By: "Istio's auto mode with a kubelet of " + in.MinKubelet.String()}
}

func kumaNative(in Installation) Decision {
	switch {
	case in.Native == True || in.Native == False:
		return setting(in)
	case !in.Version.Known():
		return Decision{By: "nothing asks for a native sidecar", Open: "Kuma 2.14 and newer use one by default: say --mesh-version"}
	}
	return Decision{Yes: in.Version.AtLeast(2, 14), By: "the default of Kuma " + in.Version.String()}
}

func flagOrSetting(annotation string, in Installation, p Pod) Decision {
	if value, ok := p.Annotations[annotation]; ok {
		return Decision{Yes: Truthy(value), By: "the pod's annotation " + annotation + ": " + value}
	}
	if in.Native == True || in.Native == False {
		return setting(in)
	}
	return Decision{By: "nothing asks for a native sidecar"}
}

func setting(in Installation) Decision {
	return Decision{Yes: in.Native == True, By: "the mesh's setting: " + string(in.Native)}
}
