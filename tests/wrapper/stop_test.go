package wrapper

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

func TestStopRequestOnTheWire(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, nil, "true").run()
	require.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "POST /shutdown HTTP/1.1", p.stopLine)
	assert.Equal(t, p.addr, p.stopHost)
	assert.Equal(t, "0", p.stopHeader.Get("Content-Length"))
}

// The answer of the proxy to the stop request never changes the exit code.
func TestStopAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*proxy)
		flags  []string
		stops  int
		words  string
		least  time.Duration
	}{
		"taken": {
			stops: 1, words: "proxy stopped after",
		},
		"503 twice, then taken": {
			change: func(p *proxy) { p.stopCodes = []int{503, 503, 200} },
			stops:  3, words: "was answered 503, trying again",
		},
		"no reply, and gone": {
			change: func(p *proxy) { p.mute = true },
			stops:  1, words: "proxy stopped after",
		},
		"never answered": {
			change: func(p *proxy) { p.hangs = true },
			flags:  []string{"--stop-timeout=900ms"}, // shorter than the limit of one request
			stops:  1, words: "error: proxy not stopped after", least: 900 * time.Millisecond,
		},
		"taken, and stays": {
			change: func(p *proxy) { p.stays = true },
			flags:  []string{"--stop-timeout=3s"},
			stops:  1, words: "is still there after", least: 3 * time.Second,
		},
		"404 is final": {
			change: func(p *proxy) { p.stopCodes = []int{404} },
			stops:  1, words: "was answered 404",
		},
		"403 is final": {
			change: func(p *proxy) { p.stopCodes = []int{403} },
			stops:  1, words: "loopback address only",
		},
		"405 is final": {
			change: func(p *proxy) { p.stopCodes = []int{405} },
			stops:  1, words: "another method",
		},
		"429, then taken": {
			change: func(p *proxy) { p.stopCodes = []int{429, 200} },
			stops:  2, words: "proxy stopped after",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.change == nil {
				c.change = func(*proxy) {}
			}
			p := startProxy(t, "", 0, c.change)
			r := wrapped(t, p, c.flags, "sh", "-c", "exit 9").env("JOBMESH_STOP_TIMEOUT=" + beyond).run() // a flag wins
			assert.Equal(t, 9, r.code, r.stderr)
			assert.Equal(t, c.stops, p.untilStopped(), r.stderr)
			assert.Contains(t, r.stderr, c.words)
			assert.GreaterOrEqual(t, r.took, c.least)
		})
	}
}

func TestLinkerdsSwitchedOffEndpointIsNamedWithItsFix(t *testing.T) {
	startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) { p.stopCodes = []int{404} })
	r := command(t, "--mesh=linkerd", "--", "true").run()
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.stderr, "error: linkerd did not stop")
	assert.Contains(t, r.stderr, "hint: annotate the pod with config.linkerd.io/proxy-admin-shutdown: enabled")
}

func TestProxyThatIsGoneAlreadyCostsNothing(t *testing.T) {
	p, gate := startProxy(t, "", 0), newGate(t)
	w := wrapped(t, p, []string{"--stop-timeout=" + beyond}, "sh", "-c", gate.wait()+"exit 2").start().until("command started")
	p.close()
	gate.open()
	r := w.wait()
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.stderr, "proxy is gone already")
	assert.NotContains(t, r.stderr, "error:")
}

func TestStopWhen(t *testing.T) {
	for _, c := range []struct {
		when  string
		code  string
		stops int
	}{
		{"always", "0", 1}, {"always", "3", 1},
		{"success", "0", 1}, {"success", "3", 0},
		{"never", "0", 0}, {"never", "3", 0},
	} {
		t.Run(c.when+" "+c.code, func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", 0)
			r := wrapped(t, p, []string{"--stop-when", c.when}, "sh", "-c", "exit "+c.code).run()
			assert.Equal(t, c.code, string(rune('0'+r.code)))
			assert.Equal(t, c.stops, p.stops(), r.stderr)
		})
	}
}

func TestSeveralStopRequestsInOrder(t *testing.T) {
	first, second := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{404} }), startProxy(t, "", 0)
	r := command(t, "--ready-url=http://"+first.addr+"/ready",
		"--stop=POST http://"+first.addr+"/shutdown", "--stop=POST http://"+second.addr+"/quitquitquit", "--", "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	require.Equal(t, 1, first.stops())
	require.Equal(t, 1, second.stops())
	assert.True(t, first.stopSeen[0].Before(second.stopSeen[0]))
}

// A proxy that stays, or never answers, does not prevent the next request.
func TestALingeringProxyDoesNotKeepBackTheNext(t *testing.T) {
	for name, change := range map[string]func(*proxy){
		"stays":         func(p *proxy) { p.stays = true },
		"never answers": func(p *proxy) { p.hangs = true },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			first, second := startProxy(t, "", 0, change), startProxy(t, "", 0)
			r := command(t, "--ready-url=http://"+first.addr+"/ready", "--stop-timeout=3s",
				"--stop=POST http://"+first.addr+"/shutdown", "--stop=POST http://"+second.addr+"/quitquitquit", "--", "sh", "-c", "exit 4").run()
			assert.Equal(t, 4, r.code, r.stderr)
			assert.Positive(t, first.stops())
			assert.Equal(t, 1, second.stops(), r.stderr)
		})
	}
	t.Run("two requests to one proxy", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		r := command(t, "--ready-url=http://"+p.addr+"/ready", "--stop-timeout="+beyond,
			"--stop=POST http://"+p.addr+"/ready", "--stop=POST http://"+p.addr+"/shutdown", "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, p.stops())
	})
}

func TestSignalDuringTheStopDoesNotCutItShort(t *testing.T) {
	p := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{503} })
	w := wrapped(t, p, []string{"--stop-timeout=" + beyond}, "sh", "-c", "exit 8").asInit().start().until("trying again")
	w.signal(endNow)
	p.mu.Lock()
	p.stopCodes = []int{200}
	p.mu.Unlock()
	r := w.wait()
	assert.Equal(t, 8, r.code, r.stderr)
	assert.Contains(t, r.stderr, "proxy stopped after")
}

// A proxy that dies while the command runs does not end the command, unless a flag asks for
// that.
func TestProxyThatDiesWhileTheCommandRuns(t *testing.T) {
	start := func(t *testing.T, then string, flags ...string) *process {
		p := startProxy(t, "", 0)
		script := "trap 'echo asked; exit 4' TERM; echo up >&2; " + then
		w := wrapped(t, p, flags, "bash", "-c", script).start().until("up\n")
		p.close()
		return w
	}
	const forEver = "while :; do sleep 0.01; done"
	t.Run("left alone", func(t *testing.T) {
		t.Parallel()
		r := start(t, "sleep 1.5; exit 5").wait()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Empty(t, r.stdout)
		assert.Contains(t, r.stderr, "proxy is gone already")
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		r := start(t, forEver, "--on-proxy-lost=fail").wait()
		assert.Equal(t, 69, r.code, r.stderr)
		assert.Equal(t, "asked\n", r.stdout)
		assert.Contains(t, r.stderr, "error: proxy is gone while the command runs: nobody listens at http://127.0.0.1:")
		assert.Contains(t, r.stderr, "hint: look at the proxy container's log")
	})
	t.Run("ended, with no stop to send", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, 69, start(t, forEver, "--on-proxy-lost=fail", "--stop-when=never").wait().code)
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		w := wrapped(t, p, []string{"--on-proxy-lost=fail", "--kill-after=200ms"}, "bash", "-c", "trap '' TERM; echo up >&2; sleep 1000").start().until("up\n")
		p.close()
		r := w.wait()
		assert.Equal(t, 69, r.code, r.stderr)
		assert.Contains(t, r.stderr, "command ended by SIGKILL")
	})
	t.Run("told to end before, as its pod is", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		w := wrapped(t, p, []string{"--on-proxy-lost=fail"}, "bash", "-c", "trap 'echo told >&2; sleep 1; exit 4' TERM; echo up >&2; "+forEver).start().until("up\n")
		w.signal(syscall.SIGTERM)
		w.until("told\n")
		p.close()
		assert.Equal(t, 4, w.wait().code)
	})
	t.Run("there all the time", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		r := wrapped(t, p, []string{"--on-proxy-lost=fail"}, "sh", "-c", "sleep 1.2; exit 5").run()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Equal(t, 1, p.stops())
	})
}

// rawProxy is ready, and has the function serve answer each stop request on the bare
// connection. Once it is stopped, it refuses connections.
func rawProxy(t *testing.T, serve func(c net.Conn, stop func())) (addr string, stops *atomic.Int32) {
	t.Helper()
	listener := listen(t, "127.0.0.1:0")
	stops = new(atomic.Int32)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = c.Close() }()
				request, err := http.ReadRequest(bufio.NewReader(c))
				switch {
				case err != nil:
				case request.Method == "GET":
					_, _ = io.WriteString(c, "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n")
					time.Sleep(10 * time.Millisecond)
					_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				default:
					stops.Add(1)
					serve(c, func() { _ = listener.Close() })
				}
			}()
		}
	}()
	return listener.Addr().String(), stops
}

// These servers only stop once they have written their whole answer, in several pieces, and
// some send another answer before it.
func TestTheAnswerIsReadToItsEnd(t *testing.T) {
	write := func(c net.Conn, pieces ...string) bool {
		for _, piece := range pieces {
			time.Sleep(10 * time.Millisecond) // the wrapper reads for a second, however busy the machine is
			if _, err := io.WriteString(c, piece); err != nil {
				return false
			}
		}
		return true
	}
	for name, pieces := range map[string][]string{
		"head and body apart":          {"HTTP/1.0 200 OK\r\n\r\n", "b", "y", "e"},
		"line and head apart":          {"HTTP/1.1 200 OK\r\n", "Content-Length: 3\r\n", "\r\n", "bye"},
		"in chunks":                    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "3\r\nbye\r\n", "0\r\n\r\n"},
		"behind 103":                   {"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n", "bye"},
		"behind 100 and 102 in pieces": {"HTTP/1.1 100 Cont", "inue\r\n\r\nHTTP/1.1 102 Processing\r\n\r", "\nHTTP/1.1 200 OK\r\n\r\n", "bye"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, stops := rawProxy(t, func(c net.Conn, stop func()) {
				// Unread bytes make the kernel reset the connection, and the next write fail.
				if write(c, pieces...) {
					stop()
				}
			})
			r := command(t, "--ready-url=http://"+addr+"/ready", "--stop=POST http://"+addr+"/shutdown", "--stop-timeout="+beyond,
				"--", "sh", "-c", "exit 6").run()
			assert.Equal(t, 6, r.code, r.stderr)
			assert.EqualValues(t, 1, stops.Load(), r.stderr)
			assert.Contains(t, r.stderr, "proxy stopped after")
		})
	}
}

// A proxy that answers, while nobody listens at the address of its stop request, has not ended.
func TestStopEndpointThatIsOffOrElsewhere(t *testing.T) {
	for _, name := range []string{"cloud-sql-proxy", "istio", "consul"} {
		t.Run(name, func(t *testing.T) {
			m, ok := mesh.ByName(name)
			require.True(t, ok)
			p := startProxy(t, hostPort(t, m.Ready[0]), 0)
			r := command(t, "--mesh="+name, "--stop-timeout="+beyond, "--", "sh", "-c", "exit 3").run()
			assert.Equal(t, 3, r.code, r.stderr)
			assert.Zero(t, p.stops())
			assert.Contains(t, r.stderr, "error: "+name+" not stopped: its stop endpoint is off or elsewhere")
			assert.Contains(t, r.stderr, "hint: "+m.StopDisabled)
			assert.NotContains(t, r.stderr, "gone")
		})
	}
	t.Run("no time left", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:9090", 0)
		r := command(t, "--mesh=cloud-sql-proxy", "--stop-timeout=50ms", "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Zero(t, p.stops())
		assert.Contains(t, r.stderr, "off or elsewhere")
	})
	t.Run("gone with both ports", func(t *testing.T) {
		p, gate := startProxy(t, "127.0.0.1:9090", 0), newGate(t)
		w := command(t, "--mesh=cloud-sql-proxy", "--stop-timeout="+beyond, "--", "sh", "-c", gate.wait()+"exit 3").start().until("command started")
		p.close()
		gate.open()
		r := w.wait()
		assert.Equal(t, 3, r.code, r.stderr)
		assert.Contains(t, r.stderr, "cloud-sql-proxy is gone already")
		assert.NotContains(t, r.stderr, "error:")
	})
}

// After a wait for a proxy that has never answered, the wrapper does not wait for it again.
func TestProxyThatNeverAnsweredIsAskedToStopOnce(t *testing.T) {
	for name, flags := range map[string][]string{
		"fails": {"--on-ready-timeout=fail"},
		"runs":  {"--on-ready-timeout=run"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			addr, _ := reservePort(t)
			args := append([]string{"--ready-url=http://" + addr + "/ready", "--stop=POST http://" + addr + "/shutdown",
				"--ready-timeout=100ms", "--stop-timeout=" + beyond}, flags...)
			r := command(t, append(args, "--", "sh", "-c", "exit 3")...).run()
			want := 69
			if name == "runs" {
				want = 3
			}
			assert.Equal(t, want, r.code, r.stderr)
			assert.Contains(t, r.stderr, "error: proxy not stopped after")
		})
	}
	t.Run("one that said 503 is asked again", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", time.Hour, func(p *proxy) { p.stopCodes = []int{503, 503, 200} })
		r := wrapped(t, p, []string{"--ready-timeout=2s", "--stop-timeout=" + beyond}, "true").run()
		assert.Equal(t, 69, r.code, r.stderr)
		assert.Equal(t, 3, p.stops(), r.stderr)
	})
}

func TestDaprsRefusalNamesTheVariableOfItsToken(t *testing.T) {
	for _, env := range []string{"X=", "DAPR_API_TOKEN=wr0ng"} {
		p := startProxy(t, "127.0.0.1:3500", 0, func(p *proxy) { p.stopCodes = []int{401} })
		r := command(t, "--mesh=dapr", "--", "sh", "-c", "exit 2").env(env).run()
		assert.Equal(t, 2, r.code, r.stderr)
		assert.Contains(t, r.stderr, "was answered 401\nhint: set DAPR_API_TOKEN in this container")
		assert.NotContains(t, r.stderr, "wr0ng")
		p.close()
	}
}

// The warning that follows the command can be given before it, when somebody may still read the
// log.
func TestStopEndpointThatIsOffIsNamedBeforeTheCommand(t *testing.T) {
	for _, name := range []string{"cloud-sql-proxy", "consul"} {
		m, ok := mesh.ByName(name)
		require.True(t, ok)
		p := startProxy(t, hostPort(t, m.Ready[0]), 0)
		r := command(t, "--mesh="+name, "--stop-timeout="+beyond, "--", "sh", "-c", "echo here >&2").run()
		assert.Equal(t, 0, r.code, r.stderr)
		before, after, _ := strings.Cut(r.stderr, "here\n")
		assert.Contains(t, before, "warning: the stop endpoint of "+name+" is off or elsewhere: nobody listens at http://127.0.0.1:")
		assert.Contains(t, before, "hint: "+m.StopDisabled)
		assert.Contains(t, after, "error: "+name+" not stopped")
		p.close()
	}
}

// The switch is asked before the command even where the wrapper does not wait for the proxy.
func TestSwitchedOffStopIsNamedWithoutAWaitToo(t *testing.T) {
	startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) { p.shutdown, p.stopCodes = `"false"`, []int{404} })
	r := command(t, "--mesh=linkerd", "--ready-url=none", "--", "sh", "-c", "echo here >&2").run()
	assert.Equal(t, 0, r.code, r.stderr)
	before, _, _ := strings.Cut(r.stderr, "here\n")
	assert.Contains(t, before, "warning: linkerd has its stop endpoint off")
}

// Without a wish to stop the proxy, there is no message about the stop.
func TestNoStopIsNeitherAskedForNorWarnedOf(t *testing.T) {
	linkerd := startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) { p.shutdown = `"false"` })
	r := command(t, "--mesh=linkerd", "--stop-when=never", "--", "true").run()
	assert.Equal(t, 0, r.code)
	assert.NotContains(t, r.stderr, "warning")
	assert.Zero(t, linkerd.asked("/env.json"))
	startProxy(t, "127.0.0.1:9090", 0)
	r = command(t, "--mesh=cloud-sql-proxy", "--stop-when=never", "--", "true").run()
	assert.Equal(t, 0, r.code)
	assert.NotContains(t, r.stderr, "warning")
}

// Linkerd's proxy closes its only port at once, and runs until its connections end. That cannot
// be seen from outside, so the log does not say that it has ended.
func TestLinkerdIsNotCalledStopped(t *testing.T) {
	p := startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) { p.shutdown = `"true"` })
	r := command(t, "--mesh=linkerd", "--stop-timeout="+beyond, "--", "sh", "-c", "exit 3").run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Equal(t, 1, p.stops())
	assert.Contains(t, r.stderr, "linkerd took the stop after")
	assert.Contains(t, r.stderr, "may be draining")
	assert.Contains(t, r.stderr, "at the latest after its grace period (config.linkerd.io/shutdown-grace-period, 120 s without it)")
	assert.NotContains(t, r.stderr, "stopped")
}

// The proxy closes the port of its stop request, and still listens at another one.
func TestProxyThatDrainsIsNotCalledGone(t *testing.T) {
	ready, admin := startProxy(t, "", 0), startProxy(t, "", 0)
	r := command(t, "--ready-url=http://"+ready.addr+"/ready", "--stop=POST http://"+admin.addr+"/quitquitquit", "--stop-timeout="+beyond,
		"--", "sh", "-c", "exit 3").run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Equal(t, 1, admin.stops())
	assert.Contains(t, r.stderr, "proxy took the stop and is draining: after")
	assert.Contains(t, r.stderr, "it still listens at http://"+ready.addr+"/ready")
	assert.NotContains(t, r.stderr, "stopped")
}

// Consul's dataplane sleeps for its grace period, with all of its ports open.
func TestConsulsGraceIsNamedWithItsAnnotation(t *testing.T) {
	startProxy(t, "127.0.0.1:19000", 0)
	p := startProxy(t, "127.0.0.1:20600", 0, func(p *proxy) { p.stays = true })
	r := command(t, "--mesh=consul", "--stop-timeout=3s", "--", "sh", "-c", "exit 3").run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Equal(t, 1, p.stops())
	assert.Contains(t, r.stderr, "warning: consul took POST http://127.0.0.1:20600/graceful_shutdown and is still there after")
	assert.Contains(t, r.stderr, `hint: the pod ends when it does, after its grace period of 30 s: annotate the pod with consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds: "0"`)
}
