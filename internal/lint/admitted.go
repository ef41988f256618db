package lint

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// Admitted is an object as policies of the cluster change its pods when they are made. What is
// found out about it is told of the object as it is written: its lines, and its fields.
type Admitted struct {
	// Object has another node than the object that was written, whose nodes have the lines of
	// what they came from.
	Object manifest.Object
	// Templates are its pod templates that a policy looks at, by their path.
	Templates map[string]Treatment
}

// An Admitter says what the policies of a cluster make of objects, in their order.
type Admitter interface {
	Admit(objects []manifest.Object) ([]Admitted, error)
}

// Treatment is what the policies do to the pods of one template, beside what is in it already.
type Treatment struct {
	// Native says that the proxies which webhooks add become native sidecars.
	Native bool
	// Wrapped says that the policies have wrapped a command that was not.
	Wrapped bool
	// Left is why nobody wraps the commands; empty where somebody does, or need not.
	Left string
}

// The label of a namespace in which the policies hold, and the label or annotation that keeps a
// pod out of them.
const (
	PolicyKey = "jobmesh.dev/inject"
	PolicyOn  = "enabled"
	PolicyOff = "disabled"

	// PolicyLabel is the label of such a namespace as people write it.
	PolicyLabel = PolicyKey + ": " + PolicyOn
)

// byPolicy is who makes native sidecars of proxies, in the words of messages.
const byPolicy = PolicyChart

// PolicyChart is the name of the chart with the policies, which is in a label of each of them.
const PolicyChart = "jobmesh-policy"

// CheckAdmitted returns the findings about an object as Check does, for what policies make of
// its pods.
func (l *Linter) CheckAdmitted(o manifest.Object, a Admitted) []Finding {
	return l.check(a.Object, &admission{written: o, treatments: a.Templates})
}

// An admission is what policies have done to the object of a pod.
type admission struct {
	written    manifest.Object
	treatments map[string]Treatment
}

// of is what they do to one pod template.
func (a *admission) of(t manifest.PodTemplate) Treatment {
	if a == nil {
		return Treatment{}
	}
	return a.treatments[t.Path.String()]
}

// pathOf returns where something stands in the object as it is written, whose containers may
// have been moved. Of what a policy has added it is the path of what that was added to.
func (a *admission) pathOf(admitted manifest.Object, path manifest.Path) manifest.Path {
	if a == nil {
		return path
	}
	var found manifest.Path
	from, to := admitted.Node, a.written.Node
	for i := 0; i < len(path); i++ {
		steps := path[i : i+1]
		next := manifest.Get(from, steps...)
		there := steps
		if field, isField := path[i].(string); isField && strings.HasSuffix(strings.ToLower(field), "containers") && i+1 < len(path) {
			steps = path[i : i+2]
			next = manifest.Get(from, steps...)
			there = containerNamed(to, manifest.Text(manifest.Get(next, "name")))
			i++
		}
		switch at := manifest.Get(to, there...); {
		case there != nil && at != nil:
			found, from, to = found.Join(there...), next, at
		case next == nil: // in neither of them
			return found.Join(steps...).Join(path[i+1:]...)
		default:
			return found
		}
	}
	return found
}

// containerNamed is the path to a container in a pod spec, nil where there is none.
func containerNamed(spec *yamlNode, name string) manifest.Path {
	for _, field := range []string{"initContainers", "containers"} {
		i := slices.IndexFunc(manifest.Items(manifest.Get(spec, field)), func(n *yamlNode) bool { return name != "" && manifest.Text(manifest.Get(n, "name")) == name })
		if i >= 0 {
			return manifest.Path{field, i}
		}
	}
	return nil
}

// leaves adds to a message why the policies leave the pod, where what they do would have helped.
func (p *pod) leaves(r *Rule, message string) string {
	left := p.treatment.Left
	if left == "" || !r.Hangs() && !strings.Contains(r.Fix, "`jobmesh inject`") {
		return message
	}
	return message + "; " + byPolicy + " does not help: " + left
}

// probedByPolicy tells whether a policy gives the proxy of a webhook a startup probe, which it
// makes of the readiness probe.
func (p *pod) probedByPolicy(x proxy) bool {
	after := rowOf(x.mesh).ReadyAfter
	_, waits := p.annotations[after]
	return x.native.By == byPolicy && (after == "" || !waits)
}

// HelperOf returns the helper of the table that a container runs for as long as nobody ends it,
// nil where it runs something else.
func HelperOf(c manifest.Container) *sidecar.Helper {
	return (&pod{profile: &Profile{}}).helperOf(newContainer(c))
}

// ProxyNames are the names of the containers that are proxies of meshes.
func ProxyNames() []string {
	var names []string
	for _, m := range mesh.All() {
		if m.Annotation != "" && m.Container != "" {
			names = append(names, m.Container)
		}
	}
	return names
}
