package wrapper

import (
	"net/http"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestReadyProxyIsStoppedAfterTheCommand(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, nil, "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, 1, p.stops())
	assert.Contains(t, r.stderr, "proxy ready after")
	assert.Contains(t, r.stderr, "command exited 0 after")
	assert.Contains(t, r.stderr, "proxy stopped after")
}

func TestCommandStartsSoonAfterTheProxyIsReadyAndNeverBefore(t *testing.T) {
	for _, ready := range []time.Duration{300 * time.Millisecond, 2 * time.Second, 12 * time.Second} {
		t.Run(ready.String(), func(t *testing.T) {
			t.Parallel()
			p := startProxy(t, "", ready)
			r := wrapped(t, p, []string{"--ready-timeout=0"}, "true").run()
			assert.Equal(t, 0, r.code, r.stderr)
			p.waitedFor()
			late := 0
			for _, seen := range p.readySeen {
				if !seen.Before(p.readyAt) {
					late++
				}
			}
			assert.Equal(t, 1, late, "the first answer that it is ready is enough")
		})
	}
}

// A proxy that accepts connections and never answers costs one second for each try.
func TestSilentProxyIsAskedAgain(t *testing.T) {
	listener := listen(t, "127.0.0.1:0")
	const silent = 2
	go func() {
		for tries := 0; ; tries++ {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			defer func() { _ = c.Close() }()
			if tries >= silent {
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"))
			}
		}
	}()
	url := "http://" + listener.Addr().String()
	r := command(t, "--ready-url="+url+"/ready", "--ready-timeout="+beyond, "--stop-when=never", "--", "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.GreaterOrEqual(t, r.took, silent*time.Second)

	mute := listen(t, "127.0.0.1:0") // nobody accepts the connections
	r = command(t, "--ready-url=http://"+mute.Addr().String()+"/ready", "--ready-timeout=300ms", "--", "true").run()
	assert.Equal(t, 69, r.code)
	assert.Contains(t, r.stderr, "no answer in time")
}

func TestOnceReadyIsEnough(t *testing.T) {
	p := startProxy(t, "", 0)
	w := wrapped(t, p, nil, "sh", "-c", "echo ran; sleep 0.3").start().until("command started")
	p.mu.Lock()
	p.readyAt = time.Now().Add(time.Hour)
	p.mu.Unlock()
	r := w.wait()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "ran\n", r.stdout)
	assert.Equal(t, 1, p.looks(), "nobody asks again")
}

func TestProxyThatListensLateIsWaitedFor(t *testing.T) {
	addr, listen := reservePort(t)
	w := wrapped(t, &proxy{addr: addr}, []string{"--ready-timeout=0"}, "true").start()
	time.Sleep(400 * time.Millisecond) // the wrapper has tried several times by then
	p := startProxy(t, "", 0, func(p *proxy) { p.listener = listen() })
	r := w.wait()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, 1, p.stops())
}

func TestOnlyTwoHundredsAreReady(t *testing.T) {
	for _, code := range []int{http.StatusMovedPermanently, http.StatusNotFound, http.StatusInternalServerError} {
		p := startProxy(t, "", 0, func(p *proxy) { p.readyCode = code })
		r := wrapped(t, p, []string{"--ready-timeout=200ms"}, "true").run()
		assert.Equal(t, 69, r.code, "answer %d", code)
	}
	p := startProxy(t, "", 0, func(p *proxy) { p.readyCode = http.StatusNoContent })
	assert.Equal(t, 0, wrapped(t, p, nil, "true").run().code)
}

func TestProxyNeverReadyFailsAndIsAskedToStop(t *testing.T) {
	p := startProxy(t, "", time.Hour)
	r := wrapped(t, p, []string{"--ready-timeout=2s"}, "echo", "ran").run()
	assert.Equal(t, 69, r.code)
	assert.Empty(t, r.stdout)
	assert.Equal(t, 1, p.stops())
	assert.Regexp(t, "error: proxy not ready after [0-9.]+m?s: http://"+p.addr+"/ready: answered 503", r.stderr)
	assert.Contains(t, r.stderr, "hint: ")
}

func TestProxyNeverReadyMayBeRunAnyway(t *testing.T) {
	p := startProxy(t, "", time.Hour)
	r := wrapped(t, p, []string{"--ready-timeout=300ms", "--on-ready-timeout=run"}, "sh", "-c", "echo ran; exit 4").run()
	assert.Equal(t, 4, r.code)
	assert.Equal(t, "ran\n", r.stdout)
	assert.Equal(t, 1, p.stops())
}

// A mesh that is named has to be in the pod, unlike one that auto looks for.
func TestNamedMeshIsRequired(t *testing.T) {
	r := command(t, "--mesh=linkerd", "--ready-timeout=1s", "--stop-timeout=100ms", "--detect-timeout=10ms", "--", "echo", "ran").run()
	assert.Equal(t, 69, r.code)
	assert.Empty(t, r.stdout)
	assert.GreaterOrEqual(t, r.took, time.Second, "the limit is that of the wait, not of the detection")
	assert.Regexp(t, "error: linkerd not ready after [0-9.]+s: http://127.0.0.1:4191/ready: connection refused", r.stderr)
}

// One variable each switches off the wait, the stop, and both, for users who cannot change the
// command line.
func TestSwitchesForTheWaitAndTheStop(t *testing.T) {
	for variable, c := range map[string]struct {
		ready        time.Duration
		looks, stops bool
	}{
		"JOBMESH_READY_URL=none":  {ready: time.Hour, stops: true},
		"JOBMESH_STOP_WHEN=never": {looks: true},
		"JOBMESH_MESH=none":       {ready: time.Hour},
	} {
		t.Run(variable, func(t *testing.T) {
			p := startProxy(t, "127.0.0.1:4191", c.ready)
			r := command(t, "--ready-timeout="+beyond, "--", "sh", "-c", "exit 5").env("JOBMESH_POD_LINKERD=2.20.0", variable).run()
			assert.Equal(t, 5, r.code, r.stderr)
			assert.Equal(t, c.looks, p.looks() > 0, "asked whether it is ready")
			assert.Equal(t, c.stops, p.stops() > 0, "asked to stop")
		})
	}
}

func TestSignalEndsTheWaitAtOnce(t *testing.T) {
	for signal, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		t.Run(signal.String(), func(t *testing.T) {
			p := startProxy(t, "", time.Hour)
			w := wrapped(t, p, []string{"--ready-timeout=" + beyond}, "echo", "ran").asInit().start()
			p.untilAsked()
			w.signal(signal)
			r := w.wait()
			assert.Equal(t, code, r.code, r.stderr)
			assert.Empty(t, r.stdout)
			assert.Equal(t, 1, p.untilStopped())
		})
	}
}

func TestMessagesToTheCommandDoNotEndTheWait(t *testing.T) {
	p := startProxy(t, "", time.Hour)
	w := wrapped(t, p, []string{"--ready-timeout=" + beyond}, "true").start()
	p.untilAsked()
	w.signal(syscall.SIGUSR1)
	w.signal(syscall.SIGWINCH)
	p.untilAsked() // the wait continues
	p.becomesReady()
	r := w.wait()
	assert.Equal(t, 0, r.code, r.stderr)
}

func TestLoopbackNamesAndFamilies(t *testing.T) {
	six := startProxy(t, "[::1]:0", 0)
	assert.Equal(t, 0, wrapped(t, six, nil, "true").run().code)
	four := startProxy(t, "", 0)
	port := four.addr[len("127.0.0.1"):]
	r := command(t, "--ready-url=http://localhost"+port+"/ready", "--stop=POST http://localhost"+port+"/shutdown", "--", "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, 1, four.stops())
}

func TestProxyVariablesAreForTheCommandOnly(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, nil, "sh", "-c", "echo $http_proxy $HTTP_PROXY").
		env("http_proxy=http://127.0.0.1:1", "HTTP_PROXY=http://127.0.0.1:1").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "http://127.0.0.1:1 http://127.0.0.1:1\n", r.stdout)
}

// The chart passes the pod's annotations in these variables.
func TestAutoFollowsThePodAnnotations(t *testing.T) {
	t.Run("no mesh: the command takes the wrapper's place", func(t *testing.T) {
		r := command(t, "--", "cat", "/proc/1/comm").asInit().env("JOBMESH_POD_LINKERD=", "JOBMESH_POD_ISTIO=false").run()
		assert.Equal(t, 0, r.code, r.stderr)
		// /proc is that of the outer namespace, so the test looks at the pid instead.
		r = command(t, "--detect-timeout="+beyond, "--", "sh", "-c", "echo $$").asInit().env("JOBMESH_POD_LINKERD=", "JOBMESH_POD_ISTIO=false").run()
		assert.Equal(t, "1\n", r.stdout)
	})
	t.Run("linkerd", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:4191", 0)
		r := command(t, "--", "sh", "-c", "exit 5").env("JOBMESH_POD_LINKERD=edge-26.6.1", "JOBMESH_POD_ISTIO=").run()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Equal(t, "POST /shutdown HTTP/1.1", p.stopLine)
		assert.Contains(t, r.stderr, "linkerd took the stop after")
	})
	const classic = `{"initContainers":["istio-init"],"containers":["istio-proxy"],"revision":"default"}`
	const native = `{"initContainers":["istio-init","istio-proxy"],"containers":null,"revision":"default"}`
	t.Run("istio", func(t *testing.T) {
		ready := startProxy(t, "127.0.0.1:15021", 0)
		agent := startProxy(t, "127.0.0.1:15020", 0)
		r := command(t, "--", "true").env("JOBMESH_POD_LINKERD=", "JOBMESH_POD_ISTIO="+classic).run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, ready.looks())
		assert.Equal(t, "POST /quitquitquit HTTP/1.1", agent.stopLine)
	})
	t.Run("istio as a native sidecar is waited for and not stopped", func(t *testing.T) {
		ready := startProxy(t, "127.0.0.1:15021", 300*time.Millisecond)
		agent := startProxy(t, "127.0.0.1:15020", 0)
		r := command(t, "--", "sh", "-c", "exit 6").env("JOBMESH_POD_LINKERD=", "JOBMESH_POD_ISTIO="+native).run()
		assert.Equal(t, 6, r.code, r.stderr)
		ready.waitedFor()
		assert.Zero(t, agent.stops())
	})
	t.Run("nothing says: a proxy is looked for and found", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:4191", 300*time.Millisecond)
		r := command(t, "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Contains(t, r.stderr, "linkerd found after")
		assert.Equal(t, 1, p.stops())
	})
	t.Run("nothing says and nothing answers", func(t *testing.T) {
		r := command(t, "--detect-timeout=300ms", "--", "sh", "-c", "exit 7").run()
		assert.Equal(t, 7, r.code)
		assert.Contains(t, r.stderr, "no proxy found within")
		assert.GreaterOrEqual(t, r.took, 300*time.Millisecond)
	})
}
