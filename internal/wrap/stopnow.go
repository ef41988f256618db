package wrap

// stopNow is the verb stop: every proxy that probe would show, ready or not, is asked to
// stop at once. A native sidecar is left to the kubelet, which would start it again. The
// code is 0 where each is gone, was never there, or took the stop and drains.
func (r *run) stopNow() int {
	seen, err := r.sightings()
	if err != nil {
		return r.internal(err)
	}
	r.plan.proxies = nil
	for _, s := range seen {
		switch p := s.proxy; {
		case !s.there:
		case p.native:
			r.logEvent(event{severity: info, name: "native-sidecar", text: p.name + " is a native sidecar: left to the kubelet"})
		case p.stoppable():
			r.plan.proxies = append(r.plan.proxies, *p)
		}
	}
	if len(r.plan.proxies) == 0 {
		r.logEvent(event{severity: info, name: "no-proxy", text: "no proxy to stop"})
		return 0
	}
	r.stopProxies(0, r.opts.StopTimeout)
	for i := range r.plan.proxies {
		if !r.plan.proxies[i].ended {
			return codeNotReady
		}
	}
	return 0
}
