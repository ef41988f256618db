// Package kubetypes compares what the golden tests render with the types of Kubernetes. Those
// tests have shown that both Helm programs print these files.
package kubetypes

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/client-go/applyconfigurations"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/lint"
)

const root = "../.."

// An object is a document of a file, with the pods that are made from it.
type object struct {
	name    string
	content map[string]any
}

var separator = regexp.MustCompile(`(?m)^---$`)

// objects returns every object of a YAML text, those of a List one by one.
func objects(t *testing.T, name, text string) []object {
	t.Helper()
	var all []object
	for _, document := range separator.Split(text, -1) {
		var content map[string]any
		require.NoError(t, yaml.UnmarshalStrict([]byte(document), &content))
		if content == nil {
			continue
		}
		items := []any{content}
		if content["kind"] == "List" {
			items = content["items"].([]any)
		}
		for _, item := range items {
			item := item.(map[string]any)
			metadata := item["metadata"].(map[string]any)
			all = append(all, object{fmt.Sprintf("%s %s %v%v", name, item["kind"], metadata["name"], metadata["generateName"]), item})
		}
	}
	return all
}

// rendered returns the objects of all golden files.
func rendered(t *testing.T) map[string][]object {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, "tests", "golden", "testdata", "rendered", "*.yaml"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	found := map[string][]object{}
	for _, file := range files {
		content, err := os.ReadFile(file)
		require.NoError(t, err)
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		found[name] = objects(t, name, string(content))
	}
	return found
}

// at returns the map at the end of a path, or nil.
func at(content map[string]any, path ...string) map[string]any {
	for _, key := range path {
		content, _ = content[key].(map[string]any)
	}
	return content
}

// standard returns an object as Kubernetes knows it: the object itself, or a Job for each pod
// template of a custom resource.
func standard(o object) []map[string]any {
	job := func(template map[string]any) map[string]any {
		return map[string]any{"apiVersion": "batch/v1", "kind": "Job", "metadata": map[string]any{"name": "job"}, "spec": map[string]any{"template": template}}
	}
	switch o.content["kind"] {
	case "PrometheusRule", "MutatingPolicy", "ValidatingPolicy": // there are no pods in them, and their types are the Prometheus operator's and Kyverno's
		return nil
	case "ScaledJob":
		return []map[string]any{job(at(o.content, "spec", "jobTargetRef", "template"))}
	case "JobSet":
		var jobs []map[string]any
		for _, replicated := range at(o.content, "spec")["replicatedJobs"].([]any) {
			jobs = append(jobs, job(at(replicated.(map[string]any), "template", "spec", "template")))
		}
		return jobs
	case "Workflow":
		var jobs []map[string]any
		for _, item := range at(o.content, "spec")["templates"].([]any) {
			template := item.(map[string]any)
			if template["container"] == nil {
				continue
			}
			spec := map[string]any{"restartPolicy": "Never"}
			container := map[string]any{"name": "main"}
			for key, value := range template["container"].(map[string]any) {
				container[key] = value
			}
			spec["containers"] = []any{container}
			for _, key := range []string{"initContainers", "volumes"} {
				if template[key] != nil {
					spec[key] = template[key]
				}
			}
			jobs = append(jobs, job(map[string]any{"metadata": template["metadata"], "spec": spec}))
		}
		return jobs
	}
	return []map[string]any{o.content}
}

// decode reads an object as the API server does with fieldValidation=Strict.
func decode(content map[string]any) (runtime.Object, error) {
	text, err := yaml.Marshal(content)
	if err != nil {
		return nil, err
	}
	strict := json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme.Scheme, scheme.Scheme, json.SerializerOptions{Yaml: true, Strict: true})
	decoded, _, err := strict.Decode(bytes.TrimSpace(text), nil, nil)
	return decoded, err
}

// apply decodes an object as server-side apply does, which refuses two items with the same key.
func apply(content map[string]any) error {
	_, err := applyconfigurations.NewTypeConverter(scheme.Scheme).ObjectToTyped(&unstructured.Unstructured{Object: content})
	return err
}

// pod returns the pod template in an object.
func pod(decoded runtime.Object) *corev1.PodTemplateSpec {
	switch o := decoded.(type) {
	case *batchv1.Job:
		return &o.Spec.Template
	case *batchv1.CronJob:
		return &o.Spec.JobTemplate.Spec.Template
	case *appsv1.Deployment:
		return &o.Spec.Template
	case *corev1.Pod:
		return &corev1.PodTemplateSpec{ObjectMeta: o.ObjectMeta, Spec: o.Spec}
	}
	return nil
}

// refused says why Pod Security admission refuses a pod at level restricted, or "".
func refused(t *testing.T, metadata *metav1.ObjectMeta, spec *corev1.PodSpec) string {
	t.Helper()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	require.NoError(t, err)
	result := policy.AggregateCheckResults(evaluator.EvaluatePod(api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}, metadata, spec))
	if result.Allowed {
		return ""
	}
	return result.ForbiddenDetail()
}

// TestTypes: the API server accepts every object, without an unknown field and without a
// duplicate item.
func TestTypes(t *testing.T) {
	pods := 0
	for name, all := range rendered(t) {
		if name == "every-value" {
			continue // its input has fields of no type, on purpose
		}
		for _, o := range all {
			for _, content := range standard(o) {
				decoded, err := decode(content)
				require.NoError(t, err, o.name)
				require.NoError(t, apply(content), o.name)
				if pod(decoded) != nil {
					pods++
				}
			}
		}
	}
	require.Greater(t, pods, 30, "pods are found")
}

// ownCharts returns the names of the charts of this repository: published ones and examples.
func ownCharts(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, pattern := range []string{"charts/*/Chart.yaml", "charts/examples/*/Chart.yaml"} {
		files, err := filepath.Glob(filepath.Join(root, pattern))
		require.NoError(t, err)
		require.NotEmpty(t, files, pattern)
		for _, file := range files {
			names = append(names, filepath.Base(filepath.Dir(file)))
		}
	}
	return names
}

// TestRestricted: the charts pass Pod Security "restricted", and what jobmesh adds to other
// pods does so too.
func TestRestricted(t *testing.T) {
	charts := ownCharts(t)
	examples, installed := 0, 0
	for name, all := range rendered(t) {
		for _, o := range all {
			for _, content := range standard(o) {
				decoded, err := decode(content)
				if err != nil {
					continue // TestTypes
				}
				template := pod(decoded)
				if template == nil {
					continue
				}
				if slices.ContainsFunc(charts, func(chart string) bool { return strings.HasPrefix(name+"-", chart+"-") }) {
					examples++
					require.Empty(t, refused(t, &template.ObjectMeta, &template.Spec), o.name)
				}
				for _, c := range template.Spec.InitContainers {
					if c.Name == lint.InstallName {
						installed++
						alone := &corev1.PodSpec{Containers: []corev1.Container{c}, Volumes: template.Spec.Volumes}
						require.Empty(t, refused(t, &metav1.ObjectMeta{}, alone), o.name)
					}
				}
			}
		}
	}
	require.Greater(t, examples, 12, "examples are found")
	require.Greater(t, installed, 12, "init containers are found")
}

// TestMigrations: after a container became a native sidecar, the API server accepts the object,
// and Pod Security only refuses it for the same reasons as before.
func TestMigrations(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(root, "internal", "inject", "testdata", "native", "*.txtar"))
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(t, err)
		require.Len(t, archive.Files, 2, file)
		why := []map[string]string{{}, {}} // why each container is refused, before and after
		moved := 0
		for i, part := range archive.Files {
			for _, o := range objects(t, filepath.Base(file)+" "+part.Name, string(part.Data)) {
				decoded, err := decode(o.content)
				require.NoError(t, err, o.name)
				require.NoError(t, apply(o.content), o.name)
				template := pod(decoded)
				require.NotNil(t, template, o.name)
				for _, c := range slices.Concat(template.Spec.InitContainers, template.Spec.Containers) {
					alone := template.Spec.DeepCopy()
					alone.InitContainers, alone.Containers = nil, []corev1.Container{c}
					why[i][decoded.(metav1.Object).GetName()+" "+c.Name] = refused(t, &template.ObjectMeta, alone)
				}
				for _, c := range template.Spec.InitContainers {
					if i == 1 && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
						moved++
					}
				}
			}
		}
		require.Positive(t, moved, file)
		require.Equal(t, why[0], why[1], file)
	}
}

// TestChecks: the checks of the tests above refuse what they should refuse.
func TestChecks(t *testing.T) {
	job := func(spec string) map[string]any {
		return objects(t, "", "apiVersion: batch/v1\nkind: Job\nmetadata: {name: job}\nspec: {template: {spec: "+spec+"}}\n")[0].content
	}
	good := job(`{restartPolicy: Never, containers: [{name: a, image: a}]}`)
	decoded, err := decode(good)
	require.NoError(t, err)
	require.NoError(t, apply(good))
	require.Contains(t, refused(t, &metav1.ObjectMeta{}, &pod(decoded).Spec), "allowPrivilegeEscalation")

	_, err = decode(job(`{restartPolicy: Never, containers: [{name: a, image: a, comand: [b]}]}`))
	require.ErrorContains(t, err, "comand")
	_, err = decode(job(`{restartPolicy: Never, containers: [{name: a, image: a, command: b}]}`))
	require.Error(t, err)

	twice := job(`{containers: [{name: a, image: a}], volumes: [{name: jobmesh, emptyDir: {}}, {name: jobmesh, emptyDir: {}}]}`)
	_, err = decode(twice)
	require.NoError(t, err, "the types do not see it")
	require.ErrorContains(t, apply(twice), "duplicate")
}
