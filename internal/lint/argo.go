package lint

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/script"
)

// Argo Workflows adds two containers to the pods of its templates: an init container that
// fetches artifacts, and a container that waits for the end of the work, saves artifacts and
// reports to the API server. The second one ends the other containers when the work has ended.
const (
	argoInit = "init"
	argoWait = "wait"
)

// byExecutor tells whether the controller of the kind ends a proxy when the work has ended.
// Argo's executor runs kill in the containers that it does not know. For that it needs a shell
// in the container, or else a command that an annotation names.
func (p *pod) byExecutor(x proxy) bool {
	m := rowOf(x.mesh)
	return p.template.Row.Sidecars == kind.Controller && (m.Shell || p.annotations[p.killCommand(x)] != "")
}

// killCommand returns the name of the annotation that tells the controller which command ends a
// proxy.
func (p *pod) killCommand(x proxy) string { return p.template.Row.KillCommand + x.name }

// killRefused tells whether that command asks the proxy to stop although the proxy refuses such
// requests.
func (p *pod) killRefused(x proxy) bool {
	return strings.Contains(p.annotations[p.killCommand(x)], "shutdown") && p.refusesStop(x.mesh, rowOf(x.mesh).StopNeeds)
}

// takesNetwork reports a container of a workflow that stops the proxy while the executor's own
// container still has to save artifacts and to report.
func (p *pod) takesNetwork(r *reporter) {
	if p.template.Row.Sidecars != kind.Controller {
		return
	}
	for _, x := range p.proxies {
		m := rowOf(x.mesh)
		if x.native.Yes || m.Rule == "" || !m.Redirects() || p.hangsOn(x.name) {
			continue
		}
		for _, c := range p.work() {
			if o := p.stops(c, x.mesh).outcome; o == script.Always || o == script.OnSuccess {
				r.add(c.place, c.Name, "other", argoWait, "proxy", x.name)
				return
			}
		}
	}
}

// fetched returns the first input artifact that Argo's init container fetches over the network.
// A raw artifact is not fetched, because its text stands in the template.
func (p *pod) fetched() (at place, ok bool) {
	artifacts := p.spec.get("inputs", "artifacts")
	if p.template.Row.Form != kind.Argo {
		return at, false
	}
	for i := range manifest.Items(artifacts.node) {
		if at := artifacts.get(i); at.node != nil && at.get("raw").node == nil {
			return at, true
		}
	}
	return at, false
}

// withSource returns the command line of an Argo script with its source as an argument of the
// shell; Argo itself passes it as a file. The source of another interpreter is left out.
func withSource(argv []string, source string) []string {
	for i, word := range slices.Backward(argv) {
		if script.IsShell(word) {
			return append(slices.Clone(argv), "-c", source)
		}
		if i == 0 || !strings.HasPrefix(word, "-") {
			break
		}
	}
	return argv
}
