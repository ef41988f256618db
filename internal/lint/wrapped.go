package lint

import (
	"cmp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// wrapperStops says when a wrapper stops the proxy of a mesh, or a helper.
func (p *pod) wrapperStops(w script.Wrapper, name string) stopped {
	if w.Stops == script.Never {
		return stopped{}
	}
	var note string
	m := rowOf(name)
	_, _, path := m.StopURL()
	for _, call := range w.Asks {
		why, reaches := p.reaches(call, name)
		if reaches && (call.Mesh != "" || call.Signal || path == "/quitquitquit") {
			return stopped{outcome: p.enough(w.Stops), byURL: !call.Signal}
		}
		note = cmp.Or(why, note)
	}
	switch {
	case w.AsksElse:
		return stopped{outcome: script.CannotTell}
	case len(w.Asks) > 0:
		return stopped{note: note}
	case slices.Contains(w.Meshes, name):
		return stopped{outcome: p.enough(w.Stops), byURL: true}
	case w.Looks:
		outcome, note := p.finds(name)
		if outcome == script.Always {
			outcome = p.enough(w.Stops)
		}
		return stopped{outcome: outcome, note: note, byURL: true}
	}
	return stopped{}
}

// reaches tells whether a call is meant for the proxy of a mesh, or for a helper, and takes
// effect there. Where the call is meant for it and has no effect, why is the reason to print.
func (p *pod) reaches(call script.Stop, name string) (why string, ok bool) {
	switch {
	case call.Looks:
		outcome, why := p.finds(name)
		return why, outcome != script.Never
	case call.Mesh != "" && call.Mesh != name:
		return "", false
	case call.Signal && !p.sharesProcesses():
		return "; `" + call.Tool + "` cannot reach it without shareProcessNamespace", false
	case !call.Signal && !call.Post && !rowOf(name).StopByGet && !endsByGet(name):
		return "; `" + call.Tool + "` sends a GET, and the proxy only accepts a POST", false
	}
	return "", true
}

// endsByGet tells whether a helper accepts a GET as the request to end.
func endsByGet(name string) bool {
	return slices.ContainsFunc(sidecar.All(), func(h sidecar.Helper) bool {
		return h.Name == name && slices.ContainsFunc(h.Ends, func(e sidecar.Ending) bool { return e.Method() == "GET" })
	})
}

// finds tells whether a wrapper that was not told the mesh finds this proxy. Such a wrapper
// asks the known ports, and handles only the first proxy that answers.
func (p *pod) finds(name string) (outcome script.Outcome, note string) {
	m, known := mesh.ByName(name)
	switch {
	case !known || len(m.Ready)+len(m.Detect) == 0:
		return script.Never, ""
	case m.Annotation != "":
		return script.Always, ""
	}
	for _, x := range p.proxies {
		if first := rowOf(x.mesh); len(first.Ready)+len(first.Detect) > 0 {
			return script.Never, "; the wrapper handles only the first proxy that it finds, which is `" + x.name + "`"
		}
	}
	for _, c := range p.apps {
		if h := p.helperOf(c); h != nil && h.Mesh == name {
			return answers(c, h)
		}
	}
	return script.CannotTell, ""
}

// answers tells whether a helper answers where the wrapper asks, and ends when it is asked to.
func answers(c container, h *sidecar.Helper) (outcome script.Outcome, note string) {
	switch {
	case h.OnlyProcess:
		return script.Never, "; it serves neither readiness nor a stop request"
	case h.VariablePrefix == "":
		return script.CannotTell, "" // Envoy's admin port stands in its configuration, which lint does not read
	}
	known := true
	is := func(flag, otherwise, want string) bool {
		value, given := c.flag(flag, want != "true")
		if !given {
			value = c.env[h.Variable(flag)]
		}
		if strings.ContainsAny(value, "\x00$") {
			known = false
		}
		return cmp.Or(value, otherwise) == want
	}
	on := is("health-check", "false", "true")
	on = is("quitquitquit", "false", "true") && on
	row := rowOf(h.Mesh)
	_, stopPort, _ := row.StopURL()
	readyPort := row.ReadyPorts()[0]
	on = is("http-port", readyPort, readyPort) && is("admin-port", stopPort, stopPort) && on
	_, configured := c.flag("config-file", true)
	switch {
	case on:
		return script.Always, ""
	case !known || configured || c.place.get("envFrom").node != nil:
		return script.CannotTell, ""
	}
	return script.Never, "; the wrapper finds it with --health-check, and stops it with --quitquitquit, on their usual ports"
}

// flag returns the value of a long flag of a container's program. The parameter valued says
// that the flag takes a value; without it the flag is a switch.
func (c container) flag(name string, valued bool) (value string, given bool) {
	words := strings.Fields(strings.Join(c.argv, " "))
	for i, w := range words {
		rest, found := strings.CutPrefix(w, "--"+name)
		switch {
		case found && strings.HasPrefix(rest, "="):
			return rest[1:], true
		case found && rest == "" && !valued:
			return "true", true
		case found && rest == "" && i+1 < len(words):
			return words[i+1], true
		}
	}
	return "", false
}
