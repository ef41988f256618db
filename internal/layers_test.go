// Package internal_test holds the packages to their layers: what each of them links, and
// what only one of them may import.
package internal_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const module = "github.com/jobmesh/jobmesh/internal/"

// listed runs go list with a format, and returns its lines.
func listed(t *testing.T, arguments ...string) []string {
	t.Helper()
	out, err := exec.Command("go", append([]string{"list"}, arguments...)...).Output()
	require.NoError(t, err)
	return strings.Fields(string(out))
}

// What judges or reads manifests talks to nobody, and links nothing that could.
func TestLayers(t *testing.T) {
	registries := []string{"github.com/google/go-containerregistry", "github.com/docker/", module + "registry"}
	for name, unwanted := range map[string][]string{
		"lint":     append(registries, "helm.sh/helm", module+"entrypoint"),
		"lockfile": append(registries, "helm.sh/helm"),
		"script":   registries,
		"native":   registries,
		"manifest": registries,
		"running":  append(registries, "k8s.io/client-go"),
		"why":      append(registries, "k8s.io/client-go"),
		"elfcheck": {"github.com/", "golang.org/"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, path := range listed(t, "-deps", module+name) {
				for _, prefix := range unwanted {
					if path != module+name {
						assert.False(t, strings.HasPrefix(path, prefix), "%s links %s", name, path)
					}
				}
			}
		})
	}
}

// Helm is behind one package, so that another version of it is one file; so is what talks to
// clusters.
func TestOnlyOnePackageImports(t *testing.T) {
	for prefix, only := range map[string]string{"helm.sh/helm": "helm", "k8s.io/client-go": "cluster", "k8s.io/cli-runtime": "cluster"} {
		assert.Equal(t, map[string]bool{module + only: true}, importers(t, prefix), prefix)
	}
}

// importers are the packages that import what begins so, in tests too.
func importers(t *testing.T, prefix string) map[string]bool {
	format := `{{$p := .ImportPath}}{{range .Imports}}{{$p}}>{{.}} {{end}}{{range .TestImports}}{{$p}}>{{.}} {{end}}{{range .XTestImports}}{{$p}}>{{.}} {{end}}`
	by := map[string]bool{}
	for _, edge := range listed(t, "-f", format, "github.com/jobmesh/jobmesh/...") {
		importer, imported, _ := strings.Cut(edge, ">")
		if strings.HasPrefix(imported, prefix) {
			by[importer] = true
		}
	}
	delete(by, "github.com/jobmesh/jobmesh/tests/kubetypes") // whose tests take their types from there
	return by
}
