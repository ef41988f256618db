package wrap

import (
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
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
	case err == plainhttp.ErrNoReply:
		// Envoy goes without a word; the port tells whether it did.
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
	const own = "set the request with --stop 'METHOD URL'"
	switch {
	case status == 404 && p.stopDisabled != "":
		return p.stopDisabled
	case status == 403:
		return "the proxy takes this request from the pod's loopback address only"
	case status == 405:
		return "the proxy wants another method; " + own
	}
	return own
}

// checkStopSwitch finds out before the command runs whether the stop request
// would be turned down, so that a Job that is going to hang says so while
// somebody may still be looking. A native sidecar found here is left alone.
func (r *run) checkStopSwitch() {
	const limit = 250 * time.Millisecond // a wait on top of the wait for the proxy
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		if p.stopSwitch == nil || !p.seen {
			continue
		}
		status, body, err := p.stopSwitch.Body(sock.For(limit, r.interrupted))
		off, known := mesh.LinkerdShutdownOff(body)
		switch {
		case err != nil || !success(status) || !known || !off:
		case mesh.LinkerdNativeByDefault(p.version):
			p.stop, p.native = nil, true
			r.logEvent(event{severity: info, name: "native-sidecar",
				text: p.name + " " + p.version + " has its stop endpoint off: taken for a native sidecar, which the kubelet stops"})
		default:
			r.logEvent(event{severity: warning, name: "stop-disabled",
				text: p.name + " has its stop endpoint off: this pod will not end after the command",
				hint: p.stopDisabled})
		}
	}
}

// stopProxies asks every proxy to stop and sees it gone, all within limit. What
// goes wrong here is told and never changes the command's exit code.
func (r *run) stopProxies(code int, limit time.Duration) {
	deadline := time.Now().Add(limit)
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		for _, request := range p.stop {
			r.stopByRequest(p, request, deadline)
		}
		if p.stopProcess != "" {
			r.stopBySignal(p, code, deadline)
		}
	}
}

func (r *run) stopByRequest(p *proxy, request *plainhttp.Request, deadline time.Time) {
	start := time.Now()
	status, err := 0, error(sock.ErrTimeout)
	sent := false
	for time.Until(deadline) > 0 {
		status, err = request.Do(sock.For(min(requestLimit, time.Until(deadline)), nil))
		v := judgeStop(status, err)
		sent = sent || v == accepted
		// A proxy that was there and refuses now has gone by itself, or with
		// an earlier request whose answer got lost. One that was never seen
		// may still come up, and would then keep the pod alive.
		if v == again && sock.IsRefused(err) && (p.seen || sent) {
			text := p.name + " is gone already"
			if p.stopElsewhere != "" {
				text = "nobody listens at " + request.URL.Text + ": " + p.stopElsewhere
			}
			r.logEvent(event{severity: info, name: "proxy-gone", took: time.Since(start), text: text})
			return
		}
		if v == accepted && awaitGone(deadline, request.Refused) {
			took := time.Since(start)
			r.logEvent(event{severity: info, name: "proxy-stopped", took: took,
				text: p.name + " stopped after " + show(took)})
			return
		}
		took := time.Since(start)
		switch {
		case v == accepted && err == nil:
			r.logLingering(p, request.String(), took)
			return
		case v == refused:
			r.logEvent(event{severity: failure, name: "stop-failed", took: took,
				text: p.name + " did not stop: " + request.String() + " was answered " + itoa(status),
				hint: adviseStop(p, status)})
			return
		case err == nil:
			r.logEvent(event{severity: info, name: "stop-again", took: took,
				text: request.String() + " was answered " + itoa(status) + ", trying again"})
		}
		nap(min(stopPause(took), time.Until(deadline)))
	}
	took := time.Since(start)
	r.logEvent(event{severity: failure, name: "stop-failed", took: took,
		text: p.name + " not stopped after " + show(took) + ": " + request.String() + ": " + describe(status, err),
		hint: "the pod stays up for as long as this proxy does; check the port with --stop"})
}

func (r *run) logLingering(p *proxy, what string, took time.Duration) {
	r.logEvent(event{severity: warning, name: "proxy-lingers", took: took,
		text: p.name + " took " + what + " and is still there after " + show(took),
		hint: "the pod ends when it does; open connections hold a proxy for as long as its drain time"})
}

// stopBySignal ends a proxy without a stop endpoint, through the process
// namespace that its container shares. Code is that of the command.
func (r *run) stopBySignal(p *proxy, code int, deadline time.Time) {
	start := time.Now()
	// SIGKILL after a failure: a proxy that drains could hold a pod that is to
	// be retried for minutes.
	sig := syscall.SIGTERM
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
	for _, pid := range pids {
		if err := syscall.Kill(pid, sig); err != nil && err != syscall.ESRCH {
			r.logEvent(event{severity: failure, name: "stop-failed",
				text: "process " + p.stopProcess + " (" + itoa(pid) + ") not stopped: " + err.Error(),
				hint: "the container needs the proxy's user id, or the capability KILL"})
			return
		}
	}
	if !awaitGone(deadline, func(time.Duration) bool { return !anyAlive(pids) }) {
		r.logLingering(p, signalName(sig), time.Since(start))
		return
	}
	took := time.Since(start)
	r.logEvent(event{severity: info, name: "proxy-stopped", took: took,
		text: p.stopProcess + " stopped by " + signalName(sig) + " after " + show(took)})
}

// stopPause is the pause between two stop requests: an answer such as 503 does
// not change within milliseconds, and each try is a line in the log.
func stopPause(spent time.Duration) time.Duration {
	return max(20*time.Millisecond, min(spent/2, 500*time.Millisecond))
}

// awaitGone waits until gone says so, which gets what is left of the time.
func awaitGone(deadline time.Time, gone func(time.Duration) bool) bool {
	for start := time.Now(); ; {
		left := time.Until(deadline)
		if left <= 0 {
			return false
		}
		if gone(min(requestLimit, left)) {
			return true
		}
		nap(min(gonePause(time.Since(start)), left))
	}
}

// gonePause is the pause between two looks at something that should go. Every
// millisecond of it is one that the Job's pod lives on.
func gonePause(spent time.Duration) time.Duration {
	return max(time.Millisecond/2, min(spent/4, 50*time.Millisecond))
}
