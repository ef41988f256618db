package mesh_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// injected is what a real injector has left in a pod. `make e2e` compares the files with the injectors.
type injected struct {
	Mesh           string            `json:"mesh"`
	Version        string            `json:"version"`
	Sidecar        string            `json:"sidecar"`
	Asked          map[string]string `json:"asked"`
	Annotations    map[string]string `json:"annotations"`
	Labels         map[string]string `json:"labels"`
	InitContainers []string          `json:"initContainers"`
	Containers     []string          `json:"containers"`
	StartupProbe   bool              `json:"startupProbe"`
	Answers        map[string]string `json:"answers"`
}

// untold are the pods in which nothing says that their sidecar is native.
var untold = []string{"dapr-native-by-installation"}

// The rows say the same about a pod as the real injectors.
func TestRowsAreWhatInjectorsLeave(t *testing.T) {
	files, err := filepath.Glob(filepath.Join("testdata", "injected", "*.yaml"))
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".yaml")
		t.Run(name, func(t *testing.T) {
			found := readInjected(t, file)
			row, known := mesh.ByName(found.Mesh)
			require.True(t, known, "no row %s", found.Mesh)
			seen[found.Mesh+" "+found.Sidecar] = true
			assert.Equal(t, row.Checked, found.Version, "row %s: the release that it was compared with", row.Name)
			checkAnnotations(t, name, row, found)
			checkContainers(t, row, found)
			checkAnswers(t, row, found)
		})
	}
	assert.Equal(t, map[string]bool{"istio classic": true, "istio native": true, "dapr classic": true, "dapr native": true}, seen)
}

func readInjected(t *testing.T, file string) injected {
	t.Helper()
	content, err := os.ReadFile(file)
	require.NoError(t, err)
	var found injected
	require.NoError(t, yaml.UnmarshalStrict(content, &found))
	return found
}

// annotation returns the value of an annotation in the pod, whoever has written it.
func (i injected) annotation(name string) string {
	if value, written := i.Annotations[name]; written {
		return value
	}
	return i.Asked[name]
}

// checkAnnotations compares the annotation by which a pod is known to be injected, and those that say of which kind the
// proxy is.
func checkAnnotations(t *testing.T, name string, row mesh.Mesh, found injected) {
	t.Helper()
	set := found.annotation(row.Annotation)
	assert.True(t, mesh.Injected(set), "row %s: Annotation %s", row.Name, row.Annotation)
	native := row.IsNative(func(annotation, _ string) string { return found.annotation(annotation) })
	assert.Equal(t, found.Sidecar == "native" && !slices.Contains(untold, name), native, "row %s: Native, by the annotations", row.Name)
}

// checkContainers compares the name of the proxy's container and its place.
func checkContainers(t *testing.T, row mesh.Mesh, found injected) {
	t.Helper()
	isNative, isClassic := slices.Contains(found.InitContainers, row.Container), slices.Contains(found.Containers, row.Container)
	assert.Equal(t, found.Sidecar == "native", isNative, "row %s: Container %s among %v", row.Name, row.Container, found.InitContainers)
	assert.Equal(t, found.Sidecar == "classic", isClassic, "row %s: Container %s among %v", row.Name, row.Container, found.Containers)
}

// checkAnswers compares what an init container behind jobmesh-install meets: a native proxy that stands before it, and that
// the kubelet waits for, answers everywhere; no other does.
func checkAnswers(t *testing.T, row mesh.Mesh, found injected) {
	t.Helper()
	if found.Answers == nil {
		return
	}
	before := slices.Index(found.InitContainers, row.Container)
	answers := before >= 0 && before < slices.Index(found.InitContainers, "jobmesh-install") && found.StartupProbe
	urls := slices.Concat(row.Ready, row.Detect)
	if row.Fallback.Ready != "" {
		urls = append(urls, row.Fallback.Ready)
	}
	for _, url := range urls {
		if answers {
			assert.Equal(t, "200", found.Answers[url], "row %s: %s", row.Name, url)
		} else {
			assert.Equal(t, "refused", found.Answers[url], "row %s: %s", row.Name, url)
		}
	}
}
