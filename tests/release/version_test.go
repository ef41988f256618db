// Package release tests the release of jobmesh itself: one version everywhere, and the files of
// a release.
package release

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
)

// TestAnotherVersion: a copy of the sources with another VERSION has that version everywhere
// after make generate, and its golden files still match.
func TestAnotherVersion(t *testing.T) {
	const other = "9.8.7"
	dir := copyOfSources(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "VERSION"), []byte(other+"\n"), 0o644))
	run(t, dir, "go", "run", "-trimpath", "./ci/generate")
	run(t, dir, "go", "run", "-trimpath", "./ci/generate", "-check")
	for _, file := range tracked(t, dir) {
		if !published.MatchString(file) || ofBefore[file] {
			continue
		}
		text, err := os.ReadFile(filepath.Join(dir, file))
		require.NoError(t, err)
		require.False(t, bytes.Contains(text, []byte(jobmesh.Version)), "%s still says %s", file, jobmesh.Version)
	}

	run(t, dir, "go", "test", "-trimpath", "./tests/golden", "-run", "^(TestRendered|TestInjectGolden|TestVersion)$")
	run(t, dir, "go", "build", "-trimpath", "-o", "bin/jobmesh", "./cmd/jobmesh")
	require.Equal(t, "jobmesh "+other+"\n", run(t, dir, "bin/jobmesh", "--version"))
	run(t, dir, "bin/jobmesh", "build", "--platform", "linux/amd64", "--output", "dist")
	run(t, dir, "bin/jobmesh", "verify", "dist")
	// The chart that was built, in the place of the folder that is linked there.
	library := filepath.Join(dir, "tests/chart/charts/jobmesh")
	require.NoError(t, os.Remove(library))
	require.NoError(t, os.Rename(filepath.Join(dir, "dist/charts/jobmesh-"+other+".tgz"), library+"-"+other+".tgz"))
	for _, helm := range []string{"bin/helm3", "bin/helm4"} {
		rendered := run(t, dir, helm, "template", "tests/chart", "--set", "image=true", "--show-only", "templates/image.yaml")
		require.Contains(t, rendered, "version: "+other+"\n")
	}
}

// ofBefore are pages that name earlier versions: those from which users upgrade, and those with
// which figures were measured.
var ofBefore = map[string]bool{"docs/upgrade.md": true, "docs/measured.md": true, "docs/pictures/figures.yaml": true}

// published are the files that tell users which version they get. Other files may contain a
// version that happens to be the same.
var published = regexp.MustCompile(`^(README\.md|action\.yml|docs/|library-chart/|charts/[a-z]+/[A-Zv]|plugins/|(cmd|internal)/.*[^t]\.go$)`)

// copyOfSources is a copy of the repository as it stands, with the tools of make test.
func copyOfSources(t *testing.T) string {
	t.Helper()
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	dir := t.TempDir()
	for _, file := range tracked(t, root) {
		from, to := filepath.Join(root, file), filepath.Join(dir, file)
		info, err := os.Lstat(from)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		require.NoError(t, err)
		require.NoError(t, os.MkdirAll(filepath.Dir(to), 0o755))
		if info.Mode().Type() == os.ModeSymlink {
			target, err := os.Readlink(from)
			require.NoError(t, err)
			require.NoError(t, os.Symlink(target, to))
			continue
		}
		text, err := os.ReadFile(from)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(to, text, info.Mode().Perm()))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	for _, tool := range []string{"helm3", "helm4"} {
		path := os.Getenv("JOBMESH_" + strings.ToUpper(tool))
		if path == "" {
			path = filepath.Join(root, "bin", tool)
		}
		require.FileExists(t, path, "hint: make test builds it")
		require.NoError(t, os.Symlink(path, filepath.Join(dir, "bin", tool)))
	}
	run(t, dir, "git", "init", "--quiet")
	return dir
}

// commit commits all that is changed in a throw-away repository.
func commit(t *testing.T, dir string) {
	t.Helper()
	run(t, dir, "git", "add", "--all")
	// The user who runs the tests may sign commits, or have git hooks.
	run(t, dir, "git", "-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgSign=false", "-c", "core.hooksPath=/dev/null",
		"commit", "--quiet", "--message", "test")
}

// tracked returns the files of a repository that git knows or would add.
func tracked(t *testing.T, dir string) []string {
	t.Helper()
	listed := run(t, dir, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	return strings.Split(strings.TrimSuffix(listed, "\x00"), "\x00")
}

// run runs a program that has to succeed, and returns what it printed.
func run(t *testing.T, dir, program string, args ...string) string {
	t.Helper()
	if strings.Contains(program, "/") {
		program = filepath.Join(dir, program)
	}
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &stdout, &stderr
	err := cmd.Run()
	require.NoError(t, err, "%s %s\n%s%s", program, strings.Join(args, " "), stdout.String(), stderr.String())
	return stdout.String()
}
