package wrap

import (
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
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

// poll calls try again and again until one of three things happens: try returns true; the
// limit is over, where 0 means no limit; or a signal that ends the wait arrives, which is
// then in r.ending. One call of try may take as long as each.
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

// interrupted reports whether a signal that ends the wait has arrived, and keeps that
// signal in r.ending.
func (r *run) interrupted() bool {
	r.rest(0)
	return r.ending != 0
}

// rest sleeps for d, or until a signal ends the wait.
func (r *run) rest(d time.Duration) {
	if r.ending == 0 {
		r.ending = r.signals.awaitEnd(d)
	}
}

// waitReady waits until every proxy of the plan is ready. It returns false where one was
// not ready in time, or a signal ended the wait.
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
		p.preferFallback()
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
		for i := range p.ready {
			ready, got := p.isReady(&p.ready[i], sock.For(left, r.interrupted))
			p.answered = p.answered || got.err == nil
			if ready {
				return true
			}
			// A look that was cut short by the limit says nothing about the proxy, so
			// the answer before it is the one to tell.
			if last == (answer{}) || left == requestLimit || got.err != sock.ErrTimeout {
				last = got
			}
		}
		return p.readyByFallback(sock.For(left, r.interrupted))
	})
	return done, last
}

// An answer is what came back from a readiness check.
type answer struct {
	status int
	err    error
	// state says what was answered, where the words of the answer count beside its status.
	state string
}

func (a answer) String() string {
	if a.state != "" {
		return a.state
	}
	return describe(a.status, a.err)
}

// isReady looks once whether a proxy says that it is ready.
func (p *proxy) isReady(c *check, patience sock.Patience) (bool, answer) {
	if p.readyState != "" && len(c.Addresses) == 0 {
		// scuttle may be told to wait for the Envoy of another pod, by a name that has
		// to be looked up.
		var err error
		if c.Addresses, err = addressesOf(c.URL.Host, c.URL.Port, patience); err != nil {
			return false, answer{err: err}
		}
	}
	status, body, err := c.Body(patience)
	got := answer{status: status, err: err}
	if err != nil || !success(status) {
		return false, got
	}
	if p.readyState != "" {
		state := mesh.Field(body, "state")
		got.state = "state " + strconv.Quote(state)
		return state == p.readyState, got
	}
	if c.body != "" && strings.TrimSpace(body) != c.body {
		got.state = "answered " + itoa(status) + ", but not with the body " + strconv.Quote(c.body)
		return false, got
	}
	return true, got
}

// remaining returns what is left of a limit. A limit of 0 means none, and stays 0; one that
// is used up leaves a millisecond, for one last look.
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
