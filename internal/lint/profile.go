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
	// Mesh is the mesh that every pod is in unless it opts out. It is empty where only what a
	// manifest itself says counts.
	Mesh string
	// Installation describes that mesh as it is installed in the cluster.
	Installation native.Installation
	// Kubernetes is the version of the API server.
	Kubernetes mesh.Version
	// Declared are the features that at least one node declares in its status. They count where
	// DeclaredKnown is set; otherwise versions decide.
	Declared      []string
	DeclaredKnown bool
	// PostRenderer is the Helm that runs jobmesh inject as a post-renderer, "helm3" or "helm4".
	// It is empty where inject runs in another way.
	PostRenderer string
	// Helpers are programs beside the work that the table of helpers does not have, or
	// describes in another way. They take precedence over the table.
	Helpers []sidecar.Helper
	// Lock is the content of jobmesh.lock.yaml, which says what images run.
	Lock lockfile.Lock
}

// PostRenderers returns the values of Profile.PostRenderer.
func PostRenderers() []string { return []string{"helm3", "helm4"} }

// Meshes returns the names that Profile.Mesh accepts: those of the meshes, and those of a mesh
// on a platform that decides in another way.
func Meshes() []string {
	names := native.Meshes()
	for _, m := range mesh.All() {
		for _, p := range m.Platforms {
			names = append(names, m.Name+"@"+p.Name)
		}
	}
	return names
}

// Presumed returns a sentence on what the user has not said about the cluster: what is presumed
// instead, and which flag says otherwise. It is empty where the user has said everything.
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

// inWords joins phrases with commas and "and".
func inWords(phrases []string) string {
	if len(phrases) < 2 {
		return strings.Join(phrases, "")
	}
	return strings.Join(phrases[:len(phrases)-1], ", ") + " and " + phrases[len(phrases)-1]
}

// installation returns the mesh of the profile as it is installed in the cluster.
func (p *Profile) installation() native.Installation {
	in := p.Installation
	in.Kubernetes = p.Kubernetes
	return in
}

// oldest returns the older of the versions that matter for fields of the pod spec.
func (p *Profile) oldest() mesh.Version { return p.installation().Oldest() }

// lacks tells whether no node declares a feature, although some nodes declare theirs.
func (p *Profile) lacks(f native.Feature) bool {
	return p.DeclaredKnown && f.Declared && !slices.Contains(p.Declared, f.Gate)
}

// A Namespace is what a manifest says about a namespace.
type Namespace struct {
	Labels, Annotations map[string]string
}

// OptedIn tells whether a namespace has the label with which the policies hold in it.
func (n Namespace) OptedIn() bool { return n.Labels[PolicyKey] == PolicyOn }
