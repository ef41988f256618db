package lint

import (
	"cmp"
	"strings"

	"github.com/jobmesh/jobmesh/internal/kind"
)

// subject is what the pods of an object belong to, as people call it.
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

// called words a message for the object: rules speak of a Job that stays active, which is
// not what becomes of a pod, of a workflow, or of a Job with a deadline.
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

// stateOf is how something is that has not ended.
func stateOf(subject string) string {
	return cmp.Or(map[string]string{"pod": "up", "workflow": "running", "JobSet": "active"}[subject], "running")
}
