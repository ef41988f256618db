package wrap

import (
	"time"

	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// The port at which Istio's agent says whether it is ready, and takes the stop, can be
// moved or turned off by an annotation. The admin port of its Envoy cannot, so it is asked
// in the agent's place where nobody listens at the agent's port. This file is written for
// any row of the mesh table that has a Fallback.

// fallbackLimit bounds a look at whether anybody listens.
const fallbackLimit = 50 * time.Millisecond

// readyByFallback reports whether a proxy says at its fallback that it is ready, while
// nobody listens at the agent's port. That port is looked at before and after, so that the
// Envoy of an agent which is only just starting is not asked in the agent's place.
func (p *proxy) readyByFallback(patience sock.Patience) bool {
	if p.fallback == nil || !p.agentRefuses() {
		return false
	}
	ready, got := p.isReady(p.fallback, patience)
	p.answered = p.answered || got.err == nil
	return ready && p.agentRefuses()
}

// agentRefuses reports whether nobody listens at the port of the mesh's own stop request.
func (p *proxy) agentRefuses() bool { return p.agent.Refused(fallbackLimit) }

// preferFallback makes the fallback the proxy's stop request where nobody listens at the
// agent's port, and somebody does at the fallback's.
func (p *proxy) preferFallback() {
	if p.fallbackStop != nil && p.agentRefuses() && !p.fallbackStop.Refused(fallbackLimit) {
		p.stop, p.fallbackStop = []*plainhttp.Request{p.fallbackStop}, nil
	}
}
