package lint

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"
)

// After a move to the place of native sidecars, nothing hangs and nothing starts in the wrong
// order. Before it, most of these Jobs hang, as far as lint knows their helpers.
func TestMovedIsClean(t *testing.T) {
	files, err := filepath.Glob("../../internal/inject/testdata/native/*.txtar")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	hung := 0
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			require.NoError(t, err)
			for i, part := range archive.Files {
				name := filepath.Join(t.TempDir(), part.Name)
				require.NoError(t, os.WriteFile(name, part.Data, 0o600))
				found, _ := run(t, name)
				if slices.ContainsFunc(found, func(id string) bool { return id == "JM106" || id == "JM114" }) {
					hung++
					require.Zero(t, i, "after: %v", found)
				}
				if i == 1 {
					require.Empty(t, slices.DeleteFunc(found, func(id string) bool { return id == "JM201" }), part.Name)
				}
			}
		})
	}
	require.Greater(t, hung, 6)
}
