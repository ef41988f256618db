// Package jobmesh tests the command line from outside. The scenarios in
// testdata read like a manual: what a user types, and what comes back.
package jobmesh

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	program "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/cli"
)

func TestMain(m *testing.M) {
	program := func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
		version := program.Version
		if other := os.Getenv("PROGRAM_VERSION"); other != "" {
			version = other // one scenario builds sources of another version
		}
		code := cli.Run(ctx, os.Args[1:], version, cli.SystemStreams(), cli.CalledAs(os.Args[0]))
		stop()
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){"jobmesh": program, cli.KubectlPlugin: program})
}

func TestScenarios(t *testing.T) {
	sources, err := filepath.Abs("../..")
	require.NoError(t, err)
	caches := goCaches(t)
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Setup: func(env *testscript.Env) error {
			env.Values[serverKey{}] = &serverBox{}
			env.Setenv("SOURCES", sources)
			env.Setenv("VERSION", program.Version)
			if err := fillVersion(env.WorkDir); err != nil {
				return err
			}
			// Helm keeps a cache in the home folder.
			env.Setenv("HOME", env.WorkDir)
			program, err := exec.LookPath("jobmesh")
			if err != nil {
				return err
			}
			env.Setenv("JOBMESH", program)
			for _, tool := range []string{"helm3", "helm4", "kustomize"} {
				env.Setenv(strings.ToUpper(tool), toolProgram(sources, tool))
			}
			for _, entry := range caches {
				name, value, _ := strings.Cut(entry, "=")
				env.Setenv(name, value)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"answer":      answerWith,
			"apiserver":   startAPIServer,
			"copysources": copySources,
			"exitcode":    exitCode,
			"helmplugin":  helmPlugin,
			"hits":        countHits,
			"images":      startImages,
			"inlayer":     inLayer,
			"keypair":     keyPair,
			"layoutcopy":  layoutCopy,
			"push":        pushImage,
			"registry":    startRegistry,
			"kept":        writePod,
			"requested":   wasRequested,
			"requests":    countRequests,
			"releases":    startReleases,
			"resolves":    resolves,
			"schema":      checkSchema,
			"setversion":  setVersion,
		},
	})
}

// fillVersion writes the version in place of @VERSION@ in the files of a scenario.
func fillVersion(dir string) error {
	return filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte("@VERSION@")) {
			return err
		}
		return os.WriteFile(path, bytes.ReplaceAll(text, []byte("@VERSION@"), []byte(program.Version)), 0o600)
	})
}

// goCaches lets the builds of the scenarios use the caches of this machine.
func goCaches(t *testing.T) []string {
	t.Helper()
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPROXY", "GOSUMDB").Output()
	require.NoError(t, err)
	values := map[string]string{}
	require.NoError(t, json.Unmarshal(out, &values))
	var entries []string
	for name, value := range values {
		entries = append(entries, name+"="+value)
	}
	return entries
}

// toolProgram returns the path at which make test puts a tool, or the one that a variable
// names.
func toolProgram(sources, name string) string {
	if path := os.Getenv("JOBMESH_" + strings.ToUpper(name)); path != "" {
		return path
	}
	return filepath.Join(sources, "bin", name)
}

// exitcode N PROGRAM ARG... runs a program that has to exit with N.
func exitCode(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exitcode N PROGRAM ARG...")
	}
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || strconv.Itoa(exit.ExitCode()) != args[0] {
		ts.Fatalf("want exit code %s, got %v", args[0], err)
	}
}

// copysources DIR copies the files that a build reads to another folder.
func copySources(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: copysources DIR")
	}
	target := ts.MkAbs(args[0])
	for _, name := range []string{"cmd", "internal", "images", "library-chart", "charts/cronjobs", "charts/alerts", "charts/policy"} {
		ts.Check(os.CopyFS(filepath.Join(target, name), os.DirFS(filepath.Join(ts.Getenv("SOURCES"), name))))
	}
	for _, name := range []string{"go.mod", "go.sum", "embed.go", "VERSION", "image.digest"} {
		text, err := os.ReadFile(filepath.Join(ts.Getenv("SOURCES"), name))
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(target, name), text, 0o600))
	}
}

// setversion VERSION gives the sources in the current folder that version, as make generate
// does.
func setVersion(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: setversion VERSION")
	}
	replace := func(file, pattern, text string) {
		file = ts.MkAbs(file)
		old, err := os.ReadFile(file)
		ts.Check(err)
		ts.Check(os.WriteFile(file, regexp.MustCompile(pattern).ReplaceAll(old, []byte(text+args[0])), 0o600))
	}
	replace("VERSION", `^.*`, "")
	replace("library-chart/Chart.yaml", `(?m)^(version: |appVersion: ).*$`, "${1}")
	replace("library-chart/templates/_version.tpl", `(?m)^( *)\d+\.\d+\.\d+.*$`, "${1}")
}

// registry [referrers] starts a registry for this scenario, at $REGISTRY; with the referrers
// API or, like most registries, without it.
func startRegistry(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 || len(args) == 1 && args[0] != "referrers" {
		ts.Fatalf("usage: registry [referrers]")
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(len(args) == 1)))
	ts.Defer(server.Close)
	ts.Setenv("REGISTRY", strings.TrimPrefix(server.URL, "http://"))
}

// schema SCHEMA FILE checks a JSON file against a schema.
func checkSchema(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: schema SCHEMA FILE")
	}
	schema, err := jsonschema.NewCompiler().Compile(ts.MkAbs(args[0]))
	ts.Check(err)
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[1])))
	ts.Check(err)
	ts.Check(schema.Validate(value))
}
