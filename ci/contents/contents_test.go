package contents_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/ci/contents"
)

// repository writes files, by their paths, into a folder.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, filepath.FromSlash(name))
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return root
}

func TestRead(t *testing.T) {
	root := repository(t, map[string]string{
		contents.File: "chapters:\n- title: All\n  pages:\n  - {page: docs/a.md, says: one thing}\n  - {page: docs/b.md, title: B, says: another, below: docs/b/*.md}\n",
		"docs/a.md":   "<!-- written -->\n\n# A heading\n",
		"docs/b.md":   "# Too long\n",
		"docs/b/2.md": "# Second\n",
		"docs/b/1.md": "# First\n",
	})
	chapters, err := contents.Read(root)
	require.NoError(t, err)
	var titles []string
	for _, page := range contents.All(chapters) {
		titles = append(titles, page.Path+" "+page.Title)
	}
	assert.Equal(t, []string{"docs/a.md A heading", "docs/b.md B", "docs/b/1.md First", "docs/b/2.md Second"}, titles)
}

func TestReadWrong(t *testing.T) {
	for list, want := range map[string]string{
		"chapters: [{title: All, pages: [{page: docs/none.md, says: x}]}]":                  "none.md",
		"chapters: [{title: All, pages: [{page: docs/a.md}]}]":                              "docs/a.md: nothing says what it has",
		"chapters: [{title: All, pages: [{page: docs/empty.md, says: x}]}]":                 "docs/empty.md: has no heading",
		"chapters: [{title: All, pages: [{page: docs/a.md, says: x, below: docs/c/*.md}]}]": "no file is like docs/c/*.md",
		"chapters: [{title: All, page: []}]":                                                "field page not found",
	} {
		root := repository(t, map[string]string{contents.File: list, "docs/a.md": "# A\n", "docs/empty.md": "\n"})
		_, err := contents.Read(root)
		assert.ErrorContains(t, err, want)
	}
}

func TestAnchors(t *testing.T) {
	assert.Equal(t, map[string]bool{
		"what-exit-0-means": true, "jobmeshpodspec": true, "from-a-to-b": true, "twice": true, "twice-1": true, "see-lint": true, "-is-a-": true, "1-2": true,
	}, contents.Anchors("# Title\n## What exit 0 means?\n### `jobmesh.podSpec`\n## From a to b\n## Twice\n```\n## no heading\n```\n## Twice\n## See [lint](lint.md)\n## 1-2\n## `… is a …`\n"))
}
