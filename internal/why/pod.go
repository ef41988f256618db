package why

import (
	"fmt"
	"slices"
	"strings"
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/running"
)

// notPulled are the reasons that the kubelet gives if it does not have the image of a container.
var notPulled = []string{
	"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError", "RegistryUnavailable", "SignatureValidationFailed",
}

// notStarted are the reasons that the kubelet gives if it cannot start a container as it is
// specified.
var notStarted = []string{"CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreCreateHookError", "PreStartHookError", "PostStartHookError"}

// pod judges one pod. job is nil if no Job owns the pod.
func (j *judge) pod(pod *corev1.Pod, job *batchv1.Job) (finding, error) {
	p, err := running.Read(pod, running.NodeOf(pod, j.Nodes), j.linter)
	if err != nil {
		return finding{}, err
	}
	f := j.judged(&p, job)
	f.pod = &p
	if beside := []Reason{BesideProxy, BesideHelper, FailedAndHeld, HangsWhenItEnds, DeadlineAhead}; slices.Contains(beside, f.reason) {
		text, err := j.unchanged(&p, job)
		if err != nil {
			return finding{}, err
		}
		f.text = append(f.text, text...)
	}
	return f, nil
}

// judged asks the questions in the order of their priority: the first answer counts.
func (j *judge) judged(p *running.Pod, job *batchv1.Job) finding {
	for _, ask := range []func(*running.Pod, *batchv1.Job) (finding, bool){
		j.over, j.leaving, j.waitsForNode, j.waitsForImage, j.neverStarted, j.endlessInit, j.done, j.restarted, j.waitsForProxy, j.hangs,
	} {
		if f, ok := ask(p, job); ok {
			return f
		}
	}
	return j.working(p)
}

func (j *judge) over(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	f := finding{word: Finished, reason: Succeeded}
	verb := "has succeeded"
	switch p.Status.Phase {
	case corev1.PodSucceeded:
	case corev1.PodFailed:
		f.reason, verb = Failed, "has failed"
	default:
		return f, false
	}
	for _, c := range p.Containers {
		if c.State == running.Ended && c.Since.After(f.since) {
			f.since = c.Since
		}
	}
	f.text = []string{fmt.Sprintf("Pod %s/%s %s.", p.Namespace, p.Name, verb)}
	if p.Status.Reason != "" || p.Status.Message != "" {
		f.text = []string{fmt.Sprintf("Pod %s/%s %s: %s.", p.Namespace, p.Name, verb, said(p.Status.Reason, p.Status.Message))}
	}
	for _, c := range p.Work() {
		if c.State == running.Ended {
			f.text = append(f.text, fmt.Sprintf("Container `%s` ended %s.", c.Name, howEnded(&c)))
		}
	}
	return f, true
}

// leaving recognises a pod that is being deleted.
func (j *judge) leaving(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	if p.DeletionTimestamp == nil {
		return finding{}, false
	}
	return finding{word: Running, reason: Working, since: p.DeletionTimestamp.Time,
		text: []string{fmt.Sprintf("Pod %s/%s is being deleted.", p.Namespace, p.Name)}}, true
}

func podCondition(p *running.Pod, kind corev1.PodConditionType) *corev1.PodCondition {
	for i := range p.Status.Conditions {
		if p.Status.Conditions[i].Type == kind {
			return &p.Status.Conditions[i]
		}
	}
	return nil
}

func (j *judge) waitsForNode(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	c := podCondition(p, corev1.PodScheduled)
	if p.Spec.NodeName != "" || c == nil || c.Status != corev1.ConditionFalse {
		return finding{}, false
	}
	name := fmt.Sprintf("Pod %s/%s", p.Namespace, p.Name)
	if slices.ContainsFunc(p.Spec.SchedulingGates, func(g corev1.PodSchedulingGate) bool { return g.Name == kueueGate }) {
		return finding{word: Running, reason: QuotaHeld, since: c.LastTransitionTime.Time, text: []string{name + " waits for quota: Kueue has not admitted it."},
			fix: []string{"kubectl -n " + p.Namespace + " get workloads.kueue.x-k8s.io"}}, true
	}
	f := finding{word: Stuck, reason: Unscheduled, since: c.LastTransitionTime.Time,
		text: []string{fmt.Sprintf("%s is stuck: no node has taken it%s: %s.", name, j.lasts(c.LastTransitionTime.Time), said(c.Reason, c.Message))},
		fix:  []string{fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name)}}
	if features, declared := running.Declared(j.Nodes); declared && p.RestartsAll() && !slices.Contains(features, native.RestartAll.Gate) {
		f.text = append(f.text, fmt.Sprintf("A rule of its containers has the action %s, and no node declares the feature %s.",
			corev1.ContainerRestartRuleActionRestartAllContainers, native.RestartAll.Gate))
		f.fix = append(f.fix, fmt.Sprintf("use the action %s, or turn the feature gate %s on in the kubelets",
			corev1.ContainerRestartRuleActionRestart, native.RestartAll.Gate))
	}
	return f, true
}

func (j *judge) waitsForImage(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	for _, c := range p.Containers {
		if c.State != running.Waiting || !slices.Contains(notPulled, c.Reason) {
			continue
		}
		return finding{word: Stuck, reason: ImageNotPulled, since: p.CreationTimestamp.Time,
			text: []string{fmt.Sprintf("Pod %s/%s is stuck: the image %s of container `%s` is not there: %s.", p.Namespace, p.Name, printed(c.Spec().Image), c.Name, said(c.Reason, c.Message))},
			fix:  []string{fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name)}}, true
	}
	return finding{}, false
}

// neverStarted recognises a container that the kubelet refuses to start.
func (j *judge) neverStarted(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	for _, c := range p.Containers {
		if c.State != running.Waiting || !slices.Contains(notStarted, c.Reason) {
			continue
		}
		return finding{word: Stuck, reason: AdmissionRefused, since: p.CreationTimestamp.Time,
			text: []string{fmt.Sprintf("Pod %s/%s is stuck: the kubelet of node %s does not start container `%s`: %s.", p.Namespace, p.Name, p.Spec.NodeName, c.Name, said(c.Reason, c.Message))},
			fix:  []string{fmt.Sprintf("kubectl -n %s describe pod %s", p.Namespace, p.Name)}}, true
	}
	return finding{}, false
}

// endlessInit recognises a proxy among the init containers that has lost its restartPolicy: the
// work waits until the proxy ends, and the proxy never ends.
func (j *judge) endlessInit(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	for i, c := range p.Containers {
		if i >= len(p.Spec.InitContainers) || c.Role != running.Proxy || c.State != running.Running {
			continue
		}
		message := fmt.Sprintf("`%s` (%s) is an ordinary init container that never ends: a webhook has taken restartPolicy: Always from it", c.Name, c.Of)
		found := lint.Observe("JM110", objectOf(p), c.Name, message, "")
		return finding{word: Stuck, reason: BesideProxy, since: c.Since, lint: []lint.Finding{found},
			text: []string{fmt.Sprintf("Pod %s/%s has been stuck in Init%s: %s.", p.Namespace, p.Name, j.lasts(c.Since), message)},
			fix:  []string{"kubectl get mutatingwebhookconfigurations", found.Fix}}, true
	}
	return finding{}, false
}

func objectOf(p *running.Pod) lint.Object {
	return lint.Object{Kind: "Pod", Namespace: p.Namespace, Name: p.Name}
}

// done recognises a pod whose work has ended, although the pod itself has not ended.
func (j *judge) done(p *running.Pod, job *batchv1.Job) (finding, bool) {
	done, at := p.Done()
	if !done {
		return finding{}, false
	}
	left := p.Left()
	if len(left) == 0 {
		return finding{word: Running, reason: Working, since: at,
			text: []string{fmt.Sprintf("The work of pod %s/%s has ended %s, and nothing keeps the pod: the kubelet has yet to report its end.", p.Namespace, p.Name, j.ago(at))}}, true
	}
	switch p.Ending(j.Now) {
	case running.Elsewhere:
		return finding{word: Running, reason: Working, since: at,
			text: []string{fmt.Sprintf("The work of pod %s/%s has ended %s; `%s` (%s) is stopped from outside of the pod.", p.Namespace, p.Name, j.ago(at), left[0].Name, left[0].Of)}}, true
	case running.Asked:
		return finding{word: Running, reason: Working, since: at,
			text: []string{fmt.Sprintf("The work of pod %s/%s has ended %s, and has asked `%s` to stop, which may take %s.", p.Namespace, p.Name, j.ago(at), left[0].Name, running.Grace)}}, true
	}
	return j.stuck(p, job, left, at), true
}

// stuck describes a pod that is kept running by containers which nothing will end.
func (j *judge) stuck(p *running.Pod, job *batchv1.Job, left []running.Container, at time.Time) finding {
	first := left[0]
	f := finding{word: Stuck, reason: BesideHelper, since: at}
	if i := slices.IndexFunc(left, func(c running.Container) bool { return c.Role == running.Proxy }); i >= 0 {
		first, f.reason = left[i], BesideProxy
	}
	subject, where := fmt.Sprintf("Pod %s/%s", p.Namespace, p.Name), ""
	if job != nil {
		subject, where = fmt.Sprintf("Job %s/%s", job.Namespace, job.Name), " of pod "+p.Name
	}
	var ends []string
	for _, c := range p.Work() {
		ends = append(ends, fmt.Sprintf("container `%s`%s ended %s %s", c.Name, where, howEnded(&c), j.ago(c.Since)))
	}
	if len(ends) > 3 {
		ends = append(ends[:3], fmt.Sprintf("%d more ended too", len(ends)-3))
	}
	outcome := "its work is done"
	if len(p.Failed()) > 0 {
		f.reason, outcome = FailedAndHeld, "its work has failed, and its status does not show it"
	}
	f.text = append(f.text, fmt.Sprintf("%s is stuck: %s.", subject, outcome))
	f.text = append(f.text, upper(strings.Join(ends, ", "))+".")
	var still []string
	for _, c := range left {
		still = append(still, fmt.Sprintf("`%s` (%s)%s", c.Name, c.Of, j.runs(&c)))
	}
	f.text = append(f.text, upper(strings.Join(still, ", "))+": nothing ends it, and the pod stays until it has ended.")
	f.text = append(f.text, j.classic(p, &first)...)
	if limit := j.deadline(p, job); limit > 0 {
		f.text = append(f.text, fmt.Sprintf("Its activeDeadlineSeconds of %d will end the pod as failed.", limit))
	}
	f.lint = append([]lint.Finding{lint.Observe("JM113", objectOf(p), first.Name,
		fmt.Sprintf("the work ended %s, and `%s` keeps the pod", j.ago(at), first.Name), "")}, j.forecastOf(p)...)
	f.fix = append(f.fix, j.rescue(p, job))
	f.fix = append(f.fix, byHand(p, &first)...)
	f.fix = append(f.fix, fixesOf(f.lint[1:])...)
	return f
}

func (j *judge) runs(c *running.Container) string {
	switch {
	case c.State == running.Running && !c.Since.IsZero():
		return " has run" + j.lasts(c.Since)
	case c.State == running.Running:
		return " runs"
	case c.State == running.Ended:
		return fmt.Sprintf(" ended %s and is started again", howEnded(c))
	}
	return " waits to be started (" + said(c.Reason, "") + ")"
}

// rescue returns the command that ends the pod now.
func (j *judge) rescue(p *running.Pod, job *batchv1.Job) string {
	name := p.Name
	if job != nil {
		name = job.Name
	}
	return fmt.Sprintf("%s rescue -n %s %s --yes", j.Program, p.Namespace, name)
}

// forecastOf returns the findings of lint about a pod that exists.
func (j *judge) forecastOf(p *running.Pod) []lint.Finding {
	if len(p.Left()) == 0 {
		return nil
	}
	linter, short := j.forecaster(p)
	o, err := running.Judged(short)
	if err != nil {
		return nil // running.Read has reported this error already
	}
	return hanging(linter.Check(o))
}

// forecaster returns the linter for a pod that exists, and the pod that this linter must read. An
// injected proxy is left out of that pod, and the linter is told that it is injected, so that the
// findings describe it as an injected proxy.
func (j *judge) forecaster(p *running.Pod) (*lint.Linter, *corev1.Pod) {
	short, linter, left := p.Pod.DeepCopy(), j.linter, p.Left()
	for i := range left {
		row, _ := mesh.ByName(left[i].Mesh)
		if left[i].Role != running.Proxy || !mesh.Injected(p.Annotations[row.Annotation]) {
			continue
		}
		in := j.installation(row, p, &left[i])
		if native.Native(row.Name, in, j.injector(p)).Yes {
			in.Native = native.False // the pod shows that the proxy is not native, whatever the reason
		}
		linter = lint.New(lint.Profile{Mesh: row.Name, Installation: in, Helpers: j.Helpers}, j.Namespaces)
		short.Spec.Containers = slices.DeleteFunc(short.Spec.Containers, func(c corev1.Container) bool { return c.Name == left[i].Name })
		break
	}
	return linter, short
}

// deadline returns activeDeadlineSeconds of the Job, or else of the pod; 0 if neither has it.
func (j *judge) deadline(p *running.Pod, job *batchv1.Job) int64 {
	if job == nil {
		job = j.Owner
	}
	switch {
	case job != nil && job.Spec.ActiveDeadlineSeconds != nil:
		return *job.Spec.ActiveDeadlineSeconds
	case p.Spec.ActiveDeadlineSeconds != nil:
		return *p.Spec.ActiveDeadlineSeconds
	}
	return 0
}

// restarted recognises a container that is started again by its own restart policy or by one of its
// own rules.
func (j *judge) restarted(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	for _, c := range p.Work() {
		spec := c.Spec()
		name := fmt.Sprintf("container `%s` of pod %s/%s", c.Name, p.Namespace, p.Name)
		always := spec.RestartPolicy != nil && *spec.RestartPolicy == corev1.ContainerRestartPolicyAlways && p.RestartsOn(&c, 0)
		switch {
		case always && (c.State == running.Ended || c.LastKnown):
			return endless(Stuck, p, &c, upper(name)+" has restartPolicy: Always of its own: it was started again after it had ended, and the Job never ends"), true
		case always:
			return endless(WillHang, p, &c, upper(name)+" has restartPolicy: Always of its own: it is started again whenever it ends, and the Job never ends"), true
		case c.State == running.Ended && c.ByRule:
			return finding{word: Running, reason: RestartedByRules, since: c.Since,
				text: []string{fmt.Sprintf("%s ended %s, and a rule of its own starts it again (%d times so far).", upper(name), howEnded(&c), c.Restarts)}}, true
		case c.LastKnown && p.RestartsOn(&c, c.Last):
			return finding{word: Running, reason: RestartedByRules, since: c.Since,
				text: []string{fmt.Sprintf("%s ended with exit code %d before, and a rule of its own has started it again (%d times so far).", upper(name), c.Last, c.Restarts)}}, true
		}
	}
	return finding{}, false
}

// endless describes a container that is started again whatever its exit code is.
func endless(word Word, p *running.Pod, c *running.Container, message string) finding {
	found := lint.Observe("JM114", objectOf(p), c.Name, message, "")
	return finding{word: word, reason: RestartedByRules, since: c.Since, text: []string{message + "."}, fix: []string{found.Fix}, lint: []lint.Finding{found}}
}

// waitsForProxy recognises work that has not begun because the proxy is not ready.
func (j *judge) waitsForProxy(p *running.Pod, _ *batchv1.Job) (finding, bool) {
	begun := slices.ContainsFunc(p.Work(), func(c running.Container) bool { return c.State != running.Waiting })
	wrapped := slices.ContainsFunc(p.Work(), func(c running.Container) bool { return c.State == running.Running && c.Wrapped })
	for _, c := range p.Containers {
		meshed := c.Mesh != "" && (c.Role == running.Native || c.Role == running.Proxy || c.Role == running.Helper)
		if !meshed || !(c.Role == running.Native && !begun && !c.Started || c.Role != running.Native && wrapped && !c.Ready && probed(&c)) {
			continue
		}
		if c.State == running.Waiting && c.Reason == "PodInitializing" {
			continue
		}
		return finding{word: Running, reason: WaitingForProxy, since: c.Since,
			text: []string{fmt.Sprintf("The work of pod %s/%s waits for `%s` (%s), which is not ready%s.", p.Namespace, p.Name, c.Name, c.Of, because(&c))},
			fix:  []string{fmt.Sprintf("kubectl -n %s logs %s -c %s", p.Namespace, p.Name, c.Name)}}, true
	}
	return finding{}, false
}

// probed tells whether the pod shows when a container becomes ready.
func probed(c *running.Container) bool {
	return c.Spec().ReadinessProbe != nil || c.Spec().StartupProbe != nil || c.State != running.Running
}

func because(c *running.Container) string {
	if c.Reason == "" {
		return ""
	}
	return ": " + said(c.Reason, c.Message)
}

// hangs recognises a pod whose work still runs, and that will not end after its work.
func (j *judge) hangs(p *running.Pod, job *batchv1.Job) (finding, bool) {
	found := j.forecastOf(p)
	if len(found) == 0 {
		return finding{}, false
	}
	left := p.Left()
	what, _, _ := strings.Cut(found[0].Message, " (in the mesh")
	f := finding{word: WillHang, reason: HangsWhenItEnds, since: p.CreationTimestamp.Time, lint: found, fix: fixesOf(found)}
	f.text = []string{
		fmt.Sprintf("Pod %s/%s works, and will not end when its work has: %s.", p.Namespace, p.Name, what),
	}
	f.text = append(f.text, j.classic(p, &left[0])...)
	if limit := j.deadline(p, job); limit > 0 {
		f.reason = DeadlineAhead
		f.text = append(f.text, fmt.Sprintf("Its activeDeadlineSeconds of %d will end it as failed, although the work may have succeeded.", limit))
	}
	return f, true
}

func (j *judge) working(p *running.Pod) finding {
	f := finding{word: Running, reason: Working, since: p.CreationTimestamp.Time, text: []string{fmt.Sprintf("Pod %s/%s is being started.", p.Namespace, p.Name)}}
	for _, c := range p.Work() {
		switch {
		case c.State == running.Running:
			f.since = c.Since
			f.text = []string{fmt.Sprintf("Container `%s` of pod %s/%s has worked%s.", c.Name, p.Namespace, p.Name, j.lasts(c.Since))}
		case c.Restarts > 0 && c.State == running.Waiting && c.LastKnown:
			f.text = []string{fmt.Sprintf("Container `%s` of pod %s/%s fails with exit code %d and is started again (%d times so far).", c.Name, p.Namespace, p.Name, c.Last, c.Restarts)}
		default:
			continue
		}
		return f
	}
	for _, c := range p.Containers {
		if c.Role == running.Init && c.State == running.Running {
			f.since = c.Since
			f.text = []string{fmt.Sprintf("Init container `%s` of pod %s/%s has run%s.", c.Name, p.Namespace, p.Name, j.lasts(c.Since))}
		}
	}
	return f
}
