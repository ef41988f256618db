package wrapper

import (
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestStopRequestOnTheWire(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, nil, "true").run()
	require.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "POST /shutdown HTTP/1.1", p.stopLine)
	assert.Equal(t, p.addr, p.stopHost)
	assert.Equal(t, "0", p.stopHeader.Get("Content-Length"))
}

// What the proxy does with the stop request never changes the exit code.
func TestStopAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*proxy)
		flags  []string
		stops  int
		words  string
		least  time.Duration
		most   time.Duration
	}{
		"taken": {
			stops: 1, words: "proxy stopped after", most: time.Second,
		},
		"503 twice, then taken": {
			change: func(p *proxy) { p.stopCodes = []int{503, 503, 200} },
			stops:  3, words: "was answered 503, trying again", most: time.Second,
		},
		"no reply, and gone": {
			change: func(p *proxy) { p.mute = true },
			stops:  1, words: "proxy stopped after", most: time.Second,
		},
		"never answered": {
			change: func(p *proxy) { p.hangs = true },
			flags:  []string{"--stop-timeout=700ms"},
			stops:  1, words: "error: proxy not stopped after", least: 700 * time.Millisecond, most: 1500 * time.Millisecond,
		},
		"taken, and stays": {
			change: func(p *proxy) { p.stays = true },
			flags:  []string{"--stop-timeout=500ms"},
			stops:  1, words: "is still there after", least: 500 * time.Millisecond, most: 1500 * time.Millisecond,
		},
		"404 is final": {
			change: func(p *proxy) { p.stopCodes = []int{404} },
			stops:  1, words: "was answered 404", most: time.Second,
		},
		"403 is final": {
			change: func(p *proxy) { p.stopCodes = []int{403} },
			stops:  1, words: "loopback address only", most: time.Second,
		},
		"405 is final": {
			change: func(p *proxy) { p.stopCodes = []int{405} },
			stops:  1, words: "another method", most: time.Second,
		},
		"429, then taken": {
			change: func(p *proxy) { p.stopCodes = []int{429, 200} },
			stops:  2, words: "proxy stopped after", most: time.Second,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.change == nil {
				c.change = func(*proxy) {}
			}
			p := startProxy(t, "", 0, c.change)
			r := wrapped(t, p, c.flags, "sh", "-c", "exit 9").run()
			assert.Equal(t, 9, r.code, r.stderr)
			assert.Equal(t, c.stops, p.stops(), r.stderr)
			assert.Contains(t, r.stderr, c.words)
			assert.GreaterOrEqual(t, r.took, c.least)
			assert.Less(t, r.took, c.most)
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
	p := startProxy(t, "", 0)
	w := wrapped(t, p, nil, "sh", "-c", "sleep 0.3; exit 2").start().until("command started")
	require.NoError(t, p.server.Close())
	r := w.wait()
	assert.Equal(t, 2, r.code)
	assert.Contains(t, r.stderr, "proxy is gone already")
	assert.NotContains(t, r.stderr, "error:")
	assert.Less(t, r.took, 1500*time.Millisecond)
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

// A proxy that stays, or never answers, does not keep back the next request.
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
			assert.Less(t, r.took, 5*time.Second)
		})
	}
	t.Run("two requests to one proxy", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		r := command(t, "--ready-url=http://"+p.addr+"/ready",
			"--stop=POST http://"+p.addr+"/ready", "--stop=POST http://"+p.addr+"/shutdown", "--", "true").run()
		assert.Equal(t, 0, r.code, r.stderr)
		assert.Equal(t, 1, p.stops())
		assert.Less(t, r.took, 2*time.Second)
	})
}

func TestSignalDuringTheStopDoesNotCutItShort(t *testing.T) {
	p := startProxy(t, "", 0, func(p *proxy) { p.stopCodes = []int{503, 503, 503, 503, 200} })
	w := wrapped(t, p, nil, "sh", "-c", "exit 8").asInit().start().until("trying again")
	w.signal(endNow)
	r := w.wait()
	assert.Equal(t, 8, r.code, r.stderr)
	assert.Contains(t, r.stderr, "proxy stopped after")
}

// A proxy that dies beside the command is not the command's end, unless that is
// asked for.
func TestProxyThatDiesWhileTheCommandRuns(t *testing.T) {
	const script = "trap 'echo asked; exit 4' TERM; echo up >&2; for i in $(seq 150); do sleep 0.01; done; exit 5"
	start := func(t *testing.T, flags ...string) (w *process, died time.Time) {
		p := startProxy(t, "", 0)
		w = wrapped(t, p, flags, "bash", "-c", script).start().until("up\n")
		require.NoError(t, p.server.Close())
		return w, time.Now()
	}
	t.Run("left alone", func(t *testing.T) {
		t.Parallel()
		w, _ := start(t)
		r := w.wait()
		assert.Equal(t, 5, r.code, r.stderr)
		assert.Empty(t, r.stdout)
		assert.Contains(t, r.stderr, "proxy is gone already")
	})
	t.Run("ended", func(t *testing.T) {
		t.Parallel()
		w, died := start(t, "--on-proxy-lost=fail")
		r := w.wait()
		assert.Equal(t, 69, r.code, r.stderr)
		assert.Equal(t, "asked\n", r.stdout)
		assert.Less(t, time.Since(died), time.Second)
		assert.Contains(t, r.stderr, "error: proxy is gone while the command runs: nobody listens at http://127.0.0.1:")
		assert.Contains(t, r.stderr, "hint: look at the proxy container's log")
	})
	t.Run("ended, with no stop to send", func(t *testing.T) {
		t.Parallel()
		w, _ := start(t, "--on-proxy-lost=fail", "--stop-when=never")
		assert.Equal(t, 69, w.wait().code)
	})
	t.Run("killed", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		w := wrapped(t, p, []string{"--on-proxy-lost=fail", "--kill-after=200ms"}, "bash", "-c", "trap '' TERM; echo up >&2; sleep 30").start().until("up\n")
		require.NoError(t, p.server.Close())
		r := w.wait()
		assert.Equal(t, 69, r.code, r.stderr)
		assert.Contains(t, r.stderr, "command ended by SIGKILL")
	})
	t.Run("told to end before, as its pod is", func(t *testing.T) {
		t.Parallel()
		p := startProxy(t, "", 0)
		w := wrapped(t, p, []string{"--on-proxy-lost=fail"}, "bash", "-c", "trap 'sleep 1; exit 4' TERM; echo up >&2; while :; do sleep 0.01; done").start().until("up\n")
		w.signal(syscall.SIGTERM)
		time.Sleep(50 * time.Millisecond)
		require.NoError(t, p.server.Close())
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
