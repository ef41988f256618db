package regular

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	at := func(name string) string { return filepath.Join(dir, name) }
	require.NoError(t, os.WriteFile(at("file"), []byte("12345"), 0o600))
	require.NoError(t, os.WriteFile(at("empty"), nil, 0o600))
	require.NoError(t, os.Symlink("file", at("link")))
	require.NoError(t, os.Symlink("/dev/zero", at("zero")))
	require.NoError(t, os.Symlink(at("file"), at("absolute")))
	require.NoError(t, syscall.Mkfifo(at("fifo"), 0o600))
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	defer func() { _ = root.Close() }()
	for name, c := range map[string]struct {
		limit int64
		want  string
		err   string
		// outside is the mistake where the file is read below a folder; empty means the same as
		// elsewhere.
		outside string
	}{
		"file":     {limit: 5, want: "12345"},
		"empty":    {limit: 0},
		"link":     {limit: 9, want: "12345"},
		"absolute": {limit: 9, want: "12345", outside: "path escapes from parent"},
		"./file":   {limit: 4, err: "is larger than allowed: it has more than 4 bytes"},
		"zero":     {limit: 9, err: "is not a regular file: it is a device", outside: "path escapes from parent"},
		"fifo":     {limit: 9, err: "is not a regular file: it is a named pipe"},
		".":        {limit: 9, err: "is a directory"},
		"none":     {limit: 9, err: "no such file or directory"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadFile(at(name), c.limit)
			same(t, got, err, c.want, c.err)
			if c.outside != "" {
				c.want, c.err = "", c.outside
			}
			got, err = ReadIn(root, name, c.limit)
			same(t, got, err, c.want, c.err)
		})
	}
}

// A file that a user names may be a pipe, and is read up to the limit.
func TestReadAny(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, []byte("12345"), 0o600))
	got, err := ReadAny(file, 5)
	same(t, got, err, "12345", "")
	got, err = ReadAny("/dev/zero", 1<<20)
	same(t, got, err, "", "is larger than allowed: it has more than 1048576 bytes")
	got, err = ReadAny("/dev/null", 5)
	same(t, got, err, "", "")
}

func same(t *testing.T, got []byte, err error, want, wrong string) {
	t.Helper()
	if wrong == "" {
		require.NoError(t, err)
	} else {
		require.ErrorContains(t, err, wrong)
	}
	assert.Equal(t, want, string(got))
}
