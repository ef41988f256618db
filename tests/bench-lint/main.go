// Command bench-lint measures jobmesh lint: 10,000 documents have to be judged in 1 s of
// a processor, on a machine that does nothing else, and in 300 MB, and twice as many have
// to take twice as long. The table says whether the time was met; the others are errors.
//
//	go run ./tests/bench-lint [JOBMESH]
package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	documents = 10_000
	limit     = time.Second
	memory    = 300 << 20 // bytes
	runs      = 3
)

func main() {
	program := filepath.Join("bin", "jobmesh")
	if len(os.Args) > 1 {
		program = os.Args[1]
	}
	if err := measure(program); err != nil {
		fmt.Fprintf(os.Stderr, "bench-lint: %v\n", err)
		os.Exit(1)
	}
}

func measure(program string) error {
	dir, err := os.MkdirTemp("", "bench-lint")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	var failures []error
	var times []time.Duration
	fmt.Printf("%-24s %10s %10s %12s  %s\n", "jobmesh lint", "clock", "processor", "resident", "target")
	for _, n := range []int{documents, 2 * documents} {
		file := filepath.Join(dir, fmt.Sprintf("%d.yaml", n))
		if err := os.WriteFile(file, []byte(stream(n)), 0o600); err != nil {
			return err
		}
		m, err := median(program, file)
		if err != nil {
			return err
		}
		times = append(times, m.processor)
		verdict := "met"
		if m.processor > limit*time.Duration(n/documents) {
			verdict = "missed"
		}
		fmt.Printf("%-24s %8.2f s %8.2f s %9.0f MB  %s: %s\n", fmt.Sprintf("%d documents", n), m.clock.Seconds(), m.processor.Seconds(), float64(m.resident)/(1<<20), limit*time.Duration(n/documents), verdict)
		if n == documents && m.resident > memory {
			failures = append(failures, fmt.Errorf("%d documents took %d MB, more than %d", n, m.resident>>20, memory>>20))
		}
	}
	// Twice the work, with half as much again for a busy machine.
	if times[1] > 3*times[0] {
		failures = append(failures, fmt.Errorf("twice the documents took %.1f times as long", times[1].Seconds()/times[0].Seconds()))
	}
	return errors.Join(failures...)
}

// A measurement is one run.
type measurement struct {
	clock, processor time.Duration
	resident         int64 // bytes
}

// median runs lint some times. To find something is its job here.
func median(program, file string) (measurement, error) {
	var all []measurement
	for range runs {
		cmd := exec.Command(program, "lint", "--mesh", "linkerd", "--mesh-version", "2.18", file)
		began := time.Now()
		err := cmd.Run()
		m := measurement{clock: time.Since(began)}
		if exit := (*exec.ExitError)(nil); !errors.As(err, &exit) || exit.ExitCode() != 1 {
			return m, fmt.Errorf("%s: want exit code 1, got %v", program, err)
		}
		m.processor = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
		if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
			m.resident = usage.Maxrss << 10
		}
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b measurement) int { return cmp.Compare(a.processor, b.processor) })
	return all[len(all)/2], nil
}

// stream is what a large repository holds: Jobs with a script, CronJobs, and what is
// no Job at all; one in ten hangs.
func stream(n int) string {
	var b strings.Builder
	for i := range n {
		switch i % 5 {
		case 0:
			opt := "disabled"
			if i%10 == 0 {
				opt = "enabled"
			}
			fmt.Fprintf(&b, job, i, opt, i)
		case 1:
			fmt.Fprintf(&b, cronjob, i)
		case 2:
			fmt.Fprintf(&b, configmap, i)
		default:
			fmt.Fprintf(&b, deployment, i, i, i)
		}
	}
	return b.String()
}

const job = `---
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate-%d
  namespace: shop
  labels: {app.kubernetes.io/name: shop, app.kubernetes.io/instance: release}
spec:
  backoffLimit: 3
  template:
    metadata:
      annotations:
        linkerd.io/inject: %s
    spec:
      restartPolicy: Never
      containers:
        - name: migrate
          image: example.com/shop:1.%d
          command: [/bin/sh, -c]
          args:
            - |
              set -u
              echo "migrating"
              /app/migrate --all
          env:
            - {name: DATABASE, value: "postgres://db/shop"}
          resources: {requests: {cpu: 100m, memory: 64Mi}}
`

const cronjob = `---
apiVersion: batch/v1
kind: CronJob
metadata:
  name: report-%d
  namespace: shop
spec:
  schedule: "0 3 * * *"
  concurrencyPolicy: Forbid
  jobTemplate:
    spec:
      template:
        metadata:
          annotations:
            config.linkerd.io/proxy-admin-shutdown: enabled
        spec:
          restartPolicy: OnFailure
          containers:
            - name: report
              image: example.com/report:3
              command: [sh, -c]
              args:
                - |
                  trap 'curl -fsS -X POST http://127.0.0.1:4191/shutdown' EXIT
                  /app/report "$(date +%%F)"
`

const configmap = `---
apiVersion: v1
kind: ConfigMap
metadata:
  name: settings-%d
  namespace: shop
data:
  settings.toml: |
    [server]
    port = 8080
    name = "shop"
`

const deployment = `---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: web-%d
  namespace: shop
spec:
  replicas: 2
  selector:
    matchLabels: {app: web-%d}
  template:
    metadata:
      labels: {app: web-%d}
    spec:
      containers:
        - name: web
          image: example.com/web:1
          ports: [{name: http, containerPort: 8080}]
          readinessProbe: {httpGet: {path: /ready, port: http}}
          resources: {requests: {cpu: 100m, memory: 64Mi}, limits: {memory: 128Mi}}
`
