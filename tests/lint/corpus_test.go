package lint

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	rules "github.com/jobmesh/jobmesh/internal/lint"
)

var verdict = regexp.MustCompile(`(?m)^# lint:(.*)\n# finds: (.*)$`)

// Each manifest of the corpus is modelled on one that people had trouble with. Its first lines
// say what lint has to find.
func TestCorpus(t *testing.T) {
	files, err := filepath.Glob("corpus/*.yaml")
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(files), 40)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			header := verdict.FindStringSubmatch(string(text))
			require.NotNil(t, header, "no verdict")
			want := strings.Fields(header[2])
			if header[2] == "none" {
				want = nil
			}
			code := 0
			for _, id := range want {
				r, err := rules.ByID(id)
				require.NoError(t, err)
				if r.Severity == rules.Error {
					code = 1
				}
			}
			got, exit := run(t, append(strings.Fields(header[1]), file)...)
			require.Equal(t, want, got)
			require.Equal(t, code, exit)
		})
	}
}

// For what the library chart renders for a mesh, no rule about hanging or injection reports
// anything, for every mesh that it was made for.
func TestOwnChartsAreClean(t *testing.T) {
	everyMesh := []string{"linkerd", "istio", "kuma", "consul", "dapr"}
	madeFor := map[string][]string{
		// Argo's executor cannot end Consul's proxy.
		"inject.yaml":                   {"linkerd", "istio", "kuma", "dapr"},
		"kinds.yaml":                    {"linkerd", "istio", "kuma", "dapr"},
		"cronjobs-values.yaml":          {}, // the values switch off one of its CronJobs
		"database-migration-istio.yaml": {"istio"},
		"native.yaml":                   {"linkerd"},
		"nightly-report-settings.yaml":  {"linkerd"},
		"shell-hook.yaml":               {"istio"},
		"sidecars.yaml":                 {"linkerd"},
		// Nothing is wrapped there, so the mesh has to make its proxy a native sidecar.
		"sidecars-native.yaml":             {"linkerd", "istio", "kuma"},
		"umbrella.yaml":                    {"linkerd"},
		"nightly-report-disabled.yaml":     {}, // injection is off, so the Job is as its author wrote it
		"database-migration-disabled.yaml": {},
		// These were made with jobmesh.podSpec alone, as test subjects, without the annotations
		// that belong to it. Lint reports what they lack.
		"consumer-dict.yaml":  {"kuma", "dapr"},
		"consumer-range.yaml": {"istio", "kuma", "consul", "dapr"},
		"every-value.yaml":    {"istio", "kuma", "consul", "dapr"},
	}
	files, err := filepath.Glob("../golden/testdata/rendered/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		meshes, special := madeFor[filepath.Base(file)]
		if !special {
			meshes = everyMesh
		}
		for _, mesh := range append([]string{""}, meshes...) {
			t.Run(filepath.Base(file)+" "+mesh, func(t *testing.T) {
				var args []string
				if mesh != "" {
					args = []string{"--mesh", mesh}
				}
				got, _ := run(t, append(args, file)...)
				require.False(t, slices.ContainsFunc(got, func(id string) bool {
					return strings.HasPrefix(id, "JM1") || strings.HasPrefix(id, "JM5")
				}), "%v", got)
			})
		}
	}
}
