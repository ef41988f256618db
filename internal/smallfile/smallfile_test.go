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

func TestOpen(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a")
	fd, err := Open(path, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL)
	require.NoError(t, err)
	require.NoError(t, syscall.Close(fd))
	fd, err = Open(path, syscall.O_RDONLY|syscall.O_NOFOLLOW)
	require.NoError(t, err)
	require.NoError(t, syscall.Close(fd))

	pipe, socket, link := filepath.Join(dir, "pipe"), filepath.Join(dir, "socket"), filepath.Join(dir, "link")
	require.NoError(t, syscall.Mkfifo(pipe, 0o600))
	require.NoError(t, os.Symlink("a", link))
	fd, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { _ = syscall.Close(fd) })
	t.Chdir(dir) // the address of a socket only has room for a short name
	require.NoError(t, syscall.Bind(fd, &syscall.SockaddrUnix{Name: "socket"}))
	for _, path := range []string{pipe, socket, link, dir, "/dev/null"} {
		for _, how := range []int{syscall.O_RDONLY, syscall.O_WRONLY | syscall.O_APPEND} {
			_, err := Open(path, how|syscall.O_NOFOLLOW)
			assert.True(t, NotRegular(err), "%s: %v", path, err)
		}
	}
	for _, err := range []error{nil, syscall.ENOENT, syscall.EACCES} {
		assert.False(t, NotRegular(err))
	}
}
