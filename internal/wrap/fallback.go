package wrap

import (
	"time"

	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// Istio's agent has a port that an annotation moves or turns off, for readiness and for
// the stop. Its Envoy has one that stays.

// fallbackLimit bounds a look at whether anybody listens.
const fallbackLimit = 50 * time.Millisecond

// readyByFallback reports whether a proxy says at its fallback that it is ready, and
// nobody listens at the port of its stop request. That is looked at before and after, so
// that an agent which is only just coming up is not passed over for its Envoy.
func (p *proxy) readyByFallback(patience sock.Patience) bool {
	if p.fallback == nil || !p.stopRefused() {
		return false
	}
	ready, got := p.isReady(p.fallback, patience)
	p.answered = p.answered || got.err == nil
	return ready && p.stopRefused()
}

// stopRefused reports whether nobody listens where the proxy takes its stop request. A
// proxy that is not ours to stop has a native sidecar's agent there all the same.
func (p *proxy) stopRefused() bool {
	if len(p.stop) == 0 {
		return p.detect[0].Refused(fallbackLimit)
	}
	return p.stop[0].Refused(fallbackLimit)
}

// preferFallback makes the fallback the proxy's stop request where nobody listens at its
// own, and somebody does there.
func (p *proxy) preferFallback() {
	if p.fallbackStop != nil && p.stopRefused() && !p.fallbackStop.Refused(fallbackLimit) {
		p.stop, p.fallbackStop = []*plainhttp.Request{p.fallbackStop}, nil
	}
}
