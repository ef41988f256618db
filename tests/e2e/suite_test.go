package e2e

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobmesh/jobmesh/tests/e2e/image"
	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

// suite is what the tests share: a cluster, the images in its registry, and the programs that a user has.
type suite struct {
	ctx     context.Context
	client  kubernetes.Interface
	given   settings.Settings
	images  testImages
	digest  string // of the wrapper's image index, as built
	kubectl string
	charts  string // the folder with the charts, each with the packaged library in it
	dir     string // the folder for files of the tests

	policies []string // the releases of jobmesh-policy
}

// the is the only suite of a run; TestMain makes it.
var the *suite

//go:embed injector.yaml
var injector string

// wrapperRepository is the repository of the wrapper's image in the registry.
const wrapperRepository = "jobmesh/jobmesh-wrap"

// clusterLimit bounds how long the cluster may take to make such things as a service account.
const clusterLimit = 2 * time.Minute

func newSuite(
	ctx context.Context, given settings.Settings, images testImages, kubectl, dir string,
) (*suite, error) {
	config, err := clientcmd.BuildConfigFromFlags("", given.Kubeconfig)
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // otherwise the client's own limit would add to the measured times
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	s := &suite{
		ctx: ctx, client: client, given: given, images: images, kubectl: kubectl, dir: dir,
		charts: filepath.Join(dir, "charts"),
	}
	if s.digest, err = image.PushLayout(given.Registry+"/"+wrapperRepository, filepath.Join(given.Dist, "oci")); err != nil {
		return nil, err
	}
	return s, s.copyCharts()
}

// open puts into the cluster what the tests share. close removes it.
func (s *suite) open() error {
	if err := s.run(injector, s.kubectl, "apply", "-f", "-"); err != nil {
		return fmt.Errorf("injector: %w", err)
	}
	return s.awaitInjector()
}

func (s *suite) close() error {
	s.ctx = context.WithoutCancel(s.ctx)
	return errors.Join(s.removePolicies(), s.run(injector, s.kubectl, "delete", "--ignore-not-found", "-f", "-"))
}

// copyCharts copies the charts that use the library, and gives them its packaged archive, as "helm dependency build"
// does for a user who takes the library from a registry.
func (s *suite) copyCharts() error {
	archive, err := s.given.Archive()
	if err != nil {
		return err
	}
	content, err := os.ReadFile(archive)
	if err != nil {
		return err
	}
	from := []string{"charts/job", filepath.Join(repository, "charts", "cronjobs")}
	for _, name := range []string{
		"database-migration", "entrypoint", "native", "nightly-report", "opt-out", "shell-hook", "two-containers",
	} {
		from = append(from, filepath.Join(repository, "charts", "examples", name))
	}
	for _, from := range from {
		to := filepath.Join(s.charts, filepath.Base(from))
		if err := os.CopyFS(to, os.DirFS(from)); err != nil {
			return fmt.Errorf("chart: %w", err)
		}
		dependencies := filepath.Join(to, "charts")
		if err := os.RemoveAll(dependencies); err != nil {
			return err
		}
		if err := os.Mkdir(dependencies, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dependencies, filepath.Base(archive)), content, 0o644); err != nil {
			return err
		}
	}
	return nil
}

// awaitInjector waits until new pods get a proxy: the API server notices a policy only after a moment.
func (s *suite) awaitInjector() error {
	probed := s.namespace(mesh{name: "linkerd"})
	delete(probed.Labels, podSecurity) // the pod of the dry run below is never created
	namespace, err := s.client.CoreV1().Namespaces().Create(s.ctx, probed, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer s.client.CoreV1().Namespaces().Delete(context.WithoutCancel(s.ctx), namespace.Name, metav1.DeleteOptions{})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "probe"},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: s.images.shell.Name()}}},
	}
	ctx, cancel := context.WithTimeoutCause(s.ctx, clusterLimit, fmt.Errorf("injector: no proxy after %s", clusterLimit))
	defer cancel()
	for {
		made, err := s.client.CoreV1().Pods(namespace.Name).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && len(made.Spec.Containers) == 2 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// run runs a program with the kubeconfig of the cluster, and drops its output.
func (s *suite) run(stdin, program string, arguments ...string) error {
	_, err := s.output(stdin, program, arguments...)
	return err
}

// output runs a program with the kubeconfig of the cluster, and returns its output. Helm does not see the user's own
// configuration, and its cache disappears with the run.
func (s *suite) output(stdin, program string, arguments ...string) (string, error) {
	c := exec.CommandContext(s.ctx, program, arguments...)
	c.Stdin = strings.NewReader(stdin)
	c.Env = append(os.Environ(), "KUBECONFIG="+s.given.Kubeconfig)
	for _, variable := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME", "KUBECACHEDIR"} {
		c.Env = append(c.Env, variable+"="+filepath.Join(s.dir, "user", variable))
	}
	var stdout, stderr bytes.Buffer
	c.Stdout, c.Stderr = &stdout, &stderr
	if err := c.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s %s: %w: %s", filepath.Base(program), arguments[0], err, strings.TrimSpace(stderr.String()))
	}
	return stdout.String(), nil
}

// mesh is the mesh of the pods of a namespace; the zero value is no mesh.
type mesh struct {
	name       string // linkerd or istio
	native     bool
	readyAfter time.Duration
}

// podSecurity is the label by which a namespace enforces a Pod Security Standard.
const podSecurity = "pod-security.kubernetes.io/enforce"

// namespace returns a namespace whose pods are in the mesh, and which enforces the Pod Security Standard "restricted".
func (s *suite) namespace(m mesh) *corev1.Namespace {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{
		GenerateName: "jobmesh-e2e-",
		Labels:       map[string]string{podSecurity: "restricted"},
		Annotations: map[string]string{
			"e2e.jobmesh.dev/proxy-image": s.images.proxy.Name(),
			"e2e.jobmesh.dev/ready-after": m.readyAfter.String(),
		},
	}}
	if m.name != "" {
		namespace.Labels["e2e.jobmesh.dev/mesh"] = m.name
		namespace.Labels["e2e.jobmesh.dev/sidecar"] = map[bool]string{false: "classic", true: "native"}[m.native]
	}
	return namespace
}

// space is the namespace of one test.
type space struct {
	*suite
	name string
}

// newSpace makes a namespace and waits until pods can be created in it. It is deleted after the test.
func newSpace(t *testing.T, m mesh) space {
	t.Helper()
	return newSpaceOf(t, the.namespace(m))
}

func newSpaceOf(t *testing.T, wanted *corev1.Namespace) space {
	t.Helper()
	namespace, err := the.client.CoreV1().Namespaces().Create(the.ctx, wanted, metav1.CreateOptions{})
	require.NoError(t, err)
	s := space{the, namespace.Name}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(the.ctx)
		if t.Failed() && s.ctx.Err() == nil {
			s.describe(t)
		}
		if err := the.client.CoreV1().Namespaces().Delete(ctx, s.name, metav1.DeleteOptions{}); err != nil {
			t.Errorf("namespace: %v", err)
		}
	})
	require.Eventually(t, func() bool {
		_, err := s.client.CoreV1().ServiceAccounts(s.name).Get(s.ctx, "default", metav1.GetOptions{})
		return err == nil
	}, clusterLimit, 50*time.Millisecond, "service account of namespace %s", s.name)
	return s
}

// describe prints what a failed test has left.
func (s space) describe(t *testing.T) {
	for _, arguments := range [][]string{
		{"get", "jobs,pods", "-o", "wide"},
		{"describe", "pods"},
		{"logs", "--all-containers", "--prefix", "--ignore-errors", "--selector", "batch.kubernetes.io/job-name"},
	} {
		output, err := s.output("", s.kubectl, append(arguments, "-n", s.name)...)
		t.Logf("kubectl %s: %v\n%s", strings.Join(arguments, " "), err, output)
	}
}

// values are the values of a Helm release.
type values map[string]any

// jobmesh returns the values of the library that every release of the tests has: the image of this build in the
// registry.
func (s *suite) jobmesh(more values) values {
	jobmesh := values{"image": values{"registry": s.given.Registry, "repository": wrapperRepository}}
	for key, value := range more {
		jobmesh[key] = value
	}
	return jobmesh
}

// apply applies a manifest in the space.
func (s space) apply(t *testing.T, manifest string) {
	t.Helper()
	require.NoError(t, s.run(manifest, s.kubectl, "apply", "--namespace", s.name, "-f", "-"))
}

// helm runs Helm on a release of the space with the values, which Helm reads from its standard input.
func (s space) helm(t *testing.T, program string, v values, arguments ...string) (string, error) {
	t.Helper()
	content, err := json.Marshal(v) // JSON is also YAML
	require.NoError(t, err)
	return s.output(string(content), program, append(arguments, "--namespace", s.name, "--values", "-")...)
}

// chart returns the folder of a chart with the library in it.
func (s *suite) chart(name string) string { return filepath.Join(s.charts, name) }

func (s space) install(t *testing.T, program, release, chart string, v values) error {
	t.Helper()
	_, err := s.helm(t, program, v, "install", release, s.chart(chart), "--timeout", "60s")
	return err
}
