package inject

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// What a document means is a tree of map[string]any and []any, as encoding/json makes it.
// No function here changes a tree that it is given: each returns another one, which shares
// with the first what is the same in both.

// meaning returns what a document says, as Kubernetes reads it.
func meaning(d *manifest.Document) (any, error) {
	text := d.AsJSON()
	if !d.JSON {
		var err error
		if text, err = yaml.YAMLToJSON(manifest.ForParser(d.Text)); err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
	}
	var tree any
	err := json.Unmarshal(text, &tree)
	return tree, err
}

// words returns the tree with the words of commands as strings. Those that YAML takes for a
// boolean or a number, as in command: [true], are shown to the chart as they are written,
// and stay so in the text.
func words(tree any, o manifest.Object) any {
	for _, t := range o.PodTemplates() {
		for _, c := range t.Containers() {
			for _, field := range []string{"command", "args"} {
				for i, n := range manifest.Items(manifest.Get(c.Node, field)) {
					path := o.Path.Join(c.Path...).Join(field, i)
					if _, isString := manifest.Lookup(tree, path).(string); !isString && n.Kind == yaml3.ScalarNode && n.Tag != "!!null" {
						tree = with(tree, path, n.Value)
					}
				}
			}
		}
	}
	return tree
}

// with returns a tree that has another value at a path.
func with(tree any, path manifest.Path, value any) any {
	if len(path) == 0 {
		return value
	}
	switch step := path[0].(type) {
	case string:
		m, _ := tree.(map[string]any)
		m = maps.Clone(m)
		if m == nil {
			m = map[string]any{}
		}
		m[step] = with(m[step], path[1:], value)
		return m
	case int:
		l, _ := tree.([]any)
		l = slices.Clone(l)
		if step < len(l) {
			l[step] = with(l[step], path[1:], value)
		}
		return l
	}
	return tree
}

// asJSON is a tree as JSON.
func asJSON(tree any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		panic(err) // it came from JSON
	}
	return string(text)
}

// sorted returns the keys of a map in their order.
func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// merge returns a map with the keys of both, where the second one wins.
func merge(under, over map[string]any) map[string]any {
	merged := map[string]any{}
	for key, value := range under {
		merged[key] = value
	}
	for key, value := range over {
		below, isMap := merged[key].(map[string]any)
		above, areMaps := value.(map[string]any)
		if isMap && areMaps {
			value = merge(below, above)
		}
		merged[key] = value
	}
	return merged
}
