package look

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/why"
)

// mostCustom bounds in how many custom kinds a bare name is searched.
const mostCustom = 5

// mostKnown bounds the requests of one why if the kind is given, and mostByName if only a name is
// given.
const mostKnown, mostByName = 6, 14

// mostJobs bounds for how many Jobs of one object the pods are requested by the names of the Jobs.
const mostJobs = 50

// A looker reads the cluster for one call.
type looker struct {
	cluster *cluster.Cluster
	ns      string
	// verb is the verb of jobmesh that asks; hints name it.
	verb  string
	mutex sync.Mutex
	// kinds are the kinds of the server, if they were asked for.
	kinds cluster.Kinds
	// spare is how many requests the search for a name has not used.
	spare int
	facts why.Facts
	notes []string
}

// Why reads what a verdict about the target needs, in at most six requests if the kind is given,
// and fourteen otherwise. notes say what could not be read, and what that means.
func Why(ctx context.Context, c *cluster.Cluster, t Target) (facts why.Facts, notes []string, err error) {
	l := &looker{cluster: c, ns: c.Namespace(), verb: "why"}
	l.facts.Events, l.facts.Namespaces = map[string][]corev1.Event{}, map[string]lint.Namespace{}
	object, err := l.find(ctx, t)
	if err != nil {
		return facts, nil, err
	}
	if err := l.load(ctx, object); err != nil {
		return facts, nil, err
	}
	most := mostByName
	if t.Row != nil {
		most = mostKnown
	}
	var wait sync.WaitGroup
	if len(l.facts.Pods) > 0 && l.cluster.Requests()+2 <= most { // optedIn and the nodes take one request each
		wait.Go(func() { l.optedIn(ctx) })
	}
	l.nodes(ctx)
	wait.Wait()
	l.policies(ctx, most)
	l.facts.Now = c.Now()
	if text := ClockNote(c); text != "" {
		l.note("%s", text)
	}
	return l.facts, l.notes, nil
}

// ClockNote says that the local clock differs from the cluster's clock. It is empty if they agree,
// or if nothing was read from the cluster yet.
func ClockNote(c *cluster.Cluster) string {
	off := c.ClockOff()
	if off == 0 {
		return ""
	}
	return fmt.Sprintf("the clock of this machine is %s off the clock of the cluster; ages are counted by the clock of the cluster", off.Abs().Round(time.Second))
}

func (l *looker) note(format string, arguments ...any) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.notes = append(l.notes, fmt.Sprintf(format, arguments...))
}

// An object is an object that was found, in the field of its type.
type object struct {
	row     *kind.Kind
	job     *batchv1.Job
	cronJob *batchv1.CronJob
	pod     *corev1.Pod
	other   *unstructured.Unstructured
	// unknown is set for an object whose kind is in no table, so that only the objects which it has
	// made are known. made are the Jobs and pods of its namespace.
	unknown *hit
	made    *family
}

func (o *object) meta() metav1.Object {
	switch {
	case o.job != nil:
		return o.job
	case o.cronJob != nil:
		return o.cronJob
	case o.pod != nil:
		return o.pod
	}
	return o.other
}

func (o *object) String() string {
	if o.unknown != nil {
		return o.unknown.word()
	}
	return word(o.row) + "/" + o.meta().GetName()
}

// get reads an object of a kind. version is used for kinds that are not built in.
func (l *looker) get(ctx context.Context, row *kind.Kind, version, name string) (o object, err error) {
	o.row = row
	switch {
	case row.Group == "batch" && row.Kind == "Job":
		o.job, err = l.cluster.Job(ctx, l.ns, name)
	case row.Group == "batch" && row.Kind == "CronJob":
		o.cronJob, err = l.cluster.CronJob(ctx, l.ns, name)
	case row.Group == "" && row.Kind == "Pod":
		o.pod, err = l.cluster.Pod(ctx, l.ns, name)
	default:
		o.other, err = l.cluster.Object(ctx, cluster.Resource{Group: row.Group, Version: version, Kind: row.Kind}, l.ns, name)
	}
	return o, err
}

func builtIn(row *kind.Kind) bool { return row.Group == "" || row.Group == "batch" }

// find reads the object that the target names.
func (l *looker) find(ctx context.Context, t Target) (object, error) {
	what := t.Name + " in namespace " + l.ns
	if t.Row != nil {
		what = t.Row.Kind + " " + l.ns + "/" + t.Name
		version := ""
		if !builtIn(t.Row) {
			var err error
			if l.kinds, err = l.cluster.Kinds(ctx); err != nil {
				return object{}, l.cluster.Explain(err, what, l.verb)
			}
			if version = l.kinds.Version(t.Row.Group, t.Row.Kind); version == "" {
				return object{}, fault.New(fault.Usage, fmt.Errorf("%s: this cluster has no kind %s of %s", what, t.Row.Kind, t.Row.Group), "--context names another cluster")
			}
		}
		o, err := l.get(ctx, t.Row, version, t.Name)
		return o, l.cluster.Explain(err, what, l.verb)
	}
	found, left, errs := l.search(ctx, t.Name)
	found = withoutOwned(found)
	var unread []string
	if len(found) == 0 && !slices.ContainsFunc(errs, func(err error) bool { return !cluster.IsDenied(err) }) {
		var err error
		if found, unread, err = l.ownersNamed(ctx, t); err != nil {
			return object{}, err
		}
	}
	switch {
	case len(found) > 1:
		var names []string
		for _, o := range found {
			names = append(names, o.String())
		}
		return object{}, ambiguous(what, names, l.verb)
	case len(found) == 1:
		for _, err := range errs {
			if !cluster.IsDenied(err) {
				return object{}, l.cluster.Explain(err, what, l.verb)
			}
		}
		return found[0], nil
	}
	// A kind that may not be read may have had the object. Any other error is reported before that.
	for _, denied := range []bool{false, true} {
		for _, err := range errs {
			if cluster.IsDenied(err) == denied {
				return object{}, l.cluster.Explain(err, what, l.verb)
			}
		}
	}
	hints := []string{"-n names another namespace", "kubectl get jobs,cronjobs,pods -n " + l.ns}
	if len(unread) > 0 {
		hints = append(hints, "the owners of the "+strings.Join(unread, ", ")+" there were not read")
	}
	if len(left) > 0 {
		hints = append([]string{"not searched: " + strings.Join(left, ", ") + "; jobmesh " + l.verb + " " + left[0] + "/" + t.Name}, hints...)
	}
	return object{}, fault.New(fault.Usage, fmt.Errorf("%s: there is no such Job, CronJob, Pod or other object that makes pods", what), hints...)
}

// ambiguous says that a name belongs to several objects. Its hint names the first one whose kind
// can be asked about.
func ambiguous(what string, names []string, verb string) error {
	var hints []string
	for _, name := range names {
		if _, err := Parse(name); err == nil {
			hints = []string{"jobmesh " + verb + " " + name}
			break
		}
	}
	return fault.New(fault.Usage, fmt.Errorf("%s is the name of %d objects: %s", what, len(names), strings.Join(names, ", ")), hints...)
}

// search looks for a name in all kinds at once. An object that does not exist is no error. left are
// the kinds, as people type them, that were not searched because of the bound on requests.
func (l *looker) search(ctx context.Context, name string) (found []object, left []string, errs []error) {
	var wait sync.WaitGroup
	results := make([]struct {
		object object
		err    error
	}, len(Judged()))
	read := func(i int, row *kind.Kind, version string) {
		wait.Go(func() { results[i].object, results[i].err = l.get(ctx, row, version, name) })
	}
	for i, row := range Judged() {
		if builtIn(row) {
			read(i, row, "")
		}
	}
	kinds, err := l.cluster.Kinds(ctx)
	if err != nil && !cluster.IsDenied(err) {
		errs = append(errs, err)
	}
	l.kinds = kinds
	asked := 0
	for i, row := range Judged() {
		version := kinds.Version(row.Group, row.Kind)
		switch {
		case builtIn(row), version == "":
		case asked == mostCustom:
			left = append(left, word(row))
		default:
			asked++
			read(i, row, version)
		}
	}
	l.spare = mostCustom - asked
	wait.Wait()
	for i := range results {
		r := &results[i]
		switch {
		case r.object.row == nil, cluster.IsGone(r.err):
		case r.err != nil:
			errs = append(errs, r.err)
		default:
			found = append(found, r.object)
		}
	}
	return found, left, errs
}

// withoutOwned leaves out each object that another found object has made. A RayJob and its Job, for
// example, have the same name, and are one thing to people.
func withoutOwned(found []object) []object {
	uids := map[types.UID]bool{}
	for _, o := range found {
		uids[o.meta().GetUID()] = true
	}
	return slices.DeleteFunc(found, func(o object) bool {
		return slices.ContainsFunc(o.meta().GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID != "" && uids[r.UID] })
	})
}

// load reads the Jobs and pods of an object.
func (l *looker) load(ctx context.Context, o object) error {
	if o.unknown != nil {
		l.facts.Object = lint.Object{Kind: o.unknown.Kind, Namespace: l.ns, Name: o.unknown.Name}
		l.keep(o.made, o.unknown.UID)
		return nil
	}
	l.facts.Object = lint.Object{Kind: o.row.Kind, Namespace: o.meta().GetNamespace(), Name: o.meta().GetName()}
	switch {
	case o.pod != nil:
		l.facts.Pods = []corev1.Pod{*o.pod}
		return l.ofPod(ctx, o.pod)
	case o.job != nil:
		l.facts.Jobs = []batchv1.Job{*o.job}
		return l.ofJobs(ctx)
	case o.cronJob != nil:
		l.facts.CronJob = o.cronJob
		short := o.cronJob.DeepCopy()
		short.APIVersion, short.Kind, short.ManagedFields = "batch/v1", "CronJob", nil
		l.template(ctx, short)
	default:
		l.facts.Suspended, _, _ = unstructured.NestedBool(o.other.Object, "spec", "suspend")
		l.template(ctx, o.other.Object)
		return l.ofOther(ctx, o)
	}
	jobs, err := l.cluster.Jobs(ctx, l.ns)
	if cluster.IsDenied(err) {
		l.note("Jobs may not be read in namespace %s, so what %s has made is not seen", l.ns, o.String())
		return nil
	}
	if err != nil {
		return l.cluster.Explain(err, "Jobs in namespace "+l.ns, l.verb)
	}
	uid := o.meta().GetUID()
	for _, job := range jobs {
		if owned(&job, uid) {
			l.facts.Jobs = append(l.facts.Jobs, job)
		}
	}
	l.facts.Jobs = recent(l.facts.Jobs)
	if len(l.facts.Jobs) == 0 {
		l.namespace(ctx)
		return nil
	}
	return l.ofJobs(ctx)
}

// A family holds all Jobs and pods of a namespace, with their owners.
type family struct {
	jobs    []batchv1.Job
	pods    []corev1.Pod
	lineage *lineage
}

// family reads the Jobs, the pods and their owners.
func (l *looker) family(ctx context.Context, what string) (*family, error) {
	jobs, err := l.cluster.Jobs(ctx, l.ns)
	if cluster.IsDenied(err) {
		l.note("Jobs may not be read in namespace %s, so those of %s are not seen", l.ns, what)
	} else if err != nil {
		return nil, l.cluster.Explain(err, "Jobs in namespace "+l.ns, l.verb)
	}
	pods, err := l.cluster.Pods(ctx, l.ns)
	if err != nil {
		return nil, l.cluster.Explain(err, "pods in namespace "+l.ns, l.verb)
	}
	return &family{jobs, pods, lineageOf(l.cluster, l.ns, l.kinds, pods, jobs)}, nil
}

// betweenKnown and betweenUnknown are how many kinds between an object and its pods one call may
// read, with and without a known kind. The bounds on requests leave room for no more.
const betweenKnown, betweenUnknown = 1, 2

// ofOther reads what an object of a kind that is not built in has made: pods, Jobs, or objects of
// its own API group that make them, such as the Workflows of a CronWorkflow.
func (l *looker) ofOther(ctx context.Context, o object) error {
	made, err := l.family(ctx, o.String())
	if err != nil {
		return err
	}
	err = made.lineage.climb(ctx, betweenKnown, func(r metav1.OwnerReference) bool {
		group, _ := groupVersion(r.APIVersion)
		return group == o.row.Group && r.Kind != o.row.Kind
	})
	if err != nil {
		return l.cluster.Explain(err, o.String(), l.verb)
	}
	for _, kind := range made.lineage.denied {
		l.note("%s may not be read in namespace %s, so what %s has made by them is not seen", kind, l.ns, o.String())
	}
	l.keep(made, o.other.GetUID())
	switch {
	case len(l.facts.Pods) > 0 || len(l.facts.Jobs) > 0:
	case made.lineage.asked > 0: // this was the last request that the bound allows
		l.note("nothing of what is there was made by %s; whether a mesh is on in namespace %s was not read, so the forecast is by the object alone", o.String(), l.ns)
	default:
		l.namespace(ctx)
	}
	return nil
}

// keep takes what one object has made. It leaves out pods that are meant to run for ever, unless
// the object has made them directly. A RayJob, for example, makes a Job that ends, and also a
// RayCluster whose pods do not end.
func (l *looker) keep(f *family, uid types.UID) {
	for _, job := range f.jobs {
		if f.lineage.made(job.OwnerReferences, uid) {
			l.facts.Jobs = append(l.facts.Jobs, job)
		}
	}
	dropped := map[types.UID]bool{}
	for _, job := range l.facts.Jobs {
		dropped[job.UID] = true
	}
	l.facts.Jobs = recent(l.facts.Jobs)
	for _, job := range l.facts.Jobs {
		delete(dropped, job.UID)
	}
	for _, p := range f.pods {
		switch {
		case !f.lineage.made(p.OwnerReferences, uid):
		case p.Spec.RestartPolicy == corev1.RestartPolicyAlways && !owned(&p, uid):
		case slices.ContainsFunc(p.OwnerReferences, func(r metav1.OwnerReference) bool { return dropped[r.UID] }): // its Job is over and was left out
		default:
			l.facts.Pods = append(l.facts.Pods, p)
		}
	}
}

// ownersNamed looks for a name among the owners of the Jobs and pods of the namespace; their kinds
// may be in no table here. unread are the kinds of owners whose own owners could not be read.
func (l *looker) ownersNamed(ctx context.Context, t Target) (found []object, unread []string, err error) {
	made, err := l.family(ctx, t.Name)
	if err != nil && fault.Code(err) == fault.Auth {
		return nil, nil, nil // without pods there is nothing to find
	}
	if err != nil {
		return nil, nil, err
	}
	if err := made.lineage.climb(ctx, betweenUnknown+l.spare, func(r metav1.OwnerReference) bool { return !t.names(r) }); err != nil {
		return nil, nil, l.cluster.Explain(err, t.Name+" in namespace "+l.ns, l.verb)
	}
	for _, h := range made.lineage.apart(made.lineage.hits(t, made.pods, made.jobs)) {
		found = append(found, object{unknown: &h, made: made})
	}
	return found, slices.Concat(made.lineage.denied, made.lineage.left), nil
}

func owned(o metav1.Object, uid types.UID) bool {
	return slices.ContainsFunc(o.GetOwnerReferences(), func(r metav1.OwnerReference) bool { return r.UID == uid })
}

// recent returns all active Jobs, and the last Job that is over.
func recent(jobs []batchv1.Job) []batchv1.Job {
	slices.SortFunc(jobs, func(a, b batchv1.Job) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	over := 0
	jobs = slices.DeleteFunc(jobs, func(job batchv1.Job) bool {
		if !running.Over(&job) {
			return false
		}
		over++
		return over > 1
	})
	return jobs[:min(len(jobs), mostJobs)]
}

// template keeps an object for a forecast.
func (l *looker) template(_ context.Context, o any) {
	read, err := running.Object(o)
	if err != nil {
		l.note("the object cannot be read as a manifest, so there is no forecast: %v", err)
		return
	}
	l.facts.Template = read
}

// ofJobs reads the pods of the Jobs, and the events of a Job that has none.
func (l *looker) ofJobs(ctx context.Context) error {
	var names []string
	for _, job := range l.facts.Jobs {
		names = append(names, job.Name)
	}
	pods, err := l.cluster.JobPods(ctx, l.ns, names...)
	if cluster.IsDenied(err) {
		return l.cluster.Explain(err, "pods in namespace "+l.ns, l.verb) // without pods no verdict is possible
	}
	if err != nil {
		return l.cluster.Explain(err, "pods of Job "+l.ns+"/"+names[0], l.verb)
	}
	if len(pods) == 0 && slices.ContainsFunc(l.facts.Jobs, func(job batchv1.Job) bool { return !running.Over(&job) }) {
		// Older servers use another label, and a pod that was made by hand may have no label.
		all, err := l.cluster.Pods(ctx, l.ns)
		if err != nil {
			return l.cluster.Explain(err, "pods in namespace "+l.ns, l.verb)
		}
		pods = slices.DeleteFunc(all, func(p corev1.Pod) bool {
			return !slices.ContainsFunc(l.facts.Jobs, func(job batchv1.Job) bool { return owned(&p, job.UID) })
		})
	}
	l.facts.Pods = pods
	for _, job := range l.facts.Jobs {
		if !running.Over(&job) && !slices.ContainsFunc(pods, func(p corev1.Pod) bool { return owned(&p, job.UID) }) {
			l.events(ctx, job.Name)
			return nil // a verdict is about one Job, so the events of one Job are enough
		}
	}
	return nil
}

// ofPod reads the Job of a pod.
func (l *looker) ofPod(ctx context.Context, p *corev1.Pod) error {
	for _, owner := range p.OwnerReferences {
		if owner.Kind != "Job" || !strings.HasPrefix(owner.APIVersion, "batch/") {
			continue
		}
		job, err := l.cluster.Job(ctx, p.Namespace, owner.Name)
		switch {
		case cluster.IsDenied(err):
			l.note("Job %s/%s may not be read, so its deadline is not known", p.Namespace, owner.Name)
		case cluster.IsGone(err): // the Job was deleted, and its pod will be deleted after it
		case err != nil:
			return l.cluster.Explain(err, "Job "+p.Namespace+"/"+owner.Name, l.verb)
		case job.UID == owner.UID:
			l.facts.Owner = job
		}
		return nil
	}
	if len(p.OwnerReferences) == 0 && p.Spec.RestartPolicy == corev1.RestartPolicyAlways {
		return fault.New(fault.Usage, fmt.Errorf("the Pod %s/%s is meant to run until somebody deletes it (restartPolicy: Always)", p.Namespace, p.Name), "ask about a Job, or about a pod that ends")
	}
	return nil
}

func (l *looker) events(ctx context.Context, job string) {
	events, err := l.cluster.Events(ctx, l.ns, "Job", job)
	if err != nil {
		if !errors.Is(err, context.Canceled) {
			l.note("events may not be read in namespace %s, so what refuses a pod is not seen", l.ns)
		}
		return
	}
	l.facts.Events[job] = events
}

func (l *looker) namespace(ctx context.Context) {
	ns, err := l.cluster.ReadNamespace(ctx, l.ns)
	if err != nil {
		l.note("namespace %s may not be read, so whether a mesh is on there is not known", l.ns)
		return
	}
	l.facts.Namespaces[l.ns] = lint.Namespace{Labels: ns.Labels, Annotations: ns.Annotations}
}

// optedIn reads whether the namespace of the pods has the label of jobmesh-policy. If that may not
// be read, the pods still show the rest.
func (l *looker) optedIn(ctx context.Context) {
	if ns, err := l.cluster.ReadNamespace(ctx, l.ns); err == nil {
		l.facts.Namespaces[l.ns] = lint.Namespace{Labels: ns.Labels, Annotations: ns.Annotations}
	}
}

// policies says what applies jobmesh-policy in the namespace, if the namespace has its label. most
// is the bound on requests.
func (l *looker) policies(ctx context.Context, most int) {
	if !l.facts.Namespaces[l.ns].OptedIn() {
		return
	}
	engine, installed, err := policiesOf(ctx, l.cluster, mesh.Version{}, l.kinds, func() bool { return l.cluster.Requests() < most })
	switch {
	case err != nil:
		engine = running.NotAsked
		if !errors.Is(err, context.Canceled) {
			l.note("%v; so whether jobmesh-policy changes the pods of namespace %s is not known", l.cluster.Explain(err, "mutating admission policies", l.verb), l.ns)
		}
	case engine == running.Presumed:
		l.note("mutating admission policies may not be read, so jobmesh-policy is presumed to change the pods of namespace %s, as its label says", l.ns)
	}
	l.facts.Engine, l.facts.Installed = engine, installed
}

func (l *looker) nodes(ctx context.Context) {
	nodes, err := l.cluster.Nodes(ctx)
	if err != nil {
		l.note("nodes may not be read, so which of them is too old for native sidecars is not known")
		return
	}
	l.facts.Nodes = running.NodesOf(nodes)
}
