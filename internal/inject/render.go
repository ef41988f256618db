package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A renderer asks the library chart what it makes of objects. For that it has a chart of
// its own, made in memory, that uses the library as any other chart does.
type renderer struct {
	chart   *helm.Chart
	values  helm.Values
	version string
	enabled bool
	kinds   []string
	mode    string
	mesh    string
	moves   bool // containers become native sidecars
	from    string
}

// batch is how many objects are rendered in one run of the engine, which parses all
// templates anew each time.
const batch = 64

// settingsCall calls a template that fails where the settings are wrong, and never for
// another reason.
const settingsCall = `{{- $_ := include "jobmesh.podAnnotations" $ -}}`

// template returns a template that has jobmesh.manifests inject objects. It takes them as
// one stream, which costs least, or each by itself and prints a line of JSON for each. Each
// then has a define of its own, whose name in a message tells which object is meant.
func template() string {
	var b strings.Builder
	b.WriteString(settingsCall)
	b.WriteString(`{{- if .Values.stream -}}
{{- include "jobmesh.manifests" (list (dict "root" $ "text" .Values.stream) "object-0") -}}
{{- else -}}
{{- range $i, $text := .Values.objects -}}
{{- include "jobmesh.manifests" (list (dict "root" $ "text" $text) (printf "object-%d" $i)) | toJson }}
{{ end -}}
{{- end -}}
`)
	for i := range batch {
		fmt.Fprintf(&b, "{{- define \"object-%d\" }}{{ .text }}{{ end -}}\n", i)
	}
	return b.String()
}

func newRenderer(o Options, given map[string]any) (*renderer, error) {
	library, err := helm.LoadFS(o.Library, "library-chart")
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]string{"registry": o.Image.Registry, "repository": o.Image.Repository, "digest": o.Image.Digest} {
		if value != "" {
			library.Values = merge(library.Values, map[string]any{"image": map[string]any{key: value}})
		}
	}
	parent := &helm.Chart{
		Metadata:  &helm.Metadata{APIVersion: helm.APIVersion, Name: "inject", Version: library.Metadata.Version},
		Templates: []*helm.File{{Name: "templates/objects.yaml", Data: []byte(template())}},
	}
	if o.Lock != nil {
		parent.Files = []*helm.File{{Name: "jobmesh.lock.yaml", Data: o.Lock}}
	}
	parent.AddDependency(library)
	values, err := helm.ValuesOf(parent, given, "inject")
	if err != nil {
		return nil, explainValues(err, o.from(), schemaOf(o.Library))
	}
	r := &renderer{chart: parent, values: values, version: library.Metadata.Version, from: o.from()}
	if _, err := r.render(nil); err != nil {
		return nil, err
	}
	all := values["Values"].(helm.Values)
	effective, _ := all["jobmesh"].(map[string]any)
	global, _ := manifest.Lookup(map[string]any(all), manifest.Path{"global", "jobmesh"}).(map[string]any)
	effective = merge(effective, global)
	r.enabled = effective["enabled"] != false
	r.mode, _ = effective["mode"].(string)
	r.mesh, _ = effective["mesh"].(string)
	switch sidecars := effective["sidecars"].(type) {
	case []any:
		r.moves = len(sidecars) > 0
	case string:
		r.moves = sidecars != ""
	}
	kinds, _ := effective["kinds"].([]any)
	for _, kind := range kinds {
		r.kinds = append(r.kinds, fmt.Sprint(kind))
	}
	return r, nil
}

// A rendering is what the chart made of one object: the injected object, or the mistakes
// that it found in it.
type rendering struct {
	object   map[string]any
	mistakes []string
}

var (
	chartMistake    = regexp.MustCompile(`(?s)jobmesh\.manifests \(object-(\d+)\): (.*)$`)
	settingsMistake = regexp.MustCompile(`(?s)jobmesh\.podAnnotations: (.*)$`)
)

// render renders objects, given as JSON on one line each. An object with mistakes does
// not keep the others from being rendered.
func (r *renderer) render(objects []string) ([]rendering, error) {
	results := make([]rendering, len(objects))
	if len(objects) == 0 {
		_, err := r.run(map[string]any{}) // for what is wrong with the settings
		return nil, err
	}
	for from := 0; from < len(objects); from += batch {
		to := min(from+batch, len(objects))
		printed, err := r.run(map[string]any{"stream": strings.Join(objects[from:to], separator)})
		documents := strings.Split(printed, separator)
		if err != nil || len(documents) != to-from {
			if err := r.renderEach(objects, results, from, to); err != nil {
				return nil, err
			}
			continue
		}
		for i, document := range documents {
			if err := results[from+i].read(document); err != nil {
				return nil, err
			}
		}
	}
	return results, nil
}

// separator stands between two documents. It cannot be a part of one: neither the objects,
// which are JSON on one line, nor the YAML of the chart have a line that begins with ---.
const separator = "\n---\n"

// renderEach renders objects[from:to] one by one within a run. The engine stops at the first
// object with mistakes; the others are rendered again without it.
func (r *renderer) renderEach(objects []string, results []rendering, from, to int) error {
	var left []int
	for i := from; i < to; i++ {
		left = append(left, i)
	}
	for len(left) > 0 {
		texts := make([]any, len(left))
		for i, index := range left {
			texts[i] = objects[index]
		}
		printed, err := r.run(map[string]any{"objects": texts})
		if err == nil {
			return decode(printed, left, results)
		}
		m := chartMistake.FindStringSubmatch(err.Error())
		if m == nil {
			return fmt.Errorf("library chart: %w", err)
		}
		slot, _ := strconv.Atoi(m[1]) // digits
		results[left[slot]].mistakes = splitMistakes(showEscaped(m[2]))
		left = append(append([]int{}, left[:slot]...), left[slot+1:]...)
	}
	return nil
}

// run renders the template, with more values beside the settings.
func (r *renderer) run(more map[string]any) (string, error) {
	values, own := helm.Values{}, helm.Values{}
	maps.Copy(values, r.values)
	maps.Copy(own, r.values["Values"].(helm.Values))
	maps.Copy(own, more)
	values["Values"] = own
	printed, err := helm.Render(r.chart, values)
	if err != nil {
		if m := settingsMistake.FindStringSubmatch(err.Error()); m != nil {
			err = fault.New(fault.Usage, fmt.Errorf("%s: %s", r.from, m[1]), settingsHint)
		}
	}
	return printed["inject/templates/objects.yaml"], err
}

// read reads what the chart printed for an object.
func (r *rendering) read(printed string) error {
	var tree any
	if err := yaml.Unmarshal([]byte(printed), &tree); err != nil {
		return fmt.Errorf("library chart: %w", err)
	}
	object, isMap := showAll(tree).(map[string]any)
	if !isMap {
		r.mistakes = []string{"the library chart printed no object for it"}
		return nil
	}
	r.object = object
	return nil
}

func decode(printed string, indices []int, results []rendering) error {
	lines := strings.Split(strings.TrimSpace(printed), "\n")
	for i, index := range indices {
		var text string
		if err := json.Unmarshal([]byte(lines[i]), &text); err != nil {
			return fmt.Errorf("library chart: %w", err)
		}
		if err := results[index].read(text); err != nil {
			return err
		}
	}
	return nil
}

// nextMistake matches where one mistake of an object ends and the next begins: each
// opens with kind and name.
var nextMistake = regexp.MustCompile(`; ([A-Z][A-Za-z]* "(?:[^"\\]|\\.)*"(?:, [^:;]*)?: )`)

// splitMistakes returns the mistakes in a message of the chart, without the kind and name
// of the object, which stand in front of every mistake anyway when it is printed.
func splitMistakes(message string) []string {
	lines := strings.Split(nextMistake.ReplaceAllString(message, "\n$1"), "\n")
	for i, line := range lines {
		if m := opening.FindStringSubmatch(line); m != nil {
			lines[i] = strings.TrimPrefix(m[1]+line[len(m[0]):], ", ")
		}
		lines[i] = strings.TrimPrefix(lines[i], "document 1 is ")
	}
	return lines
}

var opening = regexp.MustCompile(`^[A-Z][A-Za-z]* "(?:[^"\\]|\\.)*"(|, [^:;]*: )(?:: )?`)
