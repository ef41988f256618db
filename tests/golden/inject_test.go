package golden

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	jobmesh "github.com/jobmesh/jobmesh"
	engine "github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

type values = map[string]any

// injected returns the objects of manifests that jobmesh inject wrote, without its
// record.
func injected(t *testing.T, chart, manifests string, given values) ([]any, error) {
	t.Helper()
	lock, err := os.ReadFile(filepath.Join(chart, "jobmesh.lock.yaml"))
	if !os.IsNotExist(err) {
		require.NoError(t, err)
	}
	in, err := inject.New(inject.Options{Library: jobmesh.LibraryChart, Values: given, Lock: lock})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	result, err := in.Run(context.Background(), []string{"-"}, strings.NewReader(manifests), &out)
	if err == nil && len(result.Mistakes) > 0 {
		err = result.Mistakes[0]
	}
	for _, note := range result.Notes {
		if err == nil && note.Action == inject.Skipped && !apart(t, manifests, note.Reason) {
			err = fmt.Errorf("%v", note)
		}
	}
	if err != nil {
		return nil, err
	}
	all := objectsOf(t, out.String())
	for _, object := range all {
		forget(object)
	}
	return all, nil
}

// apart tells whether a note is about pods that the chart leaves alone, too, without a message.
func apart(t *testing.T, manifests, reason string) (found bool) {
	t.Helper()
	require.NoError(t, manifest.Scan("", strings.NewReader(manifests), func(d *manifest.Document) error {
		for _, o := range d.Objects() {
			for _, part := range o.Apart() {
				found = found || strings.HasPrefix(reason, part.Why)
			}
		}
		return nil
	}))
	return found
}

// forget removes the record, and the maps that were made for it.
func forget(object any) {
	o, _ := object.(values)
	metadata, _ := o["metadata"].(values)
	annotations, _ := metadata["annotations"].(values)
	if _, has := annotations[inject.Record]; has {
		delete(annotations, inject.Record)
		if len(annotations) == 0 {
			delete(metadata, "annotations")
		}
	}
	items, _ := o["items"].([]any)
	for _, item := range items {
		forget(item)
	}
}

func objectsOf(t *testing.T, manifests string) []any {
	t.Helper()
	var all []any
	require.NoError(t, manifest.Scan("manifests", strings.NewReader(manifests), func(d *manifest.Document) error {
		var object any
		require.NoError(t, yaml.Unmarshal(d.Text, &object))
		if object != nil {
			all = append(all, object)
		}
		return nil
	}))
	return all
}

// TestInjectExamples: jobmesh inject makes of each example's plain manifests what the example
// itself renders.
func TestInjectExamples(t *testing.T) {
	h := helms(t)[0]
	// These settings stand in the call of an example, and not in its values.
	settings := map[string]values{
		"alias": {"wrapper": values{"logFormat": "json"}},
		"dict":  {"wrapper": values{"readyTimeout": "30s"}},
	}
	compared := 0
	for name, chart := range h.consumers(t) {
		switch name {
		case "consumer", "umbrella": // the suites below; and several charts, each with settings of its own
			continue
		case "alerts", "policy": // there are no pods in them
			continue
		}
		t.Run(name, func(t *testing.T) {
			plain := h.run(t, "template", "release", chart, "--set", "global.jobmesh.enabled=false")
			require.Zero(t, plain.code, plain.stderr)
			with, given := settings[name]
			if !given {
				with, _ = parse[values](t, read(t, chart, "values.yaml"))["jobmesh"].(values)
			}
			got, err := injected(t, chart, plain.stdout, values{"jobmesh": with})
			require.NoError(t, err)
			want := strings.ReplaceAll(read(t, "testdata", "rendered", name+".yaml"), "VERSION", jobmesh.Version)
			require.Equal(t, objectsOf(t, want), got)
			compared++
		})
	}
	require.Greater(t, compared, 9)
}

// TestInjectSuites: the same holds for every case of the chart's own suites. A case that the
// chart refuses is refused by jobmesh inject too, or left as it is.
func TestInjectSuites(t *testing.T) {
	consumer, err := engine.LoadFolder(filepath.Join(root, "tests", "chart"))
	require.NoError(t, err)
	files, err := filepath.Glob(filepath.Join(root, "tests", "chart", "tests", "*_test.yaml"))
	require.NoError(t, err)
	compared, refused := 0, 0
	for _, file := range files {
		require.NoError(t, manifest.Scan(file, strings.NewReader(read(t, file)), func(d *manifest.Document) error {
			suite := parse[cases](t, string(d.Text))
			for _, c := range suite.Tests {
				set := suite.inputs(t, c)
				if !suite.shows(set) {
					continue
				}
				t.Run(fmt.Sprintf("%s %s", suite.Suite, c.It), func(t *testing.T) {
					if compare(t, consumer, set) {
						compared++
					} else {
						refused++
					}
				})
			}
			return nil
		}))
	}
	t.Logf("%d compared, %d refused by both", compared, refused)
	require.Greater(t, compared, 150)
	require.Greater(t, refused, 50)
}

// Cases are the parts of a helm-unittest file that are read here.
type cases struct {
	Suite     string
	Templates []string
	Set       values
	Values    []string
	Tests     []struct {
		It     string
		Set    values
		Values []string
	}
}

// inputs are the values of a case.
func (s cases) inputs(t *testing.T, c struct {
	It     string
	Set    values
	Values []string
}) values {
	set := values{}
	for _, name := range append(append([]string{}, s.Values...), c.Values...) {
		maps.Copy(set, parse[values](t, read(t, root, "tests", "chart", "tests", name)))
	}
	for _, from := range []values{s.Set, c.Set} {
		for key, value := range from {
			if before, _ := set[key].(values); before != nil {
				if over, isMap := value.(values); isMap {
					value = engine.Merge(maps.Clone(over), before)
				}
			}
			set[key] = value
		}
	}
	return set
}

// shows says whether a case uses a template that takes manifests or a pod spec.
func (s cases) shows(set values) bool {
	if len(s.Templates) != 1 || len(set) == 0 {
		return false
	}
	switch s.Templates[0] {
	case "templates/manifests.yaml":
		text, _ := set["manifests"].(string)
		return text != ""
	case "templates/pod_spec.yaml":
		// Only a define can have a separator within a pod spec.
		text, _ := set["podSpec"].(string)
		return text != "" && !strings.Contains(text, "---\n")
	}
	return false
}

var (
	lineStart = regexp.MustCompile(`(?m)^`)
	// helmsAlone matches refusals because of a string or number that Helm loses in YAML, and of
	// nothing else. Inject writes into the text, which keeps both.
	helmsAlone = regexp.MustCompile(`which Helm would lose in YAML; remove it, or let the program make it, as a shell does with printf$|and Helm cannot tell which; write it as a string, or a smaller number$`)
)

// compare says whether both have injected; otherwise both have refused.
func compare(t *testing.T, consumer *engine.Chart, set values) bool {
	t.Helper()
	template, isSpec := "consumer/templates/manifests.yaml", false
	plain, _ := set["manifests"].(string)
	if spec, _ := set["podSpec"].(string); spec != "" {
		template, isSpec = "consumer/templates/pod_spec.yaml", true
		plain = "apiVersion: batch/v1\nkind: Job\nmetadata:\n  name: job\nspec:\n  template:\n    spec:\n" + lineStart.ReplaceAllString(spec, "      ")
	}
	// Only a call can have options; global.jobmesh is the nearest equivalent.
	global, _ := set["global"].(values)
	if options, _ := set["options"].(values); options != nil {
		library, isMap := global["jobmesh"].(values)
		if !isMap && global["jobmesh"] != nil {
			t.Skip("a global.jobmesh that is no map, and options")
		}
		global = mergeValues(global, values{"jobmesh": nil})
		global["jobmesh"] = mergeOptions(library, options)
	}
	given := values{"jobmesh": set["jobmesh"]}
	if given["jobmesh"] == nil {
		given["jobmesh"] = values{}
	}
	if global != nil {
		given["global"] = global
	}
	got, refusal := injected(t, filepath.Join(root, "tests", "chart"), plain, given)
	rendered, err := renderOne(consumer, set, template)
	if err != nil {
		if helmsAlone.MatchString(err.Error()) {
			require.NoError(t, refusal, "inject writes into the text itself, and keeps such a value")
		} else {
			require.Error(t, refusal, "the chart says: %v", err)
		}
		return false
	}
	require.NoError(t, refusal)
	want := objectsOf(t, rendered)
	if isSpec {
		require.Equal(t, podSpecOf(want), podSpecOf(got))
	} else {
		require.Equal(t, want, got)
	}
	return true
}

func mergeValues(under, over values) values {
	merged := maps.Clone(under)
	if merged == nil {
		merged = values{}
	}
	for key, value := range over {
		before, isMap := merged[key].(values)
		after, areMaps := value.(values)
		if isMap && areMaps {
			value = mergeValues(before, after)
		}
		merged[key] = value
	}
	return merged
}

// mergeOptions does what the chart does with two layers of settings.
func mergeOptions(under, over values) values {
	merged := maps.Clone(under)
	if merged == nil {
		merged = values{}
	}
	for key, value := range over {
		if strings.Contains("image wrapper annotations entrypoints", key) {
			before, _ := merged[key].(values)
			if after, isMap := value.(values); isMap {
				value = mergeValues(before, after)
			}
		}
		merged[key] = value
	}
	return merged
}

func podSpecOf(objects []any) any {
	spec, _ := objects[0].(values)["spec"].(values)
	template, _ := spec["template"].(values)
	return template["spec"]
}

// renderOne renders a template of the consumer chart.
func renderOne(consumer *engine.Chart, set values, template string) (string, error) {
	all, err := engine.ValuesOf(consumer, set, "release")
	if err != nil {
		return "", err
	}
	printed, err := engine.Render(consumer, all)
	return printed[template], err
}

// TestInjectGolden writes the files that tests/kubetypes compares with the types of Kubernetes.
func TestInjectGolden(t *testing.T) {
	lock := []byte(read(t, root, "tests", "chart", "jobmesh.lock.yaml"))
	in, err := inject.New(inject.Options{Library: jobmesh.LibraryChart, Lock: lock, Values: values{
		"jobmesh": values{"containers": "all", "skipOutboundPorts": []any{5432}, "image": values{"pullSecrets": []any{"mirror"}}},
	}})
	require.NoError(t, err)
	var out bytes.Buffer
	result, err := in.Run(context.Background(), []string{"testdata/values/inject.yaml"}, nil, &out)
	require.NoError(t, err)
	require.Empty(t, result.Mistakes)
	golden := filepath.Join("testdata", "rendered", "inject.yaml")
	if *update {
		require.NoError(t, os.WriteFile(golden, []byte(versionless(out.String())), 0o644))
	}
	require.Equal(t, read(t, golden), versionless(out.String()), "hint: go test ./tests/golden -update")
}
