package e2e

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/results"
	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

// update makes the run write the files with its results, instead of comparing its results with them.
var update = flag.Bool("update", false, "write results.json and what the injectors leave, instead of comparing")

// resultsFile is the source of the table in docs/tested.md.
const resultsFile = "results.json"

// These texts say in the results what a Job shows.
const (
	hangs     = "without jobmesh: hangs"
	finishes  = "without jobmesh: finishes"
	completes = "finishes"
)

// ends says what a Job shows that ends with this code.
func ends(code int32) string {
	if code == 0 {
		return completes
	}
	return fmt.Sprintf("keeps exit code %d", code)
}

// showsReal notes what a test shows about a real proxy if it passes, and showsStandIn does so for a stand-in. The name
// is a key of proxyVersions.
func showsReal(t *testing.T, name string, native bool, r results.Result) {
	t.Helper()
	r.Real = true
	note(t, name, native, r)
}

func showsStandIn(t *testing.T, name string, native bool, r results.Result) {
	t.Helper()
	note(t, name, native, r)
}

func note(t *testing.T, name string, native bool, r results.Result) {
	t.Helper()
	r.Mesh, r.Sidecar = name, kind(native)
	r.Test, _, _ = strings.Cut(t.Name(), "/")
	t.Cleanup(func() {
		if !t.Failed() && !t.Skipped() {
			shown.add(r)
		}
	})
}

// shown collects the results of the run.
var shown resultSet

type resultSet struct {
	mu  sync.Mutex
	all []results.Result
}

func (s *resultSet) add(r results.Result) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, r)
}

// settle compares the results of a run without failures with the file, or writes them there.
func (s *resultSet) settle(file string, whole, all bool) error {
	found, err := s.versioned()
	if err != nil || len(found) == 0 {
		return err
	}
	kept, err := results.Read(file)
	if err != nil {
		return err
	}
	run := results.Run{Found: found, Whole: whole, All: all}
	if *update {
		return results.Write(file, run.Merge(kept))
	}
	if err := run.Compare(kept); err != nil {
		return settings.Hinted{Err: fmt.Errorf("%s: %w", file, err), Hint: "go test -update . writes it; then make generate"}
	}
	return nil
}

// versioned returns the results with the versions of the proxies.
func (s *resultSet) versioned() ([]results.Result, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 {
		return nil, nil
	}
	found := slices.Clone(s.all)
	for i := range found {
		version, known := proxyVersions[found[i].Mesh]
		if !known {
			return nil, fmt.Errorf("%s: no version is known", found[i].Mesh)
		}
		var err error
		if found[i].Version, err = version(); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// proxyVersions returns the version of each proxy that the tests run, or the version that a stand-in behaves like.
var proxyVersions = map[string]func() (string, error){
	"Istio": istioVersion,
	"Dapr":  moduleVersion("meshes/dapr/go.mod", "github.com/dapr/dapr"),
	"Envoy": envoy.Version,
	"Cloud SQL Auth Proxy": moduleVersion(
		"helpers/"+programs.CloudSQLProxy+"/go.mod", "github.com/GoogleCloudPlatform/cloud-sql-proxy/v2"),
	"AlloyDB Auth Proxy": moduleVersion(
		"helpers/"+programs.AlloyDBAuthProxy+"/go.mod", "github.com/GoogleCloudPlatform/alloydb-auth-proxy"),
	"PgBouncer": fixed("that of Debian"),
	"Linkerd":   fixed("2.19 (classic), 2.20 (native)"),
	"Kuma":      fixed("2.11.18"),
	"Consul":    fixed("consul-dataplane 2.0.1"),
}

func fixed(version string) func() (string, error) {
	return func() (string, error) { return version, nil }
}

func moduleVersion(gomod, module string) func() (string, error) {
	return func() (string, error) {
		version, err := programs.ModuleVersion(filepath.FromSlash(gomod), module)
		return strings.TrimPrefix(version, "v"), err
	}
}

// istioVersion includes the commit, because Istio's releases are not versions of its Go module.
func istioVersion() (string, error) {
	version, err := programs.ModuleVersion("meshes/istio/go.mod", "istio.io/istio")
	if err != nil {
		return "", err
	}
	dirs, err := the.meshPrograms()
	if err != nil {
		return "", err
	}
	file, err := dirs.Beside("VERSION")
	if err != nil {
		return "", err
	}
	release, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s (%s)", strings.TrimSpace(string(release)), version[strings.LastIndex(version, "-")+1:]), nil
}
