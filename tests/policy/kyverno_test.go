package policy

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"
)

// kyvernoProgram names the program kubectl-kyverno, which ci/kyverno builds.
const kyvernoProgram = "JOBMESH_KYVERNO"

// A kyverno applies the policies of one rendering of the chart with Kyverno's own program.
type kyverno struct{ dir string }

// withKyverno renders the chart for Kyverno.
func withKyverno(t *testing.T, values string) kyverno {
	t.Helper()
	require.NotEmpty(t, os.Getenv(kyvernoProgram), "hint: ci/kyverno builds the program and sets the variable")
	k := kyverno{t.TempDir()}
	k.write(t, "policies.yaml", printed(t, "--set", "engine=kyverno,jobmesh.image.digest="+digest+","+values))
	k.write(t, "values.yaml", []byte(`apiVersion: cli.kyverno.io/v1alpha1
kind: Values
metadata: {name: namespaces}
namespaceSelector:
- {name: in, labels: {jobmesh.dev/inject: enabled}}
- {name: out, labels: {a: b}}
`))
	return k
}

func (k kyverno) write(t *testing.T, name string, content []byte) {
	t.Helper()
	require.NoError(t, os.WriteFile(filepath.Join(k.dir, name), content, 0o600))
}

// apply returns the objects as the policies change them, by name, and what the program prints.
func (k kyverno) apply(t *testing.T, objects ...runtime.Object) (map[string]*corev1.Pod, string) {
	t.Helper()
	var all bytes.Buffer
	for _, o := range objects {
		manifest, err := yaml.Marshal(o)
		require.NoError(t, err)
		all.WriteString("---\n")
		all.Write(manifest)
	}
	k.write(t, "resources.yaml", all.Bytes())
	out := filepath.Join(k.dir, "out.yaml")
	_ = os.Remove(out)
	cmd := exec.Command(os.Getenv(kyvernoProgram), "apply", "policies.yaml", "--resource", "resources.yaml", "--values-file", "values.yaml", "--output", "out.yaml",
		"--remove-color", "--detailed-results")
	cmd.Dir = k.dir
	said, err := cmd.CombinedOutput()
	if _, exited := err.(*exec.ExitError); !exited { // the program exits with 1 where the API server would warn
		require.NoError(t, err, string(said))
	}
	require.Contains(t, string(said), " error: 0,")
	changed := map[string]*corev1.Pod{}
	content, err := os.ReadFile(out)
	if err != nil {
		return changed, string(said)
	}
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(content)))
	for {
		document, err := reader.Read()
		if err == io.EOF {
			return changed, string(said)
		}
		require.NoError(t, err)
		var pod corev1.Pod
		if yaml.Unmarshal(document, &pod) == nil && pod.Kind == "Pod" {
			changed[pod.Name] = &pod
		}
	}
}

// TestKyvernoSameAsInject: Kyverno makes of every pod what jobmesh inject makes of its template, but for what
// docs/policy.md lists.
func TestKyvernoSameAsInject(t *testing.T) {
	t.Parallel()
	for delivery, count := range map[string]uint64{imageVolume: 60, initContainer: 60} {
		t.Run(delivery, func(t *testing.T) {
			t.Parallel()
			k := withKyverno(t, "delivery="+delivery)
			all := append(samples(t), generatedSamples(count)...)
			var pods []runtime.Object
			for i, s := range all {
				pod := s.pod()
				pod.TypeMeta, pod.Name, pod.Namespace = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, fmt.Sprint("p", i), "in"
				pods = append(pods, pod)
			}
			changed, said := k.apply(t, pods...)
			became := map[bool]int{}
			for i, s := range all {
				t.Run(s.name, func(t *testing.T) {
					got := changed[fmt.Sprint("p", i)]
					if got == nil {
						got = s.pod()
					}
					installFirst(got)
					became[s.requireSame(t, delivery, got)]++
				})
			}
			require.Greater(t, became[true], 20, said)
			require.Greater(t, became[false], 20, said)
		})
	}
}

// installFirst undoes what differs by design: behind a native proxy, jobmesh-install sees that it is one.
func installFirst(p *corev1.Pod) {
	inits := p.Spec.InitContainers
	i := slices.IndexFunc(inits, func(c corev1.Container) bool { return c.Name == "jobmesh-install" })
	if i < 1 || !slices.ContainsFunc(inits[:i], isProxy) {
		return
	}
	p.Spec.InitContainers = slices.Insert(slices.Delete(slices.Clone(inits), i, i+1), 0, inits[i])
}

// TestKyvernoWhoIsWrapped: owners, namespaces and opt-outs.
func TestKyvernoWhoIsWrapped(t *testing.T) {
	t.Parallel()
	k := withKyverno(t, `owners={argoproj.io/Workflow}`)
	names := map[string]string{}
	var pods []runtime.Object
	for name, c := range who() {
		p := pod(t, plain)
		c.change(p)
		p.TypeMeta, p.Name, p.Namespace = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}, fmt.Sprint("p", len(pods)), c.namespace
		names[name] = p.Name
		pods = append(pods, p)
	}
	changed, said := k.apply(t, pods...)
	for name, c := range who() {
		t.Run(name, func(t *testing.T) {
			got := changed[names[name]]
			require.Equal(t, c.want, got != nil && wrapped(got), said)
		})
	}
}

// TestKyvernoTells: the warnings are those of the API server's policy.
func TestKyvernoTells(t *testing.T) {
	t.Parallel()
	k := withKyverno(t, "tell=true")
	for template, want := range told {
		if template == withHelper {
			want = "JM101: .* a, log do the work" // nothing moves the helper here
		}
		t.Run(template, func(t *testing.T) {
			job, cron := jobs(t, template)
			for _, object := range []runtime.Object{job, cron} {
				_, said := k.apply(t, object)
				if want == "" {
					require.NotContains(t, said, "JM1")
					continue
				}
				require.Regexp(t, "(?s)"+strings.TrimSuffix(want, "$"), said)
			}
		})
	}
}
