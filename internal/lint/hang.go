package lint

import (
	"cmp"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
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
	// endless is a command that never ends, as it is written. alone says that the pod has no
	// other work.
	endless string
	alone   bool
	// by is the container that asks a helper to stop, which the helper does not do.
	by string
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

// enough counts a stop that happens only after success as a sure one where the kubelet
// starts a failed container again: until it succeeds the container needs the proxy, and when
// backoffLimit is reached the pod is deleted.
func (p *pod) enough(o script.Outcome) script.Outcome {
	if o == script.OnSuccess && p.restartPolicy == "OnFailure" {
		return script.Always
	}
	return o
}

func (p *pod) sharesProcesses() bool { return p.spec.get("shareProcessNamespace").text() == "true" }

// ends says when any container of the pod stops the proxy, and which containers do so.
func (p *pod) ends(name string) (best stopped, by []container) {
	for _, c := range p.work() {
		s := p.stops(c, name)
		if s.outcome != script.Never {
			by = append(by, c)
		}
		// A container that may stop the proxy is better than none, and worse than one
		// that surely does.
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
		if h, hangs := p.hangBeside(c, work); hangs {
			found = append(found, h)
		}
	}
	return found
}

// doubts returns the container of which lint cannot tell whether it stops a proxy.
func (p *pod) doubts() []Doubt {
	for _, x := range p.proxies {
		if x.native.Yes || rowOf(x.mesh).Rule == "" || p.hangsOn(x.name) {
			continue
		}
		best, by := p.ends(x.mesh)
		if best.outcome != script.CannotTell || len(by[0].reading.Refusals) > 0 {
			continue
		}
		at := p.commandOf(by[0])
		line, _ := p.position(at)
		return []Doubt{{p.object.String(), by[0].Name, p.object.Document.File, line, cmp.Or(by[0].reading.Opaque, "a test in its script")}}
	}
	for _, c := range p.apps {
		h := p.helperOf(c)
		if by, ends := p.mayEnd(c, h); ends && len(p.apps) > 1 {
			line, _ := p.position(p.commandOf(by))
			return []Doubt{{p.object.String(), by.Name, p.object.Document.File, line, "`" + unread(by) + "`"}}
		}
	}
	return nil
}

// unread returns the script that a container runs and that lint cannot read, because it is in
// a file; "" where there is none.
func unread(c container) string {
	if c.reading.Opaque != "" {
		return c.reading.Opaque
	}
	i := slices.IndexFunc(c.reading.Programs, func(name string) bool { return strings.HasSuffix(name, ".sh") })
	if i < 0 {
		return ""
	}
	return c.reading.Programs[i]
}

// mayEnd returns the container of which lint cannot tell whether it ends a helper: its script
// cannot be read, and there is a way for it. That is a signal where the containers share
// their processes, and the request where somebody has turned that on.
func (p *pod) mayEnd(c container, h *sidecar.Helper) (by container, may bool) {
	if h == nil {
		return container{}, false
	}
	asked := slices.ContainsFunc(h.Ends, func(e sidecar.Ending) bool {
		return e.Signal == "" && strings.HasPrefix(e.Needs, "-") && c.hasSet(h, e.Needs)
	})
	i := slices.IndexFunc(p.apps, func(other container) bool {
		return (asked || p.sharesProcesses()) && other.Name != c.Name && p.helperOf(other) == nil && unread(other) != ""
	})
	if i < 0 {
		return container{}, false
	}
	return p.apps[i], true
}

// hangBeside reports whether a container never ends by itself and is not ended by another.
func (p *pod) hangBeside(c container, work []container) (hang, bool) {
	if isProxyContainer(c.Name) || p.supervised(c) != nil {
		return hang{}, false
	}
	works := slices.ContainsFunc(work, func(w container) bool { return w.Name == c.Name })
	h := p.helperOf(c)
	switch {
	case h != nil && (h.EndedBy != "" || len(p.apps) < 2 || works):
		return hang{}, false
	case h != nil:
		return p.helperHangs(c, h)
	case c.reading.Endless == "" || p.mayBeKilled(c) || works && p.mayRunOn():
		return hang{}, false
	}
	return hang{rule: "JM106", proxy: c.Name, container: c, endless: c.reading.Endless, alone: works}, true
}

func (p *pod) helperHangs(c container, h *sidecar.Helper) (hang, bool) {
	best, by := p.ends(cmp.Or(h.Mesh, h.Name))
	switch {
	case best.outcome != script.Never && best.byURL && !c.serves(h):
		return hang{rule: "JM117", proxy: c.Name, container: c, by: by[0].Name, note: h.Name}, true
	case best.outcome != script.Never || p.mayBeKilled(c) || p.askedAt(h):
		return hang{}, false
	}
	if _, may := p.mayEnd(c, h); may {
		return hang{}, false
	}
	return hang{rule: "JM106", proxy: c.Name, container: c, note: best.note}, true
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
	if p.byExecutor(x) {
		if !p.killRefused(x) {
			return hang{}, false
		}
		at := container{Container: manifest.Container{Name: argoWait}, place: p.annotation(p.killCommand(x))}
		return hang{rule: needs.Rule, proxy: x.name, container: at}, true
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
		return hang{rule: rule, proxy: x.name, container: first, note: note}, true
	case best.byURL && p.refusesStop(x.mesh, needs):
		note := "; its stop endpoint is off until the pod is annotated " + needs.Key + ": " + strconv.Quote(needs.Value)
		return hang{rule: needs.Rule, proxy: x.name, container: by[0], note: note}, true
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
func (p *pod) helperOf(c container) *sidecar.Helper {
	var programs []string
	if c.command {
		programs = c.reading.Programs
	}
	if h := sidecar.FindIn(p.profile.Helpers, c.image, programs, c.argv); h != nil {
		if h.EndedBy != "" {
			return nil
		}
		return h
	}
	h := sidecar.Find(c.image, programs, c.argv)
	if h == nil || h.EndsItself(c.argv, c.env) {
		return nil
	}
	switch {
	case c.reading.Shell && c.reading.Opaque == "" && len(programs) > 0: // the script was read to its end
		if !c.reading.Helper {
			return nil
		}
	case ended.MatchString(strings.Join(c.argv, " ")):
		return nil
	}
	return h
}

// supervised returns the program that ends a container from outside.
func (p *pod) supervised(c container) *sidecar.Supervisor {
	return sidecar.Supervised(c.Name, c.words, c.env)
}

// mayBeKilled tells whether another container sends signals, and lint cannot tell to whom.
func (p *pod) mayBeKilled(c container) bool {
	if !p.sharesProcesses() {
		return false
	}
	return slices.ContainsFunc(p.apps, func(other container) bool {
		return other.Name != c.Name && slices.ContainsFunc(other.reading.Programs, func(name string) bool {
			return slices.Contains([]string{"kill", "pkill", "killall"}, name)
		})
	})
}

// askedAt tells whether the work of the pod has the address at which a helper takes the
// request to end.
func (p *pod) askedAt(h *sidecar.Helper) bool {
	for _, e := range h.Ends {
		port, path := e.At()
		if e.Request == "" {
			continue
		}
		for _, c := range p.work() {
			if strings.Contains(strings.Join(c.argv, " "), ":"+port+path) {
				return true
			}
		}
	}
	return false
}

// mayRunOn tells whether a container of the work may run on when the object has succeeded:
// a bare pod is somebody's own, and a success policy or a daemon ends the rest.
func (p *pod) mayRunOn() bool {
	return p.object.Kind == "Pod" && !isHook(p.object) || p.job.get("successPolicy").node != nil ||
		p.root.get("spec", "successPolicy").node != nil || p.spec.get("daemon").text() == "true"
}

// serves tells whether a helper takes the request that ends it, unless that cannot be told.
func (c container) serves(h *sidecar.Helper) bool {
	for _, e := range h.Ends {
		if e.Signal == "" && (!strings.HasPrefix(e.Needs, "-") || c.hasSet(h, e.Needs)) {
			return true
		}
	}
	_, configured := c.flag("config-file", true)
	return h.Checked == "" || configured || c.reading.Shell && c.reading.Opaque != "" || c.place.get("envFrom").node != nil
}

// hasSet tells whether a switch of a helper is on, by its flag or by its variable, or may be.
func (c container) hasSet(h *sidecar.Helper, flag string) bool {
	value, given := c.flag(strings.TrimLeft(flag, "-"), false)
	if !given {
		value = c.env[h.Variable(flag)]
	}
	yes, _ := mesh.Truthy.Bool(value)
	return yes || strings.ContainsAny(value, "\x00$")
}
