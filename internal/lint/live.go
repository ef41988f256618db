package lint

import (
	"slices"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// A Part is what one container of a pod is there for.
type Part struct {
	// Name is that of the container.
	Name string
	// Init is set for init containers, Native for those of them that are native sidecars.
	Init, Native bool
	// Mesh is the row of the proxy that it is, empty where it is none.
	Mesh string
	// Helper is the row of the helper that it is, nil where it is none.
	Helper *sidecar.Helper
	// Serves is set for a helper that takes the request that ends it, or of which that cannot
	// be told.
	Serves bool
	// Work is set where the Job is over when it has ended.
	Work bool
	// Wrapped is set where our wrapper, or another one, runs the command of the container.
	Wrapped bool
	// Asks is set where its command asks a proxy or a helper beside it to stop.
	Asks bool
}

// Parts says what the containers of the first pod template of an object are there for:
// init containers first, in the order of the manifest. It is empty where the pods of the
// object are not meant to end.
func (l *Linter) Parts(o manifest.Object) []Part {
	pods := podsOf(o, &l.profile, l.namespaces)
	if len(pods) == 0 {
		return nil
	}
	p := pods[0]
	work, besides := p.work(), p.besides()
	var parts []Part
	for _, c := range slices.Concat(p.inits, p.apps) {
		part := Part{Name: c.Name, Init: c.Init, Native: c.Native, Helper: p.helperOf(c), Wrapped: c.reading.Wrapper != nil}
		part.Work = !c.Init && slices.ContainsFunc(work, func(w container) bool { return w.Name == c.Name })
		for _, m := range mesh.All() {
			if m.Container != "" && m.Container == c.Name {
				part.Mesh = m.Name
			}
		}
		if part.Work {
			part.Helper = nil // nothing else is in the pod that could be the work
		}
		part.Serves = part.Helper != nil && c.serves(part.Helper)
		part.Asks = part.Work && p.asks(c, besides)
		parts = append(parts, part)
	}
	return parts
}

// Proxies are the rows of internal/mesh whose classic proxies the pods of an object will have.
func (l *Linter) Proxies(o manifest.Object) []string {
	var names []string
	for _, p := range podsOf(o, &l.profile, l.namespaces) {
		for _, x := range p.proxies {
			if !x.native.Yes {
				names = append(names, x.mesh)
			}
		}
	}
	return names
}

// besides are the rows, of internal/mesh and of internal/sidecar, of what is beside the work.
func (p *pod) besides() []string {
	var names []string
	for _, x := range p.proxies {
		names = append(names, x.mesh)
	}
	for _, c := range p.apps {
		if h := p.helperOf(c); h != nil {
			names = append(names, h.Mesh, h.Name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == "" })
}

// asks tells whether a container asks any of these to stop.
func (p *pod) asks(c container, besides []string) bool {
	return slices.ContainsFunc(besides, func(name string) bool { return p.stops(c, name).outcome != script.Never })
}

// Hangs tells whether a rule says that the Job stays active when its work has ended.
func (r *Rule) Hangs() bool {
	if slices.Contains([]string{"JM106", "JM114", "JM117"}, r.ID) {
		return true
	}
	return slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool {
		return r.ID == m.Rule || r.ID == m.WrittenRule || r.ID == m.StopNeeds.Rule
	})
}
