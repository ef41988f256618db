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

// A document's content is a tree of map[string]any and []any, as encoding/json decodes it. No
// function here changes a tree that it is given: each returns a new one, which shares the
// unchanged parts with the old one.

// meaning returns the content of a document as Kubernetes reads it.
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

// words returns the tree with every word of a command as a string. YAML takes some words for a
// boolean or a number, as in command: [true]. The chart gets those as they are written, and
// they stay as they are in the text.
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

// with returns a copy of the tree with another value at a path.
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

// asJSON returns a tree as JSON.
func asJSON(tree any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		panic(err) // cannot happen: the tree was decoded from JSON
	}
	return string(text)
}

// sorted returns the keys of a map, sorted.
func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// merge returns a map with the keys of both; where both have a key, the value of the second map
// wins.
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
