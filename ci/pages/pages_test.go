package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/ci/contents"
	"github.com/jobmesh/jobmesh/internal/pages"
)

func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(quoted(text)), 0o600))
	}
	return root
}

// quoted replaces apostrophes by backquotes.
func quoted(text string) string { return strings.ReplaceAll(text, "'", "`") }

const list = `chapters:
- title: First
  pages:
  - {page: README.md, title: What it is, says: the problem}
  - {page: docs/rules/README.md, says: rules, below: docs/rules/JM*.md}
`

func TestLay(t *testing.T) {
	root := repository(t, map[string]string{
		contents.File:          list,
		contents.Index:         "# Documentation\n",
		"docs/rules/README.md": "# Rules\n",
		"docs/rules/JM101.md":  "<!-- written -->\n\n# JM101: it hangs\n\n[All](README.md), [code](../../ci/run)\n",
		"docs/out.json":        "{}",
		"docs/life.svg":        "<svg/>",
		"ci/run":               "",
		"README.md": `# It
[rules](docs/rules/README.md#a-1), [folder](docs/rules),
['out'](docs/out.json) ![life](docs/life.svg) [far](https://example.com/docs) '[no](link.md)'
## A 'b.c'
'''sh
## [no](link.md) <!-- stays -->
'''
`,
	})
	dir := t.TempDir()
	require.NoError(t, lay(root, dir))
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		return string(text)
	}
	assert.Equal(t, quoted(`---
myst:
  html_meta:
    description: "What it is: the problem"
---
# It
[rules](docs/rules/index.md#a-1), [folder](docs/rules/index.md),
<a href="docs/out.json">'out'</a> ![life](docs/life.svg) [far](https://example.com/docs) '[no](link.md)'
<a id="a-bc"></a>

## A 'b.c'
'''sh
## [no](link.md) <!-- stays -->
'''

'''{toctree}
:hidden:
:caption: First

What it is <self>
Rules <docs/rules/index>
'''
`), read("index.md"))
	assert.Contains(t, read("docs/rules/index.md"), "\nJM101: it hangs <JM101>\n")
	assert.Contains(t, read("docs/rules/JM101.md"), "[All](index.md), [code]("+pages.Source("ci/run")+")")
	assert.NotContains(t, read("docs/rules/JM101.md"), "<!--")
	assert.Contains(t, read("docs/index.md"), "orphan: true\n")
	assert.Contains(t, read("extra/llms.txt"), "\n## First\n\n- [What it is](README.md): the problem\n- [Rules](docs/rules/README.md): rules\n  - [JM101: it hangs](docs/rules/JM101.md)\n")
	assert.Equal(t, "# Rules\n", read("extra/docs/rules/README.md"))
	assert.Equal(t, "{}", read("extra/docs/out.json"))
	assert.Equal(t, "<svg/>", read("docs/life.svg"))
}

func TestLayNowhere(t *testing.T) {
	root := repository(t, map[string]string{
		contents.File: list, contents.Index: "# Documentation\n", "docs/rules/README.md": "# Rules\n", "docs/rules/JM101.md": "# JM101\n",
		"README.md": "# It\n[gone](docs/gone.md)\n",
	})
	assert.EqualError(t, lay(root, t.TempDir()), "README.md: the link to docs/gone.md leads nowhere")
}
