package survey

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/why"
)

// longestBackoff is the longest time that a kubelet waits before it restarts a container (5
// minutes), and a minute of reserve.
const longestBackoff = 6 * time.Minute

// pods judges the pods that have not ended.
func (s *survey) pods() {
	// No mesh is presumed: a pod that runs shows itself which containers it has.
	linter := lint.New(lint.Profile{Helpers: s.Helpers, Lock: s.Lock}, s.Namespaces)
	facts := why.Facts{Helpers: s.Helpers, Nodes: s.Nodes, Namespaces: s.Namespaces, Now: s.Now, Program: "jobmesh"}
	for i := range s.Pods {
		p := &s.Pods[i]
		if !s.suspicious(p) {
			continue
		}
		read, err := running.Read(p, running.NodeOf(p, s.Nodes), linter)
		if err != nil {
			continue // the API server has accepted what lint cannot read, so nothing can be said about it
		}
		s.forgotten(&read)
		s.unprobed(&read)
		v := why.JudgePod(facts, linter, &read)
		if v.Verdict != why.Stuck {
			continue
		}
		for _, f := range v.Findings {
			if f.Rule == "JM110" || f.Rule == "JM113" {
				s.count(&read, f.Rule, f.Container, f.Message, v.Since)
			}
		}
	}
	for _, o := range slices.SortedFunc(maps.Keys(s.stuck), func(a, b lint.Object) int { return strings.Compare(a.Namespace+"/"+a.Name, b.Namespace+"/"+b.Name) }) {
		st := s.stuck[o]
		if st.finding.Rule.ID == "JM113" {
			st.finding.Message = fmt.Sprintf("`%s` keeps %s", st.container, kept(st.pods, why.Ago(s.Now.Sub(st.since))))
			later := "for later runs, fix what lint says about the template"
			if s.helped[o] {
				later = "jobmesh-policy changes the pods of later runs"
			}
			st.finding.Fix = fmt.Sprintf("jobmesh rescue -n %s %s --yes ends it now; %s", o.Namespace, o.Name, later)
		}
		s.add(st.finding)
	}
}

// kept describes n pods whose work has ended; ago is when the work of the first of them ended.
func kept(n int, ago string) string {
	if n == 1 {
		return "a pod whose work ended " + ago
	}
	return fmt.Sprintf("%d pods whose work has ended, the first %s", n, ago)
}

// suspicious tells from a few fields whether a pod can be stuck. Most pods cannot be stuck, and to
// judge a pod costs a hundred times as much as this look.
func (s *survey) suspicious(p *corev1.Pod) bool {
	ended := func(all []corev1.ContainerStatus) bool {
		return slices.ContainsFunc(all, func(c corev1.ContainerStatus) bool { return c.State.Terminated != nil })
	}
	if ended(p.Status.ContainerStatuses) {
		return true
	}
	if slices.ContainsFunc(p.Status.InitContainerStatuses, func(c corev1.ContainerStatus) bool {
		return c.RestartCount > 0 && c.State.Running != nil && (c.Started == nil || !*c.Started)
	}) {
		return true
	}
	return slices.ContainsFunc(p.Spec.InitContainers, func(c corev1.Container) bool {
		return c.RestartPolicy == nil && slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool { return m.Container != "" && m.Container == c.Name })
	})
}

// count adds a stuck pod to the object that people would edit to change it.
func (s *survey) count(p *running.Pod, rule, container, message string, since *time.Time) {
	o := s.editable(lint.Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}, controllerOf(p))
	st := s.stuck[o]
	if st == nil {
		st = &stuck{container: container, finding: lint.Observe(rule, o, container, message, "")}
		s.stuck[o] = st
	}
	st.pods++
	if since != nil && (st.since.IsZero() || since.Before(st.since)) {
		st.since, st.container = *since, container
	}
	for _, c := range p.Left() {
		if c.Role == running.Proxy {
			s.classic[c.Mesh] = true
		}
	}
}

// forgotten finds a container that should have been restarted, and that a kubelet 1.35 has not
// restarted.
func (s *survey) forgotten(p *running.Pod) {
	i := slices.IndexFunc(s.Nodes, func(n running.Node) bool { return n.Name == p.Spec.NodeName })
	if i < 0 || s.Nodes[i].Kubelet != (mesh.Version{Major: 1, Minor: 35}) || p.Spec.RestartPolicy != corev1.RestartPolicyOnFailure {
		return
	}
	beside := slices.ContainsFunc(p.Containers, func(c running.Container) bool { return c.Role == running.Native && c.Spec().StartupProbe != nil })
	for _, c := range p.Work() {
		if beside && c.State == running.Ended && c.Again && s.Now.Sub(c.Since) > longestBackoff {
			s.add(lint.Observe("JM207", s.editable(lint.Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}, controllerOf(p)), c.Name,
				fmt.Sprintf("`%s` of pod %s ended with exit code %d %s, and the kubelet of %s has not started it again",
					c.Name, p.Name, c.Code, why.Ago(s.Now.Sub(c.Since)), p.Spec.NodeName), ""))
		}
	}
}

// unprobed finds a native sidecar that a kubelet before 1.35 has restarted and has not probed
// since. Such a sidecar has run for longer than its startup probe may fail, and yet the kubelet
// neither counts it as started nor ends it.
func (s *survey) unprobed(p *running.Pod) {
	i := slices.IndexFunc(s.Nodes, func(n running.Node) bool { return n.Name == p.Spec.NodeName })
	if i < 0 || !s.Nodes[i].Kubelet.Known() || !s.Nodes[i].Kubelet.Before(1, 35) || p.Spec.RestartPolicy != corev1.RestartPolicyNever {
		return
	}
	work := p.Work()
	for _, c := range p.Containers {
		if c.Role != running.Native || c.State != running.Running || c.Started || c.Restarts == 0 || c.Spec().StartupProbe == nil || len(work) == 0 {
			continue
		}
		if since := s.Now.Sub(c.Since); since > longestStart(c.Spec().StartupProbe) {
			s.add(lint.Observe("JM207", s.editable(lint.Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}, controllerOf(p)), c.Name,
				fmt.Sprintf("`%s` of pod %s was started again %s, and the kubelet of %s seems to have stopped its startup probe: `%s` never starts",
					c.Name, p.Name, why.Ago(since), p.Spec.NodeName, work[0].Name), ""))
			return
		}
	}
}

// longestStart is how long a startup probe may fail until the kubelet ends the container, with some
// reserve. A field that is 0 has its default: a period of 10 s, 3 failures, a timeout of 1 s.
func longestStart(p *corev1.Probe) time.Duration {
	once := int64(cmp.Or(p.PeriodSeconds, 10)) + int64(cmp.Or(p.TimeoutSeconds, 1))
	seconds := int64(p.InitialDelaySeconds) + once*int64(cmp.Or(p.FailureThreshold, 3))
	return time.Duration(min(seconds, math.MaxInt32))*time.Second + longestBackoff
}

// causes reports, once for each mesh with a classic proxy that keeps a pod or will keep one, what
// has turned its native sidecars off.
func (s *survey) causes() {
	for _, m := range mesh.All() {
		in, seen := s.installations[m.Name]
		if !seen || !s.classic[m.Name] {
			continue
		}
		oldest := running.Oldest(s.Nodes)
		kubelet, since := m.Native.DefaultKubelet, m.Native.Default
		old := kubelet.Known() && oldest.Kubelet.Known() && oldest.Kubelet.Before(kubelet.Major, kubelet.Minor)
		switch {
		case !kubelet.Known() || in.Version.Before(since.Major, since.Minor):
		case old && in.Native != native.True:
			s.add(lint.Observe("JM103", lint.Object{Kind: "Node", Name: oldest.Name}, "",
				fmt.Sprintf("its kubelet is %s, and %s makes native sidecars only where every kubelet is %s or newer", oldest.Kubelet, m.Title, kubelet), ""))
		case in.Native == native.False && oldest.Kubelet.Known():
			s.add(lint.Observe("JM104", lint.Object{Kind: "Mesh", Name: m.Name}, "",
				fmt.Sprintf("%s %s injects classic proxies, although every kubelet is %s or newer", m.Title, in.Version, oldest.Kubelet), ""))
		}
	}
}
