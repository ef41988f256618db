// Package docs runs the documentation. Every fenced block of the pages at the root, of
// those in docs/ that are not generated, and of the READMEs of charts and plugins is one
// of these:
//
//   - ```sh: commands, which have to succeed. <!-- exit code 1 --> before the block
//     says otherwise.
//   - ```console: commands behind "$ ", each with what it prints below it.
//   - a file, whose name is the comment in its first line, such as # shop/Chart.yaml.
//   - <!-- printed --> before it: what the commands before it print.
//   - <!-- part of FILE --> before it: lines of a file of the repository.
//   - <!-- with Helm 4 --> before it: commands for one Helm alone.
//   - <!-- with cosign, jq --> before it: commands for programs that only make e2e has.
//     They are run where JOBMESH_TOOLS names the folder with those that Go compiles.
//   - <!-- not run: the reason why --> before it.
//
// In what is printed or part of a file, "..." stands for anything, and durations may differ.
//
// A page is one scenario in a folder of its own, from its first block to its last, under
// bash -euo pipefail, with jobmesh, helm and kustomize in PATH; it is run with Helm 3
// and with Helm 4 where it calls helm. Names below example.com lead to a registry of the
// test, all others nowhere. What a page takes for granted is in testdata, in a txtar
// archive with the page's name: commands to run before it (they know the repository as
// $SOURCES, what build makes of it as $DIST, and a folder with a pair of keys as $KEYS), the files that are there, and
// in a file named "after", commands that check what the page has led to.
//
// The registry has the referrers API, unless a scenario has the line
// "# the registry keeps lists of referrers under tags".
//
// A page whose scenario names $RELEASE takes what make release made. It is run where
// JOBMESH_RELEASE names that folder and JOBMESH_RELEASE_KEY the public key, as in
// ci/packed; downloads.example.com/jobmesh serves the folder then.
package docs

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/signature/signaturetest"
)

const generated = "<!-- Written by `make generate`"

// sources is the repository, bin a folder with the program, and dist the output of its build.
var sources, bin, dist string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		work, err := os.MkdirTemp("", "jobmesh-docs-")
		if err != nil {
			panic(err)
		}
		defer os.RemoveAll(work)
		if sources, err = filepath.Abs("../.."); err != nil {
			panic(err)
		}
		bin, dist = filepath.Join(work, "bin"), filepath.Join(work, "dist")
		for _, command := range [][]string{
			{"go", "build", "-o", filepath.Join(bin, "jobmesh"), "./cmd/jobmesh"},
			{filepath.Join(bin, "jobmesh"), "build", "--output", dist},
		} {
			cmd := exec.Command(command[0], command[1:]...)
			cmd.Dir = sources
			if output, err := cmd.CombinedOutput(); err != nil {
				panic(strings.Join(command, " ") + ": " + err.Error() + "\n" + string(output))
			}
		}
		return m.Run()
	}())
}

// pages returns the hand-written pages, keyed by their paths in the repository.
func pages(t *testing.T) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, pattern := range []string{"*.md", "docs/*.md", "library-chart/*.md", "charts/*/*.md", "plugins/*/*.md"} {
		paths, err := filepath.Glob(filepath.Join(sources, pattern))
		require.NoError(t, err)
		for _, path := range paths {
			name, err := filepath.Rel(sources, path)
			require.NoError(t, err)
			if text := read(path); !strings.HasPrefix(text, generated) {
				found[filepath.ToSlash(name)] = text
			}
		}
	}
	return found
}

// TestPages runs every page.
func TestPages(t *testing.T) {
	calls := regexp.MustCompile(`(?m)^(\$ )?helm |\bhelm (template|dependency)`)
	kept := map[string]bool{}
	for name, text := range pages(t) {
		scenario := strings.ReplaceAll(strings.TrimSuffix(name, ".md"), "/", "-") + ".txtar"
		kept[scenario] = true
		all, err := steps(blocks(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		helms := []string{"helm4"}
		if len(all) == 0 {
			helms = nil
		}
		if slices.ContainsFunc(all, func(s step) bool { return s.file == "" && calls.MatchString(s.text) }) {
			helms = []string{"helm3", "helm4"}
		}
		for _, helm := range helms {
			t.Run(name+"/"+helm, func(t *testing.T) {
				t.Parallel()
				runPage(t, all, filepath.Join("testdata", scenario), helm)
			})
		}
	}
	archives, err := filepath.Glob("testdata/*.txtar")
	require.NoError(t, err)
	for _, archive := range archives {
		require.True(t, kept[filepath.Base(archive)], "%s is for no page", archive)
	}
}

const underTags = "# the registry keeps lists of referrers under tags\n"

func runPage(t *testing.T, all []step, scenario, helm string) {
	run := t.TempDir()
	work := filepath.Join(run, "work")
	require.NoError(t, os.MkdirAll(work, 0o700))
	require.NoError(t, os.MkdirAll(filepath.Join(run, "out"), 0o700))
	before, after := prepare(t, scenario, work)
	released := os.Getenv("JOBMESH_RELEASE")
	if released == "" && strings.Contains(before, "$RELEASE") {
		t.Skip("it needs a release: ci/packed runs it")
	}
	for i := range all {
		if all[i].helm != "" && all[i].helm != helm || all[i].tools != nil && os.Getenv("JOBMESH_TOOLS") == "" {
			all[i].text = "true\n"
		}
		// Pages are written for one platform, so its name is replaced.
		all[i].text = regexp.MustCompile(`linux([_-])amd64`).ReplaceAllString(all[i].text, runtime.GOOS+"${1}"+runtime.GOARCH)
	}
	require.NoError(t, os.WriteFile(filepath.Join(run, "page"), []byte(script(before, all, after)), 0o600))

	cmd := exec.Command("bash", filepath.Join(run, "page"))
	cmd.Dir = work
	cmd.Env = append(network(t, !strings.Contains(before, underTags)), "RUN="+run, "RELEASE="+released, "RELEASE_KEY="+os.Getenv("JOBMESH_RELEASE_KEY"), "SOURCES="+sources, "DIST="+dist, "KEYS="+keys(t), "HOME="+filepath.Join(run, "home"), "TMPDIR="+t.TempDir(),
		"PATH="+tools(t, helm)+":"+os.Getenv("PATH")+":"+os.Getenv("JOBMESH_TOOLS"), "HELM_PLUGINS="+plugins(t))
	cmd.Env = append(cmd.Env, goCaches(t)...)
	output, err := cmd.CombinedOutput()
	if err != nil {
		n, _ := strconv.Atoi(strings.TrimSpace(read(run, "at"))) // 0 means the commands in front of the page
		t.Fatalf("%s: %v\n%s%s", place(all, n), err, read(run, "out", strconv.Itoa(n)), output)
	}
	for i, step := range all {
		printed := read(run, "out", strconv.Itoa(i+1))
		if !differs(step, printed) {
			continue
		}
		if step.partOf != "" {
			t.Errorf("line %d: %s has no such part:\n%s", step.line, step.partOf, step.text)
		} else {
			t.Errorf("line %d: the page shows\n%s\nand this is printed\n%s", step.line, *step.output, printed)
		}
	}
}

// place names a step.
func place(all []step, n int) string {
	if n < 1 || n > len(all) {
		return map[bool]string{true: "before the page", false: "after the page"}[n < 1]
	}
	return "line " + strconv.Itoa(all[n-1].line)
}

// prepare writes the files of a scenario and returns its commands.
func prepare(t *testing.T, scenario, work string) (before, after string) {
	text, err := os.ReadFile(scenario)
	if os.IsNotExist(err) {
		return "", ""
	}
	require.NoError(t, err)
	archive := txtar.Parse(text)
	for _, file := range archive.Files {
		if file.Name == "after" {
			after = string(file.Data)
			continue
		}
		path := filepath.Join(work, file.Name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o700))
		require.NoError(t, os.WriteFile(path, file.Data, 0o600))
	}
	return string(archive.Comment), after
}

// tools is a folder with the programs that a reader has in PATH.
func tools(t *testing.T, helm string) string {
	dir := t.TempDir()
	for name, path := range map[string]string{
		"jobmesh": filepath.Join(bin, "jobmesh"), "helm": tool(t, helm), "kustomize": tool(t, "kustomize"),
	} {
		require.NoError(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return dir
}

// keys is a folder with a pair of keys as cosign and openssl write them.
func keys(t *testing.T) string {
	dir := t.TempDir()
	private, public := signaturetest.Pair(t)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cosign.key"), private, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cosign.pub"), public, 0o600))
	return dir
}

// plugins is a folder with helm-unittest as a plugin of Helm.
func plugins(t *testing.T) string {
	dir := filepath.Join(t.TempDir(), "unittest")
	require.NoError(t, os.MkdirAll(dir, 0o700))
	manifest := "name: unittest\nversion: 0.0.0\nusage: unit tests\ndescription: unit tests\ncommand: " + tool(t, "helm-unittest") + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "plugin.yaml"), []byte(manifest), 0o600))
	return filepath.Dir(dir)
}

// tool is where make test puts a program, or where it is told to be.
func tool(t *testing.T, name string) string {
	path := os.Getenv("JOBMESH_" + strings.ToUpper(strings.ReplaceAll(name, "-", "_")))
	if path == "" {
		path = filepath.Join(sources, "bin", name)
	}
	require.FileExists(t, path, "hint: make test builds it")
	return path
}

// goCaches lets a page compile what has been compiled already.
func goCaches(t *testing.T) []string {
	names := []string{"GOCACHE", "GOMODCACHE"}
	output, err := exec.Command("go", append([]string{"env"}, names...)...).Output()
	require.NoError(t, err)
	env := []string{"GOPROXY=off"}
	for i, line := range strings.Split(strings.TrimSpace(string(output)), "\n") {
		env = append(env, names[i]+"="+line)
	}
	return env
}
