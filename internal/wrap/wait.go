package wrap

import (
	"strconv"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// requestLimit bounds one request of a poll.
const requestLimit = time.Second

// pollPause is the pause before the next look, by the time spent waiting. Most proxies
// are ready within a few seconds, and a look costs some 50 microseconds.
func pollPause(waited time.Duration) time.Duration {
	switch {
	case waited < 10*time.Second:
		return 10 * time.Millisecond
	case waited < time.Minute:
		return 100 * time.Millisecond
	}
	return 250 * time.Millisecond
}

// poll calls try, which may take as long as each, until it reports true, the limit
// is over (0: there is none), or a signal that ends the wait arrives, which is then
// in r.ending.
func (r *run) poll(limit, each time.Duration, try func(left time.Duration) bool) (done bool) {
	if r.interrupted() {
		return false
	}
	for start := time.Now(); ; {
		left := each
		if limit > 0 {
			if left = min(left, limit-time.Since(start)); left <= 0 {
				return false
			}
		}
		if done = try(left); done || r.ending != 0 {
			return done
		}
		waited := time.Since(start)
		pause := pollPause(waited)
		if limit > 0 {
			pause = min(pause, limit-waited)
		}
		if r.rest(pause); r.ending != 0 {
			return false
		}
	}
}

// interrupted reports whether a signal that ends the wait has arrived. It is kept
// in r.ending.
func (r *run) interrupted() bool {
	r.rest(0)
	return r.ending != 0
}

// rest sleeps until a signal ends the wait.
func (r *run) rest(d time.Duration) {
	if r.ending == 0 {
		r.ending = r.signals.awaitEnd(d)
	}
}

// waitReady waits until each proxy of the plan is ready. It returns false where
// one is not in time or a signal ended the wait.
func (r *run) waitReady() bool {
	start := time.Now()
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		if len(p.ready) == 0 {
			continue
		}
		done, last := r.waitForProxy(p, start)
		took := time.Since(start)
		switch {
		case r.ending != 0:
			r.logWaitEnded(p.name, took)
			return false
		case !done:
			e := event{severity: failure, name: "proxy-not-ready", took: took,
				text: p.name + " not ready after " + show(took) + ": " + p.ready[0].URL.Text + ": " + last.String(),
				hint: "look at the proxy container's log, or allow more time with --ready-timeout"}
			if r.opts.OnReadyTimeout == wrapflags.Run {
				e.severity = warning
			}
			r.logEvent(e)
			return false
		}
		p.seen = true
		r.logEvent(event{severity: info, name: "proxy-ready", took: took,
			text: p.name + " ready after " + show(took)})
	}
	return true
}

// waitForProxy waits until one of a proxy's checks says that it is ready, and returns
// the last answer of one that did not.
func (r *run) waitForProxy(p *proxy, start time.Time) (done bool, last answer) {
	p.asked = true
	done = r.poll(remaining(r.opts.ReadyTimeout, start), requestLimit, func(left time.Duration) bool {
		for _, request := range p.ready {
			ready, got := p.isReady(request, sock.For(left, r.interrupted))
			p.answered = p.answered || got.err == nil
			if ready {
				return true
			}
			// A try that the limit cut short says nothing about the proxy.
			if last == (answer{}) || left == requestLimit || got.err != sock.ErrTimeout {
				last = got
			}
		}
		return false
	})
	return done, last
}

// An answer is what came back from a readiness check.
type answer struct {
	status int
	err    error
	state  string // quoted, of a proxy that is asked for it
}

func (a answer) String() string {
	if a.state != "" {
		return "state " + a.state
	}
	return describe(a.status, a.err)
}

// isReady looks once whether a proxy says that it is ready.
func (p *proxy) isReady(request *plainhttp.Request, patience sock.Patience) (bool, answer) {
	if p.readyState == "" {
		status, err := request.Do(patience)
		return err == nil && success(status), answer{status: status, err: err}
	}
	if len(request.Addresses) == 0 {
		// Somebody else's Envoy, which scuttle may be told to wait for, by its name.
		var err error
		if request.Addresses, err = addressesOf(request.URL.Host, request.URL.Port, patience); err != nil {
			return false, answer{err: err}
		}
	}
	status, body, err := request.Body(patience)
	if err != nil || !success(status) {
		return false, answer{status: status, err: err}
	}
	state := mesh.Field(body, "state")
	return state == p.readyState, answer{state: strconv.Quote(state)}
}

// remaining is what is left of a limit; 0 stays "no limit", and a limit that is
// used up leaves time for one last look.
func remaining(limit time.Duration, start time.Time) time.Duration {
	if limit > 0 {
		limit = max(limit-time.Since(start), time.Millisecond)
	}
	return limit
}

func (r *run) logWaitEnded(what string, took time.Duration) {
	r.logEvent(event{severity: info, name: "wait-ended", took: took,
		text: "wait for " + what + " ended by " + signalName(r.ending) + " after " + show(took)})
}

// detect looks at the known ports for a mesh that answers.
func (r *run) detect() error {
	start := time.Now()
	var candidates []proxy
	for _, m := range mesh.All() {
		p, err := proxyOf(&m, r.env)
		if err != nil {
			return err
		}
		candidates = append(candidates, p)
	}
	found := -1
	r.poll(r.opts.DetectTimeout, requestLimit, func(left time.Duration) bool {
		for i := range candidates {
			if answers(&candidates[i], left, r.interrupted) {
				found = i
				return true
			}
		}
		return false
	})
	took := time.Since(start)
	switch {
	case r.ending != 0:
		r.logWaitEnded("a proxy", took)
	case found < 0:
		r.logEvent(event{severity: info, name: "no-proxy", took: took,
			text: "no proxy found within " + show(took) + ": running the command without one"})
	default:
		r.plan.proxies = withOverrides(r.opts, candidates[found:found+1])
		r.logEvent(event{severity: info, name: "proxy-found", took: took,
			text: candidates[found].name + " found after " + show(took)})
	}
	return nil
}

// answers reports whether a proxy is there: one that is not ready yet says 503,
// anything else is some other server on that port.
func answers(p *proxy, limit time.Duration, interrupted func() bool) bool {
	for _, request := range p.detect {
		status, err := request.Do(sock.For(limit, interrupted))
		if err == nil && (success(status) || status == 503) {
			return true
		}
	}
	return false
}

// success is what every readiness check and stop request means by "yes".
func success(status int) bool { return status >= 200 && status <= 299 }

// describe says in a few words what came back.
func describe(status int, err error) string {
	switch {
	case err == nil:
		return "answered " + itoa(status)
	case sock.IsRefused(err):
		return "connection refused"
	}
	return err.Error()
}
