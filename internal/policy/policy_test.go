package policy

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// admitted are the objects of a stream as the policies change their pods.
func admitted(t *testing.T, stream string) []lint.Admitted {
	t.Helper()
	var objects []manifest.Object
	require.NoError(t, manifest.Scan("x.yaml", strings.NewReader(stream), func(d *manifest.Document) error {
		objects = append(objects, d.Objects()...)
		return d.Err
	}))
	all, err := New(library.LibraryChart, Default()).Admit(objects)
	require.NoError(t, err)
	require.Len(t, all, len(objects))
	return all
}

func job(template string) string {
	return "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: " + template + "}\n"
}

// TestLeft: whom the policies leave, and why.
func TestLeft(t *testing.T) {
	const main = `{name: main, image: a, command: [/app]}`
	for name, c := range map[string]struct {
		object          string
		left            string
		wrapped, native bool
	}{
		"a Job":                {job(`{spec: {restartPolicy: Never, containers: [` + main + `]}}`), "", true, true},
		"with a helper":        {job(`{spec: {restartPolicy: Never, containers: [` + main + `, {name: log, image: fluent-bit}]}}`), "", true, true},
		"of a JobSet":          {`{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: j}, spec: {replicatedJobs: [{name: a, template: {spec: {template: {spec: {containers: [` + main + `]}}}}}]}}`, "", true, true},
		"a Helm hook":          {`{apiVersion: v1, kind: Pod, metadata: {name: p, annotations: {helm.sh/hook: test}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`, "", true, true},
		"a pod of a Job":       {`{apiVersion: v1, kind: Pod, metadata: {name: p, ownerReferences: [{apiVersion: batch/v1, kind: Job, name: j, controller: true}]}, spec: {restartPolicy: Never, containers: [` + main + `]}}`, "", true, true},
		"a launcher of MPI":    {`{apiVersion: kubeflow.org/v2beta1, kind: MPIJob, metadata: {name: m}, spec: {mpiReplicaSpecs: {Launcher: {template: {spec: {containers: [` + main + `]}}}}}}`, "", true, true},
		"an older one":         {`{apiVersion: kubeflow.org/v1, kind: MPIJob, metadata: {name: m}, spec: {mpiReplicaSpecs: {Launcher: {template: {spec: {containers: [` + main + `]}}}}}}`, "those of a MPIJob are none", false, false},
		"a Pod":                {`{apiVersion: v1, kind: Pod, metadata: {name: p}, spec: {restartPolicy: Never, containers: [` + main + `]}}`, "only where that is a Helm hook", false, false},
		"a pod of another":     {`{apiVersion: v1, kind: Pod, metadata: {name: p, ownerReferences: [{apiVersion: argoproj.io/v1alpha1, kind: Workflow, name: w, controller: true}]}, spec: {restartPolicy: Never, containers: [` + main + `]}}`, "pods of Jobs alone", false, false},
		"out by its label":     {job(`{metadata: {labels: {jobmesh.dev/inject: disabled}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`), "the label jobmesh.dev/inject: disabled", false, false},
		"by its annotation":    {job(`{metadata: {annotations: {jobmesh.dev/inject: disabled}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`), "the annotation jobmesh.dev/inject: disabled", false, false},
		"out of its mesh":      {job(`{metadata: {annotations: {linkerd.io/inject: disabled}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`), "by their own words", false, true},
		"and in another":       {job(`{metadata: {annotations: {linkerd.io/inject: disabled}, labels: {sidecar.istio.io/inject: "true"}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`), "", true, true},
		"hostNetwork":          {job(`{spec: {hostNetwork: true, restartPolicy: Never, containers: [` + main + `]}}`), "hostNetwork: true", false, true},
		"Windows":              {job(`{spec: {os: {name: windows}, restartPolicy: Never, containers: [` + main + `]}}`), "Windows", false, true},
		"wrapped already":      {job(`{spec: {restartPolicy: Never, containers: [{name: main, image: a, command: [/jobmesh/jobmesh-wrap, --, /app]}]}}`), "", false, true},
		"two":                  {job(`{spec: {restartPolicy: Never, containers: [` + main + `, {name: b, image: b, command: [/b]}]}}`), "nothing says which of main, b do the work", false, true},
		"two that are named":   {job(`{metadata: {annotations: {jobmesh.dev/containers: "main, b"}}, spec: {restartPolicy: Never, containers: [` + main + `, {name: b, image: b, command: [/b]}]}}`), "", true, true},
		"one name twice":       {job(`{metadata: {annotations: {jobmesh.dev/containers: "main, main"}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`), "", true, true},
		"a name on each line":  {job(`{metadata: {annotations: {jobmesh.dev/containers: "main\nb"}}, spec: {restartPolicy: Never, containers: [` + main + `, {name: b, image: b, command: [/b]}]}}`), "", true, true},
		"one that is missing":  {job(`{metadata: {annotations: {jobmesh.dev/containers: other}}, spec: {restartPolicy: Never, containers: [` + main + `]}}`), "names other, and the pod has main", false, true},
		"no command":           {job(`{spec: {restartPolicy: Never, containers: [{name: main, image: a}]}}`), "container `main` has no command", false, true},
		"a name that is taken": {job(`{spec: {restartPolicy: Never, volumes: [{name: jobmesh-pod, emptyDir: {}}], containers: [` + main + `]}}`), "jobmesh-pod", false, true},
		"its controller fills": {`{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: r}, spec: {submitterPodTemplate: {spec: {restartPolicy: Never, containers: [{name: main, image: a}]}}}}`, "", false, true},
	} {
		t.Run(name, func(t *testing.T) {
			a := admitted(t, c.object)[0]
			require.Len(t, a.Templates, 1)
			for _, got := range a.Templates {
				require.Contains(t, got.Left, c.left)
				require.Equal(t, c.left == "", got.Left == "", got.Left)
				require.Equal(t, c.wrapped, got.Wrapped)
				require.Equal(t, c.native, got.Native)
			}
		})
	}
	require.Empty(t, admitted(t, "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {template: {spec: {containers: ["+main+"]}}}}")[0].Templates)
}

// TestLines: what comes out keeps the lines of what was written, also behind an anchor, and
// leaves what was given as it is.
func TestLines(t *testing.T) {
	const written = `apiVersion: batch/v1
kind: Job
metadata: {name: j}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: log
          image: fluent-bit
          env: &env
            - {name: A, value: b}
        - name: main
          image: a
          command: [/app, "1"]
          env: *env
`
	a := admitted(t, written)[0]
	spec := manifest.Get(a.Object.Node, "spec", "template", "spec")
	require.Equal(t, 9, manifest.Get(spec, "initContainers", 0).Line)
	require.Equal(t, "Always", manifest.Text(manifest.Get(spec, "initContainers", 0, "restartPolicy")))
	main := manifest.Get(spec, "containers", 0)
	require.Equal(t, 13, main.Line)
	require.Equal(t, 15, manifest.Get(main, "command").Line)
	require.Equal(t, 15, manifest.Get(main, "command", 0).Line)
	require.Equal(t, []any{"/jobmesh/jobmesh-wrap", "--", "/app", "1"}, MeaningOf(manifest.Get(main, "command")))
	require.Equal(t, "b", manifest.Text(manifest.Get(main, "env", 0, "value")))
	require.Equal(t, "log", manifest.Text(manifest.Get(a.Object.Node, "spec", "template", "metadata", "annotations", "jobmesh.dev/native")))
}

func TestScope(t *testing.T) {
	on := lint.Namespace{Labels: map[string]string{lint.PolicyKey: lint.PolicyOn}}
	for text, want := range map[string][3]bool{ // a namespace that has the label, shop, and another one
		"all":         {true, true, true},
		"labelled":    {true, false, false},
		"none":        {false, false, false},
		"shop":        {true, true, false},
		"batch, shop": {true, true, false},
	} {
		s, err := ParseScope(text)
		require.NoError(t, err, text)
		require.Equal(t, want, [3]bool{s.Has("x", on), s.Has("shop", lint.Namespace{}), s.Has("y", lint.Namespace{})}, text)
	}
	for _, text := range []string{"", "Shop", "a,", "shop,all", "a b"} {
		_, err := ParseScope(text)
		require.Error(t, err, text)
	}
}
