package running

import (
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// A Node is a node of a cluster, with those facts that decide how its kubelet treats a pod. The
// zero Node is an unknown node: it does all that the newest Kubernetes does.
type Node struct {
	Name    string
	Kubelet mesh.Version
	// Declares are the features that the node declares in its status (Kubernetes 1.36 and newer).
	// It is empty if the node declares none or is too old.
	Declares []string
}

// NodesOf takes from nodes the facts that are used here.
func NodesOf(nodes []corev1.Node) []Node {
	var all []Node
	for _, n := range nodes {
		version, _ := mesh.ParseVersion(n.Status.NodeInfo.KubeletVersion) // it is unknown if the node reports none
		all = append(all, Node{n.Name, version, n.Status.DeclaredFeatures})
	}
	return all
}

// NodeOf returns the node of a pod: the zero Node if the pod has none, or if it is not known.
func NodeOf(p *corev1.Pod, nodes []Node) Node {
	i := slices.IndexFunc(nodes, func(n Node) bool { return n.Name == p.Spec.NodeName })
	if i < 0 || p.Spec.NodeName == "" {
		return Node{}
	}
	return nodes[i]
}

// Oldest returns the node with the oldest kubelet; the zero Node if no version is known.
func Oldest(nodes []Node) Node {
	var oldest Node
	for _, n := range nodes {
		if n.Kubelet.Known() && (!oldest.Kubelet.Known() || n.Kubelet.Before(oldest.Kubelet.Major, oldest.Kubelet.Minor)) {
			oldest = n
		}
	}
	return oldest
}

// Declared returns those features which decide something here and which any node of the cluster
// declares: the scheduler puts a pod that needs such a feature on such a node. said is false if no
// node declares anything, so that only the versions of the kubelets can decide.
func Declared(nodes []Node) (features []string, said bool) {
	for _, f := range native.DeclaredFeatures() {
		if slices.ContainsFunc(nodes, func(n Node) bool { return slices.Contains(n.Declares, f.Gate) }) {
			features = append(features, f.Gate)
		}
	}
	return features, slices.ContainsFunc(nodes, func(n Node) bool { return len(n.Declares) > 0 })
}

// has tells whether the kubelet of a node has a feature switched on.
func (n Node) has(f native.Feature) bool { return f.On(n.Kubelet, n.Declares) }
