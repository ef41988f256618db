package wrapper

import (
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var discard = log.New(io.Discard, "", 0)

// under starts the wrapper under the name of another program.
func under(t *testing.T, name string, args ...string) *process {
	t.Helper()
	link := filepath.Join(t.TempDir(), name)
	require.NoError(t, os.Symlink(binary, link))
	p := command(t, args...)
	p.cmd.Path, p.cmd.Args[0] = link, link
	return p
}

func TestLinkerdAwait(t *testing.T) {
	port := func(p *proxy) string { return strings.TrimPrefix(p.addr, "127.0.0.1:") }
	t.Run("shutdown", func(t *testing.T) {
		for _, form := range [][]string{{"-S", "-p"}, {"--shutdown", "--port"}, {"-Sp"}} {
			p := startProxy(t, "", 200*time.Millisecond)
			r := under(t, "linkerd-await", append(form, port(p), "--", "sh", "-c", "exit 7")...).run()
			assert.Equal(t, 7, r.code, r.stderr)
			assert.Empty(t, r.stderr, "it says nothing unless asked")
			p.waitedFor()
			assert.Equal(t, 1, p.stops())
		}
	})
	t.Run("without shutdown the program takes its place", func(t *testing.T) {
		p := startProxy(t, "", 0)
		w := under(t, "linkerd-await", "--port="+port(p), "--", "sh", "-c", "echo $$").start()
		r := w.wait()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, w.cmd.Process.Pid, atoi(t, r.stdout))
		assert.Zero(t, p.stops())
	})
	t.Run("flags and -- behind the program", func(t *testing.T) {
		for _, args := range [][]string{
			{"sh", "-S", "-p?", "--", "-c", "exit 7"}, {"-p?", "-S", "sh", "--", "-c", "exit 7"},
			{"--timeout-fatal", "--shutdown", "-p?", "--", "sh", "-c", "exit 7"},
		} {
			p := startProxy(t, "", 0)
			args = strings.Split(strings.ReplaceAll(strings.Join(args, "\n"), "?", port(p)), "\n")
			r := under(t, "linkerd-await", args...).run()
			assert.Equal(t, 7, r.code, "%s: %s", args, r.stderr)
			assert.Equal(t, 1, p.stops(), args)
		}
	})
	t.Run("wait alone", func(t *testing.T) {
		p := startProxy(t, "", 200*time.Millisecond)
		r := under(t, "linkerd-await", "-p", port(p)).run()
		assert.Equal(t, 0, r.code, r.stderr)
		p.waitedFor()
	})
	t.Run("timeout", func(t *testing.T) {
		p := startProxy(t, "", time.Hour)
		assert.Equal(t, 69, under(t, "linkerd-await", "-p", port(p), "-t", "200ms", "--", "true").run().code)
		assert.Equal(t, 69, under(t, "linkerd-await", "-p", port(p), "--timeout=200ms").run().code)
		r := under(t, "linkerd-await", "-p", port(p), "-t200ms", "--timeout-fatal=false", "--", "sh", "-c", "exit 4").run()
		assert.Equal(t, 4, r.code)
		assert.Contains(t, r.stderr, "warning: linkerd not ready after", "it tells of that without -v")
	})
	t.Run("nobody there", func(t *testing.T) {
		addr, _ := reservePort(t)
		r := under(t, "linkerd-await", "-S", "-p", strings.TrimPrefix(addr, "127.0.0.1:"), "-t200ms", "--timeout-fatal=false", "--", "sh", "-c", "exit 4").run()
		assert.Equal(t, 4, r.code)
		assert.Contains(t, r.stderr, "connection refused")
		assert.NotContains(t, r.stderr, "not stopped", "there is nothing to stop")
	})
	t.Run("disabled", func(t *testing.T) {
		for _, name := range []string{"LINKERD_AWAIT_DISABLED", "LINKERD_DISABLED"} {
			r := under(t, "linkerd-await", "-S", "-v", "--", "sh", "-c", "exit 6").env(name + "=no mesh here").run()
			assert.Equal(t, 6, r.code)
			assert.Contains(t, r.stderr, "Linkerd readiness check skipped: no mesh here")
		}
	})
	t.Run("a program that is not there", func(t *testing.T) {
		p := startProxy(t, "", 0)
		r := under(t, "linkerd-await", "-S", "-p", port(p), "/no/such/program").run()
		assert.Equal(t, 71, r.code)
		assert.Equal(t, 1, p.stops())
		p = startProxy(t, "", 0)
		assert.Equal(t, 127, under(t, "linkerd-await", "-S", "-p", port(p), "--", "sh", "-c", "exit 127").run().code, "the program's own code")
	})
	t.Run("a signal", func(t *testing.T) {
		p := startProxy(t, "", 0)
		assert.Equal(t, 143, under(t, "linkerd-await", "-S", "-p", port(p), "--", "sh", "-c", "kill -TERM $$").run().code)
	})
	t.Run("usage", func(t *testing.T) {
		for _, args := range [][]string{
			{"--no-such-flag"}, {"-x"}, {"-S"}, {"--shutdown"}, {"--timeout-fatal=false"}, {"-p", "0", "true"}, {"-p"}, {"-t", "5", "true"},
			{"-b", "x", "true"}, {"--timeout-fatal=maybe", "true"}, {"sh", "-c", "exit 4"}, {"-v", "-v", "true"}, {"--shutdown=x", "true"}, {"-t", "", "true"},
		} {
			r := under(t, "linkerd-await", args...).run()
			assert.Equal(t, 2, r.code, args)
			assert.Contains(t, r.stderr, "error: linkerd-await: ", args)
		}
		assert.Contains(t, under(t, "linkerd-await", "--help").run().stdout, "--timeout-fatal")
		assert.Contains(t, under(t, "linkerd-await", "-V").run().stdout, "linkerd-await 0.3.3")
	})
}

func TestScuttle(t *testing.T) {
	t.Run("waits for LIVE and quits Istio", func(t *testing.T) {
		envoy, agent, other := startProxy(t, "", 300*time.Millisecond), startProxy(t, "", 0), startProxy(t, "", 0)
		r := under(t, "scuttle", "sh", "-c", "echo hello; exit 5").env(
			"ENVOY_ADMIN_API=http://"+envoy.addr, "ISTIO_QUIT_API=http://"+agent.addr,
			"GENERIC_QUIT_ENDPOINTS= http://"+other.addr+"/shutdown ,").run()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Equal(t, "hello\n", r.stdout, "its log is not on stdout")
		envoy.waitedFor()
		assert.Zero(t, envoy.stops())
		assert.Equal(t, "POST /quitquitquit HTTP/1.1", agent.stopLine)
		require.Equal(t, 1, other.stops())
		assert.True(t, other.stopSeen[0].Before(agent.stopSeen[0]))
	})
	t.Run("somebody else's Envoy", func(t *testing.T) {
		// In capitals the host is a name that would need name resolution.
		envoy, agent := startProxy(t, "", 300*time.Millisecond), startProxy(t, "", 0)
		elsewhere := strings.Replace(envoy.addr, "127.0.0.1", "LOCALHOST", 1)
		r := under(t, "scuttle", "sh", "-c", "exit 5").env("ENVOY_ADMIN_API=http://"+elsewhere, "ISTIO_QUIT_API=http://"+agent.addr).run()
		assert.Equal(t, 5, r.code, r.stderr)
		envoy.waitedFor()
		assert.Zero(t, envoy.stops()+agent.stops(), "it is not this pod's")
	})
	t.Run("no Envoy", func(t *testing.T) {
		r := under(t, "scuttle", "--", "sh", "-c", "exit 5").env("ENVOY_ADMIN_API=").run()
		assert.Equal(t, 5, r.code)
		assert.Contains(t, r.stderr, "no proxy to wait for: ENVOY_ADMIN_API is not set")
	})
	t.Run("variables", func(t *testing.T) {
		for name, c := range map[string]struct {
			env   []string
			code  string
			want  int
			stops int
		}{
			"never":                   {env: []string{"NEVER_KILL_ISTIO=true"}, code: "0", stops: 0},
			"not on failure":          {env: []string{"NEVER_KILL_ISTIO_ON_FAILURE=true"}, code: "3", want: 3, stops: 0},
			"not on failure, success": {env: []string{"NEVER_KILL_ISTIO_ON_FAILURE=true"}, code: "0", stops: 1},
			"start without":           {env: []string{"START_WITHOUT_ENVOY=true"}, code: "0", stops: 1},
			"a bad value is ignored":  {env: []string{"NEVER_KILL_ISTIO=yes", "WAIT_FOR_ENVOY_TIMEOUT=soon"}, code: "0", stops: 1},
		} {
			p := startProxy(t, "", 0)
			r := under(t, "scuttle", "sh", "-c", "exit "+c.code).env("ENVOY_ADMIN_API=http://"+p.addr, "ISTIO_QUIT_API=http://"+p.addr).env(c.env...).run()
			assert.Equal(t, c.want, r.code, name)
			assert.Equal(t, c.stops, p.stops(), "%s: %s", name, r.stderr)
		}
	})
	t.Run("timeouts", func(t *testing.T) {
		p := startProxy(t, "", time.Hour)
		base := []string{"ENVOY_ADMIN_API=http://" + p.addr, "NEVER_KILL_ISTIO=true", "SCUTTLE_LOGGING=false"}
		r := under(t, "scuttle", "sh", "-c", "exit 5").env(base...).env("WAIT_FOR_ENVOY_TIMEOUT=200ms").run()
		assert.Equal(t, 5, r.code)
		assert.Empty(t, r.stderr)
		r = under(t, "scuttle", "sh", "-c", "exit 5").env(base...).env("QUIT_WITHOUT_ENVOY_TIMEOUT=200ms", "WAIT_FOR_ENVOY_TIMEOUT=1h").run()
		assert.Equal(t, 1, r.code)
	})
	t.Run("nothing to run", func(t *testing.T) {
		assert.Equal(t, 0, under(t, "scuttle").run().code)
	})
}
