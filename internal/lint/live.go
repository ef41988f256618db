package lint

import (
	"slices"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// A Part says what one container of a pod is there for.
type Part struct {
	// Name is the name of the container.
	Name string
	// Init is set for init containers, and Native for those init containers that are native
	// sidecars.
	Init, Native bool
	// Mesh is the row of internal/mesh that describes the container; it is empty where the
	// container is no proxy.
	Mesh string
	// Helper is the row of internal/sidecar that describes the container; it is nil where the
	// container is no helper.
	Helper *sidecar.Helper
	// Serves is set for a helper that accepts a stop request, and for one of which that is not
	// known.
	Serves bool
	// Work is set where the end of this container is what the Job waits for.
	Work bool
	// Wrapped is set where jobmesh-wrap, or another wrapper, runs the command of the container.
	Wrapped bool
	// Asks is set where the command asks a proxy or a helper beside it to stop.
	Asks bool
}

// Parts describes the containers of the first pod template of an object: init containers first,
// in the order of the manifest. It is empty where the pods of the object are not meant to end.
func (l *Linter) Parts(o manifest.Object) []Part {
	pods := podsOf(o, nil, &l.profile, l.namespaces)
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
			part.Helper = nil // the pod has no other container that could be the work
		}
		part.Serves = part.Helper != nil && c.serves(part.Helper)
		part.Asks = part.Work && p.asks(c, besides)
		parts = append(parts, part)
	}
	return parts
}

// Proxies returns the rows of internal/mesh whose classic proxies the pods of an object will
// have.
func (l *Linter) Proxies(o manifest.Object) []string {
	var names []string
	for _, p := range podsOf(o, nil, &l.profile, l.namespaces) {
		for _, x := range p.proxies {
			if !x.native.Yes {
				names = append(names, x.mesh)
			}
		}
	}
	return names
}

// besides returns the names of the proxies and helpers in the pod, as in internal/mesh and
// internal/sidecar.
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

// asks tells whether a container asks one of these to stop.
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
