package golden

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh"
)

var library = filepath.Join(root, "library-chart")

func read(t *testing.T, path ...string) string {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(path...))
	require.NoError(t, err)
	return string(content)
}

func parse[T any](t *testing.T, document string) T {
	t.Helper()
	var v T
	require.NoError(t, yaml.Unmarshal([]byte(document), &v))
	return v
}

var templateComment = regexp.MustCompile(`\s*\{\{- /\*.*?\*/}}`)

// printed returns what a private define prints, for defines without any actions.
func printed(t *testing.T, file, define string) string {
	t.Helper()
	text := read(t, library, "templates", file)
	_, text, found := strings.Cut(text, `{{- define "`+define+`" -}}`)
	require.True(t, found, "%s has no %s", file, define)
	text, _, _ = strings.Cut(text, "{{- end -}}")
	text = templateComment.ReplaceAllString(text, "")
	require.NotContains(t, text, "{{")
	return strings.TrimSpace(text)
}

// TestVersion: the templates know the version of their chart.
func TestVersion(t *testing.T) {
	chart := parse[struct{ Version, AppVersion string }](t, read(t, library, "Chart.yaml"))
	require.Equal(t, jobmesh.Version, chart.Version)
	require.Equal(t, chart.Version, chart.AppVersion)
	require.Equal(t, chart.Version, printed(t, "_version.tpl", "jobmesh.version"))
	files := chartFiles(t, root)
	uses := 0
	for _, file := range append(files, filepath.Join(root, "tests", "chart", "Chart.yaml")) {
		consumer := parse[struct {
			Dependencies []struct{ Name, Version string }
		}](t, read(t, file))
		for _, d := range consumer.Dependencies {
			if d.Name == "jobmesh" {
				uses++
				require.Equal(t, chart.Version, d.Version, file)
			}
		}
	}
	require.Greater(t, uses, 2)
}

// TestDigestLine: the release tool pins the chart to its image in this line.
func TestDigestLine(t *testing.T) {
	require.Regexp(t, regexp.MustCompile(`(?s)\nimage:\n(  [^\n]*\n)*  digest: ""\n`), read(t, library, "values.yaml"))
}

// A schema is a JSON schema, as far as values.schema.json uses it.
type schema struct {
	Type                 any
	Properties           map[string]schema
	AdditionalProperties any
	Pattern              string
	Items                *schema
	OneOf                []schema
}

// TestSchema: the schema refuses unknown keys, and values.yaml has every setting.
func TestSchema(t *testing.T) {
	top := parse[schema](t, read(t, library, "values.schema.json"))
	for name, s := range map[string]schema{"": top, "image": top.Properties["image"], "wrapper": top.Properties["wrapper"]} {
		require.NotEmpty(t, s.Properties, name)
		require.Equal(t, false, s.AdditionalProperties, name)
	}
	require.Contains(t, top.Properties, "global", "Helm gives global to every dependency")
	values := parse[map[string]any](t, read(t, library, "values.yaml"))
	for name := range top.Properties {
		if name != "global" {
			require.Contains(t, values, name)
		}
	}
}

// TestForms: the schema and the templates demand the same form of strings. The schema accepts
// "", which means not set; the templates do not check it.
func TestForms(t *testing.T) {
	var forms struct {
		Wrapper           map[string][]string
		SkipOutboundPorts []string
	}
	require.NoError(t, json.Unmarshal([]byte(printed(t, "_settings.tpl", "jobmesh._settings.forms")), &forms))
	top := parse[schema](t, read(t, library, "values.schema.json"))
	seen := 0
	for name, p := range top.Properties["wrapper"].Properties {
		pattern := p.Pattern
		if p.Items != nil {
			pattern = p.Items.Pattern
		}
		form, found := forms.Wrapper[name]
		require.Equal(t, pattern != "", found, name)
		if !found {
			continue
		}
		seen++
		ours, theirs := regexp.MustCompile(form[0]), regexp.MustCompile(pattern)
		for _, text := range []string{
			"0", "30", "30s", "1m30s", "1.5h", "500ms", "-1s", "5 s", "0s", "00s", "10", "1us", "1d", ".5s",
			"envoy", "/bin/envoy", "http://a", "https://a/b", "tcp://a:1", "a:1", "POST http://a", "post http://a", "POST a", "http://",
		} {
			require.Equal(t, ours.MatchString(text), theirs.MatchString(text), "%s: %q", name, text)
		}
	}
	require.Len(t, forms.Wrapper, seen)
	require.Equal(t, forms.SkipOutboundPorts[0], top.Properties["skipOutboundPorts"].Items.OneOf[1].Pattern)
}

// TestPackage: a published chart contains templates and no tests.
func TestPackage(t *testing.T) {
	for _, h := range helms(t) {
		dir := t.TempDir()
		r := h.run(t, "package", library, "--destination", dir)
		require.Zero(t, r.code, r.stderr)
		archives, err := filepath.Glob(filepath.Join(dir, "jobmesh-*.tgz"))
		require.NoError(t, err)
		require.Len(t, archives, 1)
		for _, name := range tarNames(t, archives[0]) {
			require.Regexp(t, `^jobmesh/(Chart\.yaml|README\.md|\.helmignore|values\.yaml|values\.schema\.json|templates/_[a-z_]+\.tpl)$`, name)
		}
	}
}

func tarNames(t *testing.T, path string) []string {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	defer f.Close()
	zr, err := gzip.NewReader(f)
	require.NoError(t, err)
	var names []string
	for tr := tar.NewReader(zr); ; {
		header, err := tr.Next()
		if err == io.EOF {
			return names
		}
		require.NoError(t, err)
		names = append(names, header.Name)
	}
}

// TestEveryValue: apart from what injection adds, a pod spec is printed as it was written,
// number for number.
func TestEveryValue(t *testing.T) {
	input := parse[struct{ PodSpec string }](t, read(t, "testdata", "values", "every-value.yaml")).PodSpec
	for _, h := range helms(t) {
		r := h.run(t, "template", "release", h.consumers(t)["consumer"], "-f", "testdata/values/every-value.yaml")
		require.Zero(t, r.code, r.stderr)
		job := exact(t, r.stdout)
		spec := job["spec"].(map[string]any)["template"].(map[string]any)["spec"].(map[string]any)
		want := exact(t, input)

		// This removes what was added.
		container := spec["containers"].([]any)[0].(map[string]any)
		container["command"] = container["command"].([]any)[2:]
		delete(container, "volumeMounts")
		delete(spec, "initContainers")
		volumes := spec["volumes"].([]any)
		spec["volumes"] = volumes[:len(volumes)-2]
		require.Equal(t, want, spec, h.name)
	}
}

// exact parses a YAML mapping without rounding its numbers.
func exact(t *testing.T, document string) map[string]any {
	t.Helper()
	content, err := yaml.YAMLToJSON([]byte(document))
	require.NoError(t, err)
	decoder := json.NewDecoder(strings.NewReader(string(content)))
	decoder.UseNumber()
	var v map[string]any
	require.NoError(t, decoder.Decode(&v))
	return v
}

// TestLargeScript: a command of 1 MiB is printed unchanged.
func TestLargeScript(t *testing.T) {
	script := strings.Repeat("echo \"a line\" # \"another\"  \n", 1<<16)
	require.Greater(t, len(script), 1<<20)
	spec, err := json.Marshal(map[string]any{
		"restartPolicy": "Never",
		"containers":    []any{map[string]any{"name": "main", "image": "app", "command": []string{"sh", "-c", script}}},
	})
	require.NoError(t, err)
	for _, h := range helms(t) {
		for key, form := range map[string]string{
			"podSpec":   string(spec),
			"manifests": `{"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "job"}, "spec": {"template": {"spec": ` + string(spec) + `}}}`,
		} {
			r := h.run(t, "template", "release", h.consumers(t)["consumer"], "-f", valuesFile(t, map[string]any{key: form}))
			require.Zero(t, r.code, r.stderr)
			var job struct {
				Spec struct {
					Template struct {
						Spec struct{ Containers []struct{ Command []string } }
					}
				}
			}
			require.NoError(t, yaml.Unmarshal([]byte(r.stdout), &job))
			require.Equal(t, []string{"/jobmesh/jobmesh-wrap", "--", "sh", "-c", script}, job.Spec.Template.Spec.Containers[0].Command)
		}
	}
}
