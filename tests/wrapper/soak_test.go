package wrapper

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// 200 orphans a second for ten seconds leave no zombie; make bench has what they cost.
func TestSoakOrphans(t *testing.T) {
	if testing.Short() {
		t.Skip("takes ten seconds")
	}
	p := startProxy(t, "", 0)
	const script = `
		mount -t proc proc /proc
		end=$((SECONDS + 10))
		while [ $SECONDS -lt $end ]; do
			for i in 1 2 3 4 5 6 7 8 9 10; do (true &); done
			sleep 0.05
		done
		sleep 0.2
		ps -e -o stat= | grep -c ^Z
		exit 9`
	w := wrapped(t, p, nil, "bash", "-c", script).withMounts()
	r := w.run()
	assert.Equal(t, 9, r.code, r.stderr)
	assert.Equal(t, "0\n", r.stdout)
}

// A SIGTERM in the first milliseconds of the wrapper, 500 times: either it ends
// the wait (143), or the command gets it, which then dies of it (143) or has its
// trap set already (7). None is lost (8), none hangs, none meets the Go runtime,
// which would end with 2.
func TestSoakEarlySignals(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	notUnderRace(t)
	p := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{404} })
	seen := map[int]int{}
	for i := range 500 {
		w := wrapped(t, p, []string{"--quiet"}, "sh", "-c", "trap 'exit 7' TERM; sleep 0.5; exit 8").asInit().start()
		w.untilArmed()
		for began := time.Now(); time.Since(began) < time.Duration(i*6)*time.Microsecond; {
			// Spin: a sleep is far longer.
		}
		w.signal(syscall.SIGTERM)
		seen[w.wait().code]++
	}
	for code := range seen {
		assert.Contains(t, []int{7, 143}, code, "%v", seen)
	}
	t.Logf("codes: %v", seen)
}

// The same where the command takes the wrapper's place: it dies of the signal
// (143), or the wrapper has ended by then (143). Nobody swallows it (0).
func TestSoakSignalsAroundExec(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	notUnderRace(t)
	for i := range 300 {
		w := command(t, "--quiet", "--mesh=none", "--", "/bin/sleep", "0.5").start()
		for began := time.Now(); time.Since(began) < time.Duration(i*10)*time.Microsecond; {
			// Spin: a sleep is far longer.
		}
		w.signal(syscall.SIGTERM)
		require.Equal(t, 143, w.wait().code)
	}
}

// A signal to the whole group in the moment of the fork, as a terminal or a shell
// sends it: the child has handlers by then that are the wrapper's.
func TestSoakGroupSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	for i := range 300 {
		w := command(t, "--quiet", "--mesh=none", "--kill-after=9s", "--", "/bin/true")
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		w.start()
		for began := time.Now(); time.Since(began) < time.Duration(i*15)*time.Microsecond; {
			// Spin: a sleep is far longer.
		}
		for range 50 {
			_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGCONT)
		}
		require.Equal(t, 0, w.wait().code)
	}
}

// untilArmed waits until the process blocks or catches SIGTERM. Before its first
// instruction the kernel drops the signal for any first process of a namespace.
func (p *process) untilArmed() {
	p.t.Helper()
	path := fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid)
	for began := time.Now(); time.Since(began) < 5*time.Second; {
		status, err := os.ReadFile(path)
		if err != nil {
			break
		}
		for line := range strings.Lines(string(status)) {
			name, mask, _ := strings.Cut(line, ":")
			if name == "SigBlk" || name == "SigCgt" {
				bits, err := strconv.ParseUint(strings.TrimSpace(mask), 16, 64)
				if err == nil && bits&(1<<(syscall.SIGTERM-1)) != 0 {
					return
				}
			}
		}
	}
	require.Fail(p.t, "the wrapper never got ready for a signal")
}

// However early an install is killed, there is never a truncated file.
func TestSoakKilledInstalls(t *testing.T) {
	want, err := os.ReadFile(binary)
	require.NoError(t, err)
	dir := t.TempDir()
	target := filepath.Join(dir, "jobmesh-wrap")
	complete := 0
	for i := range 100 {
		require.NoError(t, os.RemoveAll(target))
		install := exec.Command(binary, "install", dir)
		require.NoError(t, install.Start())
		time.Sleep(time.Duration(i*50) * time.Microsecond)
		_ = install.Process.Kill()
		_ = install.Wait()
		got, err := os.ReadFile(target)
		if err != nil {
			continue // absent
		}
		complete++
		require.True(t, bytes.Equal(want, got), "run %d left a truncated file", i)
	}
	t.Logf("%d of 100 were complete", complete)
	out, err := exec.Command(binary, "install", dir).CombinedOutput()
	require.NoError(t, err, string(out))
}

// Many wrappers at once, with everything going on: nothing hangs.
func TestSoakManyAtOnce(t *testing.T) {
	var group sync.WaitGroup
	for i := range 40 {
		group.Add(1)
		go func() {
			defer group.Done()
			p := startProxy(t, "", time.Duration(i*10)*time.Millisecond)
			r := wrapped(t, p, nil, "sh", "-c", fmt.Sprintf("sleep 0.%02d; exit %d", i, i)).run()
			assert.Equal(t, i, r.code, r.stderr)
			assert.Equal(t, 1, p.stops())
		}()
	}
	group.Wait()
}

// At rest the wrapper stays within the memory it promises, whatever the number of
// processors, for each of which the Go runtime would reserve some.
func TestMemoryBudget(t *testing.T) {
	notUnderRace(t)
	const budget = 2600 // kB resident
	p := startProxy(t, "", 0)
	w := wrapped(t, p, nil, "sleep", "30").env("GOMAXPROCS=192").start().until("command started")
	time.Sleep(500 * time.Millisecond)
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", w.cmd.Process.Pid))
	require.NoError(t, err)
	var resident int
	for line := range strings.Lines(string(status)) {
		if text, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			resident = atoi(t, strings.TrimSuffix(strings.TrimSpace(text), " kB"))
		}
	}
	assert.Positive(t, resident)
	assert.LessOrEqual(t, resident, budget)
	w.signal(syscall.SIGTERM)
	w.wait()
}
