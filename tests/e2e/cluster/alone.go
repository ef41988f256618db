package cluster

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// auditPolicy logs every request once, without its content.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules: [{level: Metadata}]
`

// StartAPI starts only etcd and the API server, on their ports of the loopback interface, for tests that only read and
// write objects: no pod is ever started. Of the network options it needs only ServiceNetwork. Every request is written
// to the file audit, as one line of JSON. stop ends both programs.
func StartAPI(ctx context.Context, o Options, audit string) (kubeconfig string, stop func(), err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startLimit, fmt.Errorf("not ready after %s", startLimit))
	defer cancel()
	for _, dir := range []string{o.Dir, o.Logs} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return "", nil, err
		}
	}
	files, err := writeCredentials(o.Dir, loopback)
	if err != nil {
		return "", nil, err
	}
	policy := filepath.Join(o.Dir, "audit.yaml")
	if err := os.WriteFile(policy, []byte(auditPolicy), 0o600); err != nil {
		return "", nil, err
	}
	server := apiServer(files,
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1",
		"--endpoint-reconciler-type=none", // the reconciler refuses to publish a loopback address
		"--service-cluster-ip-range="+o.ServiceNetwork,
		"--audit-policy-file="+policy, "--audit-log-path="+audit,
		"--disable-admission-plugins=ServiceAccount") // no controller makes the service accounts that it requires
	api, err := connect(files.kubeconfig)
	if err != nil {
		return "", nil, err
	}
	servers := newServers(o)
	for _, c := range []command{etcd(o), server} {
		if err := servers.start(c); err != nil {
			servers.stop()
			return "", nil, fmt.Errorf("cluster: %w", err)
		}
	}
	began := time.Now()
	if err := servers.wait(ctx, api.answers); err != nil {
		servers.stop()
		return "", nil, fmt.Errorf("cluster: API server: %w", err)
	}
	fmt.Fprintf(o.Progress, "e2e: API server ready after %s\n", time.Since(began).Round(100*time.Millisecond))
	return files.kubeconfig, servers.stop, nil
}
