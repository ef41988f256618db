package script

import (
	"cmp"
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// known is what the table of meshes says about command texts.
var known = read(mesh.All())

// A knowledge recognises calls to proxies.
type knowledge struct {
	// endpoints are the stop requests of the proxies, the most specific one first.
	endpoints []endpoint
	// deaf matches a stop request to a port at which a proxy does not accept it.
	deaf *regexp.Regexp
	// processes are the process names of the proxies to which signals are sent.
	processes []process
	// ready matches a request to a proxy's readiness endpoint. Such a request is waiting, not
	// work.
	ready *regexp.Regexp
	// clients are programs in a proxy's image that can ask it to stop.
	clients map[string]mesh.Mesh
	// words are the last elements of the endpoints' paths. Every text with a stop request
	// contains one of them.
	words []string
}

// An endpoint is a part of a URL, and the mesh whose proxy accepts the request; "" means any
// mesh.
type endpoint struct {
	part *regexp.Regexp
	mesh string
}

// A process is a program by its name; of is its mesh or helper, and "" where it may belong to
// any.
type process struct{ name, of string }

// read makes the patterns for texts out of the rows of the table.
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

// endpointsOf returns the stop requests as patterns that identify the mesh. Where several
// proxies have the same path, the pattern is the port. Where no other path ends in the same
// way, it is the path. A path that other programs may have needs the port, or the loopback
// address with any port. For a program that several proxies use, the path alone is the last
// pattern.
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

// MayStop tells whether a text may contain a stop request to a proxy.
func MayStop(text string) bool {
	return slices.ContainsFunc(known.words, func(word string) bool { return strings.Contains(text, word) })
}

// stopIn returns the mesh of the stop request in a text.
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
