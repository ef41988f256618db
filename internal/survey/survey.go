// Package survey judges all Jobs of a cluster: what will hang, by the templates, and what is
// stuck, by the pods; both for the meshes as that cluster has them. It is a function of what
// was read.
package survey

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/sidecar"
	"github.com/jobmesh/jobmesh/internal/why"
)

// Facts are what was read.
type Facts struct {
	// Helpers and Lock are what a user says of programs and images; no cluster shows it.
	Helpers []sidecar.Helper
	Lock    lockfile.Lock
	// Server is the version of the API server.
	Server     mesh.Version
	Nodes      []running.Node
	Namespaces map[string]lint.Namespace
	Quotas     []corev1.ResourceQuota
	CronJobs   []batchv1.CronJob
	Jobs       []batchv1.Job
	// Others are objects of the kinds that this cluster has beside those.
	Others []unstructured.Unstructured
	// Pods are those that are meant to end and have not.
	Pods []corev1.Pod
	// Proxies are those of all pods that were seen.
	Proxies []Proxy
	// Policies are the namespaces where a policy of a mesh wants an identity.
	Policies map[string]bool
	Now      time.Time
}

// A Proxy is one that was seen beside something.
type Proxy struct {
	Mesh    string
	Version mesh.Version
	Native  bool
	Created time.Time
}

// ProxiesOf finds the proxies of meshes in a pod.
func ProxiesOf(p *corev1.Pod) []Proxy {
	var found []Proxy
	for i := range p.Spec.InitContainers {
		if c := &p.Spec.InitContainers[i]; c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways {
			found = append(found, proxyOf(p, c, true)...)
		}
	}
	for i := range p.Spec.Containers {
		found = append(found, proxyOf(p, &p.Spec.Containers[i], false)...)
	}
	return found
}

func proxyOf(p *corev1.Pod, c *corev1.Container, isNative bool) []Proxy {
	for _, m := range mesh.All() {
		if m.Annotation != "" && m.Container == c.Name && mesh.Injected(p.Annotations[m.Annotation]) {
			return []Proxy{{m.Name, why.VersionOf(m, p.Annotations, c.Image), isNative, p.CreationTimestamp.Time}}
		}
	}
	return nil
}

// Installations are the meshes of the cluster as their proxies show them: the newest one of
// each says what its injector does today.
func (f *Facts) Installations() map[string]native.Installation {
	newest := map[string]Proxy{}
	for _, p := range f.Proxies {
		if last, seen := newest[p.Mesh]; !seen || p.Created.After(last.Created) {
			newest[p.Mesh] = p
		}
	}
	oldest := running.Oldest(f.Nodes).Kubelet
	found := map[string]native.Installation{}
	for name, p := range newest {
		in := native.Installation{Version: p.Version, MinKubelet: oldest, Kubernetes: f.Server, Native: native.Auto}
		if native.Native(name, in, native.Pod{}).Yes != p.Native {
			in.Native = map[bool]native.Setting{true: native.True, false: native.False}[p.Native]
		}
		found[name] = in
	}
	return found
}

// Main is the mesh that most proxies are of, empty where there is none.
func (f *Facts) Main() string {
	count := map[string]int{}
	for _, p := range f.Proxies {
		count[p.Mesh]++
	}
	main := ""
	for _, m := range mesh.All() { // in the order of the table, where two are as many
		if count[m.Name] > count[main] {
			main = m.Name
		}
	}
	return main
}

// Judge returns the findings, by namespace and object, and the objects that others run than
// their own controllers, maybe in another cluster: those are judged for this one too.
func Judge(f Facts) (found []lint.Finding, managed []manifest.Object) {
	s := &survey{Facts: f, installations: f.Installations(), main: f.Main(), linters: map[string]*lint.Linter{}, stuck: map[lint.Object]*stuck{}}
	s.owners()
	s.templates()
	s.pods()
	s.causes()
	slices.SortStableFunc(s.found, func(a, b lint.Finding) int {
		return cmp.Or(strings.Compare(a.Object.Namespace, b.Object.Namespace), strings.Compare(a.Object.Kind, b.Object.Kind),
			strings.Compare(a.Object.Name, b.Object.Name), strings.Compare(a.Rule.ID, b.Rule.ID))
	})
	return s.found, s.managed
}

type survey struct {
	Facts
	installations map[string]native.Installation
	main          string
	linters       map[string]*lint.Linter
	owner         map[types.UID]owned
	stuck         map[lint.Object]*stuck
	found         []lint.Finding
	managed       []manifest.Object
	// classic are the meshes of which a proxy keeps something, or will.
	classic map[string]bool
}

// owned is an object, and who made it.
type owned struct {
	object lint.Object
	by     *metav1.OwnerReference
}

// stuck counts the pods that one object has made and that are stuck.
type stuck struct {
	pods      int
	container string
	since     time.Time
	finding   lint.Finding
}

// controllerOf is who has made an object, nil where nobody has. An owner that no object can be
// is none.
func controllerOf(o metav1.Object) *metav1.OwnerReference {
	for _, r := range o.GetOwnerReferences() {
		if r.Controller == nil || *r.Controller {
			if !running.CanOwn(r) {
				return nil
			}
			return &r
		}
	}
	return nil
}

func (s *survey) owners() {
	s.owner, s.classic = map[types.UID]owned{}, map[string]bool{}
	add := func(kind string, o metav1.Object) {
		if o.GetUID() != "" {
			s.owner[o.GetUID()] = owned{lint.Object{Kind: kind, Namespace: o.GetNamespace(), Name: o.GetName()}, controllerOf(o)}
		}
	}
	for i := range s.Jobs {
		add("Job", &s.Jobs[i])
	}
	for i := range s.CronJobs {
		add("CronJob", &s.CronJobs[i])
	}
	for i := range s.Others {
		add(s.Others[i].GetKind(), &s.Others[i])
	}
}

// editable is the object that a person edits: the CronJob and not its tenth Job.
func (s *survey) editable(o lint.Object, by *metav1.OwnerReference) lint.Object {
	for range 8 { // who made whom is no circle, but somebody may write one
		if by == nil {
			return o
		}
		known, ok := s.owner[by.UID]
		if !ok {
			return lint.Object{Kind: by.Kind, Namespace: o.Namespace, Name: by.Name}
		}
		o, by = known.object, known.by
	}
	return o
}

// linter is the one for a namespace: that of the mesh that is on there.
func (s *survey) linter(namespace string) *lint.Linter {
	ns, name := s.Namespaces[namespace], s.main
	for _, m := range native.Meshes() {
		if native.Injected(m, native.Pod{Namespace: namespace, NamespaceLabels: ns.Labels, NamespaceAnnotations: ns.Annotations}).Yes {
			name = m
			break
		}
	}
	if s.linters[name] == nil {
		in, known := s.installations[name]
		if !known {
			in = native.Installation{MinKubelet: running.Oldest(s.Nodes).Kubelet}
		}
		profile := lint.Profile{Installation: in, Kubernetes: s.Server, Helpers: s.Helpers, Lock: s.Lock}
		profile.Declared, profile.DeclaredKnown = running.Declared(s.Nodes)
		s.linters[name] = lint.New(profile, s.Namespaces)
	}
	return s.linters[name]
}

func (s *survey) add(f lint.Finding) {
	f.File, f.Line, f.Column = "", 0, 0 // no file has it
	s.found = append(s.found, f)
}

// templates judges what people have written: CronJobs, other kinds, and Jobs that nobody made.
func (s *survey) templates() {
	for i := range s.CronJobs {
		short := s.CronJobs[i].DeepCopy()
		short.APIVersion, short.Kind, short.ManagedFields, short.Status = "batch/v1", "CronJob", nil, batchv1.CronJobStatus{}
		s.template(short, short)
	}
	for i := range s.Others {
		if controllerOf(&s.Others[i]) == nil {
			s.template(&s.Others[i], s.Others[i].Object)
		}
	}
	for i := range s.Jobs {
		if running.Over(&s.Jobs[i]) {
			continue
		}
		by := controllerOf(&s.Jobs[i])
		if by != nil {
			if _, known := s.owner[by.UID]; known || kind.Of(groupOf(by.APIVersion), by.Kind) != nil {
				continue // its owner is judged, or cannot be read
			}
		}
		short := s.Jobs[i].DeepCopy()
		short.APIVersion, short.Kind, short.ManagedFields, short.Status = "batch/v1", "Job", nil, batchv1.JobStatus{}
		hangs := s.template(short, short)
		o := lint.Object{Kind: "Job", Namespace: short.Namespace, Name: short.Name}
		switch {
		case hangs && by != nil:
			s.add(lint.Observe("JM511", o, "", fmt.Sprintf("%s %s has made this Job, and makes it again", by.Kind, by.Name), "change "+by.Kind+" "+by.Name))
		case hangs:
			s.add(lint.Observe("JM512", o, "", "the Job already exists, and its pod template cannot be changed", ""))
		}
	}
}

func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}

// template judges one object, and tells whether it will hang.
func (s *survey) template(o metav1.Object, content any) (hangs bool) {
	read, err := running.Object(content)
	if err != nil {
		return false // nobody could have applied that as a manifest
	}
	linter := s.linter(o.GetNamespace())
	for _, f := range linter.Check(read) {
		s.add(f)
		hangs = hangs || f.Rule.Hangs()
		if f.Rule.Hangs() {
			s.blame(linter, read)
		}
	}
	if lint.ManagedBy(read) != "" {
		s.managed = append(s.managed, read)
	}
	s.quota(read)
	s.identity(read)
	return hangs
}

// blame notes the meshes whose classic proxies are in the way.
func (s *survey) blame(linter *lint.Linter, o manifest.Object) {
	for _, name := range linter.Proxies(o) {
		s.classic[name] = true
	}
}

// quota finds our init container where a quota wants what it does not say.
func (s *survey) quota(o manifest.Object) {
	for _, t := range o.PodTemplates() {
		for _, c := range t.Containers() {
			if c.Name != lint.InstallName {
				continue
			}
			for _, q := range s.Quotas {
				if q.Namespace != o.Namespace {
					continue
				}
				for name := range q.Spec.Hard {
					field, resource, ok := strings.Cut(string(name), ".")
					if !ok || field != "limits" && field != "requests" || resource != "cpu" && resource != "memory" {
						continue
					}
					if manifest.Get(c.Node, "resources", field, resource) == nil {
						s.add(lint.Observe("JM506", lint.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}, c.Name,
							fmt.Sprintf("quota %s counts %s, and `%s` says none: its pods are refused", q.Name, name, c.Name), ""))
						return
					}
				}
			}
		}
	}
}

// identity finds what opts out of a mesh where a policy wants an identity.
func (s *survey) identity(o manifest.Object) {
	if !s.Policies[o.Namespace] {
		return
	}
	ns := s.Namespaces[o.Namespace]
	for _, t := range o.PodTemplates() {
		meta := manifest.Get(t.Node, "metadata")
		p := native.Pod{
			Namespace: o.Namespace, NamespaceLabels: ns.Labels, NamespaceAnnotations: ns.Annotations,
		}
		for _, m := range native.Meshes() {
			meshed := native.Injected(m, p).Yes
			p.Labels, p.Annotations = manifest.Texts(manifest.Get(meta, "labels")), manifest.Texts(manifest.Get(meta, "annotations"))
			d := native.Injected(m, p)
			p.Labels, p.Annotations = nil, nil
			if meshed && !d.Yes {
				s.add(lint.Observe("JM606", lint.Object{Kind: o.Kind, Namespace: o.Namespace, Name: o.Name}, "",
					"its pods are kept out of the mesh ("+d.By+"), and a policy in the namespace wants an identity", ""))
			}
		}
	}
}
