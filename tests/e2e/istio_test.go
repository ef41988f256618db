package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
)

// These tests use a real Istio: its control plane with the injector, from its own charts, and its agent with Envoy in
// the pods. Envoy is the released one, not Istio's own build of it. Two features that need Istio's own filters are off.

// istioProxy is the container that the injector adds.
const istioProxy = "istio-proxy"

// An istioRevision is one of the control planes that run side by side, with the namespaces whose pods it injects.
type istioRevision struct {
	title    string
	name     string // empty for the default revision
	label    string // the label of its namespaces
	value    string
	standard string // the Pod Security Standard that pods of such a namespace can meet
	values   values // in addition to the values of all revisions
	shows    string // in addition to what its Jobs show
}

var (
	// istioWithInit redirects traffic in an init container, which needs capabilities that only "privileged" allows.
	istioWithInit = istioRevision{title: "istio-init", label: "istio-injection", value: "enabled", standard: "privileged"}
	// istioWithCNI redirects traffic by a network plugin.
	istioWithCNI = istioRevision{
		title: "istio-cni", name: "cni", label: "istio.io/rev", value: "cni", standard: "restricted",
		values: values{"pilot": values{"cni": values{"enabled": true}}},
		shows:  " (istio-cni, Pod Security \"restricted\")",
	}
	// istioWithoutProbe has native sidecars without a startup probe, so that the kubelet does not wait for them.
	istioWithoutProbe = istioRevision{
		title: "no startup probe", name: "unprobed", label: "istio.io/rev", value: "unprobed", standard: "privileged",
		values: values{"global": values{"proxy": values{"startupProbe": values{"enabled": false}}}},
		shows:  " (no startup probe)",
	}
)

// newIstioSpace makes a namespace whose pods Istio injects. The first call installs Istio.
func newIstioSpace(t *testing.T, r istioRevision) space {
	t.Helper()
	return newMeshSpace(t, r.standard, istioLabels(t, r))
}

// istioLabels returns the labels of such a namespace.
func istioLabels(t *testing.T, r istioRevision) map[string]string {
	t.Helper()
	requireOwnCluster(t)
	require.NoError(t, installIstio())
	return map[string]string{r.label: r.value}
}

// installIstio installs all revisions, and the network plugin of one of them.
var installIstio = sync.OnceValue(func() error {
	dirs, err := the.meshPrograms()
	if err != nil {
		return err
	}
	images, err := the.istioImages(dirs)
	if err != nil {
		return err
	}
	if err := the.helmInstall(dirs, "base", "base", istioSystem, nil); err != nil {
		return err
	}
	revisions := []istioRevision{istioWithInit, istioWithCNI, istioWithoutProbe}
	failed := make(chan error, len(revisions)+1)
	for _, r := range revisions {
		go func() {
			failed <- the.helmInstall(dirs, "istiod", "istiod"+r.name, istioSystem, istiodValues(images, r))
		}()
	}
	go func() { failed <- the.chainIstioCNI(dirs) }()
	for range cap(failed) {
		if e := <-failed; e != nil {
			err = e
		}
	}
	return err
})

const istioSystem = "istio-system"

type istioImages struct{ pilot, proxy string }

// istiodValues returns the values of one control plane. The resource requests of the charts are made for larger
// machines.
func istiodValues(images istioImages, r istioRevision) values {
	small := values{"cpu": "20m", "memory": "64Mi"}
	v := values{
		"revision":         r.name,
		"image":            images.pilot,
		"autoscaleEnabled": false,
		"resources":        controlPlaneResources,
		"global": values{
			"proxy_init": values{"image": images.proxy},
			"proxy": values{
				"image":          images.proxy,
				"seccompProfile": values{"type": "RuntimeDefault"},
				"resources":      values{"requests": small, "limits": values{"cpu": "2", "memory": "512Mi"}},
			},
		},
		// The released Envoy rejects a configuration with these filters.
		"env":       values{"PILOT_ENABLE_METADATA_EXCHANGE": "false", "PILOT_ENABLE_ALPN_FILTER": "false"},
		"telemetry": values{"enabled": false},
	}
	merge(v, r.values)
	return v
}

// merge merges values into others, as Helm does with several values files.
func merge(to, more values) {
	for key, value := range more {
		into, there := to[key].(values)
		from, nested := value.(values)
		if there && nested {
			merge(into, from)
		} else {
			to[key] = value
		}
	}
}

// istioImages makes the images of the control plane and of the proxy. The proxy's image has what Istio's own image has:
// the agent, Envoy with its bootstrap, and iptables.
func (s *suite) istioImages(dirs programs.Dirs) (istioImages, error) {
	var images istioImages
	pilot, err := dirs.Find(programs.PilotDiscovery)
	if err != nil {
		return images, err
	}
	const user, bin = "1337:1337", "usr/local/bin/"
	images.pilot, err = s.pushContents("istio-pilot", image.Contents{
		Programs: map[string]string{bin + programs.PilotDiscovery: pilot},
	}, v1.Config{Entrypoint: []string{"/" + bin + programs.PilotDiscovery}, User: user})
	if err != nil {
		return images, err
	}
	agent, err := dirs.Find(programs.PilotAgent)
	if err != nil {
		return images, err
	}
	proxy, err := envoy.Provide(s.ctx, os.Stderr)
	if err != nil {
		return images, err
	}
	template, err := dirs.Beside(programs.EnvoyTemplate)
	if err != nil {
		return images, err
	}
	files, err := image.Matching(programs.IPTablesModules)
	if err != nil {
		return images, err
	}
	files["var/lib/istio/envoy/envoy_bootstrap_tmpl.json"] = template
	links := map[string]string{}
	for _, name := range []string{"iptables", "ip6tables"} {
		for _, does := range []string{"", "-save", "-restore"} {
			links["usr/sbin/"+name+does] = filepath.Base(programs.IPTables)
		}
	}
	images.proxy, err = s.pushContents("istio-proxy", image.Contents{
		Programs: map[string]string{
			bin + programs.PilotAgent:                      agent,
			bin + envoy.Program:                            proxy,
			"usr/sbin/" + filepath.Base(programs.IPTables): programs.IPTables,
		},
		Files: files,
		Links: links,
	}, v1.Config{
		Entrypoint: []string{"/" + bin + programs.PilotAgent},
		Env:        []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
		User:       user,
	})
	return images, err
}

// chainIstioCNI does on the only node what the DaemonSet of istio-cni does on every node: it puts the plugin where the
// container runtime looks for plugins, gives it a kubeconfig, and chains it after the plugin that makes the pod's
// network.
func (s *suite) chainIstioCNI(dirs programs.Dirs) error {
	program, err := dirs.Find(programs.IstioCNI)
	if err != nil {
		return err
	}
	if err := os.Symlink(program, filepath.Join(cluster.NetworkPlugins(clusterDir), programs.IstioCNI)); err != nil {
		return err
	}
	kubeconfig, err := os.ReadFile(s.given.Kubeconfig)
	if err != nil {
		return err
	}
	agentDir := filepath.Join(s.dir, programs.IstioCNI)
	if err := os.MkdirAll(agentDir, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(agentDir, "istio-cni-kubeconfig"), kubeconfig, 0o600); err != nil {
		return err
	}
	file := cluster.NetworkConfig(clusterDir)
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var config map[string]any
	if err := json.Unmarshal(content, &config); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	plugins, _ := config["plugins"].([]any)
	config["plugins"] = append(plugins, map[string]any{
		"type": programs.IstioCNI, "name": programs.IstioCNI, "cni_agent_run_dir": agentDir, "pod_namespace": istioSystem,
	})
	if content, err = json.Marshal(config); err != nil {
		return err
	}
	return replaceFile(file, content)
}

// replaceFile replaces a file atomically, since another program may read it at the same time.
func replaceFile(file string, content []byte) error {
	next := file + ".next"
	if err := os.WriteFile(next, content, 0o644); err != nil {
		return err
	}
	return os.Rename(next, file)
}

// istioSidecar returns the annotation by which a pod asks Istio for a kind of sidecar, and more annotations.
func istioSidecar(native bool, more map[string]string) map[string]string {
	annotations := map[string]string{"sidecar.istio.io/nativeSidecar": fmt.Sprint(native)}
	maps.Copy(annotations, more)
	return annotations
}
