package why

import (
	"cmp"
	"slices"
	"time"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/report"
	"github.com/jobmesh/jobmesh/internal/running"
)

// A Word names a verdict.
type Word string

const (
	Finished Word = "finished"
	Running  Word = "running"
	WillHang Word = "will-hang"
	Stuck    Word = "stuck"
)

// A Reason says why a verdict was given.
type Reason string

const (
	// Reasons of Finished.
	Succeeded Reason = "finished"
	Failed    Reason = "failed"
	// Reasons of Running.
	Working         Reason = "working"
	WaitingForProxy Reason = "waiting-for-proxy"
	Suspended       Reason = "suspended"
	QuotaHeld       Reason = "quota-held"
	// Reasons of Stuck.
	BesideProxy      Reason = "beside-proxy"
	BesideHelper     Reason = "beside-helper"
	FailedAndHeld    Reason = "failed-and-held"
	AdmissionRefused Reason = "admission-refused"
	Unscheduled      Reason = "unscheduled"
	ImageNotPulled   Reason = "image-not-pulled"
	// Reasons of WillHang.
	HangsWhenItEnds Reason = "hangs-when-it-ends"
	DeadlineAhead   Reason = "deadline-ahead"
	// A reason of Running, Stuck and WillHang.
	RestartedByRules Reason = "restarted-by-rules"
)

// Reasons lists the reasons that each verdict may have.
var Reasons = map[Word][]Reason{
	Finished: {Succeeded, Failed},
	Running:  {Working, WaitingForProxy, Suspended, QuotaHeld, RestartedByRules},
	Stuck:    {BesideProxy, BesideHelper, FailedAndHeld, AdmissionRefused, Unscheduled, ImageNotPulled, RestartedByRules},
	WillHang: {HangsWhenItEnds, DeadlineAhead, RestartedByRules},
}

// A Verdict is the answer. docs/why.schema.json describes its JSON.
type Verdict struct {
	Object  lint.Object `json:"object"`
	Verdict Word        `json:"verdict"`
	Reason  Reason      `json:"reason"`
	// Since is the time when this state began. It is nil if that is not known.
	Since      *time.Time       `json:"since"`
	Containers []Container      `json:"containers"`
	Findings   []report.Finding `json:"findings"`
	// Fix says what to do, the most useful step first: commands to paste, and what to change.
	Fix []string `json:"fix"`
	// Text gives the same answer to people, one sentence for each element.
	Text []string `json:"-"`
}

// A Container is one container of a pod that was read.
type Container struct {
	Pod   string        `json:"pod"`
	Node  string        `json:"node"`
	Name  string        `json:"name"`
	Role  running.Role  `json:"role"`
	Of    string        `json:"of"`
	State running.State `json:"state"`
	// Reason is the kubelet's reason for the state.
	Reason   string     `json:"reason"`
	ExitCode *int32     `json:"exitCode"`
	Since    *time.Time `json:"since"`
	Restarts int32      `json:"restarts"`
}

// Bad tells whether somebody has to do something about the verdict.
func (v *Verdict) Bad() bool { return v.Verdict == Stuck || v.Verdict == WillHang }

// A finding is what was found out about one Job or one pod.
type finding struct {
	word   Word
	reason Reason
	since  time.Time
	text   []string
	fix    []string
	lint   []lint.Finding
	pod    *running.Pod
}

var order = []Word{Finished, Running, WillHang, Stuck}

// worst returns the most serious finding; of equally serious ones, it returns the one that began
// first.
func worst(all []finding) finding {
	return slices.MaxFunc(all, func(a, b finding) int {
		return cmp.Or(cmp.Compare(slices.Index(order, a.word), slices.Index(order, b.word)), -compareTimes(a.since, b.since))
	})
}

// compareTimes orders two times, and puts an unknown time last.
func compareTimes(a, b time.Time) int {
	switch {
	case a.IsZero() && b.IsZero():
		return 0
	case a.IsZero():
		return 1
	case b.IsZero():
		return -1
	}
	return a.Compare(b)
}

// verdict turns a finding into the answer.
func (f *finding) verdict(o lint.Object) Verdict {
	v := Verdict{
		Object: o, Verdict: f.word, Reason: f.reason, Since: known(f.since), Text: f.text,
		Containers: []Container{}, Findings: []report.Finding{}, Fix: append([]string{}, f.fix...),
	}
	for _, x := range f.lint {
		x.File, x.Line, x.Column = "", 0, 0 // these positions are in no file
		v.Findings = append(v.Findings, report.DataOf(x))
	}
	if f.pod != nil {
		v.Containers = containersOf(f.pod)
	}
	return v
}

func containersOf(p *running.Pod) []Container {
	all := []Container{}
	for i := range p.Containers {
		c := &p.Containers[i]
		one := Container{
			Pod: p.Name, Node: p.Spec.NodeName, Name: c.Name, Role: c.Role, Of: c.Of,
			State: c.State, Reason: c.Reason, Since: known(c.Since), Restarts: c.Restarts,
		}
		if c.State == running.Ended {
			one.ExitCode = &c.Code
		}
		all = append(all, one)
	}
	return all
}

func known(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}
