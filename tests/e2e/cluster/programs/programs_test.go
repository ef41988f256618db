package programs

import (
	"bytes"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
)

// hello is a module that pins a program of its own and a program of another module. Both modules are folders, so that
// nothing has to be downloaded.
var hello = map[string]string{
	"go.mod": `module example.com/hello

go 1.26.0

tool (
	example.com/other/cmd/other
	example.com/pinned/cmd/hello
)

require (
	example.com/other v1.0.0
	example.com/pinned v1.2.3
)

replace (
	example.com/other => ./other
	example.com/pinned => ./pinned
)
`,
	"go.sum":                   "",
	"other/go.mod":             "module example.com/other\n",
	"other/cmd/other/main.go":  "package main\n\nfunc main() {}\n",
	"pinned/go.mod":            "module example.com/pinned\n",
	"pinned/cmd/hello/main.go": "package main\n\nvar version string\n\nfunc main() { print(\"hello \", version) }\n",
}

func written(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		require.NoError(t, os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644))
	}
	return dir
}

var helloSource = source{
	name: "hello", module: "example.com/pinned", versionVariable: "main.version", cgo: "0",
	rename: map[string]string{"hello": "greeter"},
}

func TestBuiltOnce(t *testing.T) {
	module, kept := written(t, hello), cache.Dir(t.TempDir())
	var progress bytes.Buffer
	dir, err := helloSource.provide(t.Context(), module, kept, &progress)
	require.NoError(t, err, progress.String())
	assert.Contains(t, progress.String(), "building hello v1.2.3 into "+dir)

	greeter, err := Dirs{dir}.Find("greeter")
	require.NoError(t, err)
	said, err := exec.Command(greeter).CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "hello v1.2.3", string(said), "linked with the version of go.mod")
	_, err = Dirs{dir}.Find("other")
	assert.Error(t, err, "it belongs to another source")

	progress.Reset()
	again, err := helloSource.provide(t.Context(), module, kept, &progress)
	require.NoError(t, err)
	assert.Equal(t, dir, again)
	assert.Empty(t, progress.String(), "nothing is built")
}

// A change of anything that goes into a program changes its key.
func TestKey(t *testing.T) {
	base := key([]byte("mod"), []byte("sum"), []string{"-tags=a", "pkg"}, "0")
	assert.Equal(t, base, key([]byte("mod"), []byte("sum"), []string{"-tags=a", "pkg"}, "0"))
	for name, other := range map[string]string{
		"go.mod": key([]byte("mod2"), []byte("sum"), []string{"-tags=a", "pkg"}, "0"),
		"go.sum": key([]byte("mod"), []byte("sum2"), []string{"-tags=a", "pkg"}, "0"),
		"a flag": key([]byte("mod"), []byte("sum"), []string{"-tags=b", "pkg"}, "0"),
		"cgo":    key([]byte("mod"), []byte("sum"), []string{"-tags=a", "pkg"}, "1"),
		"a move": key([]byte("mods"), []byte("um"), []string{"-tags=a", "pkg"}, "0"),
	} {
		assert.NotEqual(t, base, other, name)
	}
}

// A file and a folder of the module are copied next to the programs. A tool of the module that pins the others is built
// too, and a change of its code changes the key.
func TestFilesAndOwnPrograms(t *testing.T) {
	files := maps.Clone(hello)
	files["go.mod"] = strings.Replace(files["go.mod"], "tool (", "tool (\n\texample.com/hello/own", 1)
	files["own/main.go"] = "package main\n\nfunc main() { print(\"own\") }\n"
	files["pinned/charts/base/Chart.yaml"] = "name: base\n"
	files["pinned/VERSION"] = "1.2\n"
	s := helloSource
	s.files = map[string]string{"charts/base": "charts/base", "VERSION": "VERSION"}
	module, kept := written(t, files), cache.Dir(t.TempDir())
	dir, err := s.provide(t.Context(), module, kept, io.Discard)
	require.NoError(t, err)
	chart, err := Dirs{dir}.Beside("charts/base")
	require.NoError(t, err)
	assert.FileExists(t, filepath.Join(chart, "Chart.yaml"))
	version, err := Dirs{dir}.Beside("VERSION")
	require.NoError(t, err)
	assert.FileExists(t, version)
	own, err := Dirs{dir}.Find("own")
	require.NoError(t, err)
	said, err := exec.Command(own).CombinedOutput()
	require.NoError(t, err)
	assert.Equal(t, "own", string(said))
	_, err = Dirs{dir}.Beside("charts/other")
	require.ErrorContains(t, err, "charts/other: not beside the programs in "+dir)

	before, err := s.recipe(module)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(module, "own", "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644))
	after, err := s.recipe(module)
	require.NoError(t, err)
	assert.NotEqual(t, before.key, after.key)
}

// Only one of several tools is built, if each needs its own flags.
func TestOnlyOneTool(t *testing.T) {
	files := maps.Clone(hello)
	files["go.mod"] = strings.Replace(files["go.mod"], "tool (", "tool (\n\texample.com/pinned/cmd/bye", 1)
	files["pinned/cmd/bye/main.go"] = "package main\n\nfunc main() { print(\"bye\") }\n"
	s := helloSource
	s.only, s.rename = "example.com/pinned/cmd/bye", nil
	dir, err := s.provide(t.Context(), written(t, files), cache.Dir(t.TempDir()), io.Discard)
	require.NoError(t, err)
	_, err = Dirs{dir}.Find("bye")
	require.NoError(t, err)
	_, err = Dirs{dir}.Find("hello")
	require.Error(t, err)
}

// The version of a mesh is the version of its module.
func TestModuleVersion(t *testing.T) {
	gomod := filepath.Join(written(t, hello), "go.mod")
	version, err := ModuleVersion(gomod, "example.com/pinned")
	require.NoError(t, err)
	assert.Equal(t, "v1.2.3", version)
	_, err = ModuleVersion(gomod, "example.com/nobody")
	require.EqualError(t, err, gomod+" requires no example.com/nobody")
}

// A build that fails reports the compiler's messages, and leaves the cache unchanged.
func TestFailedBuild(t *testing.T) {
	broken := map[string]string{}
	for name, content := range hello {
		broken[name] = content
	}
	broken["pinned/cmd/hello/main.go"] = "package main\n\nfunc main() { undefined() }\n"
	kept := cache.Dir(t.TempDir())
	_, err := helloSource.provide(t.Context(), written(t, broken), kept, &bytes.Buffer{})
	require.ErrorContains(t, err, "undefined: undefined")
	left, err := os.ReadDir(string(kept))
	require.NoError(t, err)
	assert.Empty(t, left)
}

func TestMissingProgram(t *testing.T) {
	_, err := Dirs{"/nowhere", "/neither"}.Find("kubelet")
	assert.EqualError(t, err, "kubelet: not among the programs in /nowhere, /neither")
}

// The modules of this repository match the tables of sources.
func TestSources(t *testing.T) {
	for root, sources := range map[string][]source{"..": sources, "../../helpers": helpers, "../../meshes": meshes} {
		for _, s := range sources {
			t.Run(s.name, func(t *testing.T) {
				recipe, err := s.recipe(filepath.Join(root, s.dir))
				require.NoError(t, err)
				// Releases of Istio have no tags that Go accepts as versions.
				assert.Regexp(t, `^v\d+\.\d+\.\d+(-\d{14}-[0-9a-f]{12})?$`, recipe.version)
				assert.Contains(t, strings.Join(recipe.arguments, " "), " "+s.module, "a package of the module is built")
			})
		}
	}
}
