package wrap

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// A sighting is what the verbs probe and stop found out about one proxy.
type sighting struct {
	proxy      *proxy
	there      bool   // it answers as a proxy does, or somebody listens where one is named
	annotation string // "set", "empty", or "-" where nothing says
	answer     string // of the readiness check
	ready      string
	native     string
	stop       string
}

// probe prints what the wrapper sees, for a person on call. It sends nothing
// that changes state.
func (r *run) probe() int {
	seen, err := r.sightings()
	if err != nil {
		return r.internal(err)
	}
	if r.log.json {
		return printOut(probeJSON(seen))
	}
	return printOut(probeTable(seen))
}

// sightings looks at each proxy that the flags or the pod's annotations name, and where
// they name none, at all that the table knows by their ports.
func (r *run) sightings() ([]sighting, error) {
	r.pod = r.readPod()
	var err error
	if r.plan, err = decide(r.opts, r.pod); err != nil {
		return nil, err
	}
	named := len(r.plan.proxies) > 0
	if !named {
		if r.plan.proxies, err = candidates(r.pod); err != nil {
			return nil, err
		}
	}
	var seen []sighting
	for i := range r.plan.proxies {
		s := r.look(&r.plan.proxies[i])
		s.there = s.there || named && s.proxy.listens()
		seen = append(seen, s)
	}
	return withoutShared(seen), nil
}

// listens reports whether somebody listens at any address of a proxy. Who is stopped by a
// signal is looked for among the processes, and not here.
func (p *proxy) listens() bool {
	all := slices.Clone(p.stop)
	for _, c := range append(slices.Clone(p.ready), p.detect...) {
		all = append(all, c.Request)
	}
	if p.fallback != nil {
		all = append(all, p.fallback.Request)
	}
	return p.stopProcess != "" || slices.ContainsFunc(all, func(r *plainhttp.Request) bool { return !r.Refused(probeLimit) })
}

// probeLimit bounds one request of the verbs probe and stop.
const probeLimit = requestLimit

// look asks one proxy whether it is there and ready.
func (r *run) look(p *proxy) sighting {
	s := sighting{proxy: p, annotation: "-", answer: "no check", ready: "-", native: "no", stop: "-"}
	if m, ok := mesh.ByName(p.name); ok && m.Annotation != "" {
		if value, present := r.pod.word(m.Annotation, m.Variable()); present {
			s.annotation = "empty"
			if mesh.Injected(value) {
				s.annotation = "set"
			}
		}
	}
	for i := range p.ready {
		ready, got := p.isReady(&p.ready[i], sock.For(probeLimit, r.interrupted))
		p.asked, p.answered = true, p.answered || got.err == nil
		if s.answer, s.ready = got.String(), "no"; ready {
			s.ready, p.seen = "yes", true
			break
		}
	}
	if s.ready == "no" && p.readyByFallback(sock.For(probeLimit, r.interrupted)) {
		s.answer, s.ready, p.seen = "answered at "+p.fallback.URL.Text, "yes", true
	}
	// As auto looks: a proxy may answer elsewhere before it does where it is asked.
	if s.there = p.seen; !s.there {
		if got, there := p.isThere(probeLimit, r.interrupted); there {
			s.answer, s.there, p.asked, p.answered = got.String(), true, true, true
		}
	}
	if s.there {
		p.preferFallback()
	}
	if p.stopSwitch != nil && s.there {
		if _, body, err := p.stopSwitch.Body(sock.For(probeLimit, r.interrupted)); err == nil {
			if off, known := mesh.StopOff(p.stopSwitch.URL.Text, body); known && off {
				s.stop = "switched off: " + p.stopDisabled
				if p.nativeVersion {
					p.native = true
				}
			}
		}
	}
	switch {
	case p.native:
		s.native, s.stop = "yes", "left to the kubelet"
	case p.stopProcess != "":
		s.stop = signalName(p.stopSignal) + " to " + p.stopProcess
	case s.stop == "-" && len(p.stop) > 0:
		var requests []string
		for _, request := range p.stop {
			requests = append(requests, request.String())
		}
		s.stop = strings.Join(requests, ", then ")
	}
	return s
}

// withoutShared leaves out a program that is part of another proxy which answers: an
// Envoy with Istio's agent is no Envoy by itself.
func withoutShared(seen []sighting) []sighting {
	var names []string
	for i := range seen {
		if seen[i].there {
			names = append(names, seen[i].proxy.name)
		}
	}
	return slices.DeleteFunc(seen, func(s sighting) bool { return s.there && isPartOf(s.proxy.name, names) })
}

func (s *sighting) cells() []string {
	return []string{s.proxy.name, s.annotation, s.answer, s.ready, s.native, s.stop}
}

func probeTable(seen []sighting) string {
	rows := [][]string{{"PROXY", "ANNOTATION", "ANSWER", "READY", "NATIVE", "STOP"}}
	for i := range seen {
		rows = append(rows, seen[i].cells())
	}
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	var b strings.Builder
	for _, row := range rows {
		for i, cell := range row {
			b.WriteString(cell)
			if i < len(row)-1 {
				b.WriteString(strings.Repeat(" ", widths[i]-len(cell)+2))
			}
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func probeJSON(seen []sighting) string {
	keys := []string{"proxy", "annotation", "answer", "ready", "native", "stop"}
	var b strings.Builder
	b.WriteString(`{"proxies":[`)
	for i := range seen {
		if i > 0 {
			b.WriteByte(',')
		}
		for j, cell := range seen[i].cells() {
			separator := ","
			if j == 0 {
				separator = "{"
			}
			value := quoteJSON(cell)
			if keys[j] == "ready" || keys[j] == "native" {
				value = "false"
				if cell == "yes" {
					value = "true"
				}
			}
			b.WriteString(separator + `"` + keys[j] + `":` + value)
		}
		b.WriteByte('}')
	}
	b.WriteString("]}\n")
	return b.String()
}
