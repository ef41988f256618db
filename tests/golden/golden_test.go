package golden

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write testdata/rendered again, with Helm 3")

// A rendering is a chart and the arguments for it.
type rendering struct {
	name, chart string
	args        []string
}

// TestRendered compares what both Helm programs print with the same files.
func TestRendered(t *testing.T) {
	cases := []rendering{
		{"nightly-report-image-volume", "nightly-report", []string{"--set", "jobmesh.delivery=imageVolume,restartPolicy=Never"}},
		{"nightly-report-disabled", "nightly-report", []string{"--set", "jobmesh.enabled=false"}},
		{"nightly-report-settings", "nightly-report", []string{"-f", "testdata/values/settings.yaml"}},
		{"database-migration-istio", "database-migration", []string{"--set", "jobmesh.mesh=istio"}},
		{"database-migration-disabled", "database-migration", []string{"--set", "jobmesh.enabled=false"}},
		{"consumer-range", "consumer", []string{"-f", "testdata/values/range.yaml"}},
		{"consumer-dict", "consumer", []string{"-f", "testdata/values/dict.yaml"}},
		{"manifests", "consumer", []string{"-f", "testdata/values/manifests.yaml"}},
		{"kinds", "consumer", []string{"-f", "testdata/values/kinds.yaml"}},
		{"consumer-snippets", "consumer", []string{"-f", "testdata/values/snippets.yaml"}},
		{"cronjobs-values", "cronjobs", []string{"-f", "testdata/values/cronjobs.yaml"}},
		{"sidecars", "consumer", []string{"-f", "testdata/values/sidecars.yaml"}},
		{"sidecars-native", "consumer", []string{"-f", "testdata/values/sidecars-native.yaml"}},
		{"policy-kyverno", "policy", []string{"--kube-version", "1.33", "--set", "engine=kyverno"}},
		{"every-value", "consumer", []string{"-f", "testdata/values/every-value.yaml"}},
	}
	for _, h := range helms(t) {
		charts := h.consumers(t)
		cases := slices.Clone(cases)
		for name := range charts {
			if name != "consumer" {
				cases = append(cases, rendering{name, name, nil})
			}
		}
		for _, c := range cases {
			t.Run(h.name+"/"+c.name, func(t *testing.T) {
				r := h.run(t, append([]string{"template", "release", charts[c.chart]}, c.args...)...)
				require.Zero(t, r.code, r.stderr)
				golden := filepath.Join("testdata", "rendered", c.name+".yaml")
				if *update && h.name == "helm3" {
					require.NoError(t, os.WriteFile(golden, []byte(normal(r.stdout)), 0o644))
				}
				want, err := os.ReadFile(golden)
				require.NoError(t, err, "hint: go test ./tests/golden -update")
				require.Equal(t, string(want), normal(r.stdout))
			})
		}
	}
}

// TestKubeVersion shows that the output does not depend on the Kubernetes version that Helm
// presumes: CI and Argo CD render without a cluster, so that version is a guess.
func TestKubeVersion(t *testing.T) {
	for _, h := range helms(t) {
		chart := h.consumers(t)["nightly-report"]
		for _, delivery := range []string{"initContainer", "imageVolume"} {
			args := []string{"template", "release", chart, "--set", "jobmesh.delivery=" + delivery}
			want := h.run(t, args...)
			require.Zero(t, want.code, want.stderr)
			for _, version := range []string{"1.25.0", "1.33.4-gke.1245000", "v1.34", "1.37.0"} {
				got := h.run(t, append(args, "--kube-version", version)...)
				require.Zero(t, got.code, got.stderr)
				require.Equal(t, want.stdout, got.stdout, "%s, Kubernetes %s", h.name, version)
			}
		}
	}
}

// TestHooks shows that a Job stays a hook once jobmesh.manifests has printed it.
func TestHooks(t *testing.T) {
	for _, h := range helms(t) {
		chart := h.consumers(t)["database-migration"]
		all := h.run(t, "template", "release", chart)
		require.Contains(t, all.stdout, "kind: Job")
		r := h.run(t, "template", "release", chart, "--no-hooks")
		require.Zero(t, r.code, r.stderr)
		require.Contains(t, r.stdout, "kind: Deployment")
		require.NotContains(t, r.stdout, "kind: Job", h.name)
	}
}
