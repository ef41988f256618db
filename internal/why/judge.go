package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/running"
)

// kueueQueue is the label with which a Job names its queue in Kueue, and kueueGate is the
// scheduling gate that Kueue puts on a pod.
const (
	kueueQueue = "kueue.x-k8s.io/queue-name"
	kueueGate  = "kueue.x-k8s.io/admission"
)

// Judge returns the verdict. It fails if a pod cannot be read as a manifest.
func Judge(f Facts) (Verdict, error) {
	j := &judge{Facts: f, linter: lint.New(lint.Profile{Helpers: f.Helpers}, f.Namespaces)}
	found, err := j.object()
	if err != nil {
		return Verdict{}, err
	}
	return found.verdict(f.Object), nil
}

// JudgePod returns the verdict over one pod that was read already. It uses only those facts that
// are not about Jobs and pods.
func JudgePod(f Facts, linter *lint.Linter, p *running.Pod) Verdict {
	found := (&judge{Facts: f, linter: linter}).judged(p, nil)
	found.pod = p
	return found.verdict(objectOf(p))
}

type judge struct {
	Facts
	linter *lint.Linter
}

// object judges the object that the user asked about by the worst of its Jobs and pods.
func (j *judge) object() (finding, error) {
	var active, over []finding
	seen := map[string]bool{}
	for i := range j.Jobs {
		job := &j.Jobs[i]
		pods := j.podsOf(job)
		for _, p := range pods {
			seen[p.Name] = true
		}
		f, err := j.job(job, pods)
		switch {
		case err != nil:
			return f, err
		case f.word == Finished:
			over = append(over, f)
		default:
			active = append(active, f)
		}
	}
	for i := range j.Pods {
		if seen[j.Pods[i].Name] {
			continue
		}
		f, err := j.pod(&j.Pods[i], nil)
		switch {
		case err != nil:
			return f, err
		case f.word == Finished:
			over = append(over, f)
		default:
			active = append(active, f)
		}
	}
	if len(active) > 0 {
		f := worst(active)
		f.text = append(f.text, j.others(active)...)
		return j.blocked(f), nil
	}
	if j.suspended() {
		return finding{word: Running, reason: Suspended, text: []string{j.name() + " is suspended: it starts nothing until spec.suspend is false."}}, nil
	}
	if len(over) > 0 {
		return latest(over), nil
	}
	return j.forecast()
}

func (j *judge) podsOf(job *batchv1.Job) []*corev1.Pod {
	var pods []*corev1.Pod
	for i := range j.Pods {
		p := &j.Pods[i]
		for _, o := range p.OwnerReferences {
			if o.UID == job.UID && o.Kind == "Job" {
				pods = append(pods, p)
				break
			}
		}
	}
	return pods
}

// latest returns the finding about the Job or pod that ended last.
func latest(all []finding) finding {
	return slices.MaxFunc(all, func(a, b finding) int { return a.since.Compare(b.since) })
}

// others says how many Jobs and pods are stuck, if there are more than the one that is reported.
func (j *judge) others(all []finding) []string {
	stuck := 0
	for _, f := range all {
		if f.word == Stuck {
			stuck++
		}
	}
	if stuck < 2 {
		return nil
	}
	return []string{fmt.Sprintf("Of %d that are active, %d are stuck; this is the one that has been so for longest.", len(all), stuck)}
}

func (j *judge) suspended() bool {
	return j.Suspended || j.CronJob != nil && j.CronJob.Spec.Suspend != nil && *j.CronJob.Spec.Suspend
}

// blocked adds what a stuck run means for the next runs of a CronJob.
func (j *judge) blocked(f finding) finding {
	if j.CronJob != nil && f.word == Stuck && j.CronJob.Spec.ConcurrencyPolicy == batchv1.ForbidConcurrent {
		f.text = append(f.text, "No further run of the CronJob starts until it has ended (concurrencyPolicy: Forbid).")
	}
	return f
}

// forecast judges an object that has made no pods yet, by its template.
func (j *judge) forecast() (finding, error) {
	f := finding{word: Running, reason: Working, text: []string{j.name() + " has no pod yet."}}
	if j.CronJob != nil {
		f.text = []string{fmt.Sprintf("%s has no run to look at; its schedule is %q.", j.name(), j.CronJob.Spec.Schedule)}
	}
	if j.Template.Node == nil {
		return f, nil
	}
	oldest := running.Oldest(j.Nodes)
	linter := lint.New(lint.Profile{Installation: native.Installation{MinKubelet: oldest.Kubelet}, Helpers: j.Helpers}, j.Namespaces)
	found, err := j.admitted(linter, j.Template)
	if err != nil {
		return f, err
	}
	hangs := hanging(found)
	if len(hangs) == 0 {
		return f, nil
	}
	f.word, f.reason, f.lint = WillHang, HangsWhenItEnds, hangs
	f.text = append(f.text, "Its pods will not end: "+hangs[0].Message+".")
	f.text = append(f.text, j.useless(j.Template.Namespace)...)
	f.text = append(f.text, j.unjudged(j.Template.Namespace)...)
	f.fix = append(f.fix, fixesOf(hangs)...)
	return f, nil
}

// hanging keeps the findings of rules which say that something stays active.
func hanging(all []lint.Finding) []lint.Finding {
	return slices.DeleteFunc(all, func(f lint.Finding) bool { return !f.Rule.Hangs() })
}

func fixesOf(all []lint.Finding) []string {
	var fixes []string
	for _, f := range all {
		if !slices.Contains(fixes, f.Fix) {
			fixes = append(fixes, f.Fix)
		}
	}
	return fixes
}

func condition(job *batchv1.Job, kind batchv1.JobConditionType) *batchv1.JobCondition {
	for i := range job.Status.Conditions {
		if c := &job.Status.Conditions[i]; c.Type == kind && c.Status == corev1.ConditionTrue {
			return c
		}
	}
	return nil
}

// job judges a Job by its conditions and its pods.
func (j *judge) job(job *batchv1.Job, pods []*corev1.Pod) (finding, error) {
	name := "Job " + job.Namespace + "/" + job.Name
	if c := condition(job, batchv1.JobComplete); c != nil {
		return j.withPod(finding{word: Finished, reason: Succeeded, since: c.LastTransitionTime.Time,
			text: []string{fmt.Sprintf("%s completed %s.", name, j.ago(c.LastTransitionTime.Time))}}, pods)
	}
	if c := condition(job, batchv1.JobFailed); c != nil {
		return j.withPod(finding{word: Finished, reason: Failed, since: c.LastTransitionTime.Time,
			text: []string{fmt.Sprintf("%s has failed %s: %s.", name, j.ago(c.LastTransitionTime.Time), said(c.Reason, c.Message))}}, pods)
	}
	if job.Spec.Suspend != nil && *job.Spec.Suspend {
		return j.jobSuspended(job, name), nil
	}
	var all []finding
	for _, p := range pods {
		f, err := j.pod(p, job)
		if err != nil {
			return f, err
		}
		all = append(all, f)
	}
	all = slices.DeleteFunc(all, func(f finding) bool { return f.word == Finished })
	if len(all) == 0 {
		return j.jobWithoutPods(job, name, len(pods)), nil
	}
	f := worst(all)
	f.text = append(f.text, j.others(all)...)
	return f, nil
}

// withPod adds the containers of the newest pod.
func (j *judge) withPod(f finding, pods []*corev1.Pod) (finding, error) {
	if len(pods) == 0 {
		return f, nil
	}
	last := slices.MaxFunc(pods, func(a, b *corev1.Pod) int { return a.CreationTimestamp.Compare(b.CreationTimestamp.Time) })
	p, err := running.Read(last, running.NodeOf(last, j.Nodes), j.linter)
	if err != nil {
		return f, err
	}
	f.pod = &p
	for _, c := range p.Work() {
		if c.State == running.Ended {
			f.text = append(f.text, fmt.Sprintf("Container `%s` of pod %s ended %s.", c.Name, p.Name, howEnded(&c)))
		}
	}
	return f, nil
}

func (j *judge) jobSuspended(job *batchv1.Job, name string) finding {
	var since time.Time
	if c := condition(job, batchv1.JobSuspended); c != nil {
		since = c.LastTransitionTime.Time
	}
	if queue := job.Labels[kueueQueue]; queue != "" {
		return finding{word: Running, reason: QuotaHeld, since: since,
			text: []string{fmt.Sprintf("%s waits for quota: Kueue holds it in the queue %s.", name, queue)},
			fix:  []string{"kubectl -n " + job.Namespace + " get workloads.kueue.x-k8s.io"}}
	}
	return finding{word: Running, reason: Suspended, since: since,
		text: []string{name + " is suspended: it starts nothing until spec.suspend is false."},
		fix:  []string{fmt.Sprintf(`kubectl -n %s patch job %s -p '{"spec":{"suspend":false}}'`, job.Namespace, job.Name)}}
}

// jobWithoutPods judges a Job that has no running pod. tried is the number of its pods that have
// ended.
func (j *judge) jobWithoutPods(job *batchv1.Job, name string, tried int) finding {
	if by := job.Spec.ManagedBy; by != nil && lint.Foreign(*by) {
		return finding{word: Running, reason: Working, since: started(job),
			text: []string{fmt.Sprintf("%s is run by %s, in another cluster perhaps: what it does is not seen here.", name, *by)}}
	}
	if e, ok := refusal(j.Events[job.Name]); ok {
		return j.refused(job, name, e)
	}
	f := finding{word: Running, reason: Working, since: started(job), text: []string{name + " has no pod yet, and nothing has refused one."}}
	switch {
	case job.Status.StartTime == nil:
		f.text = []string{name + " has not been started: the Job controller has not seen it yet."}
	case tried > 0 && job.Status.Failed > 0:
		f.text = []string{fmt.Sprintf("%s has failed %d times, and waits before it tries again.", name, job.Status.Failed)}
	case tried > 0:
		f.text = []string{name + " has no pod that runs: the Job controller counts those that have ended."}
	}
	return f
}

func started(job *batchv1.Job) time.Time {
	if job.Status.StartTime == nil {
		return time.Time{}
	}
	return job.Status.StartTime.Time
}

// refusal returns the last event which says that a pod could not be made, unless a pod was made
// after it.
func refusal(events []corev1.Event) (corev1.Event, bool) {
	var last corev1.Event
	for _, e := range events {
		if (e.Reason == "FailedCreate" || e.Reason == "SuccessfulCreate") && !eventTime(&e).Before(eventTime(&last)) {
			last = e
		}
	}
	return last, last.Reason == "FailedCreate"
}

func eventTime(e *corev1.Event) time.Time {
	switch {
	case e.Series != nil:
		return e.Series.LastObservedTime.Time
	case !e.LastTimestamp.IsZero():
		return e.LastTimestamp.Time
	case !e.EventTime.IsZero():
		return e.EventTime.Time
	}
	return e.CreationTimestamp.Time
}

func (j *judge) refused(job *batchv1.Job, name string, e corev1.Event) finding {
	since := e.FirstTimestamp.Time
	if since.IsZero() {
		since = eventTime(&e)
	}
	message := said("", e.Message)
	if strings.Contains(e.Message, "exceeded quota") {
		return finding{word: Running, reason: QuotaHeld, since: since,
			text: []string{fmt.Sprintf("%s waits for quota: %s.", name, message)},
			fix:  []string{"kubectl -n " + job.Namespace + " describe resourcequota"}}
	}
	f := finding{word: Stuck, reason: AdmissionRefused, since: since,
		text: []string{fmt.Sprintf("%s is stuck: its pod is refused: %s.", name, message)},
		fix:  []string{fmt.Sprintf("kubectl -n %s describe job %s", job.Namespace, job.Name)}}
	if strings.Contains(e.Message, "failed quota") { // the quota requires a value that a container does not set
		f.lint = append(f.lint, lint.Observe("JM506", lint.Object{Kind: "Job", Namespace: job.Namespace, Name: job.Name}, "", message,
			"give every container the requests and limits that the quota counts"))
	}
	return f
}
