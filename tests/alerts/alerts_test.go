// Package alerts tests the rules of charts/alerts with promtool, over series as kube-state-metrics
// writes them: testdata/alerts.yaml. It wants bin/helm3 (ci/tools/build).
package alerts

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// promtool builds the program of the release of Prometheus in go.mod. Service discovery, with the
// clients of every cloud that Prometheus knows, is left out by a tag of its own: rules need none.
func promtool(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "promtool")
	run(t, "", "go", "build", "-tags=remove_all_sd", "-o", file, "github.com/prometheus/prometheus/cmd/promtool")
	return file
}

// run runs a program in a folder, and returns what it writes to stdout.
func run(t *testing.T, dir, name string, arguments ...string) []byte {
	t.Helper()
	cmd := exec.Command(name, arguments...)
	var said strings.Builder
	cmd.Dir, cmd.Stderr = dir, &said
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, said.String())
	return out
}

// rules renders the chart with a helper of somebody's own, and returns the rules as Prometheus reads
// them: what the operator of Prometheus takes from the object PrometheusRule.
func rules(t *testing.T) []byte {
	t.Helper()
	helm := os.Getenv("JOBMESH_HELM3")
	if helm == "" {
		helm = filepath.Join("..", "..", "bin", "helm3")
	}
	// A copy, since Helm puts the library chart into the folder.
	dir := t.TempDir()
	chart := filepath.Join(dir, "charts", "alerts")
	require.NoError(t, os.CopyFS(chart, os.DirFS("../../charts/alerts")))
	require.NoError(t, os.CopyFS(filepath.Join(dir, "library-chart"), os.DirFS("../../library-chart")))
	run(t, "", helm, "dependency", "update", "--skip-refresh", chart)
	var object struct {
		Kind string
		Spec yaml.Node
	}
	require.NoError(t, yaml.Unmarshal(run(t, "", helm, "template", "x", chart, "--set", "helpers={my-agent}"), &object))
	require.Equal(t, "PrometheusRule", object.Kind)
	text, err := yaml.Marshal(&object.Spec)
	require.NoError(t, err)
	return text
}

func TestAlerts(t *testing.T) {
	program, dir := promtool(t), t.TempDir()
	cases, err := os.ReadFile("testdata/alerts.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), cases, 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "rules.yaml"), rules(t), 0o600))
	require.Contains(t, string(run(t, dir, program, "check", "rules", "--lint=all", "--lint-fatal", "rules.yaml")), "SUCCESS: 3 rules found")
	t.Logf("%s", run(t, dir, program, "test", "rules", "alerts.yaml"))
	// A test that cannot fail would be none.
	wrong := strings.Replace(string(cases), "eval_time: 9m", "eval_time: 12m", 1)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "alerts.yaml"), []byte(wrong), 0o600))
	require.Error(t, exec.Command(program, "test", "rules", filepath.Join(dir, "alerts.yaml")).Run())
}

// Each alert names the command that says more.
func TestAnnotations(t *testing.T) {
	var all struct {
		Groups []struct {
			Rules []struct {
				Alert       string
				Annotations map[string]string
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(rules(t), &all))
	var alerts []string
	for _, r := range all.Groups[0].Rules {
		if r.Alert != "" {
			alerts = append(alerts, r.Alert)
			require.Contains(t, r.Annotations["description"], "kubectl jobmesh why -n {{ $labels.namespace }} ")
		}
	}
	slices.Sort(alerts)
	require.Equal(t, []string{"CronJobBlockedByHelper", "JobHeldByHelper"}, alerts)
}
