// Package rescue ends the containers that keep a pod running after its work is done. What may be
// touched, and how, is a function of the pod; the rest of the package acts on that decision, and
// reads the pod again before it acts.
//
// It acts only on a pod whose other containers have all ended and will not be started again. It
// never deletes anything: if the pod of a Job is deleted, the Job starts another one and the work
// is done twice (podReplacementPolicy: TerminatingOrFailed, which is the default).
package rescue

import (
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/sidecar"
	"github.com/jobmesh/jobmesh/internal/why"
)

// An Action says what is to be done with a pod.
type Action string

const (
	// End asks the containers that keep the pod to stop.
	End Action = "end"
	// Skip leaves the pod alone, because it is not stuck, or not for long enough.
	Skip Action = "skip"
	// Refuse leaves the pod alone although it is stuck.
	Refuse Action = "refuse"
)

// A Via is a way to reach a container.
type Via string

const (
	// PortForward sends the proxy's own stop request from within the pod's network.
	PortForward Via = "port-forward"
	// Exec runs a program in the container.
	Exec Via = "exec"
	// Ephemeral runs `jobmesh-wrap stop` in an ephemeral container that is added to the pod.
	Ephemeral Via = "ephemeral"
)

// Vias returns all ways; the usual one comes first.
func Vias() []string { return []string{string(PortForward), string(Exec), string(Ephemeral)} }

// Options are the inputs of a decision besides the pod.
type Options struct {
	Now time.Time
	// OlderThan is how long ago the work must have ended.
	OlderThan time.Duration
	// Via is the way that the user chose.
	Via Via
}

// A Plan is what is to be done with one pod, and why.
type Plan struct {
	Action Action
	Via    Via
	// Why is a sentence without the full stop.
	Why   string
	Steps []Step
}

// A Step ends one container.
type Step struct {
	Container string
	// Title is the name of its program, as its makers write it.
	Title string
	// Row is the name of the mesh in internal/mesh whose stop request is sent; empty if there is
	// none.
	Row string
	// Request is "METHOD URL"; empty if the step sends no request.
	Request string
	// Command is the command to run in the container, or the arguments of jobmesh-wrap in an
	// ephemeral container.
	Command []string
	// User is the user id that the ephemeral container must have; -1 means any.
	User int64
}

// Decide says what may be done with a pod.
func Decide(p *running.Pod, o Options) Plan {
	if why := leave(p, o); why != "" {
		return Plan{Action: Skip, Via: o.Via, Why: why}
	}
	plan := Plan{Action: End, Via: o.Via}
	var names []string
	for _, c := range p.Left() {
		step, refusal := stepOf(p, &c, o.Via)
		if refusal != "" {
			return Plan{Action: Refuse, Via: o.Via, Why: fmt.Sprintf("`%s` (%s) %s", c.Name, c.Of, refusal)}
		}
		plan.Steps = append(plan.Steps, step)
		names = append(names, fmt.Sprintf("`%s` (%s)", c.Name, c.Of))
	}
	_, at := p.Done()
	plan.Why = fmt.Sprintf("the work ended %s, and %s keeps the pod", why.Ago(o.Now.Sub(at)), strings.Join(names, " and "))
	return plan
}

// leave says why rescue leaves a pod alone. It is empty if rescue may act on the pod.
func leave(p *running.Pod, o Options) string {
	switch {
	case running.HasEnded(p.Pod):
		return "it has ended"
	case p.DeletionTimestamp != nil:
		return "it is being deleted"
	case p.Status.Phase != corev1.PodRunning:
		return "it has not begun"
	}
	if done, _ := p.Done(); !done {
		return unfinished(p)
	}
	if len(p.Left()) == 0 {
		return "nothing keeps it: the kubelet ends what is left"
	}
	_, at := p.Done()
	age := o.Now.Sub(at)
	if age < o.OlderThan {
		return "its work ended " + why.Ago(age)
	}
	switch p.Ending(o.Now) {
	case running.Elsewhere:
		return "its work ended " + why.Ago(age) + ", and what is left is stopped from outside of the pod"
	case running.Asked:
		return "its work ended " + why.Ago(age) + ", and has asked what is left to stop"
	}
	return ""
}

// unfinished names the first container that still has work to do, and says why.
func unfinished(p *running.Pod) string {
	for _, c := range p.Containers {
		switch {
		case c.Role != running.Work && c.Role != running.Init && !c.Cleared, c.Over():
		case c.Cleared:
			return fmt.Sprintf("all its containers are started again, as `%s` has ended", c.Name)
		case c.State == running.Ended:
			return fmt.Sprintf("`%s` has ended and is started again", c.Name)
		case c.State == running.Running:
			return fmt.Sprintf("`%s` still works", c.Name)
		default:
			return fmt.Sprintf("`%s` has not begun", c.Name)
		}
	}
	return "it has no container that does work"
}

// bySignalHint is the hint for a program that ends with code 0 on a signal.
const bySignalHint = "--via ephemeral or --via exec sends it a signal"

// stepOf says how a container is ended, or why rescue does not end it.
func stepOf(p *running.Pod, c *running.Container, via Via) (step Step, refusal string) {
	if c.State != running.Running {
		return step, "is being started again; what is not running cannot be asked to stop"
	}
	row, _ := mesh.ByName(c.Mesh)
	step = Step{Container: c.Name, Title: c.Of, Row: row.Name, User: -1}
	request := requestOf(c, &row)
	switch via {
	case Exec:
		return byExec(p, c, &row, step)
	case Ephemeral:
		if row.Stop != "" && request != "" {
			step.Command = []string{"stop", "--mesh", row.Name}
			return step, ""
		}
		return bySignal(p, c, step)
	}
	if request == "" {
		if row.StopElsewhere != "" {
			return step, "takes no stop request from outside: " + row.StopElsewhere
		}
		needs := unserved(c)
		_, _, refusal := signal(c)
		switch {
		case unknownEnd(c) != "":
			return step, "ends after " + unknownEnd(c) + " with a code that is not known: the pod might fail, and its Job would run again"
		case needs != "" && refusal != "":
			return step, "takes its stop request only with " + needs + ", and " + refusal
		case needs != "":
			return step, "takes its stop request only with " + needs + "; " + bySignalHint
		case refusal != "":
			return step, refusal
		}
		return step, "has no stop request; " + bySignalHint
	}
	step.Request = request
	return step, ""
}

// unserved returns the flag that a container lacks to accept the stop request after which its
// program ends with code 0. It is empty if the container lacks nothing, or if its program has no
// such request.
func unserved(c *running.Container) string {
	if c.Helper == nil || c.Role == running.Proxy || c.Serves {
		return ""
	}
	for _, e := range c.Helper.Ends {
		if e.Code == 0 && c.Helper.StopRequest(e) != "" {
			return e.Needs
		}
	}
	return ""
}

// unknownEnd returns the stop request after which the program of a container ends with a code that
// is not known, as of a helper in jobmesh.yaml. It is empty if there is none.
func unknownEnd(c *running.Container) string {
	if c.Helper == nil {
		return ""
	}
	for _, e := range c.Helper.Ends {
		if request := c.Helper.StopRequest(e); request != "" && e.Code == sidecar.Unknown {
			return request
		}
	}
	return ""
}

// requestOf returns the stop request after which the program of a container ends with code 0. It is
// empty if the container accepts no such request.
func requestOf(c *running.Container, row *mesh.Mesh) string {
	if c.Helper == nil || c.Role == running.Proxy {
		return row.Stop
	}
	for _, e := range c.Helper.Ends {
		if request := c.Helper.StopRequest(e); request != "" && e.Code == 0 && (e.Needs == "" || c.Serves) {
			return request
		}
	}
	return ""
}

// byExec runs the proxy's own client or kill in the container.
func byExec(p *running.Pod, c *running.Container, row *mesh.Mesh, step Step) (Step, string) {
	if row.Client != "" && c.Role == running.Proxy {
		method, _, path := row.StopURL()
		step.Command = []string{row.Client, "request", method, strings.TrimPrefix(path, "/")}
		return step, ""
	}
	name, _, refusal := signal(c)
	if refusal == "" && shares(p) {
		refusal = "shares the process namespace of the pod: process 1 is another one there"
	}
	if refusal != "" {
		return step, refusal
	}
	step.Command = []string{"kill", "-" + strings.TrimPrefix(name, "SIG"), "1"}
	return step, ""
}

// bySignal lets jobmesh-wrap send the signal from an ephemeral container.
func bySignal(p *running.Pod, c *running.Container, step Step) (Step, string) {
	name, program, refusal := signal(c)
	if refusal == "" && shares(p) {
		refusal = "shares the process namespace of the pod: a program of that name may be another one"
	}
	user, known := userOf(p, c)
	if refusal == "" && !known {
		refusal = "runs as a user id that the pod does not name, and a signal needs the same one"
	}
	if refusal != "" {
		return step, refusal
	}
	step.Command, step.User = []string{"stop", "--stop-process", program + "=" + strings.TrimPrefix(name, "SIG")}, user
	return step, ""
}

// signal returns the signal on which the program of a container ends with code 0. refusal says why
// there is none.
func signal(c *running.Container) (name, program, refusal string) {
	if c.Helper == nil || len(c.Helper.Programs) == 0 {
		return "", "", "is not known to end with 0 on a signal"
	}
	refusal = "is not known to end on a signal"
	for _, e := range c.Helper.Ends {
		switch {
		case e.Signal == "":
		case e.Code == 0 && (e.Needs == "" || given(c, e.Needs)):
			return e.Signal, c.Helper.Programs[0], ""
		case e.Code == sidecar.Unknown:
			refusal = fmt.Sprintf("ends on %s with a code that is not known: the pod might fail, and its Job would run again", e.Signal)
		case e.Code != 0:
			refusal = fmt.Sprintf("ends with %d on %s: the pod would fail and its Job run again", e.Code, strings.TrimPrefix(e.Signal, "SIG"))
		}
	}
	return "", "", refusal
}

// given tells whether the command line of a container has a flag.
func given(c *running.Container, flag string) bool {
	spec := c.Spec()
	return slices.ContainsFunc(slices.Concat(spec.Command, spec.Args), func(word string) bool {
		return word == flag || word == flag+"=true" || strings.Contains(" "+word+" ", " "+flag+" ")
	})
}

func shares(p *running.Pod) bool {
	return p.Spec.ShareProcessNamespace != nil && *p.Spec.ShareProcessNamespace
}

// userOf returns the user id of a container if the pod sets it.
func userOf(p *running.Pod, c *running.Container) (int64, bool) {
	if s := c.Spec().SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser, true
	}
	if s := p.Spec.SecurityContext; s != nil && s.RunAsUser != nil {
		return *s.RunAsUser, true
	}
	return 0, false
}
