package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// digest pins the wrapper image, both for the policy and for inject.
const digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// containersKey is the annotation that names the containers to wrap.
const containersKey = "jobmesh.dev/containers"

// jobmesh builds the program from these sources.
var jobmesh = sync.OnceValues(func() (string, error) {
	program := filepath.Join(filepath.Dir(filepath.Dir(packed)), "jobmesh")
	build := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-o", program, "./cmd/jobmesh")
	build.Dir, build.Stderr = "../..", os.Stderr
	return program, build.Run()
})

// A sample is the pod template of a Job, and the value of its annotation for the containers.
type sample struct {
	name       string
	template   corev1.PodTemplateSpec
	containers string
}

// pod returns a pod of the template, with the annotation.
func (s sample) pod() *corev1.Pod {
	pod := podOf(s.template)
	if s.containers != "" {
		metav1.SetMetaDataAnnotation(&pod.ObjectMeta, containersKey, s.containers)
	}
	return pod
}

// inject returns what jobmesh inject makes of the template; nil if inject refuses it.
func (s sample) inject(t testing.TB, delivery string) *corev1.PodTemplateSpec {
	t.Helper()
	job := batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: metav1.ObjectMeta{Name: "j"}}
	job.Spec.Template = s.template
	manifest, err := yaml.Marshal(job)
	require.NoError(t, err)
	args := []string{"inject", "--set", "delivery=" + delivery, "--set", "image.digest=" + digest}
	switch s.containers {
	case "":
	case "all":
		args = append(args, "--set", "containers=all")
	default:
		args = append(args, "--set", "containers={"+s.containers+"}")
	}
	program, err := jobmesh()
	require.NoError(t, err)
	cmd := exec.Command(program, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(manifest), &stderr
	out, err := cmd.Output()
	if err != nil {
		require.Contains(t, stderr.String(), "nothing was written", "%s", manifest)
		return nil
	}
	job = batchv1.Job{}
	require.NoError(t, yaml.UnmarshalStrict(out, &job), "%s", out)
	return &job.Spec.Template
}

// requireSame checks that a policy has made of the pod what inject makes of its template, and returns whether the pod
// was changed.
func (s sample) requireSame(t *testing.T, delivery string, got *corev1.Pod) bool {
	t.Helper()
	want := s.inject(t, delivery)
	if want == nil {
		want = &s.template
	}
	annotations := maps.Clone(got.Annotations)
	delete(annotations, containersKey)
	assert.Equal(t, text(t, want.Spec), text(t, got.Spec))
	if len(want.Annotations)+len(annotations) > 0 {
		assert.Equal(t, want.Annotations, annotations)
	}
	if t.Failed() {
		t.Logf("containers %q of\n%s", s.containers, text(t, s.template))
	}
	return text(t, got.Spec) != text(t, s.template.Spec)
}

func podOf(template corev1.PodTemplateSpec) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: *template.ObjectMeta.DeepCopy(), Spec: *template.Spec.DeepCopy()}
	pod.Name = "p"
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "u", Controller: new(true)}}
	return pod
}

func text(t testing.TB, v any) string {
	t.Helper()
	b, err := json.MarshalIndent(v, "", " ")
	require.NoError(t, err)
	return string(b)
}

// The ways in which the wrapper is delivered to a pod that a controller creates.
const (
	imageVolume   = "imageVolume"
	initContainer = "initContainer"
)

// wrapAlone returns the policy wrap of the chart, without nativize.
func wrapAlone(t testing.TB, delivery string) chain {
	return policies(t, rendered(t, "--set", "nativize=false,delivery="+delivery+",jobmesh.image.digest="+digest), "-wrap")
}

// jobTemplates returns the pod templates of the Jobs and CronJobs in manifests.
func jobTemplates(manifests string) map[string]corev1.PodTemplateSpec {
	found := map[string]corev1.PodTemplateSpec{}
	for i, document := range strings.Split("\n"+manifests, documentStart) {
		var kind metav1.TypeMeta
		if yaml.Unmarshal([]byte(document), &kind) != nil {
			continue
		}
		switch kind.APIVersion + "/" + kind.Kind {
		case "batch/v1/Job":
			var job batchv1.Job
			if yaml.Unmarshal([]byte(document), &job) == nil {
				found[fmt.Sprintf("%d %s", i, job.Name)] = job.Spec.Template
			}
		case "batch/v1/CronJob":
			var job batchv1.CronJob
			if yaml.Unmarshal([]byte(document), &job) == nil {
				found[fmt.Sprintf("%d %s", i, job.Name)] = job.Spec.JobTemplate.Spec.Template
			}
		}
	}
	return found
}

// samples returns the Jobs of the examples and of lint's corpus, each once as it is and once with all its containers
// named.
func samples(t testing.TB) []sample {
	t.Helper()
	inputs := map[string]string{}
	charts, err := filepath.Glob("../../charts/examples/*/Chart.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, charts)
	for _, chart := range charts {
		folder := filepath.Dir(chart)
		if filepath.Base(folder) == "umbrella" {
			continue // it only combines other examples
		}
		inputs[filepath.Base(folder)] = uninjected(t, folder)
	}
	corpus, err := filepath.Glob("../lint/corpus/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, corpus)
	for _, file := range corpus {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		inputs[filepath.Base(file)] = string(content)
	}
	var all []sample
	for name, manifests := range inputs {
		for job, template := range jobTemplates(manifests) {
			if len(template.Spec.Containers) == 0 || slices.ContainsFunc(template.Spec.Containers, isProxy) {
				continue // the policies never treat the proxy of a mesh as the work
			}
			if template.Spec.HostNetwork && template.Annotations["dapr.io/enabled"] == "true" {
				continue // the policies do not check whether a mesh injects on the host's network
			}
			all = append(all, sample{name + " " + job, template, ""}, sample{name + " " + job + " all", template, "all"})
		}
	}
	require.Greater(t, len(all), 100)
	return all
}

// TestSameAsInjectInSuites compares for every case of the library chart's suites that has a pod.
func TestSameAsInjectInSuites(t *testing.T) {
	all := ofSuites(t)
	require.Greater(t, len(all), 200)
	wrap := wrapAlone(t, imageVolume)
	seen := map[string]bool{}
	for _, s := range all {
		if pod := text(t, s.pod()); !seen[pod] {
			seen[pod] = true
			t.Run(s.name, func(t *testing.T) { s.requireSame(t, imageVolume, wrap.admitted(t, s.pod(), "in", nil)) })
		}
	}
}

// TestSameAsInject compares for every Job of the examples and of lint's corpus.
func TestSameAsInject(t *testing.T) {
	wrap := wrapAlone(t, imageVolume)
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			s.requireSame(t, imageVolume, wrap.admitted(t, s.pod(), "in", nil))
		})
	}
}

// isProxy reports whether a container has the name of a mesh's proxy.
func isProxy(c corev1.Container) bool {
	return slices.Contains([]string{"linkerd-proxy", "istio-proxy", "kuma-sidecar", "consul-dataplane", "daprd"}, c.Name)
}

// uninjected prints an example chart as it would be without jobmesh.
func uninjected(t testing.TB, chart string) string {
	t.Helper()
	dir := t.TempDir()
	copied := filepath.Join(dir, "charts", "examples", filepath.Base(chart))
	require.NoError(t, os.CopyFS(filepath.Dir(copied), os.DirFS(filepath.Dir(chart))))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "library-chart"), os.DirFS("../../library-chart")))
	out, err := exec.Command(helm(), "dependency", "update", "--skip-refresh", copied).CombinedOutput()
	require.NoError(t, err, string(out))
	var stderr bytes.Buffer
	cmd := exec.Command(helm(), "template", "x", copied, "--set", "global.jobmesh.enabled=false")
	cmd.Stderr = &stderr
	out, err = cmd.Output()
	require.NoError(t, err, stderr.String())
	return string(out)
}

// TestSameAsInjectGenerated compares for generated pods.
func TestSameAsInjectGenerated(t *testing.T) {
	became := map[bool]int{}
	for delivery, count := range map[string]uint64{imageVolume: 120, initContainer: 40} {
		wrap := wrapAlone(t, delivery)
		for _, s := range generatedSamples(count) {
			t.Run(delivery+" "+s.name, func(t *testing.T) {
				became[s.requireSame(t, delivery, wrap.admitted(t, s.pod(), "in", nil))]++
			})
		}
	}
	require.Greater(t, became[true], 10)
	require.Greater(t, became[false], 10)
}

// generatedSamples returns random pods, each from its own seed.
func generatedSamples(count uint64) []sample {
	var all []sample
	for seed := range count {
		template, containers := generated(rand.New(rand.NewPCG(seed, 1)))
		all = append(all, sample{fmt.Sprint("seed ", seed), template, containers})
	}
	return all
}

// generated returns a random pod template, and the value of its annotation for the containers.
func generated(r *rand.Rand) (corev1.PodTemplateSpec, string) {
	one := func(n int) bool { return r.IntN(n) == 0 }
	var template corev1.PodTemplateSpec
	spec := &template.Spec
	spec.RestartPolicy = []corev1.RestartPolicy{corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure}[r.IntN(2)]
	names := []string{"main", "side", "third"}[:1+r.IntN(3)*r.IntN(2)]
	for _, name := range names {
		c := corev1.Container{Name: name, Image: "example.com/" + name + ":1"}
		if !one(12) {
			c.Command = []string{"/app", "$(HOME) \"quoted\" \\ ü", "--x=<&>"}[:1+r.IntN(3)]
		}
		if one(3) {
			c.Args = []string{"a", "b c"}
		}
		if one(3) {
			c.VolumeMounts = []corev1.VolumeMount{{Name: "data", MountPath: []string{"/data", "/jobmesh-podx", "/data/", "/srv", "/x/jobmesh", "/jobmesh/x", "/"}[r.IntN(7)]}}
		}
		if one(4) {
			c.RestartPolicy = new([]corev1.ContainerRestartPolicy{"Never", "OnFailure", "Never", "OnFailure", "Always"}[r.IntN(5)])
		}
		for range r.IntN(3) * r.IntN(2) {
			rule := corev1.ContainerRestartRule{
				Action: []corev1.ContainerRestartRuleAction{"Restart", "RestartAllContainers"}[r.IntN(2)],
				ExitCodes: &corev1.ContainerRestartRuleOnExitCodes{
					Operator: []corev1.ContainerRestartRuleOnExitCodesOperator{"In", "NotIn"}[r.IntN(2)],
				},
			}
			for range 1 + r.IntN(3) {
				rule.ExitCodes.Values = append(rule.ExitCodes.Values, []int32{0, 3, 42, 100, 137}[r.IntN(5)])
			}
			c.RestartPolicyRules = append(c.RestartPolicyRules, rule)
		}
		spec.Containers = append(spec.Containers, c)
	}
	if one(2) {
		spec.Volumes = []corev1.Volume{{Name: []string{"data", "jobmesh", "data", "jobmesh-pod"}[r.IntN(4)], VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{SizeLimit: new(resource.MustParse("5Mi"))}}}}
	}
	if one(3) {
		spec.InitContainers = []corev1.Container{{Name: []string{"prepare", "wait", "jobmesh-install"}[r.IntN(3)], Image: "i", Command: []string{"x"}}}
	}
	if one(5) {
		spec.SecurityContext = &corev1.PodSecurityContext{RunAsUser: new(int64(r.IntN(2)))}
	}
	switch r.IntN(20) {
	case 0:
		spec.HostNetwork = true
	case 1:
		spec.OS = &corev1.PodOS{Name: corev1.Windows}
	case 2:
		template.Annotations = map[string]string{"linkerd.io/inject": "disabled"}
	case 3:
		template.Labels = map[string]string{"sidecar.istio.io/inject": "false"}
	case 4:
		template.Annotations = map[string]string{"config.linkerd.io/shutdown-grace-period": "30s", "a.b/c~d": "e"}
	}
	switch r.IntN(8) {
	case 0, 3, 4, 5:
		return template, "all"
	case 1:
		return template, strings.Join(names[:1+r.IntN(len(names))], ",")
	case 2:
		return template, "main,nobody"
	}
	return template, ""
}
