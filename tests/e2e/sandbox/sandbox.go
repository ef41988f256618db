// Package sandbox runs the current program a second time in namespaces of its own, so that nothing of what it starts
// outlives it: processes, mounts, network devices and open ports belong to the namespaces, and the kernel drops those
// with their first process, whether it ended by itself, by Ctrl-C or because this program was killed.
//
// Inside, /run and /var/log are empty and in memory, what is written to /var/lib stays in memory, the only network device
// is a loopback with the addresses 127.0.0.1 and NodeIP and a route to ServiceNetwork, packets are passed on between
// devices, and the rest of the file system is the machine's. Control groups
// do not end with namespaces: the program that entered removes them afterwards, and those of a killed run before.
package sandbox

// NodeIP is the address inside that is not 127.0.0.0/8, which a kubelet wants for its node. It is of TEST-NET-1
// (RFC 5737), which no real network uses.
const NodeIP = "192.0.2.1"

// ServiceNetwork is the network of a cluster's Services, which exist in the rules of kube-proxy only. It is TEST-NET-3
// (RFC 5737), which no real network uses.
const ServiceNetwork = "203.0.113.0/24"

// Hostname is the name of the machine inside.
const Hostname = "jobmesh-e2e"

// The variables that tell the program started again who it is.
const (
	stageVariable  = "JOBMESH_E2E_STAGE"
	cgroupVariable = "JOBMESH_E2E_CGROUP"
)
