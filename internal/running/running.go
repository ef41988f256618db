// Package running says what the containers of a pod that is there are doing: whose each of
// them is, whether it has ended, and whether the kubelet will start it again. All of it is a
// function of the pod, as the API server has it.
package running

import (
	"encoding/json"
	"slices"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// A Role is what a container is there for.
type Role string

// The roles.
const (
	// Work is what the Job is about.
	Work Role = "work"
	// Proxy is the proxy of a service mesh, Helper any other program of the tables.
	Proxy  Role = "proxy"
	Helper Role = "helper"
	// Native is an init container with restartPolicy Always: the kubelet ends it.
	Native Role = "native"
	// Init is an ordinary init container.
	Init Role = "init"
)

// A State is what a container does.
type State string

// The states.
const (
	Waiting State = "waiting"
	Running State = "running"
	Ended   State = "ended"
)

// A Container is one of a pod.
type Container struct {
	Name string
	Role Role
	// Of is the name of its program in the tables, as its makers write it; empty for work.
	Of string
	// Mesh is the row of internal/mesh with its stop request, empty where there is none.
	Mesh string
	// Helper is its row in internal/sidecar, nil where there is none.
	Helper *sidecar.Helper
	// Serves is set for a helper that takes the request that ends it, or of which that cannot
	// be told.
	Serves bool
	// Wrapped says that a wrapper runs its command, Asks that the command asks what runs
	// beside it to stop.
	Wrapped, Asks bool

	State State
	// Code is the exit code where State is Ended.
	Code int32
	// Signal is what ended it, 0 for none that is known.
	Signal int32
	// Reason is the word of the kubelet for a state, and Message what it says of it.
	Reason, Message string
	// Since is when the state began. It is zero where that is not known, as for Waiting.
	Since    time.Time
	Ready    bool
	Started  bool
	Restarts int32
	// Last is the exit code of the run before, LastKnown says that there was one.
	Last      int32
	LastKnown bool
	// Again says that the kubelet starts it again after this end, ByRule that the container's
	// own policy or rules say so, and not those of the pod.
	Again, ByRule bool
	// Cleared is set where all containers of the pod are started again after this end.
	Cleared bool

	spec *corev1.Container
}

// Spec is the container as the pod has it.
func (c *Container) Spec() *corev1.Container { return c.spec }

// Over tells whether a container has ended and stays so.
func (c *Container) Over() bool { return c.State == Ended && !c.Again }

// A Pod is one with what its containers do.
type Pod struct {
	*corev1.Pod
	Containers []Container

	node Node
}

// Object is an object of the API as lint reads it. kind and apiVersion have to be set on it.
func Object(o any) (manifest.Object, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return manifest.Object{}, err
	}
	return manifest.FromJSON("cluster", text)
}

// Read says what a pod does on a node, which is the zero Node where it is not known. A pod of
// any restart policy is read: whether it is meant to end is for the caller to know.
func Read(pod *corev1.Pod, node Node, linter *lint.Linter) (Pod, error) {
	o, err := Object(judged(pod))
	if err != nil {
		return Pod{}, err
	}
	parts := map[string]lint.Part{}
	for _, part := range linter.Parts(o) {
		parts[part.Name] = part
	}
	p := Pod{Pod: pod, node: node}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		p.add(c, parts[c.Name], pod.Status.InitContainerStatuses, true)
	}
	for i := range pod.Spec.Containers {
		c := &pod.Spec.Containers[i]
		p.add(c, parts[c.Name], pod.Status.ContainerStatuses, false)
	}
	if p.restarting() || slices.ContainsFunc(p.Containers, func(c Container) bool { return c.Cleared }) {
		for i := range p.Containers {
			p.Containers[i].Again = true
		}
	}
	return p, nil
}

// RestartsAll tells whether a rule of a container of the pod may start all of them again. The
// scheduler takes such a pod only to a node that declares the feature for it.
func (p *Pod) RestartsAll() bool {
	return slices.ContainsFunc(p.Containers, func(c Container) bool {
		return slices.ContainsFunc(c.spec.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		})
	})
}

// restarting tells whether the kubelet is about to start all containers again, as a rule has
// wanted it to. It says so from then on until they are started: meanwhile the container that
// had ended may have no status any more.
func (p *Pod) restarting() bool {
	return !HasEnded(p.Pod) && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.AllContainersRestarting && c.Status == corev1.ConditionTrue
	})
}

// judged is the part of a pod that lint reads: its spec, labels and annotations, and not its
// status.
func judged(pod *corev1.Pod) *corev1.Pod {
	short := &corev1.Pod{Spec: pod.Spec}
	short.APIVersion, short.Kind = "v1", "Pod"
	short.Name, short.Namespace, short.Labels, short.Annotations = pod.Name, pod.Namespace, pod.Labels, pod.Annotations
	return short
}

// Judged is the object over which lint judges a running pod.
func Judged(pod *corev1.Pod) (manifest.Object, error) { return Object(judged(pod)) }

func (p *Pod) add(spec *corev1.Container, part lint.Part, statuses []corev1.ContainerStatus, init bool) {
	c := Container{Name: spec.Name, Mesh: part.Mesh, Helper: part.Helper, Serves: part.Serves, Wrapped: part.Wrapped, Asks: part.Asks, spec: spec}
	row, _ := mesh.ByName(part.Mesh)
	switch {
	case init && spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways:
		c.Role, c.Of = Native, row.Title
	case row.Annotation != "":
		c.Role, c.Of = Proxy, row.Title // among the init containers too, where it never ends
	case init:
		c.Role = Init
	case part.Work:
		c.Role = Work
	case row.Name != "":
		c.Role, c.Of = Helper, row.Title
	case part.Helper != nil:
		c.Role, c.Of, c.Mesh = Helper, part.Helper.Title, part.Helper.Mesh
	default:
		c.Role = Work
	}
	i := slices.IndexFunc(statuses, func(s corev1.ContainerStatus) bool { return s.Name == spec.Name })
	if i < 0 {
		c.State = Waiting
	} else {
		c.read(&statuses[i])
	}
	if c.State == Ended {
		c.Again, c.ByRule, c.Cleared = again(p.Spec.RestartPolicy, spec, p.node, c.Code, init)
		if HasEnded(p.Pod) {
			c.Again, c.Cleared = false, false
		}
	}
	p.Containers = append(p.Containers, c)
}

func (c *Container) read(s *corev1.ContainerStatus) {
	c.Ready, c.Restarts = s.Ready, s.RestartCount
	c.Started = s.Started != nil && *s.Started
	if t := s.LastTerminationState.Terminated; t != nil {
		c.Last, c.LastKnown = t.ExitCode, true
	}
	switch {
	case s.State.Running != nil:
		c.State, c.Since = Running, s.State.Running.StartedAt.Time
	case s.State.Terminated != nil:
		t := s.State.Terminated
		c.State, c.Since, c.Code, c.Signal, c.Reason, c.Message = Ended, t.FinishedAt.Time, t.ExitCode, t.Signal, t.Reason, t.Message
	case s.State.Waiting != nil:
		c.State, c.Reason, c.Message = Waiting, s.State.Waiting.Reason, s.State.Waiting.Message
	default:
		c.State = Waiting // as the API says of a status without a state
	}
}

// again decides whether the kubelet of a node starts a container again that has ended with a
// code, as ContainerShouldRestart of Kubernetes 1.37 does: by the first of its rules that
// matches, then by its own policy, then by that of the pod. Where the kubelet does not have the
// action of that rule, the policy of the container counts, and no other rule.
func again(pod corev1.RestartPolicy, c *corev1.Container, node Node, code int32, init bool) (again, byRule, all bool) {
	isNative := init && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	if !isNative && !node.has(native.RestartRules) {
		c = &corev1.Container{} // such a kubelet reads neither its policy nor its rules
	}
	i := slices.IndexFunc(c.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool { return matches(r.ExitCodes, code) })
	if i >= 0 {
		switch action := c.RestartPolicyRules[i].Action; {
		case action == corev1.ContainerRestartRuleActionRestart:
			return true, true, false
		case action == corev1.ContainerRestartRuleActionRestartAllContainers && node.has(native.RestartAll):
			return true, true, true
		}
	}
	if c.RestartPolicy != nil {
		yes := byPolicy(string(*c.RestartPolicy), code, false)
		return yes, yes, false
	}
	// An init container of a pod that is always restarted is done when it has succeeded.
	return byPolicy(string(pod), code, init), false, false
}

func byPolicy(policy string, code int32, init bool) bool {
	switch corev1.RestartPolicy(policy) {
	case corev1.RestartPolicyNever:
		return false
	case corev1.RestartPolicyOnFailure:
		return code != 0
	}
	return !init || code != 0
}

func matches(on *corev1.ContainerRestartRuleOnExitCodes, code int32) bool {
	if on == nil {
		return false
	}
	in := slices.Contains(on.Values, code)
	switch on.Operator {
	case corev1.ContainerRestartRuleOnExitCodesOpIn:
		return in
	case corev1.ContainerRestartRuleOnExitCodesOpNotIn:
		return !in
	}
	return false
}

// Work are the containers that do the work.
func (p *Pod) Work() []Container { return p.with(func(c *Container) bool { return c.Role == Work }) }

// Left are the proxies and helpers that nobody ends, and that have not ended.
func (p *Pod) Left() []Container {
	return p.with(func(c *Container) bool { return (c.Role == Proxy || c.Role == Helper) && !c.Over() })
}

func (p *Pod) with(is func(*Container) bool) []Container {
	var found []Container
	for i := range p.Containers {
		if is(&p.Containers[i]) {
			found = append(found, p.Containers[i])
		}
	}
	return found
}

// Done tells whether all that the pod was made for has ended and will not be started again.
// at is when the last of it ended.
func (p *Pod) Done() (done bool, at time.Time) {
	work := p.Work()
	for _, c := range p.Containers {
		switch {
		case c.Cleared:
			return false, at
		case c.Role == Work && !c.Over(), c.Role == Init && !c.Over():
			return false, at
		case c.Role == Work && c.Since.After(at):
			at = c.Since
		}
	}
	return len(work) > 0, at
}

// Grace is how long what was asked to stop may take: as long as the slowest proxy of the
// table drains, and a little more for the kubelet to tell.
var Grace = slowest() + 10*time.Second

func slowest() (longest time.Duration) {
	for _, m := range mesh.All() {
		longest = max(longest, time.Duration(m.Grace.Seconds)*time.Second)
	}
	return longest
}

// Care is who still takes care of what is left in a pod whose work has ended.
type Care string

// The cares.
const (
	// Nobody does: what is left runs on.
	Nobody Care = ""
	// Asked is where the work has asked what is left to stop, and it may drain.
	Asked Care = "asked"
	// Elsewhere is where something outside of the pod stops it, as Kuma's control plane does.
	Elsewhere Care = "elsewhere"
)

// Ending tells who may still be stopping what is left in a pod whose work has ended. Nobody is
// once Grace has passed since then.
func (p *Pod) Ending(now time.Time) Care {
	_, at := p.Done()
	elsewhere := !slices.ContainsFunc(p.Left(), func(c Container) bool {
		row, _ := mesh.ByName(c.Mesh)
		return row.StopElsewhere == ""
	})
	switch {
	case now.Sub(at) >= Grace:
		return Nobody
	case elsewhere:
		return Elsewhere
	case slices.ContainsFunc(p.Work(), func(c Container) bool { return c.Asks }):
		return Asked
	}
	return Nobody
}

// HasEnded tells whether a pod has succeeded or failed: nothing is started in it any more.
func HasEnded(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// Over tells whether a Job is complete or has failed.
func Over(job *batchv1.Job) bool {
	return job.Status.CompletionTime != nil || slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return (c.Type == batchv1.JobFailed || c.Type == batchv1.JobComplete) && c.Status == corev1.ConditionTrue
	})
}

// Failed are the containers of the work that have ended with another code than 0.
func (p *Pod) Failed() []Container {
	return p.with(func(c *Container) bool { return c.Role == Work && c.State == Ended && c.Code != 0 })
}

// RestartsOn tells whether the policy or the rules of a container of the pod start it again
// after this code.
func (p *Pod) RestartsOn(c *Container, code int32) bool {
	yes, byRule, _ := again(p.Spec.RestartPolicy, c.spec, p.node, code, false)
	return yes && byRule
}
