package wrap

import (
	"os"
	"runtime"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/loopback"
	"github.com/jobmesh/jobmesh/internal/mesh"
)

// requestLimit bounds one request of a poll.
const requestLimit = time.Second

// pollDelay is the pause before the next try, by the time spent waiting. Most
// proxies are ready within two seconds, where a try costs 30 microseconds; the
// cubic curve keeps the delay a late proxy causes small for as long as it can.
func pollDelay(waited time.Duration) time.Duration {
	const (
		first, middle, last = 5 * time.Millisecond, 50 * time.Millisecond, 250 * time.Millisecond
		steady, slow, end   = 2 * time.Second, 10 * time.Second, 60 * time.Second
	)
	switch {
	case waited < steady:
		return first
	case waited < slow:
		x := float64(waited-steady) / float64(slow-steady)
		return first + time.Duration(x*x*x*float64(middle-first))
	case waited < end:
		x := float64(waited-slow) / float64(end-slow)
		return middle + time.Duration(x*float64(last-middle))
	}
	return last
}

// poll calls try until it reports true, the limit is over (0: there is none),
// or a signal that ends the wait arrives, which it returns.
//
// Everything happens in this one thread, down to a sleep that bypasses the
// scheduler: with a goroutine for each try, futex calls between threads took 4 %
// of a core, ten times what the requests themselves do.
func (r *run) poll(limit time.Duration, try func(left time.Duration) bool) (done bool, sig syscall.Signal) {
	for start := time.Now(); ; {
		left := requestLimit
		if limit > 0 {
			if left = min(left, limit-time.Since(start)); left <= 0 {
				return false, 0
			}
		}
		if try(left) {
			return true, 0
		}
		if r.interrupted() {
			return false, r.ending
		}
		pause := pollDelay(time.Since(start))
		if limit > 0 {
			pause = min(pause, limit-time.Since(start))
		}
		nap(pause)
	}
}

// nap sleeps, less long when a signal arrives.
func nap(d time.Duration) {
	if d > 0 {
		pause := syscall.NsecToTimespec(d.Nanoseconds())
		_ = syscall.Nanosleep(&pause, nil)
	}
	// A goroutine that never yields is preempted by a signal every 10 ms.
	runtime.Gosched()
}

// interrupted takes the signals that have arrived and reports whether one of
// them ends the wait. That one is kept in r.ending.
func (r *run) interrupted() bool {
	for r.ending == 0 {
		select {
		case s := <-r.signals:
			if sig, ends := endsWait(s); ends {
				r.ending = sig
			}
		default:
			return false
		}
	}
	return true
}

// endsWait reports whether a signal that arrives before the command runs ends
// the wrapper. These four mean "stop" wherever they come from; the others are
// messages to a command that does not exist yet, which a container's first
// process would not get either.
func endsWait(s os.Signal) (syscall.Signal, bool) {
	switch s {
	case syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGHUP:
		return s.(syscall.Signal), true
	}
	return 0, false
}

// waitReady waits until each proxy of the plan is ready.
func (r *run) waitReady() (ready bool, sig syscall.Signal) {
	start := time.Now()
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		if len(p.ready) == 0 {
			continue
		}
		limit := r.opts.readyTimeout
		if limit > 0 {
			// What an earlier proxy took is gone; one last look remains.
			limit = max(limit-time.Since(start), time.Millisecond)
		}
		lastAnswer := ""
		done, sig := r.poll(limit, func(left time.Duration) bool {
			for _, request := range p.ready {
				status, err := request.Do(left, r.interrupted)
				if err == nil && status >= 200 && status <= 299 {
					return true
				}
				lastAnswer = describe(status, err)
			}
			return false
		})
		took := time.Since(start)
		if sig != 0 {
			r.logEvent(event{severity: info, name: "wait-ended", took: took,
				text: "wait for " + p.name + " ended by " + signalName(sig) + " after " + show(took)})
			return false, sig
		}
		if !done {
			e := event{severity: failure, name: "proxy-not-ready", took: took,
				text: p.name + " not ready after " + show(took) + ": " + p.ready[0].URL.Text + ": " + lastAnswer,
				hint: "look at the proxy container's log, or allow more time with --ready-timeout"}
			if r.opts.onReadyTimeout == onTimeoutRun {
				e.severity = warning
			}
			r.logEvent(e)
			return false, 0
		}
		r.seen = true
		r.logEvent(event{severity: info, name: "proxy-ready", took: took,
			text: p.name + " ready after " + show(took)})
	}
	return true, 0
}

// detect looks at the known ports for a mesh that answers.
func (r *run) detect() (sig syscall.Signal, err error) {
	start := time.Now()
	type candidate struct {
		mesh  mesh.Mesh
		proxy proxy
	}
	var candidates []candidate
	for _, m := range mesh.All() {
		p, err := proxyOf(m, "")
		if err != nil {
			return 0, err
		}
		candidates = append(candidates, candidate{m, p})
	}
	var found *candidate
	_, sig = r.poll(r.opts.detectTimeout, func(left time.Duration) bool {
		for i := range candidates {
			for _, request := range candidates[i].proxy.ready {
				// Any HTTP answer will do: a proxy that is not ready yet is
				// there all the same.
				if _, err := request.Do(left, r.interrupted); err == nil {
					found = &candidates[i]
					return true
				}
			}
		}
		return false
	})
	took := time.Since(start)
	switch {
	case sig != 0:
	case found == nil:
		r.logEvent(event{severity: info, name: "no-proxy", took: took,
			text: "no proxy found within " + show(took) + ": running the command without one"})
	default:
		r.plan.proxies = withOverrides(r.opts, []proxy{found.proxy})
		r.logEvent(event{severity: info, name: "proxy-found", took: took,
			text: found.mesh.Name + " found after " + show(took)})
	}
	return sig, nil
}

// describe says in a few words what came back.
func describe(status int, err error) string {
	if err == nil {
		return "answered " + itoa(status)
	}
	if loopback.IsRefused(err) {
		return "connection refused"
	}
	return err.Error()
}
