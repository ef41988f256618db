package lint

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

const (
	kueueQueue       = "kueue.x-k8s.io/queue-name"
	helmHook         = "helm.sh/hook"
	argoHook         = "argocd.argoproj.io/hook"
	podSecurityLabel = "pod-security.kubernetes.io/enforce"
)

// A hang is a reason for which the Job never ends: what outlives its work, and the
// rule that says so.
type hang struct {
	rule      string
	proxy     string
	container container
	note      string
}

// stopped is when a container stops the proxy of a mesh, and what to say about it.
type stopped struct {
	outcome script.Outcome
	note    string
	byURL   bool // an HTTP request, by itself or by a wrapper
}

// stops decides when a container stops the proxy of a mesh, or a helper.
func (p *pod) stops(c container, name string) stopped {
	if len(c.reading.Refusals) > 0 {
		return stopped{outcome: script.CannotTell} // JM116 reports the command line that is refused
	}
	var note string
	if w := c.reading.Wrapper; w != nil {
		s := p.wrapperStops(*w, name)
		if s.outcome != script.Never {
			return s
		}
		note = s.note
	}
	for _, call := range c.reading.Stops {
		switch why, reaches := p.reaches(call, name); {
		case !reaches:
			note = cmp.Or(why, note)
			continue
		case c.reading.Outcome == script.Never:
			note = "; the call that would stop it is never reached"
			continue
		}
		return stopped{outcome: p.enough(c.reading.Outcome), byURL: !call.Signal}
	}
	if c.reading.Swallowed != "" && note == "" {
		note = "; `" + c.reading.Swallowed + "` is an argument of the command before it here, and is not run"
	}
	if c.reading.Opaque != "" && note == "" {
		note = "; cannot tell what `" + c.reading.Opaque + "` runs"
	}
	return stopped{note: note}
}

// enough takes a stop after success alone for one that is sure where the kubelet
// starts a container that fails again: it needs the proxy then, and when backoffLimit
// is reached the pod is deleted.
func (p *pod) enough(o script.Outcome) script.Outcome {
	if o == script.OnSuccess && p.restartPolicy == "OnFailure" {
		return script.Always
	}
	return o
}

func (p *pod) sharesProcesses() bool { return p.spec.get("shareProcessNamespace").text() == "true" }

// ends tells when the pod as a whole stops the proxy, and which containers do.
func (p *pod) ends(name string) (best stopped, by []container) {
	for _, c := range p.work() {
		s := p.stops(c, name)
		if s.outcome != script.Never {
			by = append(by, c)
		}
		// One that cannot be told about is better than none, and worse than one
		// that is sure.
		if rank(s.outcome) > rank(best.outcome) || best.note == "" && best.outcome == script.Never {
			best = s
		}
	}
	return best, by
}

func rank(o script.Outcome) int {
	return map[script.Outcome]int{script.Never: 0, script.OnSuccess: 1, script.CannotTell: 2, script.Always: 3}[o]
}

// findHangs decides what outlives the work of the pod.
func findHangs(p *pod) []hang {
	work := p.work()
	if len(work) == 0 || p.windows {
		return nil
	}
	var found []hang
	for _, x := range p.proxies {
		if h, hangs := p.hangOf(x, work[0]); hangs {
			found = append(found, h)
		}
	}
	for _, c := range p.apps {
		h := helperOf(c)
		if h == nil || h.EndedBy != "" || isProxyContainer(c.Name) || len(p.apps) < 2 || slices.ContainsFunc(work, func(w container) bool { return w.Name == c.Name }) {
			continue
		}
		if best, _ := p.ends(cmp.Or(h.Mesh, h.Name)); best.outcome == script.Never {
			found = append(found, hang{"JM106", c.Name, c, best.note})
		}
	}
	return found
}

func (p *pod) hangOf(x proxy, first container) (hang, bool) {
	m := rowOf(x.mesh)
	rule, needs := m.Rule, m.StopNeeds
	if x.native.Yes || rule == "" {
		return hang{}, false // Kuma's control plane stops its proxy itself
	}
	if only := m.Inject.InitOnly; only.Key != "" {
		if yes, _ := only.Read.Bool(p.annotations[only.Key]); yes {
			return hang{}, false
		}
	}
	if row := p.template.Row; row.Sidecars == kind.Controller && (m.Shell || p.annotations[row.KillCommand+x.name] != "") {
		// Argo's executor runs kill in the containers that it does not know; it needs a
		// shell there, which Linkerd's proxy has not, or the command in an annotation.
		return hang{}, false
	}
	best, by := p.ends(x.mesh)
	switch {
	case best.outcome == script.Never:
		if x.written && m.WrittenRule != "" {
			rule = m.WrittenRule
		}
		note := best.note
		if note == "" && !x.written && m.Annotation != "" {
			note = " (in the mesh: " + x.by + "; classic: " + x.native.By + ")"
			if x.native.Open != "" {
				note = " (in the mesh: " + x.by + "; classic as far as is known: " + x.native.Open + ")"
			}
		}
		return hang{rule, x.name, first, note}, true
	case best.byURL && p.refusesStop(x.mesh, needs):
		note := "; its stop endpoint is off until the pod is annotated " + needs.Key + ": " + strconv.Quote(needs.Value)
		return hang{needs.Rule, x.name, by[0], note}, true
	}
	return hang{}, false
}

// refusesStop tells whether a proxy answers the stop request with 404, as Linkerd's does
// since 2.16 and Vault's agent always, unless an annotation turns the endpoint on.
func (p *pod) refusesStop(name string, needs mesh.Switch) bool {
	if needs.Key == "" || p.version(name).Before(needs.Since.Major, needs.Since.Minor) {
		return false
	}
	value, ok := p.annotations[needs.Key]
	if !ok {
		value = p.namespace.Annotations[needs.Key]
	}
	yes, _ := needs.Read.Bool(value)
	return !yes && value != needs.Value
}

// ended recognises commands that end a helper themselves: after a time, or when a file
// says that the work is done.
var ended = regexp.MustCompile(`(^|[\s;&|/(])(timeout|kill|pkill|killall)\s`)

// helperOf returns the helper that a container runs, nil for anything else. One that does
// its work once is the work of a Job, as is one that is ended by its own command.
func helperOf(c container) *sidecar.Helper {
	var programs []string
	if c.command {
		programs = c.reading.Programs
	}
	h := sidecar.Find(c.image, programs, c.argv)
	if h == nil || h.EndsItself(c.argv, c.env) || ended.MatchString(strings.Join(c.argv, " ")) {
		return nil
	}
	return h
}
