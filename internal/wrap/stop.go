package wrap

import (
	"time"

	"github.com/jobmesh/jobmesh/internal/loopback"
)

// A verdict says what an answer to a stop request means.
type verdict int

const (
	accepted verdict = iota // look whether the proxy goes
	again                   // worth another try
	refused                 // final: the answer will not change
)

// judgeStop decides what the answer to a stop request means.
func judgeStop(status int, err error) verdict {
	switch {
	case err == loopback.ErrNoReply:
		// Envoy goes without a word; the port tells whether it did.
		return accepted
	case err != nil:
		return again
	case status >= 200 && status <= 299:
		return accepted
	case status == 408 || status == 429 || status >= 500:
		return again
	}
	return refused
}

// adviseStop is what to do about a final refusal.
func adviseStop(p *proxy, status int) string {
	switch status {
	case 404:
		return p.stopDisabled
	case 403:
		return "the proxy takes this request from the pod's loopback address only"
	case 405:
		return "the proxy wants another method; set it with --stop 'METHOD URL'"
	}
	return "set the request with --stop 'METHOD URL'"
}

// stopProxies asks every proxy to stop and sees it gone, all within limit. What
// goes wrong here is told and never changes the command's exit code.
func (r *run) stopProxies(limit time.Duration) {
	deadline := time.Now().Add(limit)
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		for _, request := range p.stop {
			r.stopOne(p, request, deadline)
		}
	}
}

func (r *run) stopOne(p *proxy, request *loopback.Request, deadline time.Time) {
	start := time.Now()
	status, err := 0, error(loopback.ErrTimeout)
	sent := false
	for time.Until(deadline) > 0 {
		status, err = request.Do(min(requestLimit, time.Until(deadline)), nil)
		v := judgeStop(status, err)
		sent = sent || v == accepted
		took := time.Since(start)
		switch {
		// A proxy that was there and refuses now has gone by itself, or with
		// an earlier request whose answer got lost. One that was never seen
		// may still come up, and would then keep the pod alive.
		case v == again && loopback.IsRefused(err) && (r.seen || sent):
			r.logEvent(event{severity: info, name: "proxy-gone", took: took,
				text: p.name + " is gone already"})
			return
		case v == accepted && r.gone(request.URL, deadline):
			took = time.Since(start)
			r.logEvent(event{severity: info, name: "proxy-stopped", took: took,
				text: p.name + " stopped after " + show(took)})
			return
		case v == accepted && err == nil:
			r.logEvent(event{severity: warning, name: "proxy-lingers", took: time.Since(start),
				text: p.name + " took " + request.String() + " and is still there after " + show(time.Since(start)),
				hint: "the pod ends when it does; open connections hold a proxy for as long as its drain time"})
			return
		case v == refused:
			r.logEvent(event{severity: failure, name: "stop-failed", took: took,
				text: p.name + " did not stop: " + request.String() + " was answered " + itoa(status),
				hint: adviseStop(p, status)})
			return
		}
		if v == again && err == nil {
			r.logEvent(event{severity: info, name: "stop-again", took: took,
				text: request.String() + " was answered " + itoa(status) + ", trying again"})
		}
		time.Sleep(max(min(stopPause(time.Since(start)), time.Until(deadline)), 0))
	}
	took := time.Since(start)
	r.logEvent(event{severity: failure, name: "stop-failed", took: took,
		text: p.name + " not stopped after " + show(took) + ": " + request.String() + ": " + describe(status, err),
		hint: "the pod stays up for as long as this proxy does; check the port with --stop"})
}

// stopPause is the pause between two stop requests: an answer such as 503 does
// not change within milliseconds, and each try is a line in the log.
func stopPause(spent time.Duration) time.Duration {
	return max(20*time.Millisecond, min(spent/2, 500*time.Millisecond))
}

// gone waits until nobody listens at the URL any more.
func (r *run) gone(u loopback.URL, deadline time.Time) bool {
	for start := time.Now(); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		if u.Refuses(min(requestLimit, left)) {
			return true
		}
		time.Sleep(min(gonePause(time.Since(start)), left))
	}
}

// gonePause is the pause between two looks at a port that should close. Every
// millisecond of it is one that the Job's pod lives on.
func gonePause(spent time.Duration) time.Duration {
	return max(time.Millisecond/2, min(spent/4, 50*time.Millisecond))
}
