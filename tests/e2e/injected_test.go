package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// injectedDir has files with what the real injectors leave in a pod. A test of package mesh, which needs no cluster,
// compares the table of meshes with these files; the tests here compare the files with the injectors.
var injectedDir = filepath.Join(repository, "internal", "mesh", "testdata", "injected")

// injected is what an injector leaves in a pod, and what an init container of that pod finds at the proxy's ports.
type injected struct {
	Mesh           string            `json:"mesh"`
	Version        string            `json:"version"`
	Sidecar        string            `json:"sidecar"`
	Asked          map[string]string `json:"asked"` // annotations that the pod had before
	Annotations    map[string]string `json:"annotations,omitempty"`
	Labels         map[string]string `json:"labels,omitempty"`
	InitContainers []string          `json:"initContainers"`
	Containers     []string          `json:"containers"`
	StartupProbe   bool              `json:"startupProbe"`
	Answers        map[string]string `json:"answers,omitempty"` // by URL; empty if the answers depend on timing
}

// looks returns a script that reports what answers at URLs.
func looks(urls []string) string {
	return fmt.Sprintf(`for url in %s; do
  said=$(wget -S -O /dev/null $url 2>&1) || :
  case "$said" in
    *HTTP/1.*) said=$(echo "$said" | sed -n 's/.*HTTP\/1\.[01] \([0-9]*\).*/\1/p' | head -n 1) ;;
    *"Connection refused"*) said=refused ;;
  esac
  echo "answer $url $said"
done`, strings.Join(urls, " "))
}

// assertLeft starts a Job with an init container that looks at the URLs, and compares what the injector left with the
// file of that name.
func (s space) assertLeft(t *testing.T, file, mesh, proxy string, asked map[string]string, urls ...string) {
	t.Helper()
	job := s.plainJob("looks", s.wrapped("main", []string{"--mesh=" + mesh}, "true"))
	spec := &job.Spec.Template.Spec
	spec.InitContainers = append(spec.InitContainers, s.unwrapped("look", shell(looks(urls))...))
	s.create(t, annotate(job, asked))
	s.ended(t, "looks")
	pod := s.pod(t, "looks")

	row := map[string]string{"istio": "Istio", "dapr": "Dapr"}[mesh]
	version, err := proxyVersions[row]()
	require.NoError(t, err)
	found := injected{
		Mesh: mesh, Version: version, Sidecar: "classic", Asked: asked,
		Annotations:    beside(pod.Annotations, asked),
		Labels:         beside(pod.Labels, nil),
		InitContainers: names(pod.Spec.InitContainers), Containers: names(pod.Spec.Containers),
	}
	for _, c := range pod.Spec.InitContainers {
		if c.Name == proxy {
			found.Sidecar, found.StartupProbe = "native", c.StartupProbe != nil
		}
	}
	if len(urls) > 0 {
		found.Answers = s.answers(t, pod)
	}
	compareInjected(t, filepath.Join(injectedDir, file+".yaml"), found)
}

// beside returns the entries that the injector has added, without those of Kubernetes itself.
func beside(all, before map[string]string) map[string]string {
	added := map[string]string{}
	for key, value := range all {
		_, there := before[key]
		if !there && !strings.HasPrefix(key, "batch.kubernetes.io/") && key != "job-name" && key != "controller-uid" {
			added[key] = value
		}
	}
	return added
}

func (s space) answers(t *testing.T, pod *corev1.Pod) map[string]string {
	t.Helper()
	answers := map[string]string{}
	for line := range strings.Lines(s.logs(t, pod, "look")) {
		if words := strings.Fields(line); len(words) > 2 && words[0] == "answer" {
			answers[words[1]] = strings.Join(words[2:], " ")
		}
	}
	return answers
}

func compareInjected(t *testing.T, file string, found injected) {
	t.Helper()
	content, err := yaml.Marshal(found)
	require.NoError(t, err)
	content = append([]byte("# Written by `go test -update .` in tests/e2e: what the real injector left there.\n"), content...)
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, content, 0o644))
		return
	}
	kept, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w: go test -update writes it", err)
	}
	require.NoError(t, err)
	assert.Equal(t, string(kept), string(content), "%s is no longer what the injector leaves: go test -update, and look at the row of %s in internal/mesh",
		filepath.Base(file), found.Mesh)
}

// istioLeaves records what Istio's injector leaves, for each way to configure the pod and the namespace.
func istioLeaves(t *testing.T) {
	t.Parallel()
	urls := []string{"http://127.0.0.1:15021/healthz/ready", "http://127.0.0.1:15020/healthz/ready", "http://127.0.0.1:15000/ready"}
	for file, test := range map[string]struct {
		revision istioRevision
		native   bool
		urls     []string
	}{
		"istio-classic":     {istioWithInit, false, urls},
		"istio-native":      {istioWithInit, true, urls},
		"istio-cni-classic": {istioWithCNI, false, urls},
		"istio-cni-native":  {istioWithCNI, true, urls},
		// Nothing waits for this sidecar, so what an init container finds depends on which of the two is faster.
		"istio-unprobed-native": {istioWithoutProbe, true, nil},
	} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			newIstioSpace(t, test.revision).assertLeft(t, file, "istio", istioProxy, istioSidecar(test.native, nil), test.urls...)
		})
	}
}

// daprLeaves records what Dapr's injector leaves if the pod asks for a kind of sidecar. The injector puts a native
// sidecar behind all init containers, so that no init container finds it running.
func daprLeaves(t *testing.T) {
	t.Parallel()
	for file, native := range map[string]bool{"dapr-classic": false, "dapr-native": true} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			newDaprSpace(t).assertLeft(t, file, "dapr", daprProxy, daprPod("looks", daprSidecar(native, nil)), daprReady)
		})
	}
}

// daprReady is the URL at which daprd says that it is ready.
const daprReady = "http://127.0.0.1:3500/v1.0/healthz/outbound"
