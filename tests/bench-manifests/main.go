// Command bench-manifests measures jobmesh inject: streams of Jobs of two lengths,
// from start to exit, and prints a table. What counts is the time of the processor, which
// others on the machine change least.
//
//	go run ./tests/bench-manifests [-jobs 1000,4000] [-runs 5]
//
// Run it at the root of the repository, after make build.
package main

import (
	"bytes"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// target is what 1,000 Jobs may take of a processor, on a machine that does nothing else.
const target = 800 * time.Millisecond

func main() {
	jobs := flag.String("jobs", "1000,4000", "numbers of Jobs, separated by commas")
	runs := flag.Int("runs", 5, "how often each is injected; the fastest counts")
	program := flag.String("jobmesh", "bin/jobmesh", "the program")
	flag.Parse()
	if err := run(os.Stdout, *program, *jobs, *runs); err != nil {
		fmt.Fprintf(os.Stderr, "bench-manifests: %v\n", err)
		os.Exit(1)
	}
}

func run(w io.Writer, program, jobs string, runs int) error {
	table := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "jobmesh inject: Jobs\tinput\tclock\tprocessor\ta Job\tmemory\t1,000 Jobs over 0.8 s\ta Job over the first row")
	var first time.Duration
	for _, text := range strings.Split(jobs, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-jobs %s: %q is not a number from 1 on", jobs, text)
		}
		input := stream(n)
		best, err := fastest(program, input, n, runs)
		if err != nil {
			return err
		}
		each := best.processor / time.Duration(n)
		if first == 0 {
			first = each
		}
		fmt.Fprintf(table, "%d\t%.1f MiB\t%.2f s\t%.2f s\t%.2f ms\t%d MiB\t%.2f\t%.2f\n", n, float64(len(input))/(1<<20), best.time.Seconds(), best.processor.Seconds(),
			float64(each)/float64(time.Millisecond), best.memory>>10, float64(each*1000)/float64(target), float64(each)/float64(first))
	}
	return table.Flush()
}

// A measurement is what one run took.
type measurement struct {
	time, processor time.Duration
	memory          int64 // KiB
}

// fastest returns the run that took the processor for the least time: what else the machine
// does only ever adds to that.
func fastest(program, input string, jobs, runs int) (measurement, error) {
	var best measurement
	for range max(runs, 1) {
		var stdout, stderr bytes.Buffer
		cmd := exec.Command(program, "inject")
		cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(input), &stdout, &stderr
		begin := time.Now()
		err := cmd.Run()
		took := time.Since(begin)
		if err != nil {
			return best, fmt.Errorf("%s inject: %w: %s", program, err, stderr.String())
		}
		// Measured is what was meant to be.
		if got := strings.Count(stdout.String(), "name: "+lint.InstallName+"\n"); got != jobs {
			return best, fmt.Errorf("%s inject: %d of %d Jobs were injected", program, got, jobs)
		}
		state := cmd.ProcessState
		used := state.UserTime() + state.SystemTime()
		if best.processor == 0 || used < best.processor {
			best = measurement{took, used, peak(state)}
		}
	}
	return best, nil
}

// stream returns n Jobs that differ.
func stream(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, job, i, i, i)
	}
	return b.String()
}

const job = `---
apiVersion: batch/v1
kind: Job
metadata:
  name: job-%d # number %d
  labels: {app: shop}
spec:
  backoffLimit: 3
  template:
    metadata:
      labels:
        app: shop
    spec:
      restartPolicy: Never
      containers:
        - name: main
          image: registry.example.com/shop:1.4
          command: ["/app", "migrate", "%d"]
          env:
            - name: DATABASE_URL
              valueFrom: {secretKeyRef: {name: db, key: url}}
          resources:
            limits: {cpu: 1, memory: 256Mi}
          volumeMounts:
            - name: tmp
              mountPath: /tmp
      volumes:
        - name: tmp
          emptyDir: {}
`
