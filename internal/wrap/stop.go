package wrap

import (
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// A verdict says what an answer to a stop request means.
type verdict int

const (
	accepted verdict = iota // the proxy will end: look whether it does
	again                   // the request is worth another try
	refused                 // the answer is final, and will not change
)

// judgeStop decides what the answer to a stop request means.
func judgeStop(status int, err error) verdict {
	switch {
	case err == plainhttp.ErrNoReply:
		// Envoy may end before it has answered. Its port shows whether it did.
		return accepted
	case err != nil:
		return again
	case success(status):
		return accepted
	case status == 408 || status == 429 || status >= 500:
		return again
	}
	return refused
}

// adviseStop is what to do about a final refusal.
func adviseStop(p *proxy, status int) string {
	switch {
	case status == 401 && p.tokenVariable != "":
		return "set " + p.tokenVariable + " in this container to the token that the proxy was given"
	case status == 404 && p.stopDisabled != "":
		return p.stopDisabled
	case status == 403:
		return "the proxy takes this request from the pod's loopback address only"
	case status == 405:
		return "the proxy wants another method; " + ownStop
	}
	return ownStop
}

const ownStop = "set the request with --stop 'METHOD URL'"

// checkStops finds out before the command runs whether the stop requests would be turned
// down, so that a Job that is going to hang says so while somebody may still be looking.
func (r *run) checkStops() {
	if r.opts.StopWhen == wrapflags.StopNever {
		return
	}
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		if p.stopSwitch != nil && (p.seen || len(p.ready) == 0) {
			r.checkStopSwitch(p)
		}
		if p.seen && p.stopElsewhere == "" {
			r.checkStopAddress(p)
		}
	}
}

// checkStopAddress warns where nobody listens at the address of a stop request. A proxy
// may open its ports one after another, so one that refuses is looked at again.
func (r *run) checkStopAddress(p *proxy) {
	const limit, pause = 50 * time.Millisecond, 50 * time.Millisecond
	for _, request := range p.stop {
		if !request.Refused(limit) {
			continue
		}
		if r.rest(pause); r.ending != 0 || !request.Refused(limit) {
			continue
		}
		r.logEvent(event{severity: warning, name: "stop-disabled",
			text: "the stop endpoint of " + p.name + " is off or elsewhere: nobody listens at " + request.URL.Text + ", so this pod will not end after the command",
			hint: p.adviseEndpoint()})
	}
}

// adviseEndpoint is what to do about a stop endpoint where nobody listens.
func (p *proxy) adviseEndpoint() string {
	if p.stopDisabled == "" {
		return ownStop
	}
	return p.stopDisabled + "; or " + ownStop
}

// checkStopSwitch asks a proxy whether its stop endpoint is on. A native sidecar that is
// found here is left alone.
func (r *run) checkStopSwitch(p *proxy) {
	status, body, err := p.stopSwitch.Body(sock.For(requestLimit, r.interrupted))
	off, known := mesh.StopOff(p.stopSwitch.URL.Text, body)
	switch {
	case err != nil || !success(status) || !known || !off:
	case p.nativeVersion:
		p.stop, p.native = nil, true
		r.logEvent(event{severity: info, name: "native-sidecar",
			text: p.name + " " + p.version + " has its stop endpoint off: taken for a native sidecar, which the kubelet stops"})
	default:
		r.logEvent(event{severity: warning, name: "stop-disabled",
			text: p.name + " has its stop endpoint off: this pod will not end after the command",
			hint: p.stopDisabled})
	}
}

// A stopping is one stop request on its way.
type stopping struct {
	proxy   *proxy
	request *plainhttp.Request
	// taken is set once the proxy has accepted; then its port has to close, which it has
	// been seen to have done since closed.
	taken  bool
	closed time.Time
	// next is when to send again.
	next time.Time
	// status and err are what the last try brought.
	status int
	err    error
	done   bool
	// elsewhere is a URL at which the proxy still listens, while nobody does at that of
	// the request; "" otherwise.
	elsewhere string
}

// elsewhereLimit is how long a proxy may take to close its other ports too, once the one
// of the stop request is closed.
const elsewhereLimit = 250 * time.Millisecond

// stopProxies asks every proxy to stop and looks whether they go, all within limit. What
// goes wrong is logged, and never changes the command's exit code.
func (r *run) stopProxies(code int, limit time.Duration) {
	start := time.Now()
	deadline := start.Add(limit)
	var all []*stopping
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		for _, request := range p.stop {
			all = append(all, &stopping{proxy: p, request: request, err: sock.ErrTimeout})
		}
	}
	r.stopByRequests(all, start, deadline)
	for i := range r.plan.proxies {
		if p := &r.plan.proxies[i]; p.stopProcess != "" {
			r.stopBySignal(p, code, deadline)
		}
	}
}

// stopByRequests sends all requests in their order before it waits for any proxy: one that
// lingers, or never answers, must not keep back the request to the next.
func (r *run) stopByRequests(all []*stopping, start, deadline time.Time) {
	for looks := 0; ; looks++ {
		left := false
		for _, s := range all {
			if !s.done && !s.taken && !time.Now().Before(s.next) && time.Now().Before(deadline) {
				r.send(s, start, deadline)
			}
			if s.taken && !s.done && s.request.Refused(min(requestLimit, max(time.Until(deadline), time.Millisecond))) {
				r.portClosed(s, start, false)
			}
			left = left || !s.done
		}
		if !left {
			return
		}
		pause := time.Until(deadline)
		if pause <= 0 {
			break
		}
		time.Sleep(min(pause, gonePause(looks)))
	}
	for _, s := range all {
		if !s.done {
			r.logUnstopped(s, start)
		}
	}
}

// portClosed says what is known of a proxy that took the stop and has closed the port of
// that request: that it is gone, or that it may drain yet. It may be closing its other
// ports at this moment, which is waited for unless the time is over.
func (r *run) portClosed(s *stopping, start time.Time, over bool) {
	p, took := s.proxy, time.Since(start)
	if s.closed.IsZero() {
		s.closed = time.Now()
	}
	e := event{severity: info, name: "proxy-draining", took: took}
	at := p.listensAt()
	switch {
	case at != "" && !over && time.Since(s.closed) < elsewhereLimit:
		return
	case at != "":
		e.text = p.name + " took the stop and is draining: after " + show(took) + " it still listens at " + at
	case p.grace.Unseen:
		e.text = p.name + " took the stop after " + show(took) + ", closed its port and may be draining: it ends once no connection " +
			"is open, at the latest after its grace period (" + p.grace.Key + ", " + p.grace.Default() + " without it)"
	default:
		e.name, e.text = "proxy-stopped", p.name+" stopped after "+show(took)
	}
	s.done = true
	r.logEvent(e)
}

// send sends a stop request once, and acts on the answer.
func (r *run) send(s *stopping, start, deadline time.Time) {
	if r.waitsForAnswer(s, start, deadline) {
		return
	}
	s.status, s.err = s.request.Do(sock.For(min(requestLimit, time.Until(deadline)), nil))
	took := time.Since(start)
	s.next = time.Now().Add(stopPause(took))
	switch judgeStop(s.status, s.err) {
	case accepted:
		s.taken, s.proxy.ended = true, true
	case refused:
		s.done = true
		r.logEvent(event{severity: failure, name: "stop-failed", took: took,
			text: s.proxy.name + " did not stop: " + s.request.String() + " was answered " + itoa(s.status),
			hint: adviseStop(s.proxy, s.status)})
	case again:
		r.judgeAgain(s, start)
	}
}

// waitsForAnswer reports whether a stop request has to be kept back, because the proxy
// has not answered yet and would never end after it.
func (r *run) waitsForAnswer(s *stopping, start, deadline time.Time) bool {
	p := s.proxy
	if !p.stopAfterAnswer || p.answered {
		return false
	}
	for i := range p.detect {
		_, got := p.isReady(&p.detect[i], sock.For(min(requestLimit, time.Until(deadline)), nil))
		if got.err == nil {
			p.answered = true
			return false
		}
		s.status, s.err = got.status, got.err
	}
	took := time.Since(start)
	s.next = time.Now().Add(stopPause(took))
	if p.asked {
		s.done = true
		r.logEvent(event{severity: warning, name: "stop-failed", took: took,
			text: p.name + " not asked to stop: it has not answered at " + p.detect[0].URL.Text + " yet, and would not end after a request that comes too early",
			hint: "the kubelet ends it when the pod is deleted"})
	}
	return true
}

// judgeAgain decides whether a stop request that failed gets another try.
func (r *run) judgeAgain(s *stopping, start time.Time) {
	p, took := s.proxy, time.Since(start)
	p.answered = p.answered || s.err == nil
	s.elsewhere = ""
	switch {
	case s.err == nil:
		r.logEvent(event{severity: info, name: "stop-again", took: took,
			text: s.request.String() + " was answered " + itoa(s.status) + ", trying again"})
	case p.fallbackStop != nil && sock.IsRefused(s.err) && !p.fallbackStop.Refused(fallbackLimit):
		s.request, p.fallbackStop = p.fallbackStop, nil
		s.next = time.Now()
	case p.asked && !p.answered && r.dropIn && sock.IsRefused(s.err):
		s.done = true
		r.logEvent(event{severity: info, name: "proxy-gone", took: took, text: p.name + " is not there"})
	case p.asked && !p.answered:
		// The proxy may never have been there, and was waited for already.
		s.done = true
		r.logUnstopped(s, start)
	case !sock.IsRefused(s.err) || !p.seen:
		// A proxy that nobody waited for may still come up, and would then keep the pod.
	case p.listensAt() == "":
		s.done, p.ended = true, true
		r.logEvent(event{severity: info, name: "proxy-gone", took: took, text: p.name + " is gone already"})
	case p.stopElsewhere != "":
		s.done = true
		r.logEvent(event{severity: info, name: "proxy-gone", took: took,
			text: "nobody listens at " + s.request.URL.Text + ": " + p.stopElsewhere})
	default:
		s.elsewhere = p.listensAt()
		if s.done = took >= elsewhereLimit; s.done {
			r.logUnstopped(s, start)
		}
	}
}

func (r *run) logUnstopped(s *stopping, start time.Time) {
	p := s.proxy
	if !s.closed.IsZero() {
		r.portClosed(s, start, true)
		return
	}
	took := time.Since(start)
	if s.taken && s.err == nil {
		hint := "the pod ends when it does; open connections hold a proxy for as long as its drain time"
		if p.graceAdvice != "" {
			hint = "the pod ends when it does, after its grace period of " + p.grace.Default() + ": " + p.graceAdvice
		}
		r.logLingering(p, s.request.String(), took, hint)
		return
	}
	e := event{severity: failure, name: "stop-failed", took: took}
	if s.elsewhere != "" {
		e.text = p.name + " not stopped: its stop endpoint is off or elsewhere: nobody listens at " + s.request.URL.Text +
			", and it still listens at " + s.elsewhere
		e.hint = p.adviseEndpoint()
	} else {
		e.text = p.name + " not stopped after " + show(took) + ": " + s.request.String() + ": " + describe(s.status, s.err)
		e.hint = "the pod stays up for as long as this proxy does; check the port with --stop"
	}
	r.logEvent(e)
}

func (r *run) logLingering(p *proxy, what string, took time.Duration, hint string) {
	r.logEvent(event{severity: warning, name: "proxy-lingers", took: took,
		text: p.name + " took " + what + " and is still there after " + show(took), hint: hint})
}

// stopBySignal ends a proxy without a stop endpoint, through the process
// namespace that its container shares. Code is that of the command.
func (r *run) stopBySignal(p *proxy, code int, deadline time.Time) {
	start := time.Now()
	// After a failure the Job tries again, and a proxy that drains could keep it from
	// doing so for minutes. So it is killed.
	sig := p.stopSignal
	if code != 0 {
		sig = syscall.SIGKILL
	}
	pids, err := processesNamed(p.stopProcess)
	if err != nil || len(pids) == 0 {
		text := "no process " + p.stopProcess + " to stop"
		if err != nil {
			text = "process " + p.stopProcess + " not looked for: " + err.Error()
		}
		r.logEvent(event{severity: failure, name: "stop-failed", text: text,
			hint: "the pod needs shareProcessNamespace: true; the name is that in /proc/PID/comm"})
		return
	}
	signalled := pids[:0]
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && err != syscall.ESRCH {
			r.logEvent(event{severity: failure, name: "stop-failed",
				text: "process " + p.stopProcess + " (" + itoa(pid) + ") not stopped: " + err.Error(),
				hint: "the container needs the proxy's user id, or the capability KILL"})
			continue
		}
		signalled = append(signalled, pid)
	}
	if pids = signalled; len(pids) == 0 {
		return
	}
	if !awaitGone(deadline, func(time.Duration) bool { return !anyAlive(pids) }) {
		r.logLingering(p, signalName(sig), time.Since(start), "the pod ends when it does")
		return
	}
	p.ended = true
	took := time.Since(start)
	r.logEvent(event{severity: info, name: "proxy-stopped", took: took,
		text: p.stopProcess + " stopped by " + signalName(sig) + " after " + show(took)})
}

// stopPause is the pause between two stop requests: an answer such as 503 does
// not change within milliseconds, and each try is a line in the log.
func stopPause(spent time.Duration) time.Duration {
	return max(20*time.Millisecond, min(spent/2, 500*time.Millisecond))
}

// awaitGone looks again and again, until gone returns true or the deadline has passed, and
// reports which. gone may take as long as its argument says.
func awaitGone(deadline time.Time, gone func(time.Duration) bool) bool {
	for looks := 0; ; looks++ {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		if gone(min(requestLimit, left)) {
			return true
		}
		time.Sleep(min(gonePause(looks), left))
	}
}

// gonePause is the pause after so many looks at something that should go, the first of
// which is number 0: 1, 2, 4 and 8 ms, then 20 ms each. Most proxies are gone within a
// few milliseconds, and the Job's pod lives on for as long as the wrapper sleeps.
func gonePause(look int) time.Duration {
	if look < 4 {
		return time.Millisecond << look
	}
	return 20 * time.Millisecond
}
