package cache_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
)

func TestFolderIsMadeOnce(t *testing.T) {
	dir := cache.Dir(filepath.Join(t.TempDir(), "not there yet"))
	made := 0
	fill := func(folder string) error {
		made++
		return os.WriteFile(filepath.Join(folder, "program"), []byte("content"), 0o755)
	}
	for range 2 {
		folder, err := dir.Folder("envoy-1", fill)
		require.NoError(t, err)
		content, err := os.ReadFile(filepath.Join(folder, "program"))
		require.NoError(t, err)
		assert.Equal(t, "content", string(content))
	}
	assert.Equal(t, 1, made)

	_, err := dir.Folder("envoy-2", fill)
	require.NoError(t, err)
	assert.Equal(t, 2, made, "another name is another folder")
}

// Two runs may make the same folder at the same time; the slower one uses the folder of the faster one.
func TestFolderThatAnotherRunMakesMeanwhile(t *testing.T) {
	dir := cache.Dir(t.TempDir())
	folder, err := dir.Folder("envoy", func(slower string) error {
		if _, err := dir.Folder("envoy", func(faster string) error {
			return os.WriteFile(filepath.Join(faster, "faster"), nil, 0o644)
		}); err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(slower, "slower"), nil, 0o644)
	})
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(folder, "faster"))
	assert.NoFileExists(t, filepath.Join(folder, "slower"))
}

// A make that fails leaves nothing that a later run would take for complete.
func TestFolderThatCannotBeMade(t *testing.T) {
	dir := cache.Dir(t.TempDir())
	broken := errors.New("half-way")
	_, err := dir.Folder("envoy", func(folder string) error {
		return errors.Join(os.WriteFile(filepath.Join(folder, "half"), nil, 0o644), broken)
	})
	require.ErrorIs(t, err, broken)
	left, err := os.ReadDir(string(dir))
	require.NoError(t, err)
	assert.Empty(t, left)
}
