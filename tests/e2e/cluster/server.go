package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// command is a program with its arguments.
type command struct {
	program   string
	arguments []string
}

// servers are the running programs. A server that ends has failed, since no server is meant to end.
type servers struct {
	options Options
	failed  chan error
	running []*exec.Cmd
}

// pollEvery is how often a starting cluster is checked.
const pollEvery = 100 * time.Millisecond

// quoted is how many lines of a failed server's log an error shows.
const quoted = 10

func newServers(o Options) *servers {
	return &servers{options: o, failed: make(chan error)}
}

func (s *servers) start(c command) error {
	file, err := s.options.Programs.Find(c.program)
	if err != nil {
		return err
	}
	log, err := os.Create(filepath.Join(s.options.Logs, c.program+".log"))
	if err != nil {
		return err
	}
	server := exec.Command(file, c.arguments...)
	server.Dir = s.options.Dir
	server.Env = append(os.Environ(), "PATH="+s.options.Programs.Path())
	server.Stdout, server.Stderr = log, log
	if err := server.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	s.running = append(s.running, server)
	go func() {
		server.Wait()
		log.Close()
		s.failed <- fmt.Errorf("%s ended: %s\n%s", c.program, server.ProcessState, tail(log.Name()))
	}()
	return nil
}

// stop kills all servers, the last one first, and waits until they have ended.
func (s *servers) stop() {
	for i := len(s.running) - 1; i >= 0; i-- {
		s.running[i].Process.Kill() // the data is thrown away, so nothing has to be saved
		<-s.failed
	}
}

// watch reports every server that fails from now on.
func (s *servers) watch() {
	for err := range s.failed {
		fmt.Fprintf(s.options.Progress, "e2e: cluster: %v\n", err)
	}
}

// wait returns when the condition holds, a server has failed, or the time is over.
func (s *servers) wait(ctx context.Context, until func(context.Context) error) error {
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		last := until(ctx)
		if last == nil {
			return nil
		}
		select {
		case err := <-s.failed:
			return err
		case <-ctx.Done():
			return fmt.Errorf("%w: %w", context.Cause(ctx), last)
		case <-tick.C:
		}
	}
}

func tail(file string) []byte {
	content, err := os.ReadFile(file)
	if err != nil {
		return []byte(err.Error())
	}
	lines := bytes.Split(bytes.TrimSpace(content), []byte("\n"))
	return bytes.Join(lines[max(0, len(lines)-quoted):], []byte("\n"))
}
