package lint

import (
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
	Kubernetes native.Version
	// PostRenderer is how jobmesh inject is run: empty, "helm3" or "helm4".
	PostRenderer string
	// Lock is what jobmesh.lock.yaml knows of images.
	Lock Lock
}

// PostRenderers are the values of Profile.PostRenderer.
func PostRenderers() []string { return []string{"helm3", "helm4"} }

// Meshes are the values of Profile.Mesh.
func Meshes() []string { return native.Meshes() }

// oldest is the oldest of the versions that matter for fields of the pod spec.
func (p *Profile) oldest() native.Version {
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

// A Lock is what jobmesh.lock.yaml says about images.
type Lock struct {
	Images []LockedImage `json:"images"`
}

// A LockedImage is an image as the registry had it.
type LockedImage struct {
	Image      string   `json:"image"`
	Digest     string   `json:"digest"`
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
	// Platforms has the command of each platform, where they are not the same.
	Platforms []struct {
		Platform   string   `json:"platform"`
		Entrypoint []string `json:"entrypoint"`
		Cmd        []string `json:"cmd"`
	} `json:"platforms"`
}

// find returns the first entry of an image.
func (l Lock) find(image string) (LockedImage, bool) {
	for _, entry := range l.Images {
		if entry.Image == image {
			return entry, true
		}
	}
	return LockedImage{}, false
}
