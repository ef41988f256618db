package inject

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// odd are characters that YAML, JSON or Helm treat specially: control characters, characters
// that some parsers take for a line end, marks, a code point that is not a character, and one
// for private use.
var odd = []rune{
	0x01, 0x08, 0x1b, 0x7f, 0x80, 0x85, 0x9f, 0xa0, 0xad, 0x2028, 0x2029, 0xd7ff, 0xf8e5,
	0xfeff, 0xfffd, 0xfffe, 0xffff, 0x1f600, 0x1fffe, 0x10ffff,
}

// TestOddCharacters shows for each of them, in every string of an object, that injection adds
// to the object and changes nothing else, and that the object can be restored.
func TestOddCharacters(t *testing.T) {
	in, out := injector(t, map[string]any{}, false), injector(t, map[string]any{}, true)
	for _, kind := range []string{"Job", "Pod"} {
		for _, form := range []string{"yaml", "flow", "json"} {
			for _, r := range odd {
				t.Run(fmt.Sprintf("%s/%s/%U", kind, form, r), func(t *testing.T) {
					word := fmt.Sprintf(`"a\U%08xb"`, r)
					if form == "json" {
						word = jsonWord(r)
					}
					text := withWord(kind, form, word)
					once, result := run(t, in, text)
					require.Empty(t, result.Mistakes)
					want := "a" + string(r) + "b"
					spec := podSpec(t, kind, once)
					container := manifest.Lookup(spec, manifest.Path{"containers", 0})
					require.Equal(t, []any{"/jobmesh/jobmesh-wrap", "--", "/bin/sh", want}, manifest.Lookup(container, manifest.Path{"command"}))
					require.Equal(t, []any{want}, manifest.Lookup(container, manifest.Path{"args"}))
					require.Equal(t, want, manifest.Lookup(container, manifest.Path{"env", 0, "value"}))
					require.Equal(t, want, manifest.Lookup(meaningOf(t, once), manifest.Path{"metadata", "annotations", want}))
					twice, result := run(t, in, once)
					require.Empty(t, result.Mistakes)
					require.Equal(t, once, twice)
					back, result := run(t, out, once)
					require.Empty(t, result.Mistakes)
					require.Equal(t, text, back)
				})
			}
		}
	}
}

// TestLoneSurrogate: half of a surrogate pair is not a character. Kubernetes reads U+FFFD in
// its place, and the text stays as it was written.
func TestLoneSurrogate(t *testing.T) {
	text := withWord("Job", "json", `"a\ud800b"`)
	once, result := run(t, injector(t, map[string]any{}, false), text)
	require.Empty(t, result.Mistakes)
	require.Contains(t, once, `"--", "/bin/sh", "a\ud800b"]`)
	back, result := run(t, injector(t, map[string]any{}, true), once)
	require.Empty(t, result.Mistakes)
	require.Equal(t, text, back)
}

// TestOddSettings: a character in the settings that Helm would lose is an error, as it is in a
// chart.
func TestOddSettings(t *testing.T) {
	settings := map[string]any{"annotations": map[string]any{"note": "a\u0085b"}}
	_, err := New(Options{Library: library.LibraryChart, Values: map[string]any{"jobmesh": settings}})
	require.ErrorContains(t, err, "values: annotations.note holds the character U+0085, which Helm would lose in YAML; remove it")
}

// TestMistakeShowsTheWord: a message shows the string as it was written.
func TestMistakeShowsTheWord(t *testing.T) {
	_, result := run(t, injector(t, map[string]any{}, false), "apiVersion: batch/v1\nkind: Job\nmetadata: {name: j}\nspec: {template: {spec: {restartPolicy: Never, containers: [{name: \"a\\uf8e5b\", image: x}]}}}\n")
	require.Len(t, result.Mistakes, 1)
	require.ErrorContains(t, result.Mistakes[0], `has no command`)
	require.ErrorContains(t, result.Mistakes[0], `container "a\uf8e5b"`)
}

// jsonWord returns a JSON string that holds one character, written as an escape.
func jsonWord(r rune) string {
	if r > 0xffff {
		r -= 0x10000
		return fmt.Sprintf(`"a\u%04x\u%04xb"`, 0xd800+r>>10, 0xdc00+r&0x3ff)
	}
	return fmt.Sprintf(`"a\u%04xb"`, r)
}

// withWord returns an object with the word in every place that takes a string.
func withWord(kind, form, word string) string {
	apiVersion, open, end := "batch/v1", `{"template": {"spec": `, "}}"
	if kind == "Pod" {
		apiVersion, open, end = "v1", "", ""
	}
	if form == "yaml" {
		indent := "      "
		lines := "spec:\n  template:\n    spec:\n"
		if kind == "Pod" {
			indent, lines = "  ", "spec:\n"
		}
		text := "apiVersion: " + apiVersion + "\nkind: " + kind + "\nmetadata:\n  name: odd\n  annotations:\n    " + word + ": " + word + "\n" + lines
		for _, line := range []string{
			"restartPolicy: Never", "containers:", "- name: main", "  image: app", "  command:", "  - /bin/sh", "  - " + word,
			"  args: [" + word + "]", "  env:", "  - name: A", "    value: " + word,
		} {
			text += indent + line + "\n"
		}
		return text
	}
	text := `{"apiVersion": "` + apiVersion + `", "kind": "` + kind + `", "metadata": {"name": "odd", "annotations": {` + word + `: ` + word + `}}, "spec": ` + open +
		`{"restartPolicy": "Never", "containers": [{"name": "main", "image": "app", "command": ["/bin/sh", ` + word + `], "args": [` + word + `], "env": [{"name": "A", "value": ` + word + `}]}]}` + end + "}\n"
	if form == "flow" {
		text = "# no JSON\n" + text
	}
	return text
}

func meaningOf(t *testing.T, text string) any {
	t.Helper()
	var tree any
	read := func(text []byte, into any) error { return yaml.Unmarshal(text, into) }
	if text[0] == '{' { // only JSON has surrogate pairs
		read = json.Unmarshal
	}
	require.NoError(t, read([]byte(text), &tree))
	return tree
}

func podSpec(t *testing.T, kind, text string) any {
	t.Helper()
	path := manifest.Path{"spec", "template", "spec"}
	if kind == "Pod" {
		path = manifest.Path{"spec"}
	}
	return manifest.Lookup(meaningOf(t, text), path)
}
