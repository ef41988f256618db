package e2e

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// runs is the number of Jobs for each median.
const runs = 5

// relist is the interval at which a kubelet looks at its containers. Times therefore move in steps of this interval.
// Jobs that follow each other would all start at the same phase of it, namely when the previous Job was seen to end,
// and a difference of milliseconds could look like a second. So the Jobs start at different phases in turn.
const relist = time.Second

// readyAfter are the columns of the table: the time after which the proxy is ready.
var readyAfter = []time.Duration{300 * time.Millisecond, 1500 * time.Millisecond}

// rows are the kinds of pods that are compared.
var rows = []struct {
	name    string
	mesh    mesh
	jobmesh values
}{
	{"no mesh, no wrapper", mesh{}, values{"enabled": false}},
	{"native sidecar, no wrapper", mesh{name: "linkerd", native: true}, values{"enabled": false}},
	{"jobmesh, initContainer", mesh{name: "linkerd"}, values{"delivery": "initContainer"}},
	{"jobmesh, imageVolume", mesh{name: "linkerd"}, values{"delivery": "imageVolume"}},
}

// table holds the medians: a line for each row, in the order of readyAfter.
type table [][]time.Duration

// times is filled by TestTimes and printed at the end.
var times table

// TestTimes measures the time from the creation of a Job that runs "true" until it is complete. No other test runs
// meanwhile: tests that call t.Parallel wait for those that do not.
func TestTimes(t *testing.T) {
	measured := make(table, len(rows))
	for i, row := range rows {
		for _, ready := range readyAfter {
			t.Run(fmt.Sprintf("%s, ready after %s", row.name, ready), func(t *testing.T) {
				row.mesh.readyAfter = ready
				s := newSpace(t, row.mesh)
				job := s.render(t, row.jobmesh)
				s.timeToComplete(t, job) // the first Job pulls the images
				var took []time.Duration
				for i := range runs {
					awaitPhase(time.Duration(i) * relist / runs)
					took = append(took, s.timeToComplete(t, job).Round(10*time.Millisecond))
				}
				t.Log(took)
				slices.Sort(took)
				measured[i] = append(measured[i], took[runs/2])
				if row.mesh.name != "" {
					assert.Greater(t, took[0], ready, "no command runs before its proxy is ready")
				}
			})
		}
	}
	if !t.Failed() {
		times = measured
	}
}

// render returns the Job that the chart makes for the command "true".
func (s space) render(t *testing.T, jobmesh values) *batchv1.Job {
	t.Helper()
	output, err := s.helm(t, s.given.Helm4, values{
		"image": s.images.shell.Name(), "command": []string{"true"}, "jobmesh": s.jobmesh(jobmesh),
	}, "template", "timed", s.chart("job"))
	require.NoError(t, err)
	var job batchv1.Job
	require.NoError(t, yaml.UnmarshalStrict([]byte(output), &job), output)
	job.Name, job.GenerateName = "", "timed-"
	return &job
}

// awaitPhase waits until the clock has reached this phase of a relist interval.
func awaitPhase(phase time.Duration) {
	now := time.Now()
	next := now.Truncate(relist).Add(phase)
	if next.Before(now) {
		next = next.Add(relist)
	}
	time.Sleep(next.Sub(now))
}

// timeToComplete creates the Job, returns how long it takes, and deletes it.
func (s space) timeToComplete(t *testing.T, job *batchv1.Job) time.Duration {
	t.Helper()
	start := time.Now()
	created, err := s.client.BatchV1().Jobs(s.name).Create(s.ctx, job, metav1.CreateOptions{})
	require.NoError(t, err)
	complete, err := s.awaitJob(created.Name, func(job *batchv1.Job) bool { return outcome(job) != "" })
	took := time.Since(start)
	require.NoError(t, err)
	require.Equal(t, batchv1.JobComplete, outcome(complete))
	require.NoError(t, s.run("", s.kubectl, "delete", "job", created.Name, "--namespace", s.name))
	return took
}

// print writes the table; there is none if TestTimes did not run.
func (m table) print(to io.Writer) error {
	if m == nil {
		return nil
	}
	w := tabwriter.NewWriter(to, 0, 0, 2, ' ', 0)
	fmt.Fprintf(w, "\nfrom create to Complete, a Job that runs true, median of %d\n", runs)
	header := []string{"pod"}
	for _, ready := range readyAfter {
		header = append(header, fmt.Sprintf("proxy ready after %s", ready))
	}
	fmt.Fprintln(w, strings.Join(header, "\t"))
	for i, row := range rows {
		line := []string{row.name}
		for _, took := range m[i] {
			line = append(line, fmt.Sprintf("%.2f s", took.Seconds()))
		}
		fmt.Fprintln(w, strings.Join(line, "\t"))
	}
	fmt.Fprintf(w, "classic proxy, no wrapper%s\n", strings.Repeat("\thangs", len(readyAfter)))
	fmt.Fprintln(w)
	return w.Flush()
}
