package inject

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"runtime"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A renderer has the library chart inject objects. For that it makes a chart in memory that
// uses the library as any other chart does.
type renderer struct {
	chart   *helm.Chart
	values  helm.Values
	version string
	enabled bool
	kinds   []string
	mode    string
	mesh    string
	moves   bool // says that the settings move containers to the place of native sidecars
	from    string
}

// batch is the number of objects that are rendered in one run of the engine. Each run parses
// all templates again.
const batch = 128

// template has the library inject objects, which are JSON, and prints one line of JSON for
// each. The include in its first line fails only where the settings are wrong.
const template = `{{- $_ := include "jobmesh.podAnnotations" $ -}}
{{- include "jobmesh._manifests.json" (list $ .Values.objects) -}}
`

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
		Templates: []*helm.File{{Name: "templates/objects.yaml", Data: []byte(template)}},
	}
	if o.Lock != nil {
		parent.Files = []*helm.File{{Name: lockfile.FileName, Data: o.Lock}}
	}
	parent.AddDependency(library)
	values, err := helm.ValuesOf(parent, given, "inject")
	if err != nil {
		return nil, explainValues(err, o.from(), schemaOf(o.Library))
	}
	r := &renderer{chart: parent, values: values, version: library.Metadata.Version, from: o.from()}
	if _, err := r.run(nil); err != nil { // this fails only where the settings are wrong
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

// A rendering is the chart's answer for one object: the injected object, and the mistakes that
// the chart found in it.
type rendering struct {
	object   map[string]any
	mistakes []string
}

var settingsMistake = regexp.MustCompile(`(?s)jobmesh\.podAnnotations: (.*)$`)

// render has the chart inject objects, which are JSON, on all processors.
func (r *renderer) render(objects []string) ([]rendering, error) {
	results := make([]rendering, len(objects))
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	for first := 0; first < len(objects); first += batch {
		some := objects[first:min(first+batch, len(objects))]
		workers.Go(func() error {
			printed, err := r.run(some)
			if err != nil {
				return err
			}
			lines := json.NewDecoder(strings.NewReader(printed))
			for i := range some {
				if results[first+i], err = read(lines); err != nil {
					return fmt.Errorf("library chart: %w", err)
				}
			}
			return nil
		})
	}
	return results, workers.Wait()
}

// run renders the template with the settings and these objects, and returns what it prints.
func (r *renderer) run(objects []string) (string, error) {
	values, own := helm.Values{}, helm.Values{}
	maps.Copy(values, r.values)
	maps.Copy(own, r.values["Values"].(helm.Values))
	own["objects"] = objects
	values["Values"] = own
	printed, err := helm.Render(r.chart, values)
	if err != nil {
		if m := settingsMistake.FindStringSubmatch(err.Error()); m != nil {
			err = fault.New(fault.Usage, fmt.Errorf("%s: %s", r.from, m[1]), settingsHint)
		}
	}
	return printed["inject/templates/objects.yaml"], err
}

// read decodes the chart's answer for one object.
func read(lines *json.Decoder) (rendering, error) {
	var line struct {
		Object   map[string]any
		Mistakes []string
	}
	if err := lines.Decode(&line); err != nil {
		return rendering{}, err
	}
	r := rendering{object: line.Object}
	for _, mistake := range line.Mistakes {
		r.mistakes = append(r.mistakes, withoutName(mistake))
	}
	return r, nil
}

// withoutName returns a mistake without the kind and name of its object, because every mistake
// is printed with both in front.
func withoutName(mistake string) string {
	if m := opening.FindStringSubmatch(mistake); m != nil {
		mistake = strings.TrimPrefix(m[1]+mistake[len(m[0]):], ", ")
	}
	return strings.TrimPrefix(mistake, "it is ")
}

var opening = regexp.MustCompile(`^[A-Z][A-Za-z]* "(?:[^"\\]|\\.)*"(|, [^:;]*: )(?:: )?`)
