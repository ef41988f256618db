// Package sandbox runs the current program a second time in its own namespaces, so that nothing that it starts outlives
// it: processes, mounts, network devices and open ports belong to the namespaces. The kernel drops these when their
// first process ends, whether it ends by itself, by Ctrl-C, or because this program was killed.
//
// Inside, /run and /var/log are empty and in memory, and writes to /var/lib stay in memory. The only network device is
// a loopback device with the addresses 127.0.0.1 and NodeIP and a route to ServiceNetwork; packets are forwarded
// between devices. The rest of the file system is the machine's. Control groups do not end with namespaces: the program
// that entered the sandbox removes them afterwards, and removes those of a killed run at its start.
package sandbox

// NodeIP is the address inside that is not in 127.0.0.0/8, which a kubelet requires for its node. It is in TEST-NET-1
// (RFC 5737), which no real network uses.
const NodeIP = "192.0.2.1"

// ServiceNetwork is the network of a cluster's Services, which exist only in the rules of kube-proxy. It is TEST-NET-3
// (RFC 5737), which no real network uses.
const ServiceNetwork = "203.0.113.0/24"

// Hostname is the name of the machine inside.
const Hostname = "jobmesh-e2e"

// These variables tell the program, when it is started again, which role it has.
const (
	stageVariable  = "JOBMESH_E2E_STAGE"
	cgroupVariable = "JOBMESH_E2E_CGROUP"
)
