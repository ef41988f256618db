// Package alerts runs the expressions of charts/alerts over series as kube-state-metrics
// writes them, in Prometheus's own engine. It wants bin/helm3 (ci/tools/build).
//
// The program promtool evaluates rules in the same engine. It is not built for that: it links
// Prometheus's service discovery, 534 packages more than this test, with the clients of every
// cloud that Prometheus knows.
package alerts

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/promql/promqltest"
	"github.com/prometheus/prometheus/util/teststorage"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

type rule struct {
	Record      string
	Alert       string
	Expr        string
	For         string
	Annotations map[string]string
}

// rules are those of the chart with a helper of somebody's own.
func rules(t *testing.T) []rule {
	t.Helper()
	found, err := rendered()
	require.NoError(t, err)
	return found
}

// rendered renders the chart, once.
var rendered = sync.OnceValues(func() ([]rule, error) {
	helm := os.Getenv("JOBMESH_HELM3")
	if helm == "" {
		helm = filepath.Join("..", "..", "bin", "helm3")
	}
	// A copy, since Helm puts the library chart into the folder.
	dir, err := os.MkdirTemp("", "jobmesh-alerts-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // a temporary folder
	chart := filepath.Join(dir, "charts", "alerts")
	if err := errors.Join(os.CopyFS(chart, os.DirFS("../../charts/alerts")),
		os.CopyFS(filepath.Join(dir, "library-chart"), os.DirFS("../../library-chart"))); err != nil {
		return nil, err
	}
	if out, err := exec.Command(helm, "dependency", "update", "--skip-refresh", chart).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: %s", err, out)
	}
	out, err := exec.Command(helm, "template", "x", chart, "--set", "helpers={my-agent}").Output()
	if err != nil {
		return nil, err
	}
	var found struct {
		Spec struct {
			Groups []struct{ Rules []rule }
		}
	}
	if err := yaml.Unmarshal(out, &found); err != nil {
		return nil, err
	}
	if n := len(found.Spec.Groups); n != 1 {
		return nil, fmt.Errorf("the chart has %d groups of rules", n)
	}
	return found.Spec.Groups[0].Rules, nil
})

// A case is what kube-state-metrics says, minute by minute, and the alerts that fire then.
type alertCase struct {
	series string
	// at is the minute, from 0.
	at int
	// fires are the alerts with the values of their labels, in order.
	fires []string
}

const stuck = `
  kube_pod_container_status_terminated{namespace="prod",pod="nightly-1-a",container="report"} 0 1x30
  kube_pod_container_status_running{namespace="prod",pod="nightly-1-a",container="report"} 1 0x30
  kube_pod_container_status_terminated{namespace="prod",pod="nightly-1-a",container="istio-proxy"} 0x31
  kube_pod_container_status_running{namespace="prod",pod="nightly-1-a",container="istio-proxy"} 1x31
  kube_pod_status_phase{namespace="prod",pod="nightly-1-a",phase="Running"} 1x31
  kube_pod_owner{namespace="prod",pod="nightly-1-a",owner_kind="Job",owner_name="nightly-1"} 1x31
  kube_job_owner{namespace="prod",job_name="nightly-1",owner_kind="CronJob",owner_name="nightly"} 1x31
  kube_cronjob_info{namespace="prod",cronjob="nightly",schedule="0 3 * * *",concurrency_policy="Forbid"} 1x31
`

var cases = map[string]alertCase{
	"stuck, and not for long enough": {stuck, 9, nil},
	"stuck beside a proxy, and a CronJob that waits for it": {stuck, 12, []string{
		`CronJobBlockedByHelper cronjob="nightly" namespace="prod"`,
		`JobHeldByHelper job_name="nightly-1" namespace="prod" pod="nightly-1-a"`,
	}},
	"failed work beside a helper that is named, in a CronJob that may run twice": {`
  kube_pod_container_status_terminated{namespace="prod",pod="f-a",container="work"} 1x30
  kube_pod_container_status_running{namespace="prod",pod="f-a",container="my-agent"} 1x30
  kube_pod_status_phase{namespace="prod",pod="f-a",phase="Running"} 1x30
  kube_pod_owner{namespace="prod",pod="f-a",owner_kind="Job",owner_name="f"} 1x30
  kube_job_owner{namespace="prod",job_name="f",owner_kind="CronJob",owner_name="c"} 1x30
  kube_cronjob_info{namespace="prod",cronjob="c",schedule="0 3 * * *",concurrency_policy="Allow"} 1x30
`, 15, []string{`JobHeldByHelper job_name="f" namespace="prod" pod="f-a"`}},
	"one of two containers works": {`
  kube_pod_container_status_terminated{namespace="prod",pod="w-a",container="one"} 1x30
  kube_pod_container_status_running{namespace="prod",pod="w-a",container="two"} 1x30
  kube_pod_container_status_running{namespace="prod",pod="w-a",container="istio-proxy"} 1x30
  kube_pod_status_phase{namespace="prod",pod="w-a",phase="Running"} 1x30
  kube_pod_owner{namespace="prod",pod="w-a",owner_kind="Job",owner_name="w"} 1x30
`, 25, nil},
	"a native sidecar, which is an init container": {`
  kube_pod_container_status_terminated{namespace="prod",pod="n-a",container="work"} 1x30
  kube_pod_init_container_status_running{namespace="prod",pod="n-a",container="istio-proxy"} 1x30
  kube_pod_status_phase{namespace="prod",pod="n-a",phase="Running"} 1x30
  kube_pod_owner{namespace="prod",pod="n-a",owner_kind="Job",owner_name="n"} 1x30
`, 25, nil},
	"a pod that has ended": {`
  kube_pod_container_status_terminated{namespace="prod",pod="e-a",container="work"} 1x30
  kube_pod_container_status_running{namespace="prod",pod="e-a",container="istio-proxy"} 0x30
  kube_pod_status_phase{namespace="prod",pod="e-a",phase="Running"} 0x30
  kube_pod_owner{namespace="prod",pod="e-a",owner_kind="Job",owner_name="e"} 1x30
`, 25, nil},
	"a container that waits to be started again": {`
  kube_pod_container_status_terminated{namespace="prod",pod="r-a",container="one"} 1x30
  kube_pod_container_status_waiting{namespace="prod",pod="r-a",container="two"} 1x30
  kube_pod_container_status_running{namespace="prod",pod="r-a",container="istio-proxy"} 1x30
  kube_pod_status_phase{namespace="prod",pod="r-a",phase="Running"} 1x30
  kube_pod_owner{namespace="prod",pod="r-a",owner_kind="Job",owner_name="r"} 1x30
`, 25, nil},
	"a pod that no Job owns": {`
  kube_pod_container_status_terminated{namespace="prod",pod="s-a",container="work"} 1x30
  kube_pod_container_status_running{namespace="prod",pod="s-a",container="istio-proxy"} 1x30
  kube_pod_status_phase{namespace="prod",pod="s-a",phase="Running"} 1x30
  kube_pod_owner{namespace="prod",pod="s-a",owner_kind="ReplicaSet",owner_name="s"} 1x30
`, 25, nil},
}

func TestAlerts(t *testing.T) {
	all := rules(t)
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			storage := promqltest.LoadedStorage(t, "load 1m"+c.series)
			engine := promqltest.NewTestEngine(t, false, 0, promqltest.DefaultMaxSamplesPerQuery)
			var fired []string
			for _, r := range all {
				if r.Alert != "" {
					fired = append(fired, firing(t, engine, storage, all, r, c.at)...)
				}
			}
			slices.Sort(fired)
			require.Equal(t, c.fires, fired)
		})
	}
}

// firing are the label sets for which an alert has been true for as long as it wants.
func firing(t *testing.T, engine *promql.Engine, storage *teststorage.TestStorage, all []rule, r rule, at int) []string {
	t.Helper()
	expr := r.Expr
	for _, recorded := range all {
		if recorded.Record != "" { // what another rule has recorded a moment before
			expr = strings.ReplaceAll(expr, recorded.Record, "("+recorded.Expr+")")
		}
	}
	wait, err := time.ParseDuration(r.For)
	require.NoError(t, err)
	held := map[string]int{}
	minutes := int(wait / time.Minute)
	for minute := at - minutes; minute <= at; minute++ {
		query, err := engine.NewInstantQuery(context.Background(), storage, nil, expr, time.Unix(0, 0).Add(time.Duration(minute)*time.Minute))
		require.NoError(t, err)
		result := query.Exec(context.Background())
		require.NoError(t, result.Err)
		vector, err := result.Vector()
		require.NoError(t, err)
		for _, sample := range vector {
			held[strings.Trim(sample.Metric.String(), "{}")]++
		}
		query.Close()
	}
	var fired []string
	for labels, n := range held {
		if n == minutes+1 {
			fired = append(fired, r.Alert+" "+strings.ReplaceAll(labels, `", `, `" `))
		}
	}
	return fired
}

// Each alert names the command that says more, with labels that the alert has.
func TestAnnotations(t *testing.T) {
	for _, r := range rules(t) {
		_, err := parser.NewParser(parser.Options{}).ParseExpr(r.Expr)
		require.NoError(t, err)
		if r.Alert == "" {
			continue
		}
		require.Contains(t, r.Annotations["description"], "kubectl jobmesh why -n {{ $labels.namespace }} ")
		require.Equal(t, []string{"description", "runbook_url", "summary"}, slices.Sorted(maps.Keys(r.Annotations)))
		for _, text := range r.Annotations {
			for _, part := range strings.Split(text, "$labels.")[1:] {
				label, _, _ := strings.Cut(part, " ")
				require.Contains(t, r.Expr, label)
			}
		}
	}
}
