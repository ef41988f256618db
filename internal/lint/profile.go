package lint

import (
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// A Profile describes the cluster that Jobs are judged for.
type Profile struct {
	// Mesh is the one that pods are in unless they opt out; empty where only what
	// a manifest says itself counts.
	Mesh string
	// Installation is that mesh.
	Installation native.Installation
	// Kubernetes is the version of the API server.
	Kubernetes mesh.Version
	// PostRenderer is how jobmesh inject is run: empty, "helm3" or "helm4".
	PostRenderer string
	// Lock is what jobmesh.lock.yaml knows of images.
	Lock lockfile.Lock
}

// PostRenderers are the values of Profile.PostRenderer.
func PostRenderers() []string { return []string{"helm3", "helm4"} }

// Meshes are the values of Profile.Mesh.
func Meshes() []string { return native.Meshes() }

// oldest is the oldest of the versions that matter for fields of the pod spec.
func (p *Profile) oldest() mesh.Version {
	kubernetes, kubelet := p.Kubernetes, p.Installation.MinKubelet
	if !kubernetes.Known() || kubelet.Known() && kubelet.Before(kubernetes.Major, kubernetes.Minor) {
		return kubelet
	}
	return kubernetes
}

// A Namespace is what the manifest of one says.
type Namespace struct {
	Labels, Annotations map[string]string
}
