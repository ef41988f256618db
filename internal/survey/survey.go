// Package survey judges all Jobs of a cluster: it finds what will hang from the templates, and what
// is stuck from the pods. It judges both for the meshes as that cluster has them. Its result is a
// function of what was read.
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

// Facts hold what was read from the cluster.
type Facts struct {
	// Helpers and Lock are what the user says about programs and images. The cluster does not show
	// it.
	Helpers []sidecar.Helper
	Lock    lockfile.Lock
	// Server is the version of the API server.
	Server     mesh.Version
	Nodes      []running.Node
	Namespaces map[string]lint.Namespace
	Quotas     []corev1.ResourceQuota
	CronJobs   []batchv1.CronJob
	Jobs       []batchv1.Job
	// Others are objects of all other kinds that this cluster has.
	Others []unstructured.Unstructured
	// Pods are the pods that are meant to end and have not ended.
	Pods []corev1.Pod
	// Proxies are the proxies of all pods that were read.
	Proxies []Proxy
	// Identities are the namespaces where a policy of a mesh requires an identity.
	Identities map[string]bool
	// Labelled are the namespaces with the label of jobmesh-policy. Engine says what applies
	// the policies there, and Installed which of them. Policies say what they make of an object;
	// they are asked only if Engine changes pods.
	Labelled  map[string]bool
	Engine    running.Engine
	Installed running.Installed
	Policies  lint.Admitter
	Now       time.Time
}

// A Proxy is a mesh proxy that was seen in a pod.
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

// Installations describes the meshes of the cluster as their proxies show them. The newest proxy of
// a mesh shows what its injector does today.
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

// Main is the mesh with the most proxies; it is empty if there are none.
func (f *Facts) Main() string {
	count := map[string]int{}
	for _, p := range f.Proxies {
		count[p.Mesh]++
	}
	main := ""
	for _, m := range mesh.All() { // of two equal counts, the mesh that comes first in the table wins
		if count[m.Name] > count[main] {
			main = m.Name
		}
	}
	return main
}

// Judge returns the findings, sorted by namespace and object. managed are the objects that another
// controller runs, maybe in another cluster; they are judged as if they ran in this one. An error
// comes from the policies.
func Judge(f Facts) (found []lint.Finding, managed []manifest.Object, err error) {
	s := &survey{Facts: f, installations: f.Installations(), main: f.Main(), linters: map[string]*lint.Linter{}, stuck: map[lint.Object]*stuck{}, helped: map[lint.Object]bool{}}
	s.owners()
	if err := s.admit(); err != nil {
		return nil, nil, err
	}
	s.templates()
	s.pods()
	s.causes()
	slices.SortStableFunc(s.found, func(a, b lint.Finding) int {
		return cmp.Or(strings.Compare(a.Object.Namespace, b.Object.Namespace), strings.Compare(a.Object.Kind, b.Object.Kind),
			strings.Compare(a.Object.Name, b.Object.Name), strings.Compare(a.Rule.ID, b.Rule.ID))
	})
	return s.found, s.managed, nil
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
	admitted      map[name]lint.Admitted
	// helped are the objects whose later pods end because the policies change them.
	helped map[lint.Object]bool
	// classic are the meshes with a classic proxy that keeps a pod, or will keep one.
	classic map[string]bool
}

// owned is an object with the owner that has made it.
type owned struct {
	object lint.Object
	by     *metav1.OwnerReference
}

// stuck counts the stuck pods that one object has made.
type stuck struct {
	pods      int
	container string
	since     time.Time
	finding   lint.Finding
}

// controllerOf returns the owner that has made an object; nil if there is none. A reference that
// cannot be a real owner does not count.
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

// editable returns the object that a person edits: a CronJob, for example, and not its tenth Job.
func (s *survey) editable(o lint.Object, by *metav1.OwnerReference) lint.Object {
	for range 8 { // real owners form no cycle, but somebody may write one
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

// linter returns the linter for a namespace. It judges for the mesh that is on there.
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
	f.File, f.Line, f.Column = "", 0, 0 // these positions are in no file
	s.found = append(s.found, f)
}

// A written is an object that a person has written: a CronJob, an object of another kind, or a Job
// that neither of these has made.
type written struct {
	meta    metav1.Object
	content any
	// job says that the object is a Job. by is the owner that has made this Job; nil if there is
	// none.
	job bool
	by  *metav1.OwnerReference
}

// read returns the object as lint reads it. An object for which this fails could not have been
// applied.
func (w *written) read() (manifest.Object, error) { return running.Object(w.content) }

// written calls each with every object that a person has written.
func (s *survey) written(each func(written)) {
	for i := range s.CronJobs {
		short := s.CronJobs[i].DeepCopy()
		short.APIVersion, short.Kind, short.ManagedFields, short.Status = "batch/v1", "CronJob", nil, batchv1.CronJobStatus{}
		each(written{meta: short, content: short})
	}
	for i := range s.Others {
		if controllerOf(&s.Others[i]) == nil {
			each(written{meta: &s.Others[i], content: s.Others[i].Object})
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
		each(written{meta: short, content: short, job: true, by: by})
	}
}

// templates judges the objects that people have written.
func (s *survey) templates() {
	s.written(func(w written) {
		hangs := s.template(w)
		o := lint.Object{Kind: "Job", Namespace: w.meta.GetNamespace(), Name: w.meta.GetName()}
		switch {
		case !hangs || !w.job:
		case w.by != nil:
			s.add(lint.Observe("JM511", o, "", fmt.Sprintf("%s %s has made this Job, and makes it again", w.by.Kind, w.by.Name), "change "+w.by.Kind+" "+w.by.Name))
		default:
			s.add(lint.Observe("JM512", o, "", "the Job already exists, and its pod template cannot be changed", ""))
		}
	})
}

func groupOf(apiVersion string) string {
	group, _, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return ""
	}
	return group
}

// template judges one object, and tells whether it will hang. Where the policies change its pods,
// it judges the changed pods.
func (s *survey) template(w written) (hangs bool) {
	read, err := w.read()
	if err != nil {
		return false
	}
	linter := s.linter(read.Namespace)
	becomes, check := read, func() []lint.Finding { return linter.Check(read) }
	changed, isChanged := s.admitted[nameOf(read)]
	if isChanged {
		becomes, check = changed.Object, func() []lint.Finding { return linter.CheckAdmitted(read, changed) }
	}
	for _, f := range check() {
		s.add(f)
		hangs = hangs || f.Rule.Hangs()
		if f.Rule.Hangs() {
			s.blame(linter, becomes)
		}
	}
	if isChanged && !hangs {
		s.helped[lint.Object{Kind: read.Kind, Namespace: read.Namespace, Name: read.Name}] = true
	}
	if lint.ManagedBy(read) != "" {
		s.managed = append(s.managed, read)
	}
	s.quota(becomes)
	s.identity(read)
	return hangs
}

// blame notes the meshes whose classic proxies keep the pods of an object.
func (s *survey) blame(linter *lint.Linter, o manifest.Object) {
	for _, name := range linter.Proxies(o) {
		s.classic[name] = true
	}
}

// quota finds an init container of jobmesh that does not set what a quota requires.
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
							fmt.Sprintf("quota %s counts %s, which `%s` does not set: the pods are refused", q.Name, name, c.Name), ""))
						return
					}
				}
			}
		}
	}
}

// identity finds pods that are kept out of a mesh in a namespace where a policy requires an
// identity.
func (s *survey) identity(o manifest.Object) {
	if !s.Identities[o.Namespace] {
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
