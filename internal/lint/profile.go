package lint

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// A Profile describes the cluster that Jobs are judged for.
type Profile struct {
	// Mesh is the mesh that pods are in unless they opt out. It is empty where only what a
	// manifest itself says counts.
	Mesh string
	// Installation describes that mesh in its cluster.
	Installation native.Installation
	// Kubernetes is the version of the API server.
	Kubernetes mesh.Version
	// Declared are the features that at least one node declares in its status. It counts where
	// DeclaredKnown is set; elsewhere versions decide.
	Declared      []string
	DeclaredKnown bool
	// PostRenderer is the Helm that runs jobmesh inject as a post-renderer, "helm3" or
	// "helm4". It is empty where inject is run in another way.
	PostRenderer string
	// Helpers are programs beside the work that lint does not know by itself, or that it
	// knows otherwise. What is said of them goes before the table.
	Helpers []sidecar.Helper
	// Lock is the content of jobmesh.lock.yaml, which says what images run.
	Lock lockfile.Lock
}

// PostRenderers are the values of Profile.PostRenderer.
func PostRenderers() []string { return []string{"helm3", "helm4"} }

// Meshes returns the names that a Profile can have as its mesh: those of the meshes, and of
// each mesh on the platforms that decide otherwise.
func Meshes() []string {
	names := native.Meshes()
	for _, m := range mesh.All() {
		for _, p := range m.Platforms {
			names = append(names, m.Name+"@"+p.Name)
		}
	}
	return names
}

// Presumed says in one sentence what nobody has said about the cluster, what is presumed
// instead, and with which flag to say otherwise. It is empty where everything was said.
func (p *Profile) Presumed() string {
	var presumed []string
	add := func(what, flag string) { presumed = append(presumed, what+" (--"+flag+")") }
	m, in := rowOf(p.Mesh), p.installation()
	switch {
	case in.Version.Known() || in.Platform.Version.Known():
	case p.Mesh == "":
		add("the newest release of each mesh", "mesh-version")
	default:
		add(m.Title+" "+native.VersionOf(&m, in).String(), "mesh-version")
	}
	if !p.Kubernetes.Known() && !in.MinKubelet.Known() {
		add("Kubernetes "+native.Newest.String(), "kube-version")
	}
	if oldest, said := in.OldestKubelet(); !said && p.asksKubelet() {
		add("kubelets of "+oldest.String(), "min-kubelet")
	}
	switch words := inWords(presumed); {
	case p.Mesh == "" && words == "":
		return "no mesh was named, so only the manifests' own words are judged; --mesh names one"
	case p.Mesh == "":
		return "no mesh was named (--mesh), so only the manifests' own words are judged; presumed: " + words
	case words == "":
		return ""
	default:
		return "presumed: " + words
	}
}

// asksKubelet tells whether verdicts may depend on the oldest kubelet.
func (p *Profile) asksKubelet() bool {
	in := p.Installation
	if in.Platform.Name != "" || in.Native == native.True || in.Native == native.False {
		return false
	}
	return slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool {
		since := m.Native.Default
		return m.Native.DefaultKubelet.Known() && (p.Mesh == "" || p.Mesh == m.Name) && !native.VersionOf(&m, in).Before(since.Major, since.Minor)
	})
}

// inWords joins phrases as a sentence does.
func inWords(phrases []string) string {
	if len(phrases) < 2 {
		return strings.Join(phrases, "")
	}
	return strings.Join(phrases[:len(phrases)-1], ", ") + " and " + phrases[len(phrases)-1]
}

// installation is the mesh of the profile in its cluster.
func (p *Profile) installation() native.Installation {
	in := p.Installation
	in.Kubernetes = p.Kubernetes
	return in
}

// oldest is the oldest of the versions that matter for fields of the pod spec.
func (p *Profile) oldest() mesh.Version { return p.installation().Oldest() }

// lacks tells whether no node has a feature, although there are nodes that declare theirs.
func (p *Profile) lacks(f native.Feature) bool {
	return p.DeclaredKnown && f.Declared && !slices.Contains(p.Declared, f.Gate)
}

// A Namespace is what the manifest of one says.
type Namespace struct {
	Labels, Annotations map[string]string
}
