package wrap

import (
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// A sighting is what probe found out about one proxy.
type sighting struct {
	proxy      *proxy
	annotation string // "set", "empty", or "-" where nothing says
	answer     string // of the readiness check
	ready      string
	native     string
	stop       string
}

// probe prints what the wrapper sees, for a person on call. It sends nothing
// that changes state.
func (r *run) probe() int {
	var err error
	if r.plan, err = decide(r.opts, r.env); err != nil {
		return r.internal(err)
	}
	var seen []sighting
	if r.plan.detect || len(r.plan.proxies) == 0 {
		for _, m := range mesh.All() {
			p, err := proxyOf(&m, r.env)
			if err != nil {
				return r.internal(err)
			}
			seen = append(seen, r.look(&p))
		}
	} else {
		for i := range r.plan.proxies {
			seen = append(seen, r.look(&r.plan.proxies[i]))
		}
	}
	if r.log.json {
		return printOut(probeJSON(seen))
	}
	return printOut(probeTable(seen))
}

// probeLimit bounds one request of the verbs probe and stop.
const probeLimit = 500 * time.Millisecond

// look asks one proxy whether it is there and ready.
func (r *run) look(p *proxy) sighting {
	s := sighting{proxy: p, annotation: "-", answer: "no check", ready: "-", native: "no", stop: "-"}
	if m, ok := mesh.ByName(p.name); ok {
		if value, present := r.env.lookup(m.Variable()); present {
			s.annotation = "empty"
			if mesh.Injected(value) {
				s.annotation = "set"
			}
		}
	}
	for _, request := range p.ready {
		status, err := request.Do(sock.For(probeLimit, r.interrupted))
		s.answer, s.ready = describe(status, err), "no"
		if err == nil && success(status) {
			s.ready, p.seen = "yes", true
			break
		}
	}
	if p.stopSwitch != nil && s.ready == "yes" {
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
