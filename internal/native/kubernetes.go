package native

import "github.com/jobmesh/jobmesh/internal/mesh"

// Releases of Kubernetes that matter here, from its feature gates (pkg/features of
// Kubernetes 1.37.2).
var (
	// Newest is the newest release that is supported.
	Newest = mesh.Version{Major: 1, Minor: 37}
	// Sidecars is the first release with native sidecars on by default (SidecarContainers).
	Sidecars = mesh.Version{Major: 1, Minor: 29}
	// RestartRules is the first release in which a container may have a restartPolicy and
	// restartPolicyRules of its own by default (ContainerRestartRules).
	RestartRules = mesh.Version{Major: 1, Minor: 35}
	// RestartAll is the first release with the action RestartAllContainers by default
	// (RestartAllContainersOnContainerExits).
	RestartAll = mesh.Version{Major: 1, Minor: 36}
	// ImageVolumes is the first release with image volumes on by default (ImageVolume).
	ImageVolumes = mesh.Version{Major: 1, Minor: 35}
)

// wideSkew is the first release of the API server beside which kubelets may be three minor
// releases older, and not two (https://kubernetes.io/releases/version-skew-policy/#kubelet).
var wideSkew = mesh.Version{Major: 1, Minor: 28}

// OldestKubelet returns the oldest kubelet that the cluster may have. said tells whether
// somebody has said so; without that it is the oldest that the version skew policy allows
// beside the API server, and the newest release where nothing is known of that either.
func (in Installation) OldestKubelet() (oldest mesh.Version, said bool) {
	switch server := in.Kubernetes; {
	case in.MinKubelet.Known():
		return in.MinKubelet, true
	case !server.Known():
		return Newest, false
	case server.Before(wideSkew.Major, wideSkew.Minor):
		return mesh.Version{Major: server.Major, Minor: max(server.Minor-2, 0)}, false
	default:
		return mesh.Version{Major: server.Major, Minor: server.Minor - 3}, false
	}
}

// Oldest returns the oldest of the versions of Kubernetes that somebody has said: that of
// the API server, or that of a kubelet. It is not known where nobody has.
func (in Installation) Oldest() mesh.Version {
	server, kubelet := in.Kubernetes, in.MinKubelet
	if !server.Known() || kubelet.Before(server.Major, server.Minor) {
		return kubelet
	}
	return server
}
