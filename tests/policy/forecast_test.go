package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// admittedProgram builds the program that prints Jobs as jobmesh lint expects them in a namespace with the policies.
var admittedProgram = sync.OnceValues(func() (string, error) {
	program := filepath.Join(filepath.Dir(filepath.Dir(packed)), "admitted")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./tests/admitted")
	build.Dir, build.Stderr = "../..", os.Stderr
	return program, build.Run()
})

// A forecast is a Job as lint expects the policies to change it.
type forecast struct {
	Object batchv1.Job
	Left   string
}

// forecasts returns the forecasts for Jobs with these pod templates. Flags leave out a policy.
func forecasts(t *testing.T, templates []corev1.PodTemplateSpec, flags ...string) []forecast {
	t.Helper()
	var manifests bytes.Buffer
	for _, template := range templates {
		job := batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: metav1.ObjectMeta{Name: "j"}}
		job.Spec.Template = template
		document, err := yaml.Marshal(job)
		require.NoError(t, err)
		fmt.Fprintf(&manifests, "---\n%s", document)
	}
	program, err := admittedProgram()
	require.NoError(t, err)
	var stderr bytes.Buffer
	cmd := exec.Command(program, flags...)
	cmd.Stdin, cmd.Stderr = &manifests, &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var all []forecast
	lines := json.NewDecoder(bytes.NewReader(out))
	lines.DisallowUnknownFields()
	for range templates {
		var one forecast
		require.NoError(t, lines.Decode(&one))
		all = append(all, one)
	}
	return all
}

// TestForecast checks that lint --policy expects exactly what the policies do, for every Job of the examples and of
// lint's corpus, and for generated pods; and that lint --cluster and why do so where one of the policies is left out.
func TestForecast(t *testing.T) {
	templates := foreseen(t)
	t.Run("all", func(t *testing.T) {
		wrapped, moved, left := foresees(t, policies(t, rendered(t), "-wrap", "-nativize"), templates)
		require.Greater(t, wrapped, 50)
		require.Greater(t, moved, 20)
		require.Greater(t, left, 20)
	})
	t.Run("without nativize", func(t *testing.T) {
		wrapped, moved, _ := foresees(t, policies(t, rendered(t, "--set", "nativize=false"), "-wrap"), templates, "-nativize=false")
		require.Greater(t, wrapped, 20)
		require.Zero(t, moved)
	})
	t.Run("without wrap", func(t *testing.T) {
		wrapped, moved, _ := foresees(t, policies(t, rendered(t, "--set", "wrap=false"), "-nativize"), templates, "-wrap=false")
		require.Zero(t, wrapped)
		require.Greater(t, moved, 20)
	})
}

// foreseen returns the pods of TestForecast.
func foreseen(t *testing.T) []corev1.PodTemplateSpec {
	t.Helper()
	var templates []corev1.PodTemplateSpec
	named := func(template corev1.PodTemplateSpec, containers string) {
		template = *template.DeepCopy()
		if containers != "" {
			metav1.SetMetaDataAnnotation(&template.ObjectMeta, containersKey, containers)
		}
		templates = append(templates, template)
	}
	for _, s := range samples(t) {
		named(s.template, s.containers)
	}
	for seed := range uint64(120) {
		r := rand.New(rand.NewPCG(seed, 2))
		template, containers := generated(r)
		helpers(r, &template)
		named(template, containers)
	}
	for _, c := range commands {
		named(besideWork(c.words), "")
	}
	for _, containers := range []string{"work, work", "work\nbeside", "all,all", "work,\n\nother"} {
		named(besideWork([]string{"/beside"}), containers)
	}
	taken := besideWork([]string{"envoy"}) // the wrapper needs the name only beside another one
	taken.Spec.Volumes = []corev1.Volume{{Name: "jobmesh-state"}}
	named(taken, "")
	named(taken, "all")
	return templates
}

// foresees compares the forecasts for pods with what policies make of them, and counts what becomes of them.
func foresees(t *testing.T, policies chain, templates []corev1.PodTemplateSpec, flags ...string) (wrapped, moved, left int) {
	t.Helper()
	for i, f := range forecasts(t, templates, flags...) {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			got := policies.admitted(t, podOf(templates[i]), "in", nil)
			require.Equal(t, text(t, got.Spec), text(t, f.Object.Spec.Template.Spec), "%s\n%s", f.Left, text(t, templates[i]))
			require.Equal(t, len(got.Annotations), len(f.Object.Spec.Template.Annotations))
			for key, value := range got.Annotations {
				require.Equal(t, value, f.Object.Spec.Template.Annotations[key], key)
			}
			if got.Annotations["jobmesh.dev/native"] != "" {
				moved++
			}
			switch {
			case isWrapped(got):
				wrapped++
				require.Empty(t, f.Left)
			case f.Left != "":
				left++
			}
		})
	}
	return wrapped, moved, left
}

// commands are those of a container beside the work, with whether a helper of the table is what it runs. The case of
// tests/lint for the value known of the library chart has more of them.
var commands = []struct {
	words  []string
	helper bool
}{
	{[]string{"/usr/bin/envoy", "-c", "a.yaml"}, true},
	{[]string{"envoy", "--mode=validate"}, false},
	{[]string{"sh", "-c", "exec envoy -c a.yaml"}, true},
	{[]string{"ksh", "-ec", "exec envoy -c a.yaml", "name"}, true},
	{[]string{"sh", "-c", "haproxy -f a.cfg"}, true},
	{[]string{"sh", "-c", "cloud-sql-proxy p:r:i & sleep 2; ./migrate up"}, false},
	{[]string{"sh", "-c", "dockerd-entrypoint.sh >log 2>&1 &\nsleep 5\ndocker build ."}, false},
	{[]string{"sh", "-c", "envoy -c a.yaml | tee log & ./work"}, false},
	{[]string{"sh", "-c", "envoy -c a.yaml & wait"}, true},
	{[]string{"sh", "-c", "cloud-sql-proxy p:r:i & wait $!"}, true},
	{[]string{"sh", "-c", "cloud-sql-proxy \\\n  --port 5432 \\\n  p:r:i &\nsleep 2\n./migrate up\n"}, false},
	{[]string{"sh", "-c", "while true; do cloud-sql-proxy p:r:i; sleep 1; done &\n./migrate"}, false},
	{[]string{"sh", "-c", "kubectl proxy --port=8001 &\nsleep 2\nkubectl get pods\n./migrate up"}, false},
	{[]string{"sh", "-c", "haproxy -c -f a.cfg\nhaproxy -f a.cfg &\n./migrate"}, false},
	{[]string{"sh", "-c", "# wait for the proxy (envoy)\nsleep 5\n./migrate"}, false},
	{[]string{"sh", "-c", "kubectl exec deploy/pgbouncer -- psql -c RELOAD"}, false},
	{[]string{"bash", "-euo", "pipefail", "-c", "exec envoy -c a.yaml"}, true},
	{[]string{"sh", "-c", "exec vault agent \\\n  -config=a.hcl"}, true},
	{[]string{"sh", "-c", "exec kubectl  proxy --port=8001 >/dev/null"}, true},
	{[]string{"kubectl", "-n", "proxy", "-o", "name", "get", "pods"}, false},
	{[]string{"sh", "-c", "while true; do fluent-bit -c a.conf; sleep 1; done"}, true},
	{[]string{"sh", "-c", "exec envoy \\\n  -c a.yaml >log 2>&1\n"}, true},
	{[]string{"sh", "-c", "pgbouncer -d a.ini; exec ./work"}, false},
	{[]string{"sh", "-c", "exec envoy " + strings.Repeat("-x ", 400) + "& ./work"}, false},
	{[]string{"sh", "-c", "envoy " + strings.Repeat("x", 993) + "& ./work"}, false},
	{[]string{"kubectl", "-n", "x", "proxy", "--port=8001"}, true},
	{[]string{"kubectl", "-n", "proxy", "apply", "-f", "x.yaml"}, false},
	{[]string{"kubectl", "delete", "deployment", "proxy"}, false},
	{[]string{"git-sync", "--one-time=false"}, true},
	{[]string{"git-sync", "--one-time"}, false},
}

// besideWork returns a pod with the work and a container that runs a command, which is given in args but for its first
// word where that is ksh.
func besideWork(words []string) corev1.PodTemplateSpec {
	c := corev1.Container{Name: "beside", Image: "example.com/tools", Command: words}
	if words[0] == "ksh" {
		c.Command, c.Args = words[:1], words[1:]
	}
	return corev1.PodTemplateSpec{Spec: corev1.PodSpec{RestartPolicy: corev1.RestartPolicyNever, Containers: []corev1.Container{
		{Name: "work", Image: "i", Command: []string{"/work"}}, c,
	}}}
}

// TestHelperByItsCommand checks that a container becomes native where it runs a helper and waits for it, and nowhere else.
func TestHelperByItsCommand(t *testing.T) {
	policies := policies(t, rendered(t), "-wrap", "-nativize")
	for _, c := range commands {
		t.Run(strings.Join(c.words, " "), func(t *testing.T) {
			got := policies.admitted(t, podOf(besideWork(c.words)), "in", nil)
			require.Equal(t, c.helper, got.Annotations["jobmesh.dev/native"] == "beside")
		})
	}
}

func isWrapped(p *corev1.Pod) bool {
	return slices.ContainsFunc(p.Spec.Containers, func(c corev1.Container) bool {
		return len(c.Command) > 0 && filepath.Base(c.Command[0]) == "jobmesh-wrap"
	})
}

// helpers adds proxies, programs of the helper table, and what fills their files to a pod at random.
func helpers(r *rand.Rand, template *corev1.PodTemplateSpec) {
	spec := &template.Spec
	for _, c := range []corev1.Container{
		{Name: "log", Image: "fluent/fluent-bit:4", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/logs"}}},
		container("istio-proxy"),
		{Name: "db", Image: "gcr.io/x/cloud-sql-proxy:2.27.0"},
		container("daprd"),
	} {
		if r.IntN(4) == 0 {
			spec.Containers = slices.Insert(spec.Containers, r.IntN(len(spec.Containers)+1), c)
		}
	}
	if r.IntN(3) == 0 {
		spec.InitContainers = append(spec.InitContainers, corev1.Container{Name: "fill", Image: "i", VolumeMounts: []corev1.VolumeMount{{Name: "data", MountPath: "/d", ReadOnly: r.IntN(2) == 0}}})
	}
	if r.IntN(4) == 0 {
		spec.InitContainers = append(spec.InitContainers, corev1.Container{Name: "istio-init", Image: "i"})
	}
	if r.IntN(6) == 0 {
		metav1.SetMetaDataAnnotation(&template.ObjectMeta, "dapr.io/app-port", "80")
	}
	if r.IntN(8) == 0 {
		metav1.SetMetaDataLabel(&template.ObjectMeta, "jobmesh.dev/inject", "disabled")
	}
}
