package release

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
)

// TestRaise runs ci/release in a temporary repository.
func TestRaise(t *testing.T) {
	dir := copyOfSources(t)
	commit(t, dir)
	t.Setenv("SOURCE_DATE_EPOCH", "1800000000") // 2027-01-15, eight in the morning
	changes := read(t, dir, "CHANGELOG.md")

	// A version that must not be released changes nothing.
	require.Contains(t, refused(t, dir, "9.9"), `release: "9.9" is not a version such as 1.2.3`)
	require.Contains(t, refused(t, dir, "0.0.1"), "release: 0.0.1 is not newer than "+jobmesh.Version)
	require.Contains(t, refused(t, dir), "hint: ci/release 1.2.3")
	run(t, dir, "git", "tag", "v9.9.1")
	require.Contains(t, refused(t, dir, "9.9.1"), "release: tag v9.9.1 exists already")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "notes"), nil, 0o644))
	require.Contains(t, refused(t, dir, "9.9.2"), "release: the working tree is not clean:\n?? notes")
	require.NoError(t, os.Remove(filepath.Join(dir, "notes")))
	require.Empty(t, run(t, dir, "git", "status", "--porcelain"))

	said := run(t, dir, "ci/release", "9.9.2")
	require.Contains(t, said, "version 9.9.2 is written; nothing is committed yet. Next:\n")
	require.Contains(t, said, "git tag --annotate v9.9.2")
	require.Equal(t, "9.9.2\n", read(t, dir, "VERSION"))
	moved := read(t, dir, "CHANGELOG.md")
	require.Contains(t, moved, "## [Unreleased]\n\n## [9.9.2] - 2027-01-15\n")
	require.Equal(t, changes, strings.Replace(moved, "\n## [9.9.2] - 2027-01-15\n", "", 1))
	require.Contains(t, read(t, dir, "images/jobmesh-wrap/image.yaml"), `created: "2027-01-15T00:00:00Z"`)
	require.Contains(t, read(t, dir, "library-chart/Chart.yaml"), "version: 9.9.2")
	run(t, dir, "go", "run", "./ci/generate", "-check")

	// A program of go install has its version, and is pinned to the image of the release.
	require.NoError(t, os.Unsetenv("SOURCE_DATE_EPOCH"))
	run(t, dir, "go", "build", "-o", "bin/jobmesh", "./cmd/jobmesh")
	var says struct {
		Version string
		Image   struct{ Digest string }
	}
	require.NoError(t, json.Unmarshal([]byte(run(t, dir, "bin/jobmesh", "version", "-o", "json")), &says))
	require.Equal(t, "9.9.2", says.Version)
	require.Equal(t, strings.TrimSpace(run(t, dir, "bin/jobmesh", "build", "--output", "dist")), says.Image.Digest)

	// Once more, without any change since.
	require.Contains(t, refused(t, dir, "9.9.3"), "release: the working tree is not clean:\n")
	commit(t, dir)
	require.Contains(t, refused(t, dir, "9.9.3"), "release: CHANGELOG.md: has no change under ## [Unreleased]")
}

// refused runs ci/release, which has to fail, and returns its message.
func refused(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command(filepath.Join(dir, "ci/release"), args...)
	out, err := cmd.CombinedOutput()
	require.Error(t, err, string(out))
	return string(out)
}

func read(t *testing.T, dir, file string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, file))
	require.NoError(t, err)
	return string(text)
}
