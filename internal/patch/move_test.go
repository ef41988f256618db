package patch

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// moving moves the container db of a Pod in front of all init containers.
func moving(d *manifest.Document) (*manifest.Document, Move, error) {
	index := 0
	for i, c := range manifest.Items(manifest.Get(d.Root, "spec", "containers")) {
		if manifest.Text(manifest.Get(c, "name")) == "db" {
			index = i
		}
	}
	return MoveItem(d, Moving{Mapping: manifest.Path{"spec"}, From: "containers", To: "initContainers", Index: index, Without: "rules"})
}

// TestMoveItem: an item goes into the other list with its comments and quotes, and comes
// back to the byte.
func TestMoveItem(t *testing.T) {
	for name, c := range map[string]struct{ text, want string }{
		"the last of several": {
			"spec:\n  initContainers:\n  - name: w # first\n  containers:\n  - name: main\n\n  # serves\n  - name: db # 5432\n    args: ['a',  \"b\"]\n  volumes: []\n",
			"spec:\n  initContainers:\n  # serves\n  - name: db # 5432\n    args: ['a',  \"b\"]\n  - name: w # first\n  containers:\n  - name: main\n\n  volumes: []\n",
		},
		"the first, into a list that is not there": {
			"spec:\n  # all\n  containers:\n  - name: db\n\n  # work\n  - name: main\n",
			"spec:\n  initContainers:\n  - name: db\n  # all\n  containers:\n  # work\n  - name: main\n",
		},
		"into a field without a value, with CRLF": {
			"spec:\r\n  initContainers:\r\n  containers:\r\n  - name: db\r\n  - name: main\r\n",
			"spec:\r\n  initContainers:\r\n  - name: db\r\n  containers:\r\n  - name: main\r\n",
		},
		"into a list with another indentation": {
			"spec:\n  initContainers:\n      - name: w\n  containers:\n  - name: main\n  - name: db\n    args:\n    - |\n      a\n\n        b\n",
			"spec:\n  initContainers:\n      - name: db\n        args:\n        - |\n          a\n\n            b\n      - name: w\n  containers:\n  - name: main\n",
		},
		"at the end of a file without a line break": {
			"spec:\n  containers:\n  - name: main\n  - name: db",
			"spec:\n  initContainers:\n  - name: db\n  containers:\n  - name: main\n",
		},
		"without a field that stays behind": {
			"spec:\n  containers:\n  - name: main\n  - name: db\n    rules:\n    - a: b\n\n    args: [x]\n",
			"spec:\n  initContainers:\n  - name: db\n\n    args: [x]\n  containers:\n  - name: main\n",
		},
		"between brackets": {
			"spec:\n  containers: [{name: db, port: 0x10} , {name: main}]\n",
			"spec:\n  initContainers: [{name: db, port: 0x10}]\n  containers: [{name: main}]\n",
		},
		"between brackets, without a field that stays behind": {
			"spec:\n  containers: [{name: main}, {name: db, rules: [a], port: 1}]\n",
			"spec:\n  initContainers: [{name: db, port: 1}]\n  containers: [{name: main}]\n",
		},
		"an item between brackets, without a field that stays behind": {
			"spec:\n  containers:\n  - {name: main}\n  - {rules: [a], name: db}\n",
			"spec:\n  initContainers:\n  - {name: db}\n  containers:\n  - {name: main}\n",
		},
		"between brackets, into others": {
			"spec: {containers: [{name: main},{name: db}], initContainers: []}\n",
			"spec: {containers: [{name: main}], initContainers: [{name: db}]}\n",
		},
		"JSON": {
			"{\"spec\": {\"containers\": [\n  {\"name\": \"main\"},\n  {\"name\": \"db\",\n   \"image\": \"db\"}\n]}}\n",
			"{\"spec\": {\"initContainers\": [{\"name\": \"db\",\n   \"image\": \"db\"}], \"containers\": [\n  {\"name\": \"main\"}\n]}}\n",
		},
		"an anchor that stays in front of its aliases": {
			"spec:\n  containers:\n  - name: db\n    image: &image db\n  - name: main\n    image: *image\n",
			"spec:\n  initContainers:\n  - name: db\n    image: &image db\n  containers:\n  - name: main\n    image: *image\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := manifest.Parse("f", 1, []byte(c.text))
			require.NoError(t, d.Err)
			moved, move, err := moving(d)
			require.NoError(t, err)
			require.Equal(t, c.want, string(moved.Text))
			again, ok := ParseMove(move.String() + "\n")
			require.True(t, ok, move.String())
			require.Equal(t, move, again)
			back, err := Unmove(moved, nil, again)
			require.NoError(t, err)
			require.Equal(t, c.text, string(back.Text))
		})
	}
}

// TestMoveItemRefused: what cannot be moved faithfully is said, and is not moved.
func TestMoveItemRefused(t *testing.T) {
	for text, want := range map[string]string{
		"spec:\n  containers:\n  - name: main\n    image: &i a\n  - name: db\n    image: *i\n": `"db" cannot be moved to initContainers: unknown anchor 'i' referenced there`,
		"a: &a\n- name: main\n- name: db\nspec:\n  containers: *a\n":                           "spec.containers is an alias, so that nothing can be moved out of it; write it out",
		"a: &a\n  containers:\n  - name: main\n  - name: db\nspec:\n  <<: *a\n":                "spec.containers is not written there, so that nothing can be moved out of it; write it out",
		"spec:\n  containers: 5\n": "spec.containers has no such item",
		"spec:\n  initContainers: [{name: w}]\n  containers:\n  - name: main\n  - name: db\n":                "spec.initContainers is not written as a list with each item on lines of its own, so that it cannot be moved with its comments; write it so",
		"spec:\n  containers:\n  - name: main\n  - rules: []\n    name: db\n":                                `rules of "db" is its first field, and cannot be taken out there; write its name first`,
		"spec:\n  containers:\n  - name: main\n  - name: db\n    args:\n    - |\n      without a line break": `"db" cannot be moved to initContainers without changing something else`,
	} {
		d := manifest.Parse("f", 1, []byte(text))
		require.NoError(t, d.Err)
		_, _, err := moving(d)
		require.EqualError(t, err, want, text)
	}
}

// TestUnmoveChanged: an item that somebody has edited since is not put back as it was.
func TestUnmoveChanged(t *testing.T) {
	for _, text := range []string{
		"spec:\n  containers:\n  - name: main\n  - name: db\n    image: db:1\n",
		"spec: {containers: [{name: main}, {name: db, image: 'db:1'}]}\n",
	} {
		moved, move, err := moving(manifest.Parse("f", 1, []byte(text)))
		require.NoError(t, err)
		for old, edited := range map[string]string{"db:1": "db:2", "name: db": "name: other", "initContainers": "others"} {
			d := manifest.Parse("f", 1, []byte(strings.Replace(string(moved.Text), old, edited, 1)))
			_, err = Unmove(d, nil, move)
			require.ErrorIs(t, err, ErrChanged, edited)
		}
	}
}

func TestParseMoveRefuses(t *testing.T) {
	for _, line := range []string{
		"", "> /spec", "+ /spec a 1 0 b c 0 0 0 \"\"", "> spec a 1 0 b c 0 0 0 \"\"", "> /spec a -1 0 b c 0 0 0 \"\"", "> /spec a 1 x b c 0 0 0 \"\"",
		"> /spec a 1 0 b c 0 0 0 x", "> /spec a 1 0 b c 9 0 0 \"\"", "> /spec a 1 0 b c 0 5 9 \"\"",
	} {
		_, ok := ParseMove(line)
		require.False(t, ok, line)
	}
}

// FuzzMoveItem: whatever the document, a move that is made can be taken back to the byte.
func FuzzMoveItem(f *testing.F) {
	for _, text := range []string{
		"spec:\n  containers:\n  - name: main\n  - name: db\n    rules: []\n",
		"spec:\n  initContainers:\n   - name: w\n  containers:\n  # a\n  - name: db\n  - name: main\n",
		"spec: {containers: [{name: main}, {name: db}], initContainers: []}",
		"{\"spec\":{\"containers\":[{\"name\":\"db\"},{\"name\":\"main\"}]}}",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		d := manifest.Parse("f", 1, text)
		if d.Err != nil || d.Root == nil {
			return
		}
		moved, move, err := moving(d)
		if err != nil {
			return
		}
		back, err := Unmove(moved, nil, move)
		require.NoError(t, err)
		require.Equal(t, string(text), string(back.Text))
	})
}
