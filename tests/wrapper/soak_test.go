package wrapper

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// 200 orphans a second for ten seconds leave no zombie; make bench measures their cost.
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
		until [ "$(ps -e -o stat= | grep -c ^Z)" -eq 0 ]; do sleep 0.05; done
		exit 9`
	w := wrapped(t, p, nil, "bash", "-c", script).withMounts()
	r := w.run()
	assert.Equal(t, 9, r.code, r.stderr)
}

// A SIGTERM arrives in the first milliseconds of the wrapper, 500 times. Either it ends the
// wait (143), or the command gets it, which then dies of it (143) or has its trap set already
// (7). A signal that arrives before the wrapper handles signals meets the Go runtime, which
// ends the first process of a namespace with 2. No signal is lost (8), and no wrapper hangs.
func TestSoakEarlySignals(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	notUnderRace(t)
	p := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{404} })
	seen := map[int]int{}
	for i := range 500 {
		w := wrapped(t, p, []string{"--quiet"}, "sh", "-c", "trap 'exit 7' TERM; sleep 1000 & wait; exit 8").asInit().start()
		w.untilSignal(syscall.SIGTERM) // before that, the kernel drops it for the first process of a namespace
		for began := time.Now(); time.Since(began) < time.Duration(i*6)*time.Microsecond; {
			// This spins, because any sleep is far longer.
		}
		w.signal(syscall.SIGTERM)
		seen[w.wait().code]++
	}
	for code := range seen {
		assert.Contains(t, []int{2, 7, 143}, code, "%v", seen)
	}
	t.Logf("codes: %v", seen)
}

// The command replaces the wrapper: either the command dies of the signal (143), or the wrapper
// has ended before (143). The signal is never lost (0).
func TestSoakSignalsAroundExec(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	notUnderRace(t)
	for i := range 300 {
		w := command(t, "--quiet", "--mesh=none", "--", "/bin/sleep", "1000").start()
		for began := time.Now(); time.Since(began) < time.Duration(i*10)*time.Microsecond; {
			// This spins, because any sleep is far longer.
		}
		w.signal(syscall.SIGTERM)
		require.Equal(t, 143, w.wait().code)
	}
}

// A signal reaches the whole process group at the moment of the fork, as a terminal or a shell
// sends it. The child then still has the wrapper's handlers.
func TestSoakGroupSignals(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a while")
	}
	for i := range 300 {
		w := command(t, "--quiet", "--mesh=none", "--kill-after=9s", "--", "/bin/true")
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		w.start()
		for began := time.Now(); time.Since(began) < time.Duration(i*15)*time.Microsecond; {
			// This spins, because any sleep is far longer.
		}
		for range 50 {
			_ = syscall.Kill(-w.cmd.Process.Pid, syscall.SIGCONT)
		}
		require.Equal(t, 0, w.wait().code)
	}
}

// However early an install is killed, it never leaves a truncated file.
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
			continue // the file does not exist
		}
		complete++
		require.True(t, bytes.Equal(want, got), "run %d left a truncated file", i)
	}
	t.Logf("%d of 100 were complete", complete)
	out, err := exec.Command(binary, "install", dir).CombinedOutput()
	require.NoError(t, err, string(out))
}

// Many wrappers run at the same time, with everything going on: none hangs.
func TestSoakManyAtOnce(t *testing.T) {
	for i := range 40 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", time.Duration(i*10)*time.Millisecond)
			r := wrapped(t, p, nil, "sh", "-c", fmt.Sprintf("sleep 0.%02d; exit %d", i, i)).run()
			assert.Equal(t, i, r.code, r.stderr)
			assert.Equal(t, 1, p.stops())
		})
	}
}

// While the command runs, the wrapper stays within its memory budget. Only anonymous memory
// counts, because the pages of its program belong to the file. With GOMAXPROCS the Go runtime
// takes this for a machine with 16 processors, and reserves memory for each. One more thread,
// which a busy machine may cause, costs 50 kB, so the best of twenty runs counts.
func TestMemoryBudget(t *testing.T) {
	notUnderRace(t)
	const budget = 1_200_000 // bytes
	p := startProxy(t, "", 0)
	least := math.MaxInt
	for tries := 0; tries < 20 && least > budget; tries++ {
		w := wrapped(t, p, []string{"--stop-when=success"}, "sleep", "1000").env("GOMAXPROCS=16").start().until("command started")
		least = min(least, anonymous(t, w.cmd.Process.Pid))
		w.signal(syscall.SIGTERM)
		w.wait()
	}
	assert.LessOrEqual(t, least, budget)
	t.Logf("%d bytes", least)
}

// anonymous returns the anonymous memory of a process, in bytes.
func anonymous(t *testing.T, pid int) int {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	require.NoError(t, err)
	_, rest, found := strings.Cut(string(status), "\nRssAnon:")
	require.True(t, found)
	amount, _, found := strings.Cut(rest, " kB\n")
	require.True(t, found)
	return atoi(t, amount) << 10
}
