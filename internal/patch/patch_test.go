package patch

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

type object = map[string]any

func key(name string, value any, path ...any) Change {
	return Change{Op: AddKey, Path: path, Key: name, Value: value}
}

func front(value []any, path ...any) Change { return Change{Op: Prepend, Path: path, Value: value} }
func back(value []any, path ...any) Change  { return Change{Op: Append, Path: path, Value: value} }

// TestApply shows how additions are written in each kind of place. Each case is
// undone too, from what Format says, and has to be what it was.
func TestApply(t *testing.T) {
	named := []any{object{"name": "x", "size": 1.0}}
	for _, c := range []struct {
		name, text, want string
		changes          []Change
	}{
		{"behind the last field", "a: 1 # one\n# end\n", "a: 1 # one\nb: c\n# end\n", []Change{key("b", "c")}},
		{"without a line break", "a: 1", "a: 1\nb: c", []Change{key("b", "c")}},
		{"CRLF", "a:\r\n  b: 1\r\n", "a:\r\n  b: 1\r\n  c:\r\n    d: e\r\n", []Change{key("c", object{"d": "e"}, "a")}},
		{"behind a block scalar", "a:\n  b: |\n    # text\n\n    more\n\n\nc: d\n", "a:\n  b: |\n    # text\n\n    more\n  e: f\n\n\nc: d\n", []Change{key("e", "f", "a")}},
		{"behind one that keeps blank lines", "a:\n  b: |+\n    x\n\nc: d\n", "a:\n  b: |+\n    x\n\n  e: f\nc: d\n", []Change{key("e", "f", "a")}},
		{"behind one that is not ended", "a: |\n  x", "b: c\na: |\n  x", []Change{key("b", "c")}},
		{"behind a plain scalar of two lines", "a: b\n  c # d\n", "a: b\n  c # d\ne: f\n", []Change{key("e", "f")}},
		{"behind a field without value", "a: # none\nb:\n", "a: # none\nb:\nc: d\n", []Change{key("c", "d")}},
		{"metadata comes first", "spec: {}\n", "metadata:\n  a: b\nspec: {}\n", []Change{key("metadata", object{"a": "b"})}},
		{"steps of four", "a:\n    b: 1\n", "a:\n    b: 1\n    c:\n        d: e\n", []Change{key("c", object{"d": "e"}, "a")}},
		{"lists at their key", "a:\n- b\nc: {}\n", "a:\n- b\nc: {}\nd:\n- name: x\n  size: 1\n", []Change{key("d", named)}},
		{"lists below their key", "a:\n   - b\n", "a:\n   - b\nd:\n   - name: x\n     size: 1\n", []Change{key("d", named)}},
		{"items in front and behind", "a:\n  # first\n  - 'b'\n  -   name: c\n      d: e # f\n", "a:\n  - '--'\n  # first\n  - 'b'\n  -   name: c\n      d: e # f\n  - name: x\n    size: 1\n", []Change{front([]any{"--"}, "a"), back(named, "a")}},
		{"in front of what has comments", "a: # a\n# of the list\n- b\n", "a: # a\n- --\n- c\n# of the list\n- b\n", []Change{front([]any{"--", "c"}, "a")}},
		{"metadata in front of what has comments", "a:\n  # other\n\n   # odd\n  # more\n  spec: 1\n", "a:\n  # other\n\n   # odd\n  metadata:\n    b: c\n  # more\n  spec: 1\n", []Change{key("metadata", object{"b": "c"}, "a")}},
		{"a list in a list", "- - b\n", "- - --\n  - b\n", []Change{front([]any{"--"}, 0)}},
		{"flow", "a: {b: [c, d], e: {}}\n", "a: {b: [--, c, d], e: {f: g}, h: \"yes\"}\n", []Change{front([]any{"--"}, "a", "b"), key("f", "g", "a", "e"), key("h", "yes", "a")}},
		{"flow with a last comma", "a: [ {name: y} , ]\n", "a: [ {name: y}, {name: x, size: 1} , ]\n", []Change{back(named, "a")}},
		{"flow on many lines", "a: {\n  b: c, # d\n  e: f\n}\n", "a: {\n  b: c, # d\n  e: f,\n  g: h\n}\n", []Change{key("g", "h", "a")}},
		{"nothing behind the colon", "a: # none\nb: 1\n", "a: {c: d} # none\nb: 1\n", []Change{key("c", "d", "a")}},
		{"a null that is written", "a: ~\nb: [Null]\n", "a: [{name: x, size: 1}]\nb: [Null]\n", []Change{back(named, "a")}},
		{"an anchor that all use alike", "a: &a {b: 1}\n", "a: &a {b: 1, c: d}\n", []Change{key("c", "d", "a")}},
		{"a merge key", "a: &a {b: [c]}\nd:\n  <<: *a\n  e: f\n", "a: &a {b: [c]}\nd:\n  <<: *a\n  e: f\n  b:\n    - --\n    - c\n", []Change{front([]any{"--"}, "d", "b")}},
		{"JSON on one line", `{"a":{"b":["c"]}}`, `{"a":{"b":["--","c"],"d":true}}`, []Change{front([]any{"--"}, "a", "b"), key("d", true, "a")}},
		{"JSON on many", "{\n\t\"a\": [\n\t\t\"c\"\n\t]\n}\n", "{\n\t\"a\": [\n\t\t\"--\",\n\t\t\"c\"\n\t],\n\t\"d\": {\n\t\t\"e\": 1\n\t}\n}\n", []Change{front([]any{"--"}, "a"), key("d", object{"e": 1.0})}},
		{"a text of several lines", "a:\n  b: 1\n", "a:\n  b: 1\n  c: |\n    x y\n      z\n    # w\n", []Change{key("c", "x y\n  z\n# w\n", "a")}},
		{"words that YAML would take for something else", "a: 1\n", "a: 1\nb:\n  - \"no\"\n  - \"1\"\n  - \"\"\n  - 16Mi\n  - a/b:1@c\n  - \"a: b\"\n  - \"\\u007f\"\n", []Change{key("b", []any{"no", "1", "", "16Mi", "a/b:1@c", "a: b", "\x7f"})}},
		{"behind a line of blanks", "a:\n  b: 1\n        \nc: d\n", "a:\n  b: 1\n        \n  e: |\n    x\n    y\nc: d\n", []Change{key("e", "x\ny\n", "a")}},
		{"keys with a question mark", "? a\n: ? b\n  : 1\n? c\n: - d\n", "? a\n: ? b\n  : 1\n  e: f\n? c\n: - g\n  - d\nh: i\n", []Change{key("e", "f", "a"), front([]any{"g"}, "c"), key("h", "i")}},
		{"YAML 1.2", "# first\n%YAML 1.2\n---\na: 1\n", "# first\n%YAML 1.2\n---\na: 1\nb: c\n", []Change{key("b", "c")}},
		{"much in an empty list", "a:\n- b: []\n", "a:\n- b: [{name: " + strings.Repeat("x", 50) + "},\n    {name: " + strings.Repeat("y", 50) + "}]\n", []Change{back([]any{object{"name": strings.Repeat("x", 50)}, object{"name": strings.Repeat("y", 50)}}, "a", 0, "b")}},
		{"much where there is nothing", "a:\n  b:\n  c: d\n", "a:\n  b:\n    - name: " + strings.Repeat("x", 50) + "\n    - name: " + strings.Repeat("y", 50) + "\n  c: d\n", []Change{back([]any{object{"name": strings.Repeat("x", 50)}, object{"name": strings.Repeat("y", 50)}}, "a", "b")}},
		{"wide characters", "ä: {ö: [ü]}\nß: 1\n", "ä: {ö: [--, ü]}\nß: 1\nb: c\n", []Change{front([]any{"--"}, "ä", "ö"), key("b", "c")}},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := manifest.Parse("f", 1, []byte(c.text))
			require.NoError(t, d.Err)
			plan, err := New(d, c.changes, true)
			require.NoError(t, err)
			var undos []Undo
			for i := range c.changes {
				undos = append(undos, plan.Undo(i)...)
			}
			result, err := plan.Apply()
			require.NoError(t, err)
			require.Equal(t, c.want, string(result.Text))

			read, err := Parse(Format(undos))
			require.NoError(t, err)
			require.Equal(t, undos, read)
			was, err := Revert(result, []Addition{{Node: result.Root, Undos: read}})
			require.NoError(t, err)
			require.Equal(t, c.text, string(was))
		})
	}
}

// TestShared: what others see through an anchor is not changed behind their back.
func TestShared(t *testing.T) {
	apply := func(text string, expand bool, changes ...Change) (string, error) {
		plan, err := New(manifest.Parse("f", 1, []byte(text)), changes, expand)
		if err != nil {
			return "", err
		}
		d, err := plan.Apply()
		if err != nil {
			return "", err
		}
		return string(d.Text), nil
	}
	text := "a: &a [x]\nb: *a\n"
	_, err := apply(text, false, front([]any{"--"}, "b"))
	require.EqualError(t, err, "b is shared with other places by the anchor &a, and would change there too; write it out")
	got, err := apply(text, true, front([]any{"--"}, "b"))
	require.NoError(t, err)
	require.Equal(t, "a: &a [x]\nb: [--, x]\n", got)
	_, err = apply(text, true, front([]any{"--"}, "a"))
	require.ErrorAs(t, err, new(*SharedError))
	got, err = apply(text, false, front([]any{"--"}, "a"), front([]any{"--"}, "b"))
	require.NoError(t, err)
	require.Equal(t, "a: &a [--, x]\nb: *a\n", got, "both change alike")
}

// TestRevertKeeps: what others have added beside it stays, and what they have changed
// is not guessed at.
func TestRevertKeeps(t *testing.T) {
	d := manifest.Parse("f", 1, []byte("a: [x]\n"))
	plan, err := New(d, []Change{
		front([]any{"w", "--"}, "a"), key("metadata", object{"annotations": object{"b": "c"}}), key("v", []any{object{"name": "own"}}),
	}, false)
	require.NoError(t, err)
	var undos []Undo
	for i := range 3 {
		undos = append(undos, plan.Undo(i)...)
	}
	result, err := plan.Apply()
	require.NoError(t, err)
	text := string(result.Text)
	revert := func(old, new string) (string, error) {
		require.Contains(t, text, old)
		d := manifest.Parse("f", 1, []byte(strings.Replace(text, old, new, 1)))
		require.NoError(t, d.Err)
		was, err := Revert(d, []Addition{{Node: d.Root, Undos: undos}})
		return string(was), err
	}
	was, err := revert("    b: c\n", "    b: c\n    mine: x\n")
	require.NoError(t, err)
	require.Equal(t, "metadata:\n  annotations:\n    mine: x\na: [x]\n", was)
	was, err = revert("  - name: own\n", "  - name: mine\n  - name: own\n")
	require.NoError(t, err)
	require.Equal(t, "a: [x]\nv:\n  - name: mine\n", was)
	was, err = revert("v:\n  - name: own\n", "")
	require.NoError(t, err)
	require.Equal(t, "a: [x]\n", was)
	_, err = revert("[w, ", "[other, ")
	require.ErrorIs(t, err, ErrChanged)
	require.EqualError(t, err, "a is not what was added there; it was changed since")
	_, err = revert("[w, --, ", "[w, --more, --, ")
	require.ErrorIs(t, err, ErrChanged, "one of ours would stay in")
}

// TestRevertRenamed: what was put into an item of a list is looked for in those of
// other names too, rather than left in.
func TestRevertRenamed(t *testing.T) {
	text := "l: [{name: a, c: [w, --, x]}, {name: b, c: [w, --, y]}]\n"
	undos, err := Parse("+ /l/name=a/c/:2 \"w\" \"--\"\n+ /l/name=b/c/:2 \"w\" \"--\"\n")
	require.NoError(t, err)
	for old, want := range map[string]string{
		"":                           "l: [{name: a, c: [x]}, {name: b, c: [y]}]\n",
		"{name: a, c: [w, --, x]}, ": "l: [{name: b, c: [y]}]\n",
		"name: a, ":                  "",
	} {
		d := manifest.Parse("f", 1, []byte(strings.Replace(text, old, "", 1)))
		was, err := Revert(d, []Addition{{Node: d.Root, Undos: undos}})
		if want == "" {
			require.EqualError(t, err, "l.a.c is not what was added there; it was changed since")
			continue
		}
		require.NoError(t, err)
		require.Equal(t, want, string(was))
	}
}

func TestParseRefuses(t *testing.T) {
	for _, line := range []string{"", "nonsense", "+ a", "= /a", `= /a "b`, "+ /a/:0", "+ /a/:x", "+ /a/:2/b", "+ /a/name=b,c/d", "- /a", `+ /a/name=b,c "d"`, `+ /a "b" "c"`, `+ /a/:2 "b""c`, `+ /a/:2 "b" "c" "d"`} {
		undos, err := Parse(line)
		if line == "" {
			require.Empty(t, undos)
			continue
		}
		require.EqualError(t, err, `"`+strings.ReplaceAll(line, `"`, `\"`)+`" is not a line of a record`)
	}
}

// FuzzRevert shows that no record, which anybody may have written, makes anything panic.
func FuzzRevert(f *testing.F) {
	f.Add("a: [w, --, x]\nm: {n: {b: c}}\nl:\n- name: own\n", "+ /a/:2 \"w\" \"--\"\n+ /m/n\n+ /l/name=own\n")
	f.Add("a: ~\nb: |\n  x\nl: &l [{name: a}, *l]\n", "= /a \"[]\"\n= /b \"\"\n+ /l/name=a,b\n+ /l/0\n+ /\n")
	f.Add("{\"a\": [\"x\"],\n\t\"b\": {}}", "+ /a/:1 \"x\"\n+ /a/:1 \"x\"\n+ /a\n+ /b\n")
	f.Fuzz(func(t *testing.T, text, record string) {
		d := manifest.Parse("f", 1, []byte(text))
		undos, err := Parse(record)
		if err != nil || d.Root == nil {
			return
		}
		_, _ = Revert(d, []Addition{{Node: d.Root, Undos: undos}})
	})
}
