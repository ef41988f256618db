package wrapper

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The proxy has no stop endpoint, and the pod shares the process namespace.
func TestStopProcess(t *testing.T) {
	name := fmt.Sprint("pilot-agent-of-tests-", os.Getpid()) // other tests on this machine use other names
	link := filepath.Join(t.TempDir(), name)
	sleep, err := filepath.EvalSymlinks("/bin/sleep")
	require.NoError(t, err)
	require.NoError(t, os.Symlink(sleep, link))
	for code, signal := range map[string]string{"0": "SIGTERM", "3": "SIGKILL"} {
		agent := command(t)
		agent.cmd.Path, agent.cmd.Args = link, []string{link, "1000"}
		agent.start()
		r := command(t, "--stop-process="+name, "--", "sh", "-c", "exit "+code).run()
		assert.Equal(t, code, string(rune('0'+r.code)), r.stderr)
		assert.Contains(t, r.stderr, name+" stopped by "+signal)
		want := 143
		if signal == "SIGKILL" {
			want = 137
		}
		assert.Equal(t, want, agent.wait().code)
	}
	r := command(t, "--stop-process=no-such-process", "--", "true").run()
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.stderr, "error: no process no-such-process to stop")
	assert.Contains(t, r.stderr, "shareProcessNamespace: true")
}

func TestStopProcessThatIsNotPermitted(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to start a process of another user")
	}
	name := fmt.Sprint("agent-of-root-", os.Getpid())
	link := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink("/bin/sleep", link))
	require.NoError(t, os.Chmod(filepath.Dir(link), 0o755))
	agent := command(t)
	agent.cmd.Path, agent.cmd.Args = link, []string{link, "1000"}
	agent.start()
	w := command(t, "--stop-process="+name, "--", "sh", "-c", "exit 4")
	w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
	r := w.run()
	assert.Equal(t, 4, r.code, r.stderr)
	assert.Contains(t, r.stderr, "not stopped: operation not permitted")
	assert.Contains(t, r.stderr, "hint: the container needs the proxy's user id, or the capability KILL")
	require.NoError(t, agent.cmd.Process.Kill())
	agent.wait()
}

func TestKillAfter(t *testing.T) {
	p := startProxy(t, "", 0)
	w := wrapped(t, p, []string{"--kill-after=500ms"}, "bash", "-c", "trap '' TERM; echo up >&2; while :; do sleep 0.05; done").asInit().start().until("up\n")
	sent := time.Now()
	w.signal(syscall.SIGTERM)
	r := w.wait()
	assert.Equal(t, 137, r.code, r.stderr)
	assert.GreaterOrEqual(t, time.Since(sent), 500*time.Millisecond)
	assert.Contains(t, r.stderr, "command still there 500ms after SIGTERM: killed")
	assert.Equal(t, 1, p.stops())
}

// Processes that the command leaves behind get a SIGTERM before PID 1 ends, and have ended
// before the proxy is asked to stop.
func TestOrphansAreEndedBeforeTheProxy(t *testing.T) {
	dir := t.TempDir()
	p := startProxy(t, "", 0)
	const script = `(trap 'echo told > "$0/told"; exit' TERM; touch "$0/up"; while :; do sleep 0.02; done) & until [ -e "$0/up" ]; do sleep 0.01; done; exit 2`
	r := wrapped(t, p, nil, "bash", "-c", script, dir).asInit().run()
	assert.Equal(t, 2, r.code, r.stderr)
	stat, err := os.Stat(filepath.Join(dir, "told"))
	require.NoError(t, err, "the grandchild got a SIGTERM")
	require.Equal(t, 1, p.stops())
	assert.True(t, stat.ModTime().Before(p.stopSeen[0].Add(5*time.Millisecond)))

	stubborn := startProxy(t, "", 0)
	r = wrapped(t, stubborn, nil, "bash", "-c", `(trap '' TERM; while :; do sleep 0.02; done) & sleep 0.1; exit 2`).asInit().run()
	assert.Equal(t, 2, r.code, r.stderr)
}

func TestWaitFor(t *testing.T) {
	late := func(t *testing.T, after time.Duration) (addr string) {
		t.Helper()
		addr, listen := reservePort(t)
		listening := make(chan net.Listener, 1)
		go func() {
			time.Sleep(after)
			listening <- listen() // the kernel accepts the connections, and nobody closes them
		}()
		t.Cleanup(func() { _ = (<-listening).Close() })
		return addr
	}
	t.Run("tcp that comes up", func(t *testing.T) {
		t.Parallel()
		p, began := startProxy(t, "", 0), time.Now()
		addr := late(t, 400*time.Millisecond)
		r := wrapped(t, p, []string{"--wait-for=tcp://" + addr}, "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.GreaterOrEqual(t, time.Since(began), 400*time.Millisecond)
		assert.Contains(t, r.stderr, "tcp://"+addr+" ready after")
	})
	t.Run("a proxy in front of nothing", func(t *testing.T) {
		t.Parallel()
		// A mesh proxy accepts the connection and drops it. A server that drops it late counts
		// as one that exists, which may happen here on a very busy machine.
		listener := listen(t, "127.0.0.1:0")
		go func() {
			for {
				c, err := listener.Accept()
				if err != nil {
					return
				}
				_ = c.Close()
			}
		}()
		var r result
		for tries := 0; tries < 50 && r.code != 69; tries++ {
			p := startProxy(t, "", 0)
			r = wrapped(t, p, []string{"--wait-for=tcp://" + listener.Addr().String(), "--wait-for-timeout=300ms"}, "true").run()
			assert.Equal(t, 1, p.stops())
		}
		assert.Equal(t, 69, r.code)
		assert.Contains(t, r.stderr, " not ready after ")
		assert.Contains(t, r.stderr, "connection closed at once")
	})
	t.Run("http by status", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/healthz" || asked.Add(1) <= 3 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		defer server.Close()
		r := command(t, "--mesh=none", "--wait-for="+server.URL+"/healthz", "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.EqualValues(t, 4, asked.Load())
	})
	t.Run("https by its TLS answer", func(t *testing.T) {
		t.Parallel()
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server := httptest.NewUnstartedServer(http.NotFoundHandler())
			server.TLS = &tls.Config{MinVersion: version}
			server.Config.ErrorLog = discard
			server.StartTLS()
			url := strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
			// A server that only supports TLS 1.3 refuses the old ClientHello with a TLS alert.
			r := command(t, "--mesh=none", "--wait-for="+url, "--", "true").run()
			assert.Equal(t, 0, r.code, r.stderr)
			server.Close()
		}
		plain := httptest.NewServer(http.NotFoundHandler())
		defer plain.Close()
		r := command(t, "--mesh=none", "--wait-for="+strings.Replace(plain.URL, "http", "https", 1), "--wait-for-timeout=3s", "--", "true").run()
		assert.Equal(t, 69, r.code)
		assert.Contains(t, r.stderr, "the answer is not TLS")
	})
	t.Run("signal", func(t *testing.T) {
		t.Parallel()
		p, database := startProxy(t, "", 0), startProxy(t, "", time.Hour)
		flags := []string{"--wait-for=http://" + database.addr + "/ready", "--wait-for-timeout=" + beyond}
		w := wrapped(t, p, flags, "true").asInit().start()
		database.untilAsked()
		w.signal(syscall.SIGTERM)
		r := w.wait()
		assert.Equal(t, 143, r.code, r.stderr)
		assert.Equal(t, 1, p.untilStopped())
	})
	t.Run("name that is not there", func(t *testing.T) {
		t.Parallel()
		r := command(t, "--mesh=none", "--wait-for=tcp://no-such-host.invalid:5432", "--wait-for-timeout=300ms", "--", "true").run()
		assert.Equal(t, 69, r.code)
		assert.Contains(t, r.stderr, "error: tcp://no-such-host.invalid:5432 not ready after")
	})
}

// The pod has several wrapped containers.
func TestTheLastMemberStopsTheProxy(t *testing.T) {
	member := func(t *testing.T, p *proxy, dir, name string, flags []string, script string) *process {
		t.Helper()
		flags = append([]string{"--state-dir=" + dir, "--member=" + name, "--members=2"}, flags...)
		return wrapped(t, p, flags, "sh", "-c", script)
	}
	t.Run("one after the other", func(t *testing.T) {
		t.Parallel()
		p, dir, gate := startProxy(t, "", 0), t.TempDir(), newGate(t)
		first := member(t, p, dir, "a", nil, "exit 3").start()
		second := member(t, p, dir, "b", nil, gate.wait()+"exit 4").start()
		r := first.wait() // it does not wait for the other member
		assert.Equal(t, 3, r.code)
		assert.Zero(t, p.stops())
		assert.Contains(t, r.stderr, "the proxy is left to them")
		gate.open()
		assert.Equal(t, 4, second.wait().code)
		assert.Equal(t, 1, p.stops())
	})
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		for range 10 {
			p, dir := startProxy(t, "", 0), t.TempDir()
			first, second := member(t, p, dir, "a", nil, "exit 0").start(), member(t, p, dir, "b", nil, "exit 0").start()
			assert.Equal(t, 0, first.wait().code)
			assert.Equal(t, 0, second.wait().code)
			assert.Equal(t, 1, p.stops())
		}
	})
	t.Run("one is killed", func(t *testing.T) {
		t.Parallel()
		p, dir, gate := startProxy(t, "", 0), t.TempDir(), newGate(t)
		first := member(t, p, dir, "a", nil, "exec sleep 1000").start().until("command started")
		second := member(t, p, dir, "b", nil, gate.wait()+"exit 4").start().until("command started")
		first.signal(syscall.SIGKILL)
		first.wait()
		gate.open()
		assert.Equal(t, 4, second.wait().code)
		assert.Equal(t, 1, p.stops())
	})
	t.Run("one is killed, and will be restarted", func(t *testing.T) {
		t.Parallel()
		p, dir, gate := startProxy(t, "", 0), t.TempDir(), newGate(t)
		onFailure := []string{"--stop-when=success"}
		first := member(t, p, dir, "a", onFailure, "exec sleep 1000").start().until("command started")
		second := member(t, p, dir, "b", onFailure, gate.wait()).start().until("command started")
		first.signal(syscall.SIGKILL)
		first.wait()
		gate.open()
		assert.Equal(t, 0, second.wait().code)
		assert.Zero(t, p.stops(), "the restarted container needs the proxy")
		assert.Equal(t, 5, member(t, p, dir, "a", onFailure, "exit 5").run().code)
		assert.Zero(t, p.stops())
		assert.Equal(t, 0, member(t, p, dir, "a", onFailure, "exit 0").run().code)
		assert.Equal(t, 1, p.stops())
	})
	t.Run("as different users", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("needs root to become two users")
		}
		for range 20 {
			p := startProxy(t, "", 0)
			dir, err := os.MkdirTemp("", "jobmesh-state-")
			require.NoError(t, err)
			t.Cleanup(func() { _ = os.RemoveAll(dir) })
			require.NoError(t, os.Chmod(dir, 0o777))
			var all []*process
			for i, name := range []string{"a", "b"} {
				m := member(t, p, dir, name, nil, "exit 0")
				m.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(70001 + i), Gid: 70000}}
				all = append(all, m.start())
			}
			for _, m := range all {
				r := m.wait()
				assert.Equal(t, 0, r.code, r.stderr)
			}
			assert.Equal(t, 1, p.stops())
		}
	})
	t.Run("somebody sits on the turn", func(t *testing.T) {
		t.Parallel()
		p, dir := startProxy(t, "", 0), t.TempDir()
		turn, err := os.Create(filepath.Join(dir, ".turn"))
		require.NoError(t, err)
		require.NoError(t, syscall.Flock(int(turn.Fd()), syscall.LOCK_EX))
		r := member(t, p, dir, "a", nil, "true").run() // it does not wait without end
		require.NoError(t, turn.Close())
		assert.Equal(t, 70, r.code)
	})
	t.Run("one has not begun yet", func(t *testing.T) {
		t.Parallel()
		p, dir := startProxy(t, "", 0), t.TempDir()
		assert.Equal(t, 0, member(t, p, dir, "a", nil, "exit 0").run().code)
		assert.Zero(t, p.stops())
	})
	t.Run("the same name twice", func(t *testing.T) {
		t.Parallel()
		p, dir := startProxy(t, "", 0), t.TempDir()
		member(t, p, dir, "a", nil, "exec sleep 1000").start().until("command started")
		r := member(t, p, dir, "a", nil, "true").run()
		assert.Equal(t, 70, r.code)
		assert.Contains(t, r.stderr, "two containers have the same name")
		assert.Zero(t, p.stops(), "the one who has the name needs the proxy")
	})
	t.Run("a folder that is not there", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		r := member(t, p, "/no/such/dir", "a", nil, "true").run()
		assert.Equal(t, 70, r.code)
		assert.Contains(t, r.stderr, "error: --state-dir /no/such/dir: no such file or directory")
		assert.Equal(t, 1, p.stops(), "a proxy must not keep the Job from failing")
	})
	t.Run("a folder that cannot be written", func(t *testing.T) {
		t.Parallel()
		if os.Geteuid() != 0 {
			t.Skip("needs root to become a user who may not write")
		}
		p, dir := startProxy(t, "", 0), t.TempDir()
		w := member(t, p, dir, "a", nil, "true")
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65532, Gid: 65532}}
		r := w.run()
		assert.Equal(t, 70, r.code)
		assert.Contains(t, r.stderr, "permission denied")
		assert.Equal(t, 1, p.stops())
	})
}

// The last error is the container's termination message.
func TestTerminationMessage(t *testing.T) {
	p := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{404} })
	const script = `mount -t tmpfs none /dev && : > /dev/null && printf 'from the command\n' > /dev/termination-log || exit 99
		"$0" "$@"; code=$?; cat /dev/termination-log; exit $code`
	w := wrapped(t, p, nil, "sh", "-c", "exit 3").withMounts()
	w.cmd.Args = append([]string{"sh", "-c", script, binary}, w.cmd.Args[1:]...)
	w.cmd.Path = "/bin/sh"
	r := w.run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Regexp(t, `^from the command\njobmesh-wrap: proxy did not stop: .* was answered 404\nhint: `, r.stdout)
}
