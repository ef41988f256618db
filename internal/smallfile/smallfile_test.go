package smallfile

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	for _, size := range []int{0, 1, 511, 512, 513, 5000, 70000} {
		text := strings.Repeat("x", size)
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
		for _, limit := range []int{0, 1, 600, 5000, 1 << 20} {
			got, err := Read(path, limit)
			require.NoError(t, err)
			require.Equal(t, text[:min(size, limit)], got, "%d of %d", limit, size)
		}
	}
	require.NoError(t, os.Symlink("a", filepath.Join(dir, "link")))
	got, err := Read(filepath.Join(dir, "link"), 3)
	require.NoError(t, err)
	assert.Equal(t, "xxx", got)
	stat, err := Read("/proc/self/stat", 1<<20)
	require.NoError(t, err, "it has no size")
	assert.Contains(t, stat, "(")
	assert.Greater(t, len(stat), 20)
}

func TestReadRefuses(t *testing.T) {
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	for path, want := range map[string]error{
		pipe: ErrNotRegular, dir: ErrNotRegular, "/dev/zero": ErrNotRegular,
		filepath.Join(dir, "nobody"): syscall.ENOENT, pipe + "/x": syscall.ENOTDIR,
	} {
		_, err := Read(path, 10)
		assert.Equal(t, want, err, path)
	}
}
