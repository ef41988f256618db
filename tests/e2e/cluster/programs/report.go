package programs

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"
)

// compileReport reads the output of "go build -v", one package a line, and reports a summary now and then.
type compileReport struct {
	name  string
	to    io.Writer
	start time.Time
	quit  chan struct{}

	mu      sync.Mutex
	partial []byte
	lines   int
	last    []string // for an error message
}

const (
	reportEvery = 30 * time.Second
	tailLines   = 15
)

func newCompileReport(name string, to io.Writer) *compileReport {
	r := &compileReport{name: name, to: to, start: time.Now(), quit: make(chan struct{})}
	go func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				r.say()
			case <-r.quit:
				return
			}
		}
	}()
	return r
}

// Write takes the output of "go build -v".
func (r *compileReport) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.partial = append(r.partial, p...)
	for {
		line, rest, found := bytes.Cut(r.partial, []byte("\n"))
		if !found {
			return len(p), nil
		}
		r.lines++
		r.last = append(r.last, string(line))
		if extra := len(r.last) - tailLines; extra > 0 {
			r.last = slices.Delete(r.last, 0, extra)
		}
		r.partial = rest
	}
}

func (r *compileReport) stop() {
	close(r.quit)
	r.say()
}

func (r *compileReport) say() {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintf(r.to, "e2e: %s: %d packages compiled after %s\n", r.name, r.lines, time.Since(r.start).Round(time.Second))
}

func (r *compileReport) tail() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(append(r.last, string(r.partial)), "\n")
}
