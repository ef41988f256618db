package native

import (
	"slices"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// These are the releases of Kubernetes that matter for native sidecars, as its feature gates
// have them (pkg/features of Kubernetes 1.37.2).
var (
	// Newest is the newest release that is supported.
	Newest = mesh.Version{Major: 1, Minor: 37}
	// Sidecars is the first release with native sidecars on by default (SidecarContainers).
	Sidecars = mesh.Version{Major: 1, Minor: 29}
	// ImageVolumes is the first release with image volumes on by default (ImageVolume).
	ImageVolumes = mesh.Version{Major: 1, Minor: 35}
	// Policies is the first release with mutating admission policies (MutatingAdmissionPolicy).
	Policies = mesh.Version{Major: 1, Minor: 36}
)

// A Feature is a feature gate of the kubelet that decides what becomes of a Job.
type Feature struct {
	// Gate is its name.
	Gate string
	// Alpha is the first release that has the gate, and Default is the first release in which
	// it is on unless somebody turns it off.
	Alpha, Default mesh.Version
	// Declared is set where a kubelet that has the gate on declares that in the status of its
	// node (status.declaredFeatures). Kubelets declare few gates: not those of native sidecars
	// and of image volumes, for example (component-helpers 0.37.2: nodedeclaredfeatures).
	Declared bool
}

// The features by which a container is started again in its pod.
var (
	// RestartRules lets a container have a restartPolicy and restartPolicyRules of its own.
	RestartRules = Feature{Gate: "ContainerRestartRules", Alpha: mesh.Version{Major: 1, Minor: 34}, Default: mesh.Version{Major: 1, Minor: 35}}
	// RestartAll is the action RestartAllContainers of such a rule. Its gate wants the gate
	// NodeDeclaredFeatures, so a kubelet that has it on always declares it.
	RestartAll = Feature{
		Gate: "RestartAllContainersOnContainerExits", Alpha: mesh.Version{Major: 1, Minor: 35}, Default: mesh.Version{Major: 1, Minor: 36}, Declared: true,
	}
)

// DeclaredFeatures are those of the features above that kubelets declare.
func DeclaredFeatures() []Feature { return []Feature{RestartAll} }

// On tells whether a kubelet of a version has the feature on. declared are the features that
// its node declares. A node that declares none is judged by the version of its kubelet, and a
// kubelet that says no version is taken for the newest one. Where nothing says whether somebody
// has turned on what is off by default, it is taken for on: who asks wants to know whether
// something may be started again.
func (f Feature) On(kubelet mesh.Version, declared []string) bool {
	switch {
	case kubelet.Before(f.Alpha.Major, f.Alpha.Minor):
		return false
	case !f.Declared || slices.Contains(declared, f.Gate):
		return true
	case len(declared) > 0 && !kubelet.AtLeast(Newest.Major, Newest.Minor+1):
		return false // a newer kubelet may declare it no longer, because it is always on
	}
	return !kubelet.Before(f.Default.Major, f.Default.Minor)
}

// wideSkew is the first release of the API server beside which kubelets may be three minor
// releases older, and not two (https://kubernetes.io/releases/version-skew-policy/#kubelet).
var wideSkew = mesh.Version{Major: 1, Minor: 28}

// OldestKubelet returns the oldest kubelet that the cluster may have. It is MinKubelet where
// that is known; then said is true. Otherwise it is the oldest kubelet that the version skew
// policy allows beside the API server, and the newest release where no version is known at all.
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

// Oldest returns the older of the API server's and the oldest kubelet's version. Where the user
// has given neither, the version is the zero value.
func (in Installation) Oldest() mesh.Version {
	server, kubelet := in.Kubernetes, in.MinKubelet
	if !server.Known() || kubelet.Before(server.Major, server.Minor) {
		return kubelet
	}
	return server
}
