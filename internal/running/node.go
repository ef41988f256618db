package running

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// A Node is one of a cluster, with what decides there what becomes of a pod. The zero Node is
// one of which nothing is known: it does all that the newest Kubernetes does.
type Node struct {
	Name    string
	Kubelet mesh.Version
	// Declares are the features that it declares in its status (Kubernetes 1.36 and newer). It
	// is empty where it declares none, or is too old for that.
	Declares []string
}

// NodesOf takes from nodes what is asked about them.
func NodesOf(nodes []corev1.Node) []Node {
	var all []Node
	for _, n := range nodes {
		version, _ := mesh.ParseVersion(n.Status.NodeInfo.KubeletVersion) // unknown where it says nothing
		all = append(all, Node{n.Name, version, n.Status.DeclaredFeatures})
	}
	return all
}

// NodeOf is the node of a pod: the zero Node where it has none, or where it is not known.
func NodeOf(p *corev1.Pod, nodes []Node) Node {
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == p.Spec.NodeName })
	if i < 0 || p.Spec.NodeName == "" {
		return Node{}
	}
	return nodes[i]
}

// Oldest is the node with the oldest kubelet, the zero Node where none is known.
func Oldest(nodes []Node) Node {
	var oldest Node
	for _, n := range nodes {
		if n.Kubelet.Known() && (!oldest.Kubelet.Known() || n.Kubelet.Before(oldest.Kubelet.Major, oldest.Kubelet.Minor)) {
			oldest = n
		}
	}
	return oldest
}

// Declared are the features that decide something here and that a node of the cluster
// declares: the scheduler takes a pod that needs one of them to such a node. said is false
// where no node declares anything, and their kubelets have to be asked for their versions.
func Declared(nodes []Node) (features []string, said bool) {
	for _, f := range native.DeclaredFeatures() {
		if slices.ContainsFunc(nodes, func(n Node) bool { return slices.Contains(n.Declares, f.Gate) }) {
			features = append(features, f.Gate)
		}
	}
	return features, slices.ContainsFunc(nodes, func(n Node) bool { return len(n.Declares) > 0 })
}

// has tells whether the kubelet of a node has a feature on.
func (n Node) has(f native.Feature) bool { return f.On(n.Kubelet, n.Declares) }
