// Package golden renders charts with the real Helm programs, 3 and 4, because helm-unittest
// only has the engine of Helm 3.
package golden

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
)

// root is the path of the repository, relative to this package.
const root = "../.."

// A helm is one Helm program.
type helm struct {
	name string // helm3 or helm4
	path string
}

// helms returns both programs, Helm 3 first.
func helms(t testing.TB) []helm {
	t.Helper()
	all := []helm{
		{"helm3", os.Getenv("JOBMESH_HELM3")},
		{"helm4", os.Getenv("JOBMESH_HELM4")},
	}
	for i, h := range all {
		if h.path == "" {
			path, err := filepath.Abs(filepath.Join(root, "bin", h.name))
			require.NoError(t, err)
			all[i].path = path
		}
		if _, err := os.Stat(all[i].path); err != nil {
			t.Fatalf("%v\nhint: make test builds it; JOBMESH_%s names another one", err, strings.ToUpper(h.name))
		}
	}
	return all
}

// A result is the result of one run of Helm.
type result struct {
	stdout, stderr string
	code           int
}

// run runs Helm, without the settings and caches of the user who runs the tests.
func (h helm) run(t testing.TB, args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(h.path, args...)
	cmd.Env = append(os.Environ(), environment()...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); err != nil && !exited {
		require.NoError(t, err)
	}
	return result{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode()}
}

// environment gives Helm an empty home.
var environment = sync.OnceValue(func() []string {
	var env []string
	for _, name := range []string{"CACHE", "CONFIG", "DATA"} {
		env = append(env, fmt.Sprintf("HELM_%s_HOME=%s", name, filepath.Join(work, name)))
	}
	return env
})

// work is a folder for the whole run.
var work string

func TestMain(m *testing.M) {
	var err error
	if work, err = os.MkdirTemp("", "jobmesh-golden-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	os.RemoveAll(work)
	os.Exit(code)
}

// consumers returns copies of the charts that use the library, by name, with
// their dependency resolved as a user would do it.
func (h helm) consumers(t testing.TB) map[string]string {
	t.Helper()
	dir := filepath.Join(work, h.name)
	charts := map[string]string{"consumer": filepath.Join(dir, "tests", "chart")}
	for _, file := range chartFiles(t, root) {
		chart := filepath.Dir(file)
		charts[filepath.Base(chart)] = filepath.Join(dir, strings.TrimPrefix(chart, root))
	}
	preparing.Lock()
	defer preparing.Unlock()
	if _, err := os.Stat(dir); err == nil {
		return charts
	}
	copyDir(t, filepath.Join(root, "library-chart"), filepath.Join(dir, "library-chart"))
	copyDir(t, filepath.Join(root, "charts"), filepath.Join(dir, "charts"))
	copyDir(t, filepath.Join(root, "tests", "chart"), filepath.Join(dir, "tests", "chart"))
	// The charts are handled in the order of their names, because the example umbrella depends
	// on others of them.
	for _, name := range slices.Sorted(maps.Keys(charts)) {
		chart := charts[name]
		require.NoError(t, os.RemoveAll(filepath.Join(chart, "charts")))
		r := h.run(t, "dependency", "update", "--skip-refresh", chart)
		require.Zero(t, r.code, r.stderr)
	}
	return charts
}

var preparing sync.Mutex

// chartFiles returns the Chart.yaml of each published chart and of each example.
func chartFiles(t testing.TB, root string) []string {
	t.Helper()
	var files []string
	for _, folder := range []string{"charts", filepath.Join("charts", "examples")} {
		found, err := filepath.Glob(filepath.Join(root, folder, "*", "Chart.yaml"))
		require.NoError(t, err)
		require.NotEmpty(t, found, folder)
		files = append(files, found...)
	}
	return files
}

// copyDir copies a folder. Symbolic links are not followed.
func copyDir(t testing.TB, from, to string) {
	t.Helper()
	require.NoError(t, os.CopyFS(to, os.DirFS(from)))
}

// blankEnd matches what Helm versions may print in different ways: blank lines at the end of a
// document.
var blankEnd = regexp.MustCompile(`\n+\n---\n`)

// normal removes that difference, and the version.
func normal(manifests string) string {
	manifests = versionless(manifests)
	return blankEnd.ReplaceAllString(strings.TrimRight(manifests, "\n")+"\n", "\n---\n")
}

// versionless writes VERSION for the version, so that golden files are the same in
// every release.
func versionless(text string) string { return strings.ReplaceAll(text, jobmesh.Version, "VERSION") }
