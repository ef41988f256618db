package wrapper

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// After an exit code with which the kubelet starts the container again, the proxy stays. The
// wrapper's own exit codes count in the same way.
func TestRestartCodes(t *testing.T) {
	for _, c := range []struct {
		codes, script string
		code, stops   int
	}{
		{"42,88", "exit 42", 42, 0},
		{"42,88", "exit 43", 43, 1},
		{"42,88", "exit 0", 0, 1},
		{"!0,1", "exit 0", 0, 1},
		{"!0,1", "exit 7", 7, 0},
		{"!0,1", "kill -9 $$", 137, 0},
	} {
		p := startProxy(t, "", 0)
		r := wrapped(t, p, []string{"--restart-codes=" + c.codes}, "sh", "-c", c.script).run()
		assert.Equal(t, c.code, r.code, r.stderr)
		assert.Equal(t, c.stops, p.stops(), "%+v", c)
	}
	p := startProxy(t, "", 0)
	r := wrapped(t, p, []string{"--restart-codes=69", "--wait-for=tcp://127.0.0.1:1", "--wait-for-timeout=50ms"}, "true").run()
	assert.Equal(t, 69, r.code, r.stderr)
	assert.Zero(t, p.stops())
}

// A member that starts again has not finished. A killed member has not finished either, if it
// is started again.
func TestRestartCodesAmongMembers(t *testing.T) {
	dir, p := t.TempDir(), startProxy(t, "", 0)
	member := func(name, script string) result {
		return wrapped(t, p, []string{"--state-dir=" + dir, "--member=" + name, "--members=2", "--restart-codes=42,137"}, "sh", "-c", script).run()
	}
	require.Equal(t, 42, member("a", "exit 42").code)
	require.NoFileExists(t, filepath.Join(dir, "a.done"))
	require.Equal(t, 0, member("b", "exit 0").code)
	require.FileExists(t, filepath.Join(dir, "b.done"))
	assert.Zero(t, p.stops(), "a runs again")
	require.Equal(t, 0, member("a", "exit 0").code)
	assert.Equal(t, 1, p.stops())
}

// When all containers start again, the folder stays, and install, which runs again too, removes
// the marks of the earlier run.
func TestInstallClearsTheMarks(t *testing.T) {
	dir, target, p := t.TempDir(), t.TempDir(), startProxy(t, "", 0)
	member := func(name string) result {
		return wrapped(t, p, []string{"--state-dir=" + dir, "--member=" + name, "--members=2"}, "true").run()
	}
	require.Equal(t, 0, member("b").code)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "of-somebody-else"), nil, 0o644))
	r := command(t, "install", "--state-dir", dir, target).run()
	require.Equal(t, 0, r.code, r.stderr)
	require.FileExists(t, filepath.Join(target, "jobmesh-wrap"))
	require.FileExists(t, filepath.Join(dir, "of-somebody-else"))
	require.Equal(t, 0, member("a").code)
	assert.Zero(t, p.stops(), "b has not run in this life")
	require.Equal(t, 0, member("b").code)
	assert.Equal(t, 1, p.stops())

	require.Equal(t, 0, command(t, "install", "--state-dir="+dir).run().code)
	require.NoFileExists(t, filepath.Join(dir, "a.done"))
	require.NoFileExists(t, filepath.Join(dir, "a.lock"))
}

// A file of a neighbour in the folder is named in the log and left alone, and the Job
// continues.
func TestInstallInAnUntrustedFolder(t *testing.T) {
	for kind, plant := range hostile {
		for _, file := range []string{"a.done", "a.lock", "a.restarts"} {
			t.Run(kind+" as "+file, func(t *testing.T) {
				t.Parallel()
				dir := filepath.Join(t.TempDir(), "state")
				require.NoError(t, os.Mkdir(dir, 0o777))
				if file == "a.restarts" { // the wrapper looks for it beside the lock
					require.NoError(t, os.WriteFile(filepath.Join(dir, "a.lock"), nil, 0o644))
				}
				require.NoError(t, os.WriteFile(filepath.Join(dir, "b.done"), nil, 0o644))
				plant(t, filepath.Join(dir, file))
				target := t.TempDir()
				r := command(t, "install", target).env("JOBMESH_STATE_DIR=" + dir).run()
				assert.Equal(t, 0, r.code, r.stderr)
				assert.Contains(t, r.stderr, "error: install: --state-dir "+dir+": "+file+" is not a regular file")
				assert.Contains(t, r.stderr, "hint: ")
				assert.NoFileExists(t, filepath.Join(dir, "b.done"), "the others go all the same")
				assert.FileExists(t, filepath.Join(target, "jobmesh-wrap"))
			})
		}
	}
	r := command(t, "install").env("JOBMESH_STATE_DIR=/no/such/dir").run()
	assert.Equal(t, 70, r.code)
	assert.Contains(t, r.stderr, "error: install: --state-dir /no/such/dir: no such file or directory")
}

// The settings of a member's own container decide what its end means, and not those of the
// container that ends last.
func TestMembersWithRulesOfTheirOwn(t *testing.T) {
	type rules struct{ a, b []string }
	member := func(t *testing.T, p *proxy, dir, name string, flags []string, script string) *process {
		t.Helper()
		return wrapped(t, p, append(flags, "--state-dir="+dir, "--member="+name, "--members=2"), "sh", "-c", script)
	}
	for about, c := range map[string]struct {
		rules
		restarts bool
	}{
		"a starts again":   {rules{a: []string{"--restart-codes=137"}}, true},
		"b would":          {rules{b: []string{"--restart-codes=137"}}, false},
		"only success":     {rules{a: []string{"--stop-when=success"}}, true},
		"neither does":     {rules{}, false},
		"another code":     {rules{a: []string{"--restart-codes=42"}}, false},
		"the same as ever": {rules{[]string{"--restart-codes=137"}, []string{"--restart-codes=137"}}, true},
	} {
		t.Run("killed, "+about, func(t *testing.T) {
			t.Parallel()
			p, dir := startProxy(t, "", 0), t.TempDir()
			first := member(t, p, dir, "a", c.a, "exec sleep 1000").start().until("command started")
			first.signal(syscall.SIGKILL)
			first.wait()
			r := member(t, p, dir, "b", c.b, "exit 0").run()
			assert.Equal(t, 0, r.code, r.stderr)
			if !c.restarts {
				assert.Equal(t, 1, p.stops(), r.stderr)
				return
			}
			assert.Zero(t, p.stops(), r.stderr)
			assert.Equal(t, 0, member(t, p, dir, "a", c.a, "exit 0").run().code)
			assert.Equal(t, 1, p.stops())
		})
	}
	t.Run("one that has ended to start again", func(t *testing.T) {
		t.Parallel()
		p, dir := startProxy(t, "", 0), t.TempDir()
		again := []string{"--restart-codes=42"}
		assert.Equal(t, 42, member(t, p, dir, "a", again, "exit 42").run().code)
		assert.Equal(t, 0, member(t, p, dir, "b", nil, "exit 0").run().code)
		assert.Zero(t, p.stops(), "a runs again")
		// The member is killed in its second run, after which its rules do not start it again.
		w := member(t, p, dir, "a", again, "exec sleep 1000").start().until("command started")
		w.signal(syscall.SIGKILL)
		w.wait()
		assert.Equal(t, 0, member(t, p, dir, "b", nil, "exit 0").run().code)
		assert.Equal(t, 1, p.stops())
	})
}

// All meshes that --mesh names are waited for, and all are stopped.
func TestSeveralMeshes(t *testing.T) {
	linkerd := startProxy(t, "127.0.0.1:4191", 0)
	health, sql := startProxy(t, "127.0.0.1:9090", 200*time.Millisecond), startProxy(t, "127.0.0.1:9091", 0)
	r := command(t, "--mesh=cloud-sql-proxy,linkerd", "--", "sh", "-c", "exit 4").run()
	assert.Equal(t, 4, r.code, r.stderr)
	health.waitedFor()
	assert.Equal(t, []int{1, 1}, []int{linkerd.stops(), sql.stops()}, r.stderr)
	assert.NotEmpty(t, linkerd.looks())
}

func TestStopProcessBySignal(t *testing.T) {
	const script = `mount -t proc none /proc || exit 99
ln -s "$(readlink -f "$(command -v bash)")" "$0/bouncer"
"$0/bouncer" -c 'trap "exit 0" USR1; touch "$0/up"; while :; do sleep 0.02; done' "$0" & agent=$!
until [ -e "$0/up" ]; do sleep 0.01; done
"$1" --stop-process=bouncer=SIGUSR1 -- true || exit
wait $agent; echo "bouncer ended with $?"`
	w := command(t).withMounts()
	w.cmd.Path, w.cmd.Args = "/bin/bash", []string{"bash", "-c", script, t.TempDir(), binary}
	r := w.run()
	if r.code == 99 {
		t.Skip("needs a /proc of its own")
	}
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "bouncer stopped by SIGUSR1")
	assert.Equal(t, "bouncer ended with 0\n", r.stdout)
}

// The verb stop stops the proxies that answer, or those that are named, and its exit code says
// whether they have stopped.
func TestStopNow(t *testing.T) {
	r := command(t, "stop").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "no proxy to stop")

	notReady := startProxy(t, "127.0.0.1:4191", time.Hour)
	r = command(t, "stop").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, 1, notReady.stops())
	assert.Contains(t, r.stderr, "linkerd took the stop after")

	stays := startProxy(t, "127.0.0.1:3500", 0, func(p *proxy) { p.stays = true })
	r = command(t, "stop", "--mesh=dapr", "--stop-timeout=3s").run()
	assert.Equal(t, 0, r.code, "it took the stop, and drains: %s", r.stderr)
	assert.Equal(t, 1, stays.stops())

	r = command(t, "stop", "--mesh=vault-agent", "--stop-timeout="+beyond).run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "no proxy to stop")
	refuses := startProxy(t, "127.0.0.1:8200", 0, func(p *proxy) { p.stopCodes = []int{404} })
	r = command(t, "stop", "--mesh=vault-agent").run()
	assert.Equal(t, 69, r.code, r.stderr)
	assert.Equal(t, 1, refuses.stops())
	assert.Equal(t, 64, command(t, "stop", "--", "true").run().code)
}

// The verb stop stops what probe shows, and nothing else.
func TestStopGoesByWhatProbeSees(t *testing.T) {
	t.Run("native by its version", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:4191", time.Hour, func(p *proxy) { p.shutdown, p.stopCodes = `"false"`, []int{404} })
		const version = "JOBMESH_POD_LINKERD=2.20.1"
		assert.Contains(t, command(t, "probe").env(version).run().stdout, "left to the kubelet")
		r := command(t, "stop").env(version).run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Contains(t, r.stderr, "linkerd is a native sidecar: left to the kubelet")
		assert.Zero(t, p.stops())
	})
	t.Run("annotations that name no mesh", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:3500", 0)
		none := "--pod-annotations=" + podAnnotations(t, map[string]string{"x": "y"})
		assert.Contains(t, command(t, "probe", none).run().stdout, "POST http://127.0.0.1:3500/v1.0/shutdown")
		r := command(t, "stop", none).run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, p.stops(), r.stderr)
	})
	t.Run("nobody there", func(t *testing.T) {
		for _, flags := range [][]string{{"--mesh=linkerd"}, {"--mesh=istio,consul"}, {"--stop=POST http://127.0.0.1:8200/quit"}, {"--mesh=none"}} {
			r := command(t, append([]string{"stop", "--stop-timeout=" + beyond}, flags...)...).run()
			assert.Equal(t, 0, r.code, r.stderr)
			assert.Contains(t, r.stderr, "no proxy to stop", flags)
		}
	})
	t.Run("one that is named answers nothing that is known", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) { p.readyCode = 500 })
		r := command(t, "stop", "--mesh=linkerd").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, p.stops(), r.stderr)
	})
	t.Run("no such process", func(t *testing.T) {
		r := command(t, "stop", "--stop-process=no-such-process").run()
		assert.Equal(t, 69, r.code, r.stderr)
		assert.Contains(t, r.stderr, "error: no process no-such-process to stop")
	})
}
