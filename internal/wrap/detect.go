package wrap

import (
	"slices"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// candidates are the proxies of the table, without those that cannot be told from
// another one by their ports.
func candidates(pod *pod) ([]proxy, error) {
	var all []proxy
	for _, m := range mesh.All() {
		if m.Alike != "" {
			continue
		}
		p, err := proxyOf(&m, pod)
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// detect looks at the known ports for a mesh that answers.
func (r *run) detect() error {
	start := time.Now()
	all, err := candidates(r.pod)
	if err != nil {
		return err
	}
	found := -1
	r.poll(r.opts.DetectTimeout, requestLimit, func(left time.Duration) bool {
		found = slices.IndexFunc(all, func(p proxy) bool {
			_, there := p.isThere(left, r.interrupted)
			return there
		})
		return found >= 0
	})
	took := time.Since(start)
	switch {
	case r.ending != 0:
		r.logWaitEnded("a proxy", took)
	case found < 0:
		r.logEvent(event{severity: info, name: "no-proxy", took: took,
			text: "no proxy found within " + show(took) + ": running the command without one"})
	default:
		r.plan.proxies = withOverrides(r.opts, all[found:found+1])
		r.logEvent(event{severity: info, name: "proxy-found", took: took,
			text: all[found].name + " found after " + show(took)})
	}
	return nil
}

// isThere reports whether a proxy answers: one that is not ready yet says 503, and
// anything else is some other server on that port. All its URLs have the limit together.
func (p *proxy) isThere(limit time.Duration, interrupted func() bool) (answer, bool) {
	patience := sock.For(limit, interrupted)
	for i := range p.detect {
		ready, got := p.isReady(&p.detect[i], patience)
		if ready || got.err == nil && got.status == 503 {
			return got, true
		}
	}
	return answer{}, false
}

// isPartOf reports whether a program is only a part of one of the proxies named, by a port
// that is of both.
func isPartOf(name string, of []string) bool {
	m, known := mesh.ByName(name)
	for _, other := range of {
		o, ok := mesh.ByName(other)
		if known && ok && m.Shared && other != name && overlap(m.Ports(), o.Ports()) {
			return true
		}
	}
	return false
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(x string) bool { return slices.Contains(b, x) })
}

// othersLimit bounds the whole look at the proxies that nobody has named: the command and
// the end of the pod wait for it.
const othersLimit = 200 * time.Millisecond

// nameOthers tells of proxies that answer and that nobody stops, where the wrapper has
// chosen by itself which there are: each of them would keep the pod.
func (r *run) nameOthers() {
	if !r.plan.auto || len(r.plan.proxies) == 0 || r.ending != 0 {
		return
	}
	var minded []string
	for _, p := range r.plan.proxies {
		minded = append(minded, p.name)
	}
	all, err := candidates(r.pod)
	if err != nil {
		return // a fault that only a proxy has which is not in this pod
	}
	deadline := time.Now().Add(othersLimit)
	for _, p := range all {
		if p.native || slices.Contains(minded, p.name) || isPartOf(p.name, minded) {
			continue
		}
		// Each gets half of what is left, so that a server which never answers takes away
		// no more than that from the next.
		if _, there := p.isThere(time.Until(deadline)/2, r.interrupted); there {
			r.logEvent(event{severity: warning, name: "proxy-not-stopped",
				text: p.name + " answers too, and is not stopped: this pod will not end after the command",
				hint: "name all of them, as in --mesh " + strings.Join(append(slices.Clone(minded), p.name), ",")})
		}
	}
}
