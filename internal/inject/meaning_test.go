package inject

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
)

// documentsOf returns the contents of the documents of a stream without mistakes.
func documentsOf(t testing.TB, text string) []any {
	var trees []any
	require.NoError(t, manifest.Scan("f", strings.NewReader(text), func(d *manifest.Document) error {
		require.NoError(t, d.Err)
		if d.Root != nil {
			tree, err := meaning(d)
			if err != nil { // the document holds no object, and stays as it is
				trees = append(trees, string(d.Text))
				return nil
			}
			for _, o := range d.Objects() {
				tree = words(tree, o)
			}
			trees = append(trees, tree)
		}
		return nil
	}))
	return trees
}

// onlyAdds says where the second tree lacks something that the first one has, or has another
// value in its place. It returns "" where everything that differs was added. The words of a
// command may stand behind other words.
func onlyAdds(before, after any, path string) string {
	switch before := before.(type) {
	case nil:
		return ""
	case map[string]any:
		now, isMap := after.(map[string]any)
		if !isMap {
			return path + " is no mapping any more"
		}
		for key, value := range before {
			changed, there := now[key]
			switch {
			case !there:
				return path + "." + key + " is gone"
			case isSetting(key):
			default:
				if lost := onlyAdds(value, changed, path+"."+key); lost != "" {
					return lost
				}
			}
		}
		return ""
	case []any:
		now, isList := after.([]any)
		if !isList || len(now) < len(before) {
			return path + " is shorter"
		}
		lost := ""
		for _, from := range []int{len(now) - len(before), 0} { // items are added at the start or at the end
			lost = ""
			for i, item := range before {
				if lost == "" {
					lost = onlyAdds(item, now[from+i], fmt.Sprintf("%s[%d]", path, i))
				}
			}
			if lost == "" {
				return ""
			}
		}
		return lost
	}
	if !reflect.DeepEqual(before, after) {
		return fmt.Sprintf("%s was %#v and is %#v", path, before, after)
	}
	return ""
}

// isSetting tells whether a key is an annotation that injection sets for the mesh.
func isSetting(key string) bool {
	for _, m := range mesh.All() {
		for _, s := range m.Wrap {
			if s.Key == key {
				return true
			}
		}
	}
	return false
}

// requireOnlyAdds shows that a stream means the same as before, apart from what was added.
func requireOnlyAdds(t testing.TB, before, after string) {
	old, now := documentsOf(t, before), documentsOf(t, after)
	require.Len(t, now, len(old))
	for i := range old {
		require.Empty(t, onlyAdds(old[i], now[i], ""))
	}
}

// The check itself has to find such differences.
func TestOnlyAdds(t *testing.T) {
	for after, want := range map[string]string{
		"a: {b: [w, x], c: d}":    "",
		"a: {b: [x], c: d, e: f}": "",
		"a: {b: [x]}":             ".a.c is gone",
		"a: {b: [z], c: d}":       `.a.b[0] was "x" and is "z"`,
		"a: {b: [], c: d}":        ".a.b is shorter",
		"a: 1":                    ".a is no mapping any more",
	} {
		require.Equal(t, want, onlyAdds(documentsOf(t, "a: {b: [x], c: d}")[0], documentsOf(t, after)[0], ""), after)
	}
}
