package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
	"github.com/jobmesh/jobmesh/tests/e2e/sandbox"
)

// Real service meshes are installed into the cluster of the run, with their own charts, when a test needs them for the
// first time. They stay until the cluster ends.

// meshLimit bounds how long the control plane of a mesh may take to become ready, even on a busy machine.
const meshLimit = 10 * time.Minute

// controlPlaneResources are the requests of the programs that Jobs wait for. Without requests a pod gets almost no CPU
// on a busy machine, and with the usual requests it does not fit on the node.
var controlPlaneResources = values{"requests": values{"cpu": "100m", "memory": "64Mi"}}

// requireOwnCluster skips a test that installs a mesh, because another cluster may have that mesh already.
func requireOwnCluster(t *testing.T) {
	t.Helper()
	if !sandbox.Inside() {
		t.Skip("a mesh is installed only in a cluster that the run has started")
	}
}

// meshPrograms returns the programs and charts of the meshes in the cache.
func (s *suite) meshPrograms() (programs.Dirs, error) {
	return programs.ProvideMeshes(s.ctx, "meshes", os.Stderr)
}

// helmInstall installs a chart from the cache, or changes the values of an installed one, and waits until everything
// that it has started is available.
func (s *suite) helmInstall(dirs programs.Dirs, chart, release, namespace string, v values) error {
	folder, err := dirs.Beside(filepath.Join(programs.Charts, chart))
	if err != nil {
		return err
	}
	content, err := json.Marshal(v) // JSON is also YAML
	if err != nil {
		return err
	}
	return s.run(string(content), s.given.Helm4, "upgrade", "--install", release, folder,
		"--namespace", namespace, "--create-namespace", "--values", "-", "--wait", "--timeout", meshLimit.String())
}

// pushContents makes an image of files of this machine and pushes it to the registry.
func (s *suite) pushContents(name string, c image.Contents, config v1.Config) (string, error) {
	made, err := image.Of(c, config)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	tag, err := image.Push(s.given.Registry+"/jobmesh-e2e/"+name, made)
	if err != nil {
		return "", fmt.Errorf("image %s: %w", name, err)
	}
	return tag.Name(), nil
}

// newMeshSpace makes a namespace with the labels on which a real mesh injects, and with a Pod Security Standard.
func newMeshSpace(t *testing.T, standard string, labels map[string]string) space {
	t.Helper()
	namespace := the.namespace(mesh{})
	maps.Copy(namespace.Labels, labels)
	namespace.Labels[podSecurity] = standard
	return newSpaceOf(t, namespace)
}

func annotate(job *batchv1.Job, annotations map[string]string) *batchv1.Job {
	if job.Spec.Template.Annotations == nil {
		job.Spec.Template.Annotations = map[string]string{}
	}
	maps.Copy(job.Spec.Template.Annotations, annotations)
	return job
}

// A way is how a Job comes to be wrapped.
type way string

const (
	byChart  way = "chart"
	byInject way = "inject"
	byHand   way = "plain manifest"
)

// work is a Job with one command, in a pod that a mesh injects.
type work struct {
	name        string
	script      string
	annotations map[string]string // of the pod
	values      values            // of the library: how the Job is wrapped
	more        values            // of the chart
	flags       []string          // of the wrapper, in a plain manifest
}

// start starts the Job, wrapped in one of the ways.
func (s space) start(t *testing.T, by way, w work) {
	t.Helper()
	switch by {
	case byChart:
		v := maps.Clone(w.values)
		if v == nil {
			v = values{}
		}
		v["annotations"] = w.annotations
		more := values{"jobmesh": s.jobmesh(v)}
		maps.Copy(more, w.more)
		s.release(t, w.name, shell(w.script), more)
	case byInject:
		manifest := manifestOf(t, annotate(s.bareJob(w.name, s.unwrapped("main", shell(w.script)...)), w.annotations))
		arguments := []string{"inject", "--set", "image.registry=" + s.given.Registry}
		for name, value := range w.values {
			arguments = append(arguments, "--set", fmt.Sprintf("%s=%v", name, value))
		}
		injected, err := s.jobmeshPlugin(t, manifest, arguments...)
		require.NoError(t, err)
		s.apply(t, injected)
	case byHand:
		s.create(t, annotate(s.plainJob(w.name, s.wrapped("main", w.flags, shell(w.script)...)), w.annotations))
	}
}

// bareJob returns a Job as its author writes it without the wrapper.
func (s *suite) bareJob(name string, containers ...corev1.Container) *batchv1.Job {
	job := s.plainJob(name, containers...)
	job.TypeMeta = metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}
	spec := &job.Spec.Template.Spec
	spec.InitContainers = spec.InitContainers[1:]
	spec.Volumes = spec.Volumes[1:]
	return job
}

// manifestOf returns the manifest of a Job.
func manifestOf(t *testing.T, job *batchv1.Job) string {
	t.Helper()
	manifest, err := yaml.Marshal(job)
	require.NoError(t, err)
	return string(manifest)
}

// names returns the names of containers, in their order.
func names(containers []corev1.Container) []string {
	var names []string
	for _, c := range containers {
		names = append(names, c.Name)
	}
	return names
}

// server is a web server that answers /cgi-bin/who with a text, with annotations for its pod.
const server = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  selector: {matchLabels: {app: server}}
  template:
    metadata: {labels: {app: server}, annotations: %s}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: httpd
          image: %s
          command:
            - sh
            - -ec
            - |
              mkdir -p /tmp/cgi-bin
              printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n"; echo "%s"\n' > /tmp/cgi-bin/who
              chmod +x /tmp/cgi-bin/who
              exec httpd -f -p 8080 -h /tmp
          securityContext:
            runAsNonRoot: true
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}
          volumeMounts: [{name: tmp, mountPath: /tmp}]
      volumes: [{name: tmp, emptyDir: {}}]
`

// startServer starts the server and waits until it serves. Its text may have variables of a CGI program.
func (s space) startServer(t *testing.T, says string, annotations map[string]string) {
	t.Helper()
	written, err := json.Marshal(annotations) // JSON is also YAML
	require.NoError(t, err)
	s.apply(t, fmt.Sprintf(server, written, s.images.shell.Name(), says))
	require.NoError(t, s.run("", s.kubectl, "wait", "--namespace", s.name, "--for=condition=Available", "deployment/server", "--timeout="+meshLimit.String()))
}
