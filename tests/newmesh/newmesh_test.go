// Package newmesh adds a mesh as CONTRIBUTING describes it: one row in internal/mesh/facts.go,
// then make generate. It does so in a copy of the sources, builds both programs from it, and
// the scenario in testdata shows that every part of jobmesh knows the mesh.
package newmesh

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
)

// port is the port at which the proxy of the new mesh is asked for its readiness, and to stop.
// In the row and in the scenario it is replaced by a free one.
const port = "15099"

func TestANewMeshIsOneRow(t *testing.T) {
	p := startProxy(t)
	sources := copySources(t)
	facts := filepath.Join(sources, "internal", "mesh", "facts.go")
	table, err := os.ReadFile(facts)
	require.NoError(t, err)
	before, ended := bytes.CutSuffix(table, []byte("\n}\n"))
	require.True(t, ended, "the table is the last thing in the file")
	row, err := os.ReadFile(filepath.Join("testdata", "row.go.txt"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(facts, slices.Concat(before, []byte("\n"), p.at(row), []byte("}\n")), 0o600))

	run(t, sources, "go", "run", "-trimpath", "-buildvcs=false", "./ci/generate")
	run(t, sources, "go", "build", "-trimpath", "-buildvcs=false", "-o", "bin/", "./cmd/jobmesh", "./cmd/jobmesh-wrap")

	scenarios := t.TempDir()
	scenario, err := os.ReadFile(filepath.Join("testdata", "osm.txtar"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(scenarios, "osm.txtar"), p.at(scenario), 0o600))
	testscript.Run(t, testscript.Params{
		Dir: scenarios,
		Setup: func(env *testscript.Env) error {
			env.Setenv("SOURCES", sources)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("PATH", filepath.Join(sources, "bin")+string(os.PathListSeparator)+env.Getenv("PATH"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"stops": p.countStops, "schema": checkSchema},
	})
}

// copySources copies the sources of the programs and of the generated files.
func copySources(t *testing.T) string {
	t.Helper()
	root, sources := filepath.Join("..", ".."), t.TempDir()
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		relative, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		to := filepath.Join(sources, relative)
		switch {
		case d.IsDir() && slices.Contains([]string{".git", "bin", "dist", "release"}, relative):
			return fs.SkipDir
		case d.IsDir():
			return os.MkdirAll(to, 0o700)
		case !d.Type().IsRegular():
			return nil
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(to, content, 0o600)
	}))
	return sources
}

func run(t *testing.T, dir string, argv ...string) {
	t.Helper()
	command := exec.Command(argv[0], argv[1:]...)
	command.Dir = dir
	out, err := command.CombinedOutput()
	require.NoError(t, err, string(out))
}

// A proxy is a stand-in for that of the new mesh. It ends after a stop request.
type proxy struct {
	server *httptest.Server
	asked  chan string
}

func startProxy(t *testing.T) *proxy {
	t.Helper()
	p := &proxy{asked: make(chan string, 10)}
	p.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.Method + " " + r.URL.Path {
		case "GET /ready":
		case "POST /osm/exit":
			p.asked <- r.URL.Path
			go p.server.Close()
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(p.server.Close)
	return p
}

// at puts the proxy's port into a text.
func (p *proxy) at(text []byte) []byte {
	_, own, _ := strings.Cut(strings.TrimPrefix(p.server.URL, "http://"), ":")
	return bytes.ReplaceAll(text, []byte(port), []byte(own))
}

// stops fails unless the proxy was asked to stop; with ! it must not have been.
func (p *proxy) countStops(ts *testscript.TestScript, neg bool, _ []string) {
	if (len(p.asked) == 0) != neg {
		ts.Fatalf("the proxy was asked to stop %d times", len(p.asked))
	}
}

// checkSchema SCHEMA FILE validates a JSON file against a schema.
func checkSchema(ts *testscript.TestScript, neg bool, args []string) {
	schema, err := jsonschema.NewCompiler().Compile(ts.MkAbs(args[0]))
	ts.Check(err)
	var value any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[1])), &value))
	if err := schema.Validate(value); (err != nil) != neg {
		ts.Fatalf("%s: %v", args[1], err)
	}
}
