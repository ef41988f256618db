package wrapper

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// An exit code with which the kubelet starts the container again leaves it the proxy,
// and what the wrapper itself ends with counts as such a code too.
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

// A member that starts again has not finished, and neither has one that was killed, where
// that starts it again.
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

// Where all containers start again the folder is kept, and install, which runs again
// too, ends what the life before left in it.
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
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "a.done")))
	r = command(t, "install").env("JOBMESH_STATE_DIR=" + dir).run()
	assert.Equal(t, 70, r.code)
	assert.Contains(t, r.stderr, "error: install: --state-dir "+dir+": a.done is not a regular file")
}

// All that --mesh names are waited for, and all are stopped.
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

// The verb stop ends what answers, or what it is told, and says by its code whether that
// is so.
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

	r = command(t, "stop", "--mesh=vault-agent", "--stop-timeout=200ms").run()
	assert.Equal(t, 69, r.code, r.stderr)
	refuses := startProxy(t, "127.0.0.1:8200", 0, func(p *proxy) { p.stopCodes = []int{404} })
	r = command(t, "stop", "--mesh=vault-agent").run()
	assert.Equal(t, 69, r.code, r.stderr)
	assert.Equal(t, 1, refuses.stops())
	assert.Equal(t, 64, command(t, "stop", "--", "true").run().code)
}
