package patch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// What is put right is written as its surroundings are, and nothing else changes.
func TestMended(t *testing.T) {
	path := func(steps ...any) manifest.Path { return steps }
	for _, c := range []struct {
		name, text, want string
		mends            []Mend
	}{
		{"a key", "a:\n  b: 1 # c\n", "a:\n  d: 1 # c\n", []Mend{{Kind: Rename, Path: path("a"), Key: "b", Text: "d"}}},
		{"a key in quotes", "a: {'b': 1}\n", "a: {'d': 1}\n", []Mend{{Kind: Rename, Path: path("a"), Key: "b", Text: "d"}}},
		{"a value", "a:\n  b: False  # c\n", "a:\n  b: \"false\"  # c\n", []Mend{{Kind: Rewrite, Path: path("a"), Key: "b", Text: "false"}}},
		{"a value in quotes", "a: {b: 'Enabled'}\n", "a: {b: 'enabled'}\n", []Mend{{Kind: Rewrite, Path: path("a"), Key: "b", Text: "enabled"}}},
		{"a value in JSON", `{"a":{"b":true}}`, `{"a":{"b":"true"}}`, []Mend{{Kind: Rewrite, Path: path("a"), Key: "b", Text: "true"}}},
		{"a value behind an anchor", "a: {b: &x False}\n", "a: {b: &x \"false\"}\n", []Mend{{Kind: Rewrite, Path: path("a"), Key: "b", Text: "false"}}},
		{"a field", "a:\n  b: 1\n  # of c\n  c: 2\n", "a:\n  # of c\n  c: 2\n", []Mend{{Kind: Remove, Path: path("a"), Key: "b"}}},
		{"the last field", "a:\n  c: 2\n  b: 1\nd: 3\n", "a:\n  c: 2\nd: 3\n", []Mend{{Kind: Remove, Path: path("a"), Key: "b"}}},
		{"the only field", "e:\n  a:\n    b: 1\n  d: 3\n", "e:\n  d: 3\n", []Mend{{Kind: Remove, Path: path("e", "a"), Key: "b"}}},
		{"items", "a: [w, --, x]\nb:\n  - w\n  - x\n", "a: [x]\nb:\n  - x\n", []Mend{{Kind: RemoveFirst, Path: path("a"), Count: 2}, {Kind: RemoveFirst, Path: path("b"), Count: 1}}},
		{"a text", "a:\n  b: c\n", "a:\n  b: c\n  d: \"true\"\n", []Mend{{Kind: AddText, Path: path("a"), Key: "d", Text: "true"}}},
		{"a text with its mappings", "a:\n  spec: {}\n", "a:\n  metadata:\n    b:\n      d: e\n  spec: {}\n", []Mend{{Kind: AddText, Path: path("a", "metadata", "b"), Key: "d", Text: "e"}}},
		{"a text where there is nothing", "a:\n  b:\n  c: {}\n", "a:\n  b: {d: e}\n  c: {}\n", []Mend{{Kind: AddText, Path: path("a", "b"), Key: "d", Text: "e"}}},
		{"from one place to another", "a: {b: {x: v}, c: d}\n", "a: {c: d, e: {x: v}}\n", []Mend{{Kind: AddText, Path: path("a", "e"), Key: "x", Text: "v"}, {Kind: Remove, Path: path("a", "b"), Key: "x"}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := Mended(manifest.Parse("f", 1, []byte(c.text)), c.mends)
			require.NoError(t, err)
			require.Equal(t, c.want, string(d.Text))
		})
	}
}

func TestMendedRefuses(t *testing.T) {
	for text, m := range map[string]Mend{
		"a: {b: 1}\n":                 {Kind: Rename, Path: manifest.Path{"a"}, Key: "x", Text: "y"},
		"a: {b: 1, c: 2}\n":           {Kind: Rename, Path: manifest.Path{"a"}, Key: "b", Text: "c"},
		"a: {b: c}\n":                 {Kind: AddText, Path: manifest.Path{"a"}, Key: "b", Text: "d"},
		"a: [x]\n":                    {Kind: RemoveFirst, Path: manifest.Path{"a"}, Count: 1},
		"x: &x {b: 1}\na: *x\n":       {Kind: Rewrite, Path: manifest.Path{"a"}, Key: "b", Text: "2"},
		"a: 1\n":                      {Kind: Remove, Path: manifest.Path{"a"}, Key: "b"},
		"x: &x {b: 1}\na: {<<: *x}\n": {Kind: Remove, Path: manifest.Path{"a"}, Key: "b"},
	} {
		_, err := Mended(manifest.Parse("f", 1, []byte(text)), []Mend{m})
		require.Error(t, err, text)
	}
}
