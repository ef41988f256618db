package lint

import (
	"cmp"
	"strings"

	"github.com/jobmesh/jobmesh/internal/kind"
)

// subject returns what the pods of an object belong to, in the words that people use.
func (p *pod) subject() string {
	switch {
	case p.template.Row.Form == kind.Argo:
		return "workflow"
	case p.object.Kind == "Pod":
		return "pod"
	case strings.HasSuffix(p.object.Kind, "Job") && p.object.Group() == "batch", p.object.Kind == "ScaledJob":
		return "Job"
	}
	return p.object.Kind
}

// called fits a message to the object. Rules speak of a Job that stays active, which does not
// hold for a pod, for a workflow, or for a Job with a deadline.
func (p *pod) called(message string) string {
	const stays = "the Job stays active"
	if !strings.Contains(message, "Job") {
		return message
	}
	subject := p.subject()
	deadline := p.deadline().text()
	switch {
	case deadline != "":
		message = strings.ReplaceAll(message, stays, "the Job fails at its deadline of "+deadline+" s, although the work has ended")
	case subject != "Job":
		message = strings.ReplaceAll(message, stays, "the Job stays "+stateOf(subject))
	}
	if subject != "Job" {
		message = strings.NewReplacer("this Job", "this "+subject, "the Job", "the "+subject).Replace(message)
	}
	return message
}

// stateOf returns the state of something that has not ended.
func stateOf(subject string) string {
	return cmp.Or(map[string]string{"pod": "up", "workflow": "running", "JobSet": "active"}[subject], "running")
}
