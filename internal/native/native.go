// Package native decides whether a mesh puts a proxy into a pod, and whether that proxy is a
// native sidecar: an init container with restartPolicy Always, which the kubelet stops when the
// pod's work is done (KEP-753, on by default since Kubernetes 1.29). The rows of internal/mesh
// say which labels and annotations the injector of each mesh reads, and in which order; the
// decisions over them are here. Istio's injector follows an order of its own.
package native

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// Setting is what the installation of a mesh says about native sidecars.
type Setting string

// These are all settings. With Auto the mesh decides: by its version, and for Istio by the
// nodes.
const (
	Auto  Setting = "auto"
	True  Setting = "true"
	False Setting = "false"
)

// Settings returns the words of Setting that a flag takes.
func Settings() []string { return []string{string(Auto), string(True), string(False)} }

// Installation is the mesh as it is installed in a cluster. A version that is not known is
// presumed to be the newest supported one.
type Installation struct {
	// Platform is the provider that manages the mesh; the zero value means that the user does.
	Platform mesh.Platform
	Version  mesh.Version
	// Native is the installation's setting; empty is Auto.
	Native Setting
	// Kubernetes is the version of the API server, and MinKubelet is the oldest kubelet of
	// the cluster.
	Kubernetes, MinKubelet mesh.Version
}

// Pod is what an injector reads of a pod: the metadata of the pod template and of its
// namespace, and hostNetwork.
type Pod struct {
	// Namespace is the name of the namespace.
	Namespace                             string
	Labels, Annotations                   map[string]string
	NamespaceLabels, NamespaceAnnotations map[string]string
	// HostNetwork is hostNetwork of the pod spec.
	HostNetwork bool
	// Default says that the pods of the namespace get a proxy where no label or annotation
	// decides.
	Default bool
}

// Decision is a verdict together with what decided it.
type Decision struct {
	Yes bool
	// By names what decided, for a reader: a field, a setting or a version.
	By string
	// Open is not empty where the verdict depends on something that is not known, and says what
	// that is and which flag sets it.
	Open string
}

// Meshes returns the names of the service meshes, in the order of the table.
func Meshes() []string {
	var names []string
	for _, m := range mesh.All() {
		if m.Annotation != "" {
			names = append(names, m.Name)
		}
	}
	return names
}

// Injected decides whether a mesh puts a proxy into the pod. The answer is no for a name
// without a row, and for a proxy that no injector adds.
func Injected(name string, p Pod) Decision {
	m, _ := mesh.ByName(name)
	switch {
	case m.Inject.Key == "":
		return Decision{By: "no injector of that name"}
	case p.HostNetwork && !m.Inject.HostNetwork:
		return Decision{By: "hostNetwork: true"}
	case slices.Contains(m.Inject.Spared, p.Namespace):
		return Decision{By: "no webhook looks at namespace " + p.Namespace}
	case m.Name == "istio":
		return istioInjected(&m.Inject, p)
	}
	return injected(&m.Inject, p)
}

// at returns the labels or annotations of a level, and the words that name the level in a
// sentence.
func (p Pod) at(level mesh.Level) (words map[string]string, where string) {
	switch level {
	case mesh.PodLabel:
		return p.Labels, "the pod's label "
	case mesh.PodAnnotation:
		return p.Annotations, "the pod's annotation "
	case mesh.NamespaceLabel:
		return p.NamespaceLabels, "the namespace's label "
	}
	return p.NamespaceAnnotations, "the namespace's annotation "
}

// injected decides as the injector of a mesh does: by the first level that has the mesh's key.
func injected(in *mesh.Injection, p Pod) Decision {
	for _, level := range in.Levels {
		words, where := p.at(level)
		value, ok := words[in.Key]
		if !ok {
			continue
		}
		yes, _ := in.Read.Bool(value)
		return Decision{Yes: yes || slices.Contains(in.Yes, value), By: where + in.Key + ": " + value}
	}
	if in.WhenAsked {
		return Decision{By: "no annotation " + in.Key}
	}
	return fallback(p)
}

// istioInjected decides in the order of Istio's injector: ambient mode first, then the pod's
// label, then the pod's annotation, then the namespace's label. The API server does not call
// Istio's webhook at all for a pod that neither the namespace nor the label "true" selects.
func istioInjected(in *mesh.Injection, p Pod) Decision {
	mode, from := p.Labels[mesh.IstioDataplane], "the pod's label "
	if mode == "" {
		mode, from = p.NamespaceLabels[mesh.IstioDataplane], "the namespace's label "
	}
	if mode == "ambient" {
		return Decision{By: from + mesh.IstioDataplane + ": ambient"}
	}
	namespace, known := istioNamespace(p)
	if !known {
		namespace = fallback(p)
	}
	if value, ok := p.Labels[in.Key]; ok && value != "" {
		by := "the pod's label " + in.Key + ": " + value
		return Decision{Yes: slices.Contains(in.Yes, value) || namespace.Yes && istioYes(value), By: by}
	}
	selected := namespace.Yes || !known && p.Labels[mesh.IstioRevision] != ""
	if value, ok := p.Annotations[in.Key]; ok && value != "" {
		// The webhook never sees the annotation "true" of a pod that no namespace or label
		// selects. Where nothing is known of the namespace, the annotation is all there is to
		// decide by.
		by := "the pod's annotation " + in.Key + ": " + value
		return Decision{Yes: istioYes(value) && (selected || !known), By: by}
	}
	if selected && !namespace.Yes {
		return Decision{Yes: true, By: "the pod's label " + mesh.IstioRevision}
	}
	return namespace
}

// istioNamespace decides by the labels of the namespace; "istio-injection" wins over a
// revision.
func istioNamespace(p Pod) (d Decision, known bool) {
	if value, ok := p.NamespaceLabels[mesh.IstioNamespace]; ok {
		return Decision{Yes: value == "enabled", By: "the namespace's label " + mesh.IstioNamespace + ": " + value}, true
	}
	if value := p.NamespaceLabels[mesh.IstioRevision]; value != "" {
		return Decision{Yes: true, By: "the namespace's label " + mesh.IstioRevision + ": " + value}, true
	}
	return Decision{}, false
}

// istioYes says whether Istio's webhook reads a value as yes; it reads any other value as no.
func istioYes(value string) bool {
	return slices.Contains([]string{"y", "yes", "true", "on"}, strings.ToLower(value))
}

func fallback(p Pod) Decision {
	if p.Default {
		return Decision{Yes: true, By: "the profile"}
	}
	return Decision{By: "nothing asks for a proxy"}
}

// Native decides whether the proxy that the mesh puts into the pod is a native sidecar. It is
// one where the mesh wants that and the kubelets know native sidecars.
func Native(name string, in Installation, p Pod) Decision {
	d := Wanted(name, in, p)
	if oldest := in.Oldest(); d.Yes && oldest.Before(Sidecars.Major, Sidecars.Minor) {
		return Decision{By: "Kubernetes " + oldest.String()}
	}
	return d
}

// Wanted decides whether the mesh makes its proxy a native sidecar, whatever Kubernetes can do.
// The pod's own annotations come first, then those of its namespace, then the installation's
// setting, then the mesh's default. A release reads only the annotations that it knows, and
// ignores a value that it does not understand.
func Wanted(name string, in Installation, p Pod) Decision {
	m, _ := mesh.ByName(name)
	n := &m.Native
	if len(n.Words) == 0 && !n.Default.Known() {
		return Decision{By: "no injector makes it a native sidecar"}
	}
	version := VersionOf(&m, in)
	levels := []mesh.Level{mesh.PodAnnotation}
	if n.Namespace {
		levels = append(levels, mesh.NamespaceAnnotation)
	}
	unread := ""
	for _, level := range levels {
		words, where := p.at(level)
		for _, w := range n.Words {
			value, ok := words[w.Name]
			yes, known := n.Read.Bool(value)
			switch {
			case !ok || !known:
			case version.Before(w.Since.Major, w.Since.Minor):
				unread = ", which does not read " + w.Name + " yet: " + m.Title + " " + w.Since.String() + " and newer do"
			default:
				return Decision{Yes: yes, By: where + w.Name + ": " + value}
			}
		}
	}
	if in.Native == False || in.Native == True && !version.Before(n.Setting.Major, n.Setting.Minor) {
		return Decision{Yes: in.Native == True, By: "the mesh's setting: " + string(in.Native)}
	}
	d := byDefault(&m, version, in)
	if !d.Yes {
		d.By += unread
	}
	return d
}

// VersionOf returns the release of a mesh by which decisions are made: the known one, or the
// one that its platform installs, or else the newest supported one.
func VersionOf(m *mesh.Mesh, in Installation) mesh.Version {
	switch {
	case in.Version.Known():
		return in.Version
	case in.Platform.Version.Known():
		return in.Platform.Version
	}
	return m.Newest()
}

// byDefault decides where no annotation and no setting does: by the version of the mesh and, if
// the mesh looks at the nodes, by the oldest kubelet of the cluster.
func byDefault(m *mesh.Mesh, version mesh.Version, in Installation) Decision {
	since, kubelet := m.Native.Default, m.Native.DefaultKubelet
	byVersion := "the default of " + m.Title + " " + version.String()
	switch {
	case in.Platform.Name != "":
		return byPlatform(version, in)
	case !since.Known():
		return Decision{By: byVersion}
	case !kubelet.Known() || version.Before(since.Major, since.Minor):
		return Decision{Yes: version.AtLeast(since.Major, since.Minor), By: byVersion}
	}
	oldest, said := in.OldestKubelet()
	d := Decision{Yes: oldest.AtLeast(kubelet.Major, kubelet.Minor), By: m.Title + "'s auto mode with a kubelet of " + oldest.String()}
	if !d.Yes && !said {
		d.Open = m.Title + " " + since.String() + " and newer use one when every kubelet is " + kubelet.String() +
			" or newer, and Kubernetes " + in.Kubernetes.String() + " allows kubelets of " + oldest.String() + ": say --min-kubelet"
	}
	return d
}

// byPlatform decides for a mesh that a provider manages.
func byPlatform(version mesh.Version, in Installation) Decision {
	since, cluster, least := in.Platform.Default, in.Oldest(), in.Platform.Kubernetes
	d := Decision{By: "the default of " + in.Platform.Title + " with release " + version.String()}
	if cluster.Known() {
		d.By += " on Kubernetes " + cluster.String()
	}
	d.Yes = since.Known() && version.AtLeast(since.Major, since.Minor) && !cluster.Before(least.Major, least.Minor)
	return d
}
