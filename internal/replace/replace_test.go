package replace

import (
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReplace(t *testing.T) {
	for name, write := range map[string]func(string, []byte, os.FileMode) error{"File": File, "Exactly": Exactly} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, "f")
			for _, content := range []string{"longer than", "this"} {
				require.NoError(t, write(path, []byte(content), 0o640))
				got, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, content, string(got))
			}
			entries, err := os.ReadDir(dir)
			require.NoError(t, err)
			require.Len(t, entries, 1, "nothing is left beside it")
			if info, err := os.Stat(path); runtime.GOOS != "windows" {
				require.NoError(t, err)
				require.Equal(t, os.FileMode(0o640), info.Mode())
			}
		})
	}
}

func TestPendingIsNotThereYet(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(path, []byte("old"), 0o600))
	for _, keep := range []bool{false, true} {
		p, err := Prepare(path, 0o600)
		require.NoError(t, err)
		_, err = p.Write([]byte("new"))
		require.NoError(t, err)
		got, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, "old", string(got))
		if keep {
			require.NoError(t, p.CloseAtomicallyReplace())
		}
		require.NoError(t, p.Cleanup())
	}
	got, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "new", string(got))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 1)
}
