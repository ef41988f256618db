package wrap

import ()

// stopNow is the verb stop: every proxy that answers, or that the flags name, is asked
// to stop at once, ready or not. A native sidecar is left to the kubelet, which would
// start it again. The code is 0 where each is gone, or took the stop and drains.
func (r *run) stopNow() int {
	r.pod = r.readPod()
	var err error
	if r.plan, err = decide(r.opts, r.pod); err != nil {
		return r.internal(err)
	}
	if r.plan.detect {
		if r.plan.proxies, err = r.present(probeLimit); err != nil {
			return r.internal(err)
		}
	}
	asked := 0
	for i := range r.plan.proxies {
		p := &r.plan.proxies[i]
		if p.native {
			r.logEvent(event{severity: info, name: "native-sidecar", text: p.name + " is a native sidecar: left to the kubelet"})
		}
		if p.stoppable() {
			asked++
		}
	}
	if asked == 0 {
		r.logEvent(event{severity: info, name: "no-proxy", text: "no proxy to stop"})
		return 0
	}
	r.stopProxies(0, r.opts.StopTimeout)
	for i := range r.plan.proxies {
		if p := &r.plan.proxies[i]; p.stoppable() && !p.ended {
			return codeNotReady
		}
	}
	return 0
}
