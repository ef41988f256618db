// Command bench-charts measures what the library chart costs: it renders many
// CronJobs plain, through jobmesh.podSpec and through jobmesh.manifests, with both
// Helm programs, and prints a table. What counts is the time of the processor, which
// others on the machine change least.
//
//	go run ./tests/bench-charts [-jobs 500,5000] [-runs 5]
//
// Run it at the root of the repository. JOBMESH_HELM3 and JOBMESH_HELM4 name the
// programs; without them they are bin/helm3 and bin/helm4.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// What a Job may cost more than a plain one, on a machine that does nothing else.
var targets = map[string]time.Duration{
	"podSpec":   1200 * time.Microsecond,
	"manifests": 1800 * time.Microsecond,
}

var forms = []string{"plain", "podSpec", "manifests"}

func main() {
	jobs := flag.String("jobs", "500,5000", "numbers of CronJobs, separated by commas")
	runs := flag.Int("runs", 5, "how often each is rendered; the fastest counts")
	flag.Parse()
	if err := run(os.Stdout, *jobs, *runs); err != nil {
		fmt.Fprintf(os.Stderr, "bench-charts: %v\n", err)
		os.Exit(1)
	}
}

func run(w io.Writer, jobs string, runs int) error {
	dir, err := os.MkdirTemp("", "jobmesh-bench-charts-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	if err := writeChart(dir); err != nil {
		return err
	}
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "helm\tCronJobs\tform\tclock\tprocessor\ta Job over plain\ttarget")
	for _, version := range []string{"3", "4"} {
		program := os.Getenv("JOBMESH_HELM" + version)
		if program == "" {
			program = filepath.Join("bin", "helm"+version)
		}
		for _, text := range strings.Split(jobs, ",") {
			n, err := strconv.Atoi(text)
			if err != nil || n < 1 {
				return fmt.Errorf("-jobs %s: %q is not a number from 1 on", jobs, text)
			}
			fastest, err := measure(program, dir, n, runs)
			if err != nil {
				return err
			}
			for _, form := range forms {
				best := fastest[form]
				if form == "plain" {
					fmt.Fprintf(table, "%s\t%d\t%s\t%.2f s\t%.2f s\t\t\n", version, n, form, best.clock.Seconds(), best.processor.Seconds())
					continue
				}
				over := (best.processor - fastest["plain"].processor) / time.Duration(n)
				verdict := "met"
				if over > targets[form] {
					verdict = "missed"
				}
				fmt.Fprintf(table, "%s\t%d\t%s\t%.2f s\t%.2f s\t%.2f ms\t%.1f ms: %s\n", version, n, form, best.clock.Seconds(), best.processor.Seconds(), milliseconds(over), milliseconds(targets[form]), verdict)
			}
		}
	}
	return table.Flush()
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// A measurement is what one rendering took.
type measurement struct{ clock, processor time.Duration }

// measure renders each form several times, by turns, so that a slow spell of the
// machine meets all of them. The others of a machine only ever add to a time, so the
// least of them is the best estimate.
func measure(program, chart string, jobs, runs int) (map[string]measurement, error) {
	fastest := map[string]measurement{}
	for range max(runs, 1) {
		for _, form := range forms {
			took, err := render(program, chart, form, jobs)
			if err != nil {
				return nil, err
			}
			if best, ok := fastest[form]; !ok || took.processor < best.processor {
				fastest[form] = took
			}
		}
	}
	return fastest, nil
}

// render renders the chart once, and checks that what it measured is what was meant
// to be.
func render(program, chart, form string, jobs int) (took measurement, err error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.Command(program, "template", "release", chart, "--set", fmt.Sprintf("form=%s,jobs=%d", form, jobs))
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err = cmd.Run()
	took.clock = time.Since(begin)
	if err != nil {
		return took, fmt.Errorf("%s template: %w: %s", program, err, stderr.String())
	}
	took.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	wrapped := strings.Count(stdout.String(), "- /jobmesh/jobmesh-wrap")
	if got := strings.Count(stdout.String(), "kind: CronJob"); got != jobs || (wrapped == jobs) == (form == "plain") {
		return took, fmt.Errorf("%s %s: %d CronJobs, %d of them wrapped, want %d", program, form, got, wrapped, jobs)
	}
	return took, nil
}

// writeChart writes a chart that uses the library.
func writeChart(dir string) error {
	if err := os.CopyFS(filepath.Join(dir, "charts", "jobmesh"), os.DirFS("library-chart")); err != nil {
		return err
	}
	if err := os.Mkdir(filepath.Join(dir, "templates"), 0o755); err != nil {
		return err
	}
	for name, content := range map[string]string{
		"Chart.yaml":             "apiVersion: v2\nname: bench\nversion: 1.0.0\n",
		"values.yaml":            "form: plain\njobs: 1\n",
		"templates/cronjobs.yml": template,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

const template = `{{- range $i := until (int .Values.jobs) }}
{{- $context := dict "root" $ "i" $i }}
---
{{- if eq $.Values.form "manifests" }}
{{ include "jobmesh.manifests" (list $context "bench.cronJob") }}
{{- else }}
{{ include "bench.cronJob" $context }}
{{- end }}
{{- end }}

{{- define "bench.cronJob" }}
apiVersion: batch/v1
kind: CronJob
metadata:
  name: job-{{ .i }}
  labels:
    app.kubernetes.io/name: bench
spec:
  schedule: "0 3 * * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      backoffLimit: 3
      template:
        metadata:
          labels:
            app.kubernetes.io/name: bench
        {{- if eq .root.Values.form "podSpec" }}
        spec: {{- include "jobmesh.podSpec" (list . "bench.podSpec") | nindent 10 }}
        {{- else }}
        spec: {{- include "bench.podSpec" . | nindent 10 }}
        {{- end }}
{{- end }}

{{- define "bench.podSpec" }}
restartPolicy: Never
serviceAccountName: bench
containers:
  - name: main
    image: registry.example/app:1.0
    command: ["/app", "run", "{{ .i }}"]
    env:
      - name: TARGET
        value: target-{{ .i }}
    volumeMounts:
      - name: data
        mountPath: /data
    resources:
      requests: {cpu: 100m, memory: 128Mi}
volumes:
  - name: data
    emptyDir: {}
{{- end }}
`
