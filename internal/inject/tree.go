package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

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
		if text, err = yaml.YAMLToJSON(manifest.WithoutMark(d.Text)); err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
	}
	var tree any
	err := json.Unmarshal(text, &tree)
	return tree, err
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

// oneLine writes JSON that the YAML parser of the chart can read: without characters
// that YAML has to have escaped.
func oneLine(tree any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		panic(err) // it came from JSON
	}
	var b strings.Builder
	for _, r := range string(text) {
		if r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufeff' || r == '\ufffe' || r == '\uffff' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
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
