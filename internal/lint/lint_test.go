package lint

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// profiles are clusters in which many rules apply.
var profiles = []Profile{
	{},
	{Mesh: "linkerd", Installation: native.Installation{Version: mesh.Version{Major: 2, Minor: 18}}},
	{Mesh: "istio", Installation: native.Installation{Native: native.True}, Kubernetes: mesh.Version{Major: 1, Minor: 28}, PostRenderer: "helm3"},
	{Mesh: "consul"},
}

var namespaces = map[string]Namespace{"shop": {
	Labels:      map[string]string{podSecurityLabel: "restricted"},
	Annotations: map[string]string{rowOf("linkerd").Inject.Key: "enabled"},
}}

func check(t testing.TB, profile Profile, text []byte) []Finding {
	var found []Finding
	linter := New(profile, namespaces)
	require.NoError(t, manifest.Scan("file.yaml", bytes.NewReader(text), func(d *manifest.Document) error {
		for _, o := range d.Objects() {
			found = append(found, linter.Check(o)...)
		}
		return nil
	}))
	return found
}

// Whatever a manifest contains, lint neither panics nor reports a position outside the file.
func FuzzCheck(f *testing.F) {
	files, err := filepath.Glob("testdata/rules/*.txtar")
	require.NoError(f, err)
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		require.NoError(f, err)
		for _, part := range archive.Files {
			f.Add(part.Data)
		}
	}
	odd := []string{
		"kind: Job\napiVersion: batch/v1\nmetadata: [a]\nspec: {template: {metadata: 5, spec: {containers: {a: b}}}}\n",
		"kind: Job\napiVersion: batch/v1\nspec: {template: {spec: {containers: [5, [a], {command: {a: b}, args: [[x]], env: [a, {name: [b]}]}]}}}\n",
		"kind: CronJob\napiVersion: batch/v1\nmetadata: {annotations: &a {linkerd.io/inject: [enabled]}}\nspec: {jobTemplate: {metadata: {annotations: *a}, spec: {template: {<<: *a}}}}\n",
		"kind: Pod\napiVersion: v1\nmetadata: {namespace: shop}\nspec: {restartPolicy: Never, volumes: [{name: jobmesh}, 5], containers: [{name: a, volumeMounts: [{mountPath: /jobmesh}], command: [sh, -c]}]}\n",
	}
	for _, text := range odd {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		lines := 1 + bytes.Count(text, []byte("\n")) + bytes.Count(text, []byte("\r")) +
			bytes.Count(text, []byte("\u0085")) + bytes.Count(text, []byte("\u2028")) + bytes.Count(text, []byte("\u2029"))
		for _, p := range profiles {
			for _, finding := range check(t, p, text) {
				if finding.Line < 1 || finding.Line > lines || finding.Column < 1 || finding.FieldPath == "" && finding.Message == "" {
					t.Fatalf("a finding at no place: %+v", finding)
				}
			}
		}
	})
}

func TestByID(t *testing.T) {
	r, err := ByID("jm101")
	require.NoError(t, err)
	require.Equal(t, "JM101", r.ID)
	_, err = ByID("JM1O1")
	require.EqualError(t, err, `rule "JM1O1" is unknown, did you mean JM101?`)
}

func TestIDsAreUnique(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range slices.Concat(Rules(), Elsewhere()) {
		require.Regexp(t, `^JM[1-6]\d\d$`, r.ID)
		require.False(t, seen[r.ID], r.ID)
		seen[r.ID] = true
	}
}

// A fix must be possible in that cluster: no native sidecar before Kubernetes 1.29, and no
// inject for kinds that inject leaves alone.
func TestFixesFit(t *testing.T) {
	const pod = "{spec: {restartPolicy: Never, containers: [{name: a, image: b, command: [c]}]}}"
	job := []byte("{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: " + pod + "}}")
	volcano := []byte("{apiVersion: batch.volcano.sh/v1alpha1, kind: Job, metadata: {name: a}, spec: {tasks: [{template: " + pod + "}]}}")
	ray := []byte("{apiVersion: ray.io/v1, kind: RayJob, metadata: {name: a}, spec: {submitterPodTemplate: {spec: {restartPolicy: Never, containers: [{name: a, image: b}]}}}}")
	for _, c := range []struct {
		text           []byte
		kubernetes     int
		native, inject bool
	}{{job, 29, true, true}, {job, 28, false, true}, {volcano, 29, true, true}, {ray, 29, true, false}} {
		found := check(t, Profile{Mesh: "istio", Kubernetes: mesh.Version{Major: 1, Minor: c.kubernetes}}, c.text)
		require.Len(t, found, 1)
		require.Equal(t, "JM101", found[0].Rule.ID)
		require.Equal(t, c.native, strings.Contains(found[0].Fix, rowOf("istio").Native.Words[0].Name), found[0].Fix)
		require.Equal(t, c.inject, strings.Contains(found[0].Fix, "jobmesh inject"), found[0].Fix)
	}
}

// A message names the object by its own word, and once.
func TestCalled(t *testing.T) {
	const pod = "{spec: {restartPolicy: Never, containers: [{name: a, image: b, command: [c]}]}}"
	for text, want := range map[string]string{
		"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: " + pod + "}}":                                                                     "; the Job stays active (",
		"{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {activeDeadlineSeconds: 9, template: " + pod + "}}":                                           "; the Job fails at its deadline of 9 s, although the work has ended (",
		"{apiVersion: jobset.x-k8s.io/v1alpha2, kind: JobSet, metadata: {name: a}, spec: {replicatedJobs: [{name: b, template: {spec: {template: " + pod + "}}}]}}": "; the JobSet stays active (",
	} {
		found := check(t, Profile{Mesh: "istio", Installation: native.Installation{Native: native.False}}, []byte(text))
		require.Len(t, found, 1)
		require.Contains(t, found[0].Message, want)
	}
}

// A fix names an annotation that this release of the mesh reads, and no annotation where the
// release reads none. So a user who follows the fix does not get the same finding again.
func TestFixesAreRead(t *testing.T) {
	for _, c := range []struct {
		mesh         string
		major, minor int
		rule, word   string
	}{
		{"linkerd", 2, 14, "JM101", ""},
		{"linkerd", 2, 15, "JM101", "config.alpha.linkerd.io/proxy-enable-native-sidecar"},
		{"linkerd", 2, 19, "JM101", "config.beta.linkerd.io/proxy-enable-native-sidecar"},
		{"istio", 1, 23, "JM101", ""},
		{"istio", 1, 24, "JM101", "sidecar.istio.io/nativeSidecar"},
		{"consul", 1, 8, "JM108", ""},
		{"consul", 1, 9, "JM108", "consul.hashicorp.com/enable-consul-dataplane-as-sidecar"},
		{"dapr", 1, 17, "JM107", ""},
		{"dapr", 1, 18, "JM107", "dapr.io/enable-native-sidecar"},
	} {
		judge := func(annotations string) []Finding {
			text := "{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {metadata: {annotations: {" + annotations +
				"}}, spec: {restartPolicy: OnFailure, containers: [{name: a, image: b, command: [c]}]}}}}"
			in := native.Installation{Version: mesh.Version{Major: c.major, Minor: c.minor}}
			return check(t, Profile{Mesh: c.mesh, Installation: in}, []byte(text))
		}
		asked := ""
		if rowOf(c.mesh).Inject.WhenAsked {
			asked = rowOf(c.mesh).Inject.Key + `: "true", `
		}
		found := judge(asked)
		require.Len(t, found, 1)
		require.Equal(t, c.rule, found[0].Rule.ID)
		require.Equal(t, c.word != "", strings.Contains(found[0].Fix, "native sidecar"), found[0].Fix)
		if c.word != "" {
			require.Contains(t, found[0].Fix, c.word+`: "true"`)
			for _, f := range judge(asked + c.word + `: "true"`) {
				require.NotEqual(t, Error, f.Severity, "the fix helps: %s", f.Message)
			}
		}
	}
}

// A finding points at the field itself: the value, the key, or the word of the command.
func TestPositions(t *testing.T) {
	text, err := os.ReadFile("testdata/rules/JM307.txtar")
	require.NoError(t, err)
	for _, part := range txtar.Parse(text).Files {
		if part.Name == "wrong.yaml" {
			found := check(t, Profile{}, part.Data)
			require.Len(t, found, 1)
			require.Equal(t, `spec.template.metadata.annotations["example.com/retries"]`, found[0].FieldPath)
			require.Equal(t, []int{9, 30}, []int{found[0].Line, found[0].Column})
		}
	}
	found := check(t, Profile{}, []byte(`{apiVersion: batch/v1, kind: Job, metadata: {name: a}, spec: {template: {spec: {
  restartPolicy: Never,
  containers: [{name: main, command: [sh, -c,
    "a; curl -X POST http://localhost:15020/quitquitquit"]}]}}}}`))
	require.Len(t, found, 1)
	require.Equal(t, "JM401", found[0].Rule.ID)
	require.Equal(t, "spec.template.spec.containers[0].command[2]", found[0].FieldPath)
	require.Equal(t, []int{4, 5}, []int{found[0].Line, found[0].Column})
}

// In a script of many lines a finding points at the line with the call.
func TestPositionInScript(t *testing.T) {
	found := check(t, Profile{}, []byte(`# a comment
---
apiVersion: batch/v1
kind: Job
metadata: {name: a}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: main
          command: [sh, -c]
          args:
            - |
              # quietly

              ./work
                curl -X POST http://localhost:15020/quitquitquit
`))
	require.Len(t, found, 1)
	require.Equal(t, []int{18, 17}, []int{found[0].Line, found[0].Column})
}

func TestMeant(t *testing.T) {
	for key, want := range map[string]string{
		"linkerd.io/injected":                            "linkerd.io/inject",
		"linkerd.io/Inject":                              "linkerd.io/inject",
		"sidecar.istio.io/nativesidecar":                 "sidecar.istio.io/nativeSidecar",
		"sidecar.istio.io/native-side":                   "sidecar.istio.io/nativeSidecar",
		"config.linkerd.io/proxy-enable-native-sidecars": "config.linkerd.io/proxy-enable-native-sidecar",
		"dapr.io/enable":                                 "dapr.io/enabled",
		"linkerd.io/inject":                              "",
		"config.linkerd.io/skip-inbound-ports":           "",
		"vault.hashicorp.com/agent-pre-populate":         "",
		"dapr.io/app-id":                                 "",
		"example.com/inject":                             "",
		"istio.io/rev":                                   "",
		"app.kubernetes.io/name":                         "",
	} {
		got, _ := meant(key)
		require.Equal(t, want, got, key)
	}
}

func TestLacks(t *testing.T) {
	for _, c := range []struct {
		image, tool string
		want        bool
	}{
		{"gcr.io/distroless/static:nonroot", "curl", true},
		{"gcr.io/distroless/static:debug", "wget", false},
		{"gcr.io/distroless/static:debug", "curl", true},
		{"alpine:3.22", "curl", true},
		{"docker.io/library/alpine", "curl", true},
		{"alpine:3.22", "wget", false},
		{"busybox", "curl", true},
		{"debian:13-slim", "wget", true},
		{"example.com/alpine:3", "curl", false},
		{"curlimages/curl:8", "curl", false},
		{"cgr.dev/chainguard/python:latest", "curl", true},
		{"cgr.dev/chainguard/python:latest-dev", "wget", false},
		{"python:3.14", "curl", false},
	} {
		require.Equal(t, c.want, lacks(c.image, c.tool), c.image+" "+c.tool)
	}
}

// Every rule that the table of meshes names exists.
func TestRulesOfMeshes(t *testing.T) {
	for _, m := range mesh.All() {
		for _, id := range []string{m.Rule, m.WrittenRule, m.StopNeeds.Rule} {
			if id != "" {
				_, err := ByID(id)
				require.NoError(t, err, m.Name)
			}
		}
	}
}
