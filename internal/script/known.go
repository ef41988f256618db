package script

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// known is what the table of meshes says about the text of a command.
var known = read(mesh.All())

// A knowledge recognises calls to proxies.
type knowledge struct {
	// endpoints are what the proxies take for the request to stop, the most telling
	// first.
	endpoints []endpoint
	// deaf is that request to a port of a proxy that does not obey it.
	deaf *regexp.Regexp
	// processes are the proxies by the names that a signal is sent to.
	processes []process
	// ready is a request to a proxy's readiness endpoint, which is waiting, not work.
	ready *regexp.Regexp
	// clients are programs that come with a proxy and can ask it to stop.
	clients map[string]mesh.Mesh
	// words are the last parts of their paths: a text that holds a request to stop has
	// one of them.
	words []string
}

// An endpoint is a part of a URL and the mesh whose proxy obeys it, "" where that
// may be any.
type endpoint struct {
	part *regexp.Regexp
	mesh string
}

// A process is a program by its name and, in of, the mesh or helper that it is of; "" where
// that may be any.
type process struct{ name, of string }

// read turns the rows of the table into what is looked for in a text.
func read(rows []mesh.Mesh) knowledge {
	k := knowledge{endpoints: endpointsOf(rows), clients: map[string]mesh.Mesh{}}
	for _, h := range sidecar.All() {
		for _, e := range h.Ends {
			if e.Request == "" {
				continue
			}
			port, path := e.At()
			k.words = append(k.words, path[strings.LastIndex(path, "/")+1:])
			k.endpoints = append([]endpoint{{regexp.MustCompile(port + `\}?` + regexp.QuoteMeta(path)), h.Name}}, k.endpoints...)
		}
	}
	var deaf, ready []string
	var shared []process
	for _, m := range rows {
		_, _, path := m.StopURL()
		k.words = append(k.words, path[strings.LastIndex(path, "/")+1:])
		deaf, ready = append(deaf, m.DeafPorts...), append(ready, m.ReadyPorts()...)
		if m.Client != "" {
			k.clients[m.Client] = m
		}
		for _, name := range m.Processes {
			if m.Shared {
				shared = append(shared, process{name, ""})
			} else {
				k.processes = append(k.processes, process{name, m.Canonical()})
			}
		}
	}
	for _, h := range sidecar.All() {
		for _, name := range h.Programs {
			if !slices.ContainsFunc(k.processes, func(p process) bool { return p.name == name }) && !slices.ContainsFunc(shared, func(p process) bool { return p.name == name }) {
				k.processes = append(k.processes, process{name, cmp.Or(h.Mesh, h.Name)})
			}
		}
	}
	k.processes = append(k.processes, shared...)
	k.deaf = regexp.MustCompile(`:(` + strings.Join(deaf, "|") + `)/quitquitquit`)
	k.ready = regexp.MustCompile(`(` + strings.Join(ready, "|") + `)\}?/(ready|live|healthz|server_info|v1\.0/healthz|startup|readiness)|/healthz/ready|/v1\.0/healthz`)
	return k
}

// endpointsOf are the stop requests by what tells whose they are: the port, where several
// proxies have the path; a path that is not the end of another; the port again, and
// the loopback address with any port, for a path that might be anybody's; the path
// alone of a program that is in several proxies.
func endpointsOf(rows []mesh.Mesh) []endpoint {
	var byPort, byPath, plain, loopback, shared []endpoint
	add := func(list *[]endpoint, pattern, name string) {
		*list = append(*list, endpoint{regexp.MustCompile(pattern), name})
	}
	for _, m := range rows {
		_, port, path := m.StopURL()
		quoted := regexp.QuoteMeta(path)
		same, tells := false, true
		for _, other := range rows {
			_, _, theirs := other.StopURL()
			same = same || other.Name != m.Name && theirs == path
			tells = tells && (other.Name == m.Name || !strings.HasSuffix(theirs, path))
		}
		switch {
		case m.Shared:
			add(&shared, strings.TrimPrefix(quoted, "/"), "")
		case same:
			for _, port := range append([]string{port}, m.AdminPorts...) {
				add(&byPort, port+`\}?`+quoted, m.Name)
			}
		case tells:
			add(&byPath, quoted, m.Name)
		default:
			add(&plain, port+`\}?`+quoted, m.Name)
			variable := strings.ToUpper(strings.ReplaceAll(m.Name, "-", "_"))
			add(&loopback, `(localhost|127\.0\.0\.1|`+variable+`[A-Z_]*\}?):[^/ ]*`+quoted, m.Name)
		}
	}
	return slices.Concat(byPort, byPath, plain, loopback, shared)
}

// MayStop tells whether a text may hold a request to stop a proxy.
func MayStop(text string) bool {
	return slices.ContainsFunc(known.words, func(word string) bool { return strings.Contains(text, word) })
}

// stopIn returns the stop request that a text holds.
func stopIn(text string) (name string, found bool) {
	if !MayStop(text) {
		return "", false
	}
	for _, e := range known.endpoints {
		if e.part.MatchString(text) {
			return e.mesh, e.mesh != "" || !known.deaf.MatchString(text)
		}
	}
	return "", false
}
