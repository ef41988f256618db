package sandbox

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// taskVariable names the task that this program does in a sandbox when a test starts it again.
const taskVariable = "SANDBOX_TEST_TASK"

// tasks are done inside the sandbox.
var tasks = map[string]func() error{
	"look":  look,
	"stay":  stay,
	"fail":  func() error { os.Exit(7); return nil },
	"crash": func() error { return syscall.Kill(os.Getpid(), syscall.SIGKILL) },
}

func TestMain(m *testing.M) {
	Init()
	task, given := tasks[os.Getenv(taskVariable)]
	switch {
	case !given:
		os.Exit(m.Run())
	case !Inside():
		code, err := Run()
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
		os.Exit(code)
	}
	if err := task(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// look prints what the sandbox looks like inside.
func look() error {
	fmt.Println("cgroup", Cgroup())
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	fmt.Println("name", name)
	// This makes an orphan, as a daemon does: only a reaper can remove it.
	if err := exec.Command("sh", "-c", "true & exit 0").Run(); err != nil {
		return err
	}
	processes := processesAfter(time.Minute)
	fmt.Println("processes", len(processes))
	for _, address := range []string{"127.0.0.1:0", NodeIP + ":0"} {
		listener, err := net.Listen("tcp", address)
		if err != nil {
			return err
		}
		listener.Close()
	}
	for _, dir := range slices.Concat(inMemory, layered) {
		if err := os.WriteFile(filepath.Join(dir, "sandbox-test"), nil, 0o644); err != nil {
			return err
		}
	}
	group := filepath.Join(cgroupRoot, "memory", Cgroup(), "child") // cgroup v1
	if _, err := os.Stat(filepath.Dir(group)); err != nil {
		group = filepath.Join(cgroupRoot, Cgroup(), "child") // cgroup v2
	}
	return os.Mkdir(group, 0o755)
}

// processesAfter lists the processes when only the two expected ones are left, or the time is over.
func processesAfter(limit time.Duration) []string {
	deadline := time.Now().Add(limit)
	for {
		processes, _ := filepath.Glob("/proc/[0-9]*")
		if len(processes) <= 2 || time.Now().After(deadline) {
			return processes
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// stay keeps standard output open in three processes: itself, a child and an orphan.
func stay() error {
	child := exec.Command("sh", "-c", "sleep 1000 & exec sleep 1000")
	child.Stdout = os.Stdout
	if err := child.Start(); err != nil {
		return err
	}
	fmt.Println("cgroup", Cgroup())
	return child.Wait()
}

// program returns a command that runs this test program for a task in a sandbox.
func program(t *testing.T, task string) *exec.Cmd {
	t.Helper()
	require.Zero(t, os.Geteuid(), "namespaces are made by root")
	self, err := os.Executable()
	require.NoError(t, err)
	c := exec.Command(self)
	c.Env = append(os.Environ(), taskVariable+"="+task)
	c.Stderr = os.Stderr
	return c
}

func TestInside(t *testing.T) {
	output, err := program(t, "look").Output()
	require.NoError(t, err)
	reader := bufio.NewReader(bytes.NewReader(output))
	group := cgroupLine(t, reader)
	rest, err := io.ReadAll(reader)
	require.NoError(t, err)
	lines := strings.Split(string(rest), "\n")
	assert.Contains(t, lines, "name "+Hostname)
	assert.Contains(t, lines, "processes 2", "the one that reaps and the one that works")

	for _, dir := range slices.Concat(inMemory, layered) {
		assert.NoFileExists(t, filepath.Join(dir, "sandbox-test"))
	}
	assertNoCgroup(t, group)
}

func TestExitCode(t *testing.T) {
	for task, want := range map[string]int{"fail": 7, "crash": 128 + int(syscall.SIGKILL)} {
		t.Run(task, func(t *testing.T) {
			var exit *exec.ExitError
			require.True(t, errors.As(program(t, task).Run(), &exit))
			assert.Equal(t, want, exit.ExitCode())
		})
	}
}

// However the program ends, everything inside ends too. Standard output shows it: it ends when the last process that
// holds it open has ended.
func TestNothingIsLeft(t *testing.T) {
	for _, test := range []struct {
		signal syscall.Signal
		want   int
	}{
		{syscall.SIGINT, interrupted},
		{syscall.SIGTERM, interrupted},
		{syscall.SIGHUP, interrupted},
		{syscall.SIGKILL, -1},
	} {
		t.Run(test.signal.String(), func(t *testing.T) {
			c := program(t, "stay")
			stdout, err := c.StdoutPipe()
			require.NoError(t, err)
			require.NoError(t, c.Start())
			reader := bufio.NewReader(stdout)
			group := cgroupLine(t, reader)
			require.NoError(t, c.Process.Signal(test.signal))
			requireEnd(t, reader)
			c.Wait()
			assert.Equal(t, test.want, c.ProcessState.ExitCode())

			if test.signal == syscall.SIGKILL { // no process was left to remove them, but the next run does
				require.NoError(t, program(t, "look").Run())
			}
			assertNoCgroup(t, group)
		})
	}
}

// The same holds if the process that started the program is killed instead of the program.
func TestNothingIsLeftOfAnOrphan(t *testing.T) {
	c := program(t, "stay")
	c.Args = []string{"sh", "-c", `"$0" & wait`, c.Path}
	c.Path = "/bin/sh"
	stdout, err := c.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, c.Start())
	reader := bufio.NewReader(stdout)
	group := cgroupLine(t, reader)
	require.NoError(t, c.Process.Kill())
	requireEnd(t, reader)
	c.Wait()
	assertNoCgroup(t, group)
}

// cgroupLine reads the line in which a task prints its control group.
func cgroupLine(t *testing.T, reader *bufio.Reader) string {
	t.Helper()
	line, err := reader.ReadString('\n')
	require.NoError(t, err)
	group, found := strings.CutPrefix(strings.TrimSpace(line), "cgroup ")
	require.True(t, found, line)
	return group
}

// requireEnd waits until no process holds the other end of the pipe.
func requireEnd(t *testing.T, reader io.Reader) {
	t.Helper()
	gone := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, reader)
		gone <- err
	}()
	select {
	case err := <-gone:
		require.NoError(t, err)
	case <-time.After(time.Minute):
		require.Fail(t, "a process is left")
	}
}

func assertNoCgroup(t *testing.T, group string) {
	t.Helper()
	hierarchies, err := cgroupHierarchies()
	require.NoError(t, err)
	for _, hierarchy := range hierarchies {
		assert.NoDirExists(t, filepath.Join(hierarchy, group))
	}
}
