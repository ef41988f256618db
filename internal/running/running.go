// Package running says what the containers of an existing pod are doing: which role each of them
// has, whether it has ended, and whether the kubelet will restart it. All of this is a function of
// the pod as the API server has it.
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

// A Role says what a container is for.
type Role string

const (
	// Work is a container that does the work of the Job.
	Work Role = "work"
	// Proxy is the proxy of a service mesh. Helper is any other program of the tables.
	Proxy  Role = "proxy"
	Helper Role = "helper"
	// Native is a native sidecar: an init container with restartPolicy Always, which the kubelet
	// ends.
	Native Role = "native"
	// Init is an ordinary init container.
	Init Role = "init"
)

// A State is the state of a container.
type State string

const (
	Waiting State = "waiting"
	Running State = "running"
	Ended   State = "ended"
)

// A Container is one container of a pod, with its role and its state.
type Container struct {
	Name string
	Role Role
	// Of is the name of its program in the tables, as its makers write it; it is empty for work.
	Of string
	// Mesh is the row of internal/mesh with its stop request; it is empty if there is none.
	Mesh string
	// Helper is its row in internal/sidecar; it is nil if there is none.
	Helper *sidecar.Helper
	// Serves is set for a helper that accepts the request which ends it, or if it is not known
	// whether the helper accepts it.
	Serves bool
	// Wrapped says that a wrapper runs its command. Asks says that its command asks the other
	// containers to stop.
	Wrapped, Asks bool

	State State
	// Code is the exit code where State is Ended.
	Code int32
	// Signal is the signal that ended it; it is 0 if none is known.
	Signal int32
	// Reason is the kubelet's reason for the state, and Message the kubelet's message.
	Reason, Message string
	// Since is when the state began. It is zero if that is not known, as for Waiting.
	Since    time.Time
	Ready    bool
	Started  bool
	Restarts int32
	// Last is the exit code of the previous run. LastKnown says that there was one.
	Last      int32
	LastKnown bool
	// Again says that the kubelet restarts the container after this end. ByRule says that the
	// container's own policy or rules cause that, and not the policy of the pod.
	Again, ByRule bool
	// Cleared is set if all containers of the pod are restarted after this end.
	Cleared bool

	spec *corev1.Container
}

// Spec returns the container as the pod specifies it.
func (c *Container) Spec() *corev1.Container { return c.spec }

// Over tells whether a container has ended for good.
func (c *Container) Over() bool { return c.State == Ended && !c.Again }

// A Pod is a pod with the state of its containers.
type Pod struct {
	*corev1.Pod
	Containers []Container

	node Node
}

// Object returns an object of the API as lint reads it. Its kind and apiVersion must be set.
func Object(o any) (manifest.Object, error) {
	text, err := json.Marshal(o)
	if err != nil {
		return manifest.Object{}, err
	}
	return manifest.FromJSON("cluster", text)
}

// Read says what the containers of a pod do on a node; node is the zero Node if the node is not
// known. It reads a pod with any restart policy: the caller must know whether the pod is meant to
// end.
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

// RestartsAll tells whether a rule of a container may restart all containers of the pod. The
// scheduler puts such a pod only on a node that declares the feature for it.
func (p *Pod) RestartsAll() bool {
	return slices.ContainsFunc(p.Containers, func(c Container) bool {
		return slices.ContainsFunc(c.spec.RestartPolicyRules, func(r corev1.ContainerRestartRule) bool {
			return r.Action == corev1.ContainerRestartRuleActionRestartAllContainers
		})
	})
}

// restarting tells whether the kubelet is about to restart all containers because of a rule. The
// condition is set until they are started again. Meanwhile the container that had ended may have no
// status any more.
func (p *Pod) restarting() bool {
	return !HasEnded(p.Pod) && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.AllContainersRestarting && c.Status == corev1.ConditionTrue
	})
}

// judged returns the part of a pod that lint reads: its spec, labels and annotations, without its
// status.
func judged(pod *corev1.Pod) *corev1.Pod {
	short := &corev1.Pod{Spec: pod.Spec}
	short.APIVersion, short.Kind = "v1", "Pod"
	short.Name, short.Namespace, short.Labels, short.Annotations = pod.Name, pod.Namespace, pod.Labels, pod.Annotations
	return short
}

// Judged returns a running pod as the object that lint judges.
func Judged(pod *corev1.Pod) (manifest.Object, error) { return Object(judged(pod)) }

func (p *Pod) add(spec *corev1.Container, part lint.Part, statuses []corev1.ContainerStatus, init bool) {
	c := Container{Name: spec.Name, Mesh: part.Mesh, Helper: part.Helper, Serves: part.Serves, Wrapped: part.Wrapped, Asks: part.Asks, spec: spec}
	row, _ := mesh.ByName(part.Mesh)
	switch {
	case init && spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways:
		c.Role, c.Of = Native, row.Title
	case row.Annotation != "":
		c.Role, c.Of = Proxy, row.Title // also a proxy among the init containers, where it never ends
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
		c.State = Waiting // the API defines a status without a state as waiting
	}
}

// again decides whether the kubelet of a node restarts a container that has ended with an exit
// code. It decides as ContainerShouldRestart of Kubernetes 1.37 does: first by the first matching
// rule of the container, then by the container's own policy, then by the policy of the pod. If the
// kubelet does not have the action of that rule, the policy of the container decides; later rules
// are not tried.
func again(pod corev1.RestartPolicy, c *corev1.Container, node Node, code int32, init bool) (again, byRule, all bool) {
	isNative := init && c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
	if !isNative && !node.has(native.RestartRules) {
		c = &corev1.Container{} // such a kubelet reads neither the container's policy nor its rules
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
	// An init container of a pod with restartPolicy Always is done when it has succeeded.
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

// Work returns the containers that do the work.
func (p *Pod) Work() []Container { return p.with(func(c *Container) bool { return c.Role == Work }) }

// Left returns the proxies and helpers that have not ended. The kubelet does not end them.
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

// Done tells whether the work and the ordinary init containers of the pod have ended for good. at
// is when the last container of the work ended.
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

// Grace is how long a container may take to end after it was asked to stop: the longest drain time
// in the table of meshes, and a reserve until the kubelet reports it.
var Grace = slowest() + 10*time.Second

func slowest() (longest time.Duration) {
	for _, m := range mesh.All() {
		longest = max(longest, time.Duration(m.Grace.Seconds)*time.Second)
	}
	return longest
}

// A Care says who still stops the remaining containers of a pod whose work has ended.
type Care string

const (
	// Nobody means that nothing stops them, so they run on.
	Nobody Care = ""
	// Asked means that the work has asked them to stop, and that they may still drain.
	Asked Care = "asked"
	// Elsewhere means that something outside the pod stops them, such as Kuma's control plane.
	Elsewhere Care = "elsewhere"
)

// Ending tells who may still be stopping the remaining containers of a pod whose work has ended. It
// is Nobody once Grace has passed since the end of the work.
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

// HasEnded tells whether a pod has succeeded or failed. Nothing is started in such a pod any more.
func HasEnded(p *corev1.Pod) bool {
	return p.Status.Phase == corev1.PodSucceeded || p.Status.Phase == corev1.PodFailed
}

// Over tells whether a Job is complete or has failed.
func Over(job *batchv1.Job) bool {
	return job.Status.CompletionTime != nil || slices.ContainsFunc(job.Status.Conditions, func(c batchv1.JobCondition) bool {
		return (c.Type == batchv1.JobFailed || c.Type == batchv1.JobComplete) && c.Status == corev1.ConditionTrue
	})
}

// Failed returns the containers of the work that have ended with an exit code other than 0.
func (p *Pod) Failed() []Container {
	return p.with(func(c *Container) bool { return c.Role == Work && c.State == Ended && c.Code != 0 })
}

// RestartsOn tells whether the container's own policy or rules restart it after this exit code.
func (p *Pod) RestartsOn(c *Container, code int32) bool {
	yes, byRule, _ := again(p.Spec.RestartPolicy, c.spec, p.node, code, false)
	return yes && byRule
}
