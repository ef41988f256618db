package wrapper

import (
	"math/rand"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// jobmesh lint reads a command line as the wrapper does: both refuse it with the same words, or
// run the same command and stop the same proxy after the same results. The command lines are
// generated at random, the same ones each time.
func TestLintReadsWhatTheWrapperDoes(t *testing.T) {
	random := rand.New(rand.NewSource(1))
	pick := func(from []string) string { return from[random.Intn(len(from))] }
	for _, program := range []struct {
		name                              string
		flags, commands, always, variable []string
		cases                             int
	}{
		{
			name: wrapflags.JobmeshWrap, cases: 250,
			flags: []string{
				"--mesh=linkerd", "--mesh=none", "--mesh=auto", "--mesh=osm", "--mesh", "linkerd", "--ready-url=none", "--ready-url=http://example/",
				"--stop=POST http://127.0.0.1:4191/shutdown", "--stop=GET http://127.0.0.1:4191/ready", "--stop=quit", "--stop-process=no-such-process",
				"--ready-timeout=5s", "--ready-timeout=x", "--on-ready-timeout=run", "--stop-when=always", "--stop-when=success", "--stop-when=never", "--stop-when", "never",
				"--quiet", "--quiet=maybe", "--member=a", "--members=x", "--bogus", "--bogus=1", "-q", "probe", "stray",
			},
			commands: []string{"-- /bin/echo one two", "-- false", "-- /bin/echo --", "--", "/bin/echo"},
			variable: []string{"JOBMESH_MESH=none", "JOBMESH_MESH=linkerd", "JOBMESH_STOP_WHEN=never", "JOBMESH_STOP_WHEN=success", "JOBMESH_READY_TIMEOUT=0x", "JOBMESH_QUIET=", "JOBMESH_STOP=POST http://127.0.0.1:4191/shutdown\n\n"},
		},
		{
			name: wrapflags.LinkerdAwait, cases: 250,
			flags: []string{
				"-S", "--shutdown", "-Sv", "-v", "-p", "4191", "-p4191", "--port=4191", "-t", "5s", "-t5s", "--timeout=x", "--timeout-fatal", "--timeout-fatal=false",
				"--timeout-fatal=no", "--", "-x", "--bogus", "-b", "1s", "/bin/echo", "one", "-S=",
			},
			commands: []string{"/bin/echo one", "-- /bin/echo one -S", "false", "/bin/echo -S -- -m", "false -S", "-- false", ""},
			variable: []string{"LINKERD_AWAIT_DISABLED=yes", "LINKERD_DISABLED=", "LINKERD_AWAIT_VERBOSE=1", "LINKERD_AWAIT_VERBOSE=true"},
		},
		{
			name: wrapflags.Scuttle, cases: 150, flags: []string{"--"}, commands: []string{"/bin/echo one --", "false", "/bin/echo"},
			// Without this variable scuttle sends a signal to every pilot-agent of the machine.
			always: []string{"ISTIO_QUIT_API=http://127.0.0.1:15020"},
			variable: []string{
				"ENVOY_ADMIN_API=http://127.0.0.1:15000", "ENVOY_ADMIN_API=http://127.0.0.1:15000/", "ENVOY_ADMIN_API=http://[::1]:15000", "ENVOY_ADMIN_API=127.0.0.1:15000",
				"ISTIO_QUIT_API=http://127.0.0.1:15020", "ISTIO_QUIT_API=http://127.0.0.1:15020", "ISTIO_QUIT_API=istio",
				"NEVER_KILL_ISTIO=true", "NEVER_KILL_ISTIO=1", "NEVER_KILL_ISTIO_ON_FAILURE=true", "NEVER_KILL_ISTIO_ON_FAILURE=yes", "START_WITHOUT_ENVOY=true",
				"GENERIC_QUIT_ENDPOINTS=http://127.0.0.1:15020/quitquitquit", "GENERIC_QUIT_ENDPOINTS=http://other/", "WAIT_FOR_ENVOY_TIMEOUT=2m",
			},
		},
	} {
		t.Run(program.name, func(t *testing.T) {
			refused, stopped, ran := 0, 0, 0
			for range program.cases {
				args, env := []string{}, []string{"PATH=/bin:/usr/bin", "JOBMESH_STOP_TIMEOUT=500ms"}
				for range random.Intn(3) {
					args = append(args, pick(program.flags))
				}
				args = append(args, strings.Fields(pick(program.commands))...)
				env = append(env, program.always...)
				for range random.Intn(len(program.variable)/2 + 1) {
					env = append(env, pick(program.variable))
				}
				line := strings.Join(append(env[2:], args...), " | ")
				reading := script.Read(append([]string{program.name}, args...), asMap(env))

				linkerd, envoy := startProxy(t, "127.0.0.1:4191", 0), startProxy(t, "127.0.0.1:15000", 0)
				six, agent := startProxy(t, "[::1]:15000", 0), startProxy(t, "127.0.0.1:15020", 0)
				w := under(t, program.name, args...)
				w.cmd.Env = env
				r := w.run()
				if len(reading.Refusals) > 0 {
					refused++
					assert.Contains(t, []int{2, 64}, r.code, line)
					assert.Contains(t, r.stderr, reading.Refusals[0].Text, line)
					assert.Empty(t, r.stdout, line)
				} else if w := reading.Wrapper; w != nil && len(w.Command) > 0 {
					ran++
					assert.NotContains(t, []int{2, 64}, r.code, "%s: %s", line, r.stderr)
					if w.Command[0] == "/bin/echo" {
						assert.Equal(t, strings.Join(w.Command[1:], " "), strings.TrimSuffix(r.stdout, "\n"), line)
					}
					success := w.Command[0] == "/bin/echo"
					stops := w.Stops == script.Always || w.Stops == script.OnSuccess && success
					for name, p := range map[string]*proxy{"linkerd": linkerd, "istio": agent} {
						want := stops && stopsThat(*w, name)
						assert.Equal(t, want, p.stops() > 0, "%s: %s: %+v: %s", line, name, *w, r.stderr)
						if want {
							stopped++
						}
					}
				}
				for _, p := range []*proxy{linkerd, envoy, six, agent} {
					p.close()
				}
			}
			t.Logf("%d refused, %d ran, %d stopped a proxy", refused, ran, stopped)
			assert.Greater(t, refused, program.cases/10)
			assert.Greater(t, ran, program.cases/6)
			assert.Greater(t, stopped, program.cases/20)
		})
	}
}

// stopsThat tells whether a wrapper handles the proxy of a mesh, in a pod where the proxies of
// Linkerd and Istio answer.
func stopsThat(w script.Wrapper, name string) bool {
	switch {
	case len(w.Asks) > 0 || w.AsksElse:
		return slices.ContainsFunc(w.Asks, func(s script.Stop) bool { return s.Mesh == name && s.Post })
	case w.Looks:
		return name == mesh.Names()[0] // the first one that answers
	}
	return slices.Contains(w.Meshes, name)
}

func asMap(env []string) map[string]string {
	values := map[string]string{}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		values[name] = value // the last one wins, as in os/exec
	}
	return values
}
