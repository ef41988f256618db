package golden

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/jobmesh/jobmesh"
)

// TestScenarios runs testdata/script with each Helm program as "helm". The scripts show how the
// library works with Helm's own features: aliases, globals, nulls, the schema, several versions
// in a release.
func TestScenarios(t *testing.T) {
	for _, h := range helms(t) {
		t.Run(h.name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Dir: "testdata/script",
				Setup: func(env *testscript.Env) error {
					bin := filepath.Join(env.WorkDir, ".bin")
					if err := os.Mkdir(bin, 0o755); err != nil {
						return err
					}
					if err := os.Symlink(h.path, filepath.Join(bin, "helm")); err != nil {
						return err
					}
					env.Setenv("PATH", bin+string(os.PathListSeparator)+env.Getenv("PATH"))
					env.Setenv("HOME", env.WorkDir)
					env.Setenv("VERSION", jobmesh.Version)
					return os.CopyFS(filepath.Join(env.WorkDir, "library"), os.DirFS(filepath.Join(root, "library-chart")))
				},
				Cmds: map[string]func(*testscript.TestScript, bool, []string){
					"replace": replace,
				},
				Condition: func(condition string) (bool, error) {
					return condition == h.name, nil
				},
				RequireExplicitExec: true,
			})
		})
	}
}

// replace FILE OLD NEW replaces text that must be in the file.
func replace(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: replace FILE OLD NEW")
	}
	path := ts.MkAbs(args[0])
	content, err := os.ReadFile(path)
	ts.Check(err)
	if !strings.Contains(string(content), args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(path, []byte(strings.ReplaceAll(string(content), args[1], args[2])), 0o644))
}
