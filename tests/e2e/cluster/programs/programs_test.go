package programs

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/cache"
)

// hello is a module that pins a program, and one of another project. Both are in folders, so that nothing has to be
// downloaded.
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

// Whatever goes into a program makes it another one.
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

// A build that fails says what the compiler said, and leaves the cache as it was.
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

// The modules of this repository have what the tables say of them.
func TestSources(t *testing.T) {
	for root, sources := range map[string][]source{"..": sources, "../../helpers": helpers} {
		for _, s := range sources {
			t.Run(s.name, func(t *testing.T) {
				recipe, err := s.recipe(filepath.Join(root, s.dir))
				require.NoError(t, err)
				assert.Regexp(t, `^v\d+\.\d+\.\d+$`, recipe.version)
				assert.Contains(t, recipe.arguments[len(recipe.arguments)-1], s.module, "a package of the module is built")
			})
		}
	}
}
