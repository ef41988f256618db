// Package cluster starts a real Kubernetes with one node: etcd, API server, controller manager, scheduler, containerd,
// kubelet and kube-proxy, with DNS for the names of Services. It expects to be alone in the namespaces of package
// sandbox, which end the cluster when they end. So it uses fixed ports on the loopback interface, keeps all files below
// one folder, and nothing has to be stopped.
package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"time"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/dns"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

// The servers listen at these URLs, inside the namespaces.
const (
	etcdURL      = "http://127.0.0.1:2379"
	etcdPeerURL  = "http://127.0.0.1:2380"
	apiServerURL = "https://127.0.0.1:6443"
)

// startLimit is how long the node may take to become ready; on an idle machine it takes 10 to 20 s.
const startLimit = 5 * time.Minute

// Options say what the cluster is made of and where it lives.
type Options struct {
	Programs programs.Dirs
	Dir      string // for all files; it must be short, because the paths of sockets below it are limited
	Logs     string // folder for the logs of the servers
	Cgroup   string // control group for the pods
	NodeName string
	NodeIP   string // not a loopback address
	// ServiceNetwork has the addresses of Services. The node needs a route to it, because Linux looks up a route before
	// it applies the rules of kube-proxy.
	ServiceNetwork string
	Registry       string // HOST:PORT of the registry with the images; it speaks plain HTTP
	SandboxImage   string // the image that holds a pod's namespaces open
	Progress       io.Writer
}

// Start starts the cluster, and returns the kubeconfig file of an administrator. It returns when the node is ready and
// pods can be created. An error quotes the log of the server that failed.
func Start(ctx context.Context, o Options) (kubeconfig string, err error) {
	start := time.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready after %s", startLimit))
	defer cancel()

	files, err := writeFiles(o)
	if err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	api, err := connect(files.kubeconfig)
	if err != nil {
		return "", fmt.Errorf("cluster: %w", err)
	}
	servers := newServers(o)
	for _, stage := range []struct {
		start  []command
		until  func(context.Context) error
		reason string
	}{
		{[]command{etcd(o), reachableAPIServer(o, files), containerd(o)}, api.answers, "API server"},
		{nil, listens(filepath.Join(o.Dir, "containerd.sock")), "containerd"}, // a kubelet that finds no containerd ends
		{[]command{controllerManager(files), scheduler(files), kubelet(o, files), kubeProxy(o)}, api.nodeReady, "node"},
		{nil, api.podsAllowed, "service account"},
	} {
		for _, c := range stage.start {
			if err := servers.start(c); err != nil {
				return "", fmt.Errorf("cluster: %w", err)
			}
		}
		if err := servers.wait(ctx, stage.until); err != nil {
			return "", fmt.Errorf("cluster: %s: %w", stage.reason, err)
		}
		fmt.Fprintf(o.Progress, "e2e: %s ready after %s\n", stage.reason, time.Since(start).Round(100*time.Millisecond))
	}
	go servers.watch()
	if err := dns.Serve(context.WithoutCancel(ctx), o.NodeIP, api.client); err != nil {
		return "", fmt.Errorf("cluster: DNS: %w", err)
	}
	return files.kubeconfig, nil
}

// listens returns a check that succeeds when a program accepts connections at a socket.
func listens(socket string) func(context.Context) error {
	return func(ctx context.Context) error {
		connection, err := new(net.Dialer).DialContext(ctx, "unix", socket)
		if err != nil {
			return err
		}
		return connection.Close()
	}
}

func etcd(o Options) command {
	return command{"etcd", []string{
		"--data-dir=" + filepath.Join(o.Dir, "etcd"),
		"--listen-client-urls=" + etcdURL,
		"--advertise-client-urls=" + etcdURL,
		"--listen-peer-urls=" + etcdPeerURL,
		"--initial-advertise-peer-urls=" + etcdPeerURL,
		"--initial-cluster=default=" + etcdPeerURL,
		"--unsafe-no-fsync", // the data need not survive a crash, so etcd need not wait for the disk
	}}
}

func containerd(o Options) command {
	return command{"containerd", []string{"--config=" + filepath.Join(o.Dir, "containerd.toml")}}
}

// reachableAPIServer returns an API server that pods can reach through the Service "kubernetes".
func reachableAPIServer(o Options, f files) command {
	return apiServer(f, "--advertise-address="+o.NodeIP, "--service-cluster-ip-range="+o.ServiceNetwork)
}

func apiServer(f files, where ...string) command {
	return command{"kube-apiserver", append([]string{
		"--etcd-servers=" + etcdURL,
		"--tls-cert-file=" + f.certificate,
		"--tls-private-key-file=" + f.key,
		"--token-auth-file=" + f.tokens,
		"--authorization-mode=RBAC",
		"--service-account-issuer=" + apiServerURL,
		"--service-account-key-file=" + f.serviceAccountKey,
		"--service-account-signing-key-file=" + f.serviceAccountKey,
		"--kubelet-preferred-address-types=InternalIP", // the name of the node does not resolve
	}, where...)}
}

func controllerManager(f files) command {
	return command{"kube-controller-manager", []string{
		"--kubeconfig=" + f.kubeconfig,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
		// Without these two no pod is ever created: its service account would have no token and no root certificate.
		"--service-account-private-key-file=" + f.serviceAccountKey,
		"--root-ca-file=" + f.certificate,
	}}
}

func scheduler(f files) command {
	return command{"kube-scheduler", []string{
		"--kubeconfig=" + f.kubeconfig,
		"--bind-address=127.0.0.1",
		"--leader-elect=false",
	}}
}

func kubelet(o Options, f files) command {
	return command{"kubelet", []string{
		"--config=" + filepath.Join(o.Dir, "kubelet.yaml"),
		"--kubeconfig=" + f.kubeconfig,
		"--root-dir=" + filepath.Join(o.Dir, "kubelet"),
		"--cert-dir=" + filepath.Join(o.Dir, "kubelet-pki"),
		"--hostname-override=" + o.NodeName,
		"--node-ip=" + o.NodeIP,
	}}
}

func kubeProxy(o Options) command {
	return command{"kube-proxy", []string{"--config=" + filepath.Join(o.Dir, "kube-proxy.yaml")}}
}
