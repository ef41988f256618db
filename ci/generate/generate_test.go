package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/mod/modfile"
)

func TestReadValues(t *testing.T) {
	introduction, settings, err := readValues([]byte(`# What these are.
# In two lines.

# A word.
word: yes please

# Flags.
# @key quiet says nothing
flags: {}

# A group.
group:
  # Its one key.
  key: [1]

# A map with a default.
map:
  a: b
`))
	require.NoError(t, err)
	require.Equal(t, "What these are.\nIn two lines.", introduction)
	require.Equal(t, []setting{
		{"word", "A word.", `"yes please"`},
		{"flags", "Flags.", ""},
		{"flags.quiet", "says nothing", ""},
		{"group", "A group.", ""},
		{"group.key", "Its one key.", "[1]"},
		{"map", "A map with a default.", `{"a":"b"}`},
	}, settings)
}

func TestReadValuesRefuses(t *testing.T) {
	for name, c := range map[string]struct{ values, want string }{
		"no introduction": {"a: b\n", "does not open with a comment"},
		"a bare key":      {"# What these are.\n\n# A.\na: b\nc: d\n", "line 5: c has no comment"},
		"no YAML":         {"# What these are.\n\na: [\n", "yaml"},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := readValues([]byte(c.values))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestReadTemplates(t *testing.T) {
	templates, err := readTemplates(`{{/*
Prints one.

Usage:
{{ include "jobmesh.one" $ }}

Params:
  CONTEXT  Any  Not used

Prints:
  a: 1
    b

Errors: none.
*/}}
{{- define "jobmesh.one" -}}
{{- end -}}

{{- define "jobmesh._private" -}}
{{- end -}}
`)
	require.NoError(t, err)
	require.Len(t, templates, 1)
	require.Equal(t, "jobmesh.one", templates[0].name)
	require.Equal(t, "Prints one.", templates[0].text)
	var got string
	for _, s := range templates[0].sections {
		got += s.markdown()
	}
	require.Equal(t, "Usage:\n\n```yaml\n{{ include \"jobmesh.one\" $ }}\n```\n"+
		"| parameter | type | meaning |\n| --- | --- | --- |\n| `CONTEXT` | Any | Not used |\n"+
		"Prints:\n\n```yaml\na: 1\n  b\n```\n"+
		"Errors: none.\n", got)
}

func TestReadTemplatesRefuses(t *testing.T) {
	_, err := readTemplates("{{/*\nPrints one.\n\nUsage: x\n*/}}\n\n{{- define \"jobmesh.one\" -}}\n")
	require.ErrorContains(t, err, "jobmesh.one has no comment right above it")
	_, err = readTemplates("{{/*\nPrints one.\n*/}}\n{{- define \"jobmesh.one\" -}}\n")
	require.ErrorContains(t, err, "jobmesh.one: its comment has no Usage")
}

func TestPinned(t *testing.T) {
	parse := func(text string) *modfile.File {
		t.Helper()
		module, err := modfile.Parse("go.mod", []byte(text), nil)
		require.NoError(t, err)
		return module
	}
	modules := []*modfile.File{
		parse("module a\nrequire example.com/program v1.0.0 // indirect\n"),
		parse("module b\nrequire example.com/program v1.1.0\n"),
		parse("module c\nrequire example.com/library v0.5.0\n"),
		parse("module d\ntool example.com/program/cmd/run\nrequire example.com/program v1.2.0 // indirect\n"),
	}
	for path, want := range map[string]string{"example.com/program": "1.2.0", "example.com/library": "0.5.0"} {
		got, err := pinned(modules, path)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := pinned(modules[:1], "example.com/program")
	require.EqualError(t, err, "no go.mod pins example.com/program")
}
