package wrapper

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const endNow = syscall.SIGTERM

func TestExitCodesPassThrough(t *testing.T) {
	for _, code := range []int{0, 1, 2, 42, 126, 127, 255} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0)
			r := wrapped(t, p, nil, "sh", "-c", fmt.Sprint("exit ", code)).run()
			assert.Equal(t, code, r.code, r.stderr)
		})
	}
}

func TestDeathBySignalIs128AndItsNumber(t *testing.T) {
	for signal, code := range map[string]int{"KILL": 137, "TERM": 143, "SEGV": 139, "ABRT": 134} {
		t.Run(signal, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0)
			r := wrapped(t, p, nil, "sh", "-c", "kill -"+signal+" $$").run()
			assert.Equal(t, code, r.code, r.stderr)
			assert.Equal(t, 1, p.stops())
		})
	}
}

func TestCommandThatCannotStart(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string, mode os.FileMode) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text), mode))
		return path
	}
	for name, c := range map[string]struct {
		argv0 string
		code  int
		words string
	}{
		"missing path":      {"/no/such/command", 127, `command "/no/such/command" not found`},
		"missing name":      {"no-such-command", 127, `command "no-such-command" not found in PATH`},
		"empty name":        {"", 127, `command "" not found in PATH`},
		"not executable":    {write("plain", "#!/bin/sh\n", 0o644), 126, "is not executable"},
		"directory":         {dir, 126, "is a directory"},
		"bad interpreter":   {write("script", "#!/no/such/sh\n", 0o755), 126, "its interpreter or loader is not in the image"},
		"not a program":     {write("text", "hello\n", 0o755), 126, "is not a program for this machine"},
		"file as directory": {"/etc/passwd/x", 127, "not found"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0)
			r := wrapped(t, p, nil, c.argv0).run()
			assert.Equal(t, c.code, r.code, r.stderr)
			assert.Contains(t, r.stderr, "error: ")
			assert.Contains(t, r.stderr, c.words)
			assert.NotContains(t, r.stderr, "goroutine")
			assert.Equal(t, 1, p.stops(), "a proxy must not keep the Job from failing")

			// The code is the same where the command replaces the wrapper.
			assert.Equal(t, c.code, command(t, "--mesh=none", "--", c.argv0).run().code)
		})
	}
}

func TestNameWithoutSlashIsSearchedInTheContainersPath(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tool"), []byte("#!/bin/sh\necho found $0\n"), 0o755))
	w := command(t, "--mesh=none", "--", "tool")
	w.cmd.Env = []string{"PATH=/nowhere:" + dir}
	assert.Equal(t, "found "+dir+"/tool\n", w.run().stdout)

	w = command(t, "--mesh=none", "--", "./tool")
	w.cmd.Dir = dir
	w.cmd.Env = []string{"PATH=/nowhere"}
	assert.Equal(t, "found ./tool\n", w.run().stdout)
}

func TestArgumentsArriveByteForByte(t *testing.T) {
	p := startProxy(t, "", 0)
	argv := []string{"a b", "", "line\nbreak", "--", "-x", "--stop-when=never", "\xff\xfe", strings.Repeat("long", 25_000)}
	r := wrapped(t, p, nil, append([]string{"printf", `%s\0`}, argv...)...).run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, strings.Join(argv, "\x00")+"\x00", r.stdout)
}

func TestSurroundingsOfTheCommandAreUntouched(t *testing.T) {
	const look = `pwd; umask; id; ulimit -Sn; ulimit -Hn; cat; ls /proc/self/fd | wc -l; grep -E '^(SigBlk|SigIgn)' /proc/self/status; cat /proc/self/timerslack_ns; env | sort`
	dir := t.TempDir()
	see := func(args ...string) string {
		w := command(t, args...)
		if args[0] == "sh" {
			w.cmd.Path, w.cmd.Args = "/bin/sh", args
		}
		w.cmd.Dir, w.cmd.Stdin = dir, strings.NewReader("from stdin\n")
		w.env("SECRET=a b", "EMPTY=", "PWD="+dir)
		r := w.run()
		require.Equal(t, 0, r.code, r.stderr)
		return r.stdout
	}
	direct := withoutThreadSignals(see("sh", "-c", look))
	assert.Contains(t, direct, "from stdin")
	assert.Contains(t, direct, "SigIgn")
	assert.Equal(t, direct, withoutThreadSignals(see("--mesh=none", "--", "sh", "-c", look)), "handed over")
	// The process that runs the tests may ignore signals, as under nohup. A command does not
	// inherit that: TestIgnoredSignalsAreDefaultForTheCommand.
	ignored := regexp.MustCompile(`(?m)^SigIgn:.*$`)
	p := startProxy(t, "", 0)
	assert.Equal(t, ignored.ReplaceAllString(direct, "SigIgn:\t0000000000000000"), withoutThreadSignals(see(append(p.flags(), "--", "sh", "-c", look)...)), "as a child")
}

// withoutThreadSignals clears signals 32 and 33 in a mask of ignored signals. The C library
// reserves them for its threads, and a parent written in C may pass them on as ignored.
func withoutThreadSignals(status string) string {
	return regexp.MustCompile(`(?m)^SigIgn:\t([0-9a-f]{16})$`).ReplaceAllStringFunc(status, func(line string) string {
		mask, _ := strconv.ParseUint(strings.TrimPrefix(line, "SigIgn:\t"), 16, 64) // the pattern has 16 hexadecimal digits
		return fmt.Sprintf("SigIgn:\t%016x", mask&^(1<<31|1<<32))
	})
}

func TestOwnVariablesAreRemovedFromTheCommand(t *testing.T) {
	r := command(t, "--", "env").env("JOBMESH_MESH=none", "JOBMESH_POD_LINKERD=x", "JOBMESHX=kept", "A=1", "GOMAXPROCS=7").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.NotContains(t, r.stdout, "JOBMESH_")
	assert.Contains(t, r.stdout, "JOBMESHX=kept\n")
	assert.Contains(t, r.stdout, "A=1\n")
	assert.Contains(t, r.stdout, "GOMAXPROCS=7\n")
}

// The whole environment arrives in its order. Of a name that occurs twice the Go runtime keeps
// the first entry; it also drops an empty entry.
func TestEnvironmentArrivesByteForByte(t *testing.T) {
	given := []string{"B=1", "A=1", "novalue", "A=2", "", "=x", "GOMAXPROCS=7", "C=\xff\n"}
	want := []string{"B=1", "A=1", "novalue", "=x", "GOMAXPROCS=7", "C=\xff\n"}
	p := startProxy(t, "", 0)
	for _, flags := range [][]string{{"--mesh=none"}, p.flags()} {
		r, w, err := os.Pipe()
		require.NoError(t, err)
		args := append(append([]string{binary}, flags...), "--", "/bin/cat", "/proc/self/environ")
		pid, err := syscall.ForkExec(binary, args, &syscall.ProcAttr{Env: append(given, "JOBMESH_QUIET=true"), Files: []uintptr{0, w.Fd(), 2}})
		require.NoError(t, err)
		require.NoError(t, w.Close())
		got, err := io.ReadAll(r)
		require.NoError(t, err)
		var status syscall.WaitStatus
		_, err = syscall.Wait4(pid, &status, 0, nil)
		require.NoError(t, err)
		assert.Equal(t, 0, status.ExitStatus())
		assert.Equal(t, strings.Join(want, "\x00")+"\x00", string(got))
	}
}

// The wrapper may be started with ignored signals, as under nohup. A command beside which the
// wrapper stays still gets them. A command that replaces the wrapper gets the mask that it
// would have without the wrapper.
func TestIgnoredSignalsAreDefaultForTheCommand(t *testing.T) {
	const hangUpAndInterrupt = 0b11
	p := startProxy(t, "", 0)
	for want, flags := range map[uint64][]string{0: p.flags(), hangUpAndInterrupt: {"--mesh=none"}} {
		w := command(t, append(flags, "--", "sed", "-n", `s/^SigIgn:.//p`, "/proc/self/status")...)
		w.cmd.Args = append([]string{"sh", "-c", `trap '' INT HUP; exec "$0" "$@"`, binary}, w.cmd.Args[1:]...)
		w.cmd.Path = "/bin/sh"
		r := w.run()
		assert.Equal(t, 0, r.code, r.stderr)
		ignored, err := strconv.ParseUint(strings.TrimSpace(r.stdout), 16, 64)
		require.NoError(t, err)
		assert.Equal(t, want, ignored&hangUpAndInterrupt, "%x", ignored)
	}
}

// A container's limit on processes also counts threads.
func TestSixteenProcessesAreEnough(t *testing.T) {
	notUnderRace(t)
	if os.Geteuid() != 0 {
		t.Skip("needs root to become a user who runs nothing else")
	}
	path, err := exec.LookPath("prlimit")
	require.NoError(t, err)
	// Each run uses another user id, because the kernel is slow to forget the processes of an
	// earlier run.
	user := 100_000 + time.Now().UnixNano()%1_000_000_000
	for i := range int64(50) {
		p := startProxy(t, "", time.Duration(i)*time.Millisecond)
		w := wrapped(t, p, nil, "/bin/sleep", "0.15")
		w.cmd.Args = append([]string{"prlimit", "--nproc=16:16", "setpriv", "--reuid=" + fmt.Sprint(user+i), "--regid=54321", "--clear-groups", binary}, w.cmd.Args[1:]...)
		w.cmd.Path = path
		r := w.run()
		require.Equal(t, 0, r.code, "run %d: %s", i, r.stderr)
		assert.Equal(t, 1, p.stops())
	}
}

func TestStdoutIsTheCommandsAlone(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, []string{"--log-format=json"}, "echo", "hello").run()
	assert.Equal(t, "hello\n", r.stdout)
}

func TestSignalsReachTheCommand(t *testing.T) {
	for _, signal := range []syscall.Signal{
		syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP, syscall.SIGQUIT, syscall.SIGUSR1, syscall.SIGUSR2,
		syscall.SIGWINCH, syscall.SIGCONT, syscall.SIGALRM, syscall.SIGTSTP, syscall.Signal(40),
	} {
		t.Run(fmt.Sprint(int(signal)), func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0)
			script := fmt.Sprintf("trap 'exit 7' %d; echo up >&2; while :; do sleep 0.01; done", int(signal))
			w := wrapped(t, p, nil, "bash", "-c", script).asInit().start().until("up\n")
			w.untilSignal(signal) // the wrapper subscribes to the rarer signals while bash starts
			w.signal(signal)
			r := w.wait()
			assert.Equal(t, 7, r.code, r.stderr)
		})
	}
}

func TestEveryArrivalOfASignalIsForwarded(t *testing.T) {
	p := startProxy(t, "", 0)
	// bash itself drops a signal that arrives before its trap has ended.
	script := "n=0; trap 'n=$((n+1)); [ $n = 2 ] && exit 8' TERM; echo up >&2; while :; do sleep 0.01; [ $n = 0 ] || echo once >&2; done"
	w := wrapped(t, p, nil, "bash", "-c", script).asInit().start().until("up\n")
	w.signal(syscall.SIGTERM)
	w.until("once\n")
	w.signal(syscall.SIGTERM)
	assert.Equal(t, 8, w.wait().code)
}

// The Go runtime sends itself SIGURG; the command must not get it.
func TestUrgentSignalsAreNotForwarded(t *testing.T) {
	p, gate := startProxy(t, "", 0), newGate(t)
	w := wrapped(t, p, nil, "bash", "-c", "trap 'exit 9' URG; echo up >&2; "+gate.wait()+"exit 0").asInit().start().until("up\n")
	for range 100 {
		w.signal(syscall.SIGURG)
	}
	gate.open()
	assert.Equal(t, 0, w.wait().code)
}

func TestStoppedCommandIsNotTakenForEnded(t *testing.T) {
	p := startProxy(t, "", 0)
	w := wrapped(t, p, nil, "sh", "-c", "echo up >&2; kill -STOP $$; exit 6").start().until("up\n")
	time.Sleep(200 * time.Millisecond) // a wrapper that took the command for ended would have asked the proxy by then
	assert.Zero(t, p.stops())
	w.signal(syscall.SIGCONT)
	assert.Equal(t, 6, w.wait().code)
}

func TestOrphansAreReaped(t *testing.T) {
	// Each orphan becomes a child of the nearest reaper above it. That is the wrapper, which
	// first has this shell and the orphans as children, and at the end the shell alone.
	const script = `
		children() { ps -o pid= --ppid "$PPID" | wc -l; }
		for i in 1 2 3 4 5; do (sh -c 'until [ -e "$0/end" ]; do sleep 0.01; done' "$0" & ) ; done
		children
		touch "$0/end"
		until [ "$(children)" -eq 1 ]; do sleep 0.01; done
		exit 5`
	t.Run("not as PID 1", func(t *testing.T) {
		p := startProxy(t, "", 0)
		r := wrapped(t, p, nil, "sh", "-c", script, t.TempDir()).run()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Equal(t, 6, atoi(t, r.stdout))
	})
	t.Run("as PID 1", func(t *testing.T) {
		p := startProxy(t, "", 0)
		// The process has a /proc of its own PID namespace, so that ps sees its processes.
		r := wrapped(t, p, nil, "sh", "-c", "mount -t proc proc /proc; "+script, t.TempDir()).withMounts().run()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Equal(t, 6, atoi(t, r.stdout))
	})
}

// SIGKILL cannot be caught. The command dies with the wrapper, as the kernel does it for PID 1.
func TestCommandDiesWithTheWrapper(t *testing.T) {
	p := startProxy(t, "", 0, func(p *proxy) { p.stays = true })
	for about, w := range map[string]*process{
		"as PID 1":     wrapped(t, p, nil, "sh", "-c", "echo up >&2; exec sleep 1000").asInit(),
		"not as PID 1": wrapped(t, p, nil, "sh", "-c", "echo up >&2; exec sleep 1000"),
	} {
		t.Run(about, func(t *testing.T) {
			w.start().until("up\n")
			child := childOf(t, w.cmd.Process.Pid)
			require.NoError(t, w.cmd.Process.Kill())
			assert.Equal(t, 137, w.wait().code)
			assert.Eventually(t, func() bool { return syscall.Kill(child, 0) == syscall.ESRCH }, tooLong, time.Millisecond)
			assert.Zero(t, p.stops())
		})
	}
}

// childOf returns the only child of a process, whichever thread has started it.
func childOf(t *testing.T, pid int) int {
	t.Helper()
	lists, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	require.NoError(t, err)
	var children string
	for _, list := range lists {
		pids, err := os.ReadFile(list)
		require.NoError(t, err)
		children += string(pids)
	}
	return atoi(t, children)
}

func TestLargeOutputPassesUnharmed(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, nil, "sh", "-c", "yes | head -c 50000000").run()
	assert.Equal(t, 0, r.code)
	assert.Equal(t, 50_000_000, len(r.stdout))
}

func atoi(t *testing.T, text string) int {
	t.Helper()
	n, err := strconv.Atoi(strings.TrimSpace(text))
	require.NoError(t, err)
	return n
}
