package lint

import (
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
	batchv1 "k8s.io/api/batch/v1"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

type yamlNode = yaml.Node

const yamlMapping = yaml.MappingNode

// Prefix is the prefix of the annotations that suppress a rule, on the object or on the pod
// template. The id of the rule follows, and the value is the reason.
const Prefix = "jobmesh.dev/ignore-"

// A Linter judges objects one by one.
type Linter struct {
	profile    Profile
	namespaces map[string]Namespace
	doubts     []Doubt
}

// A Doubt is a container of which lint cannot tell whether it stops the proxy. Lint reports no
// finding for it.
type Doubt struct {
	Object, Container, File string
	Line                    int
	// What is the part of the script that decides, as the author wrote it.
	What string
}

// Doubts returns the doubts about the objects that were checked.
func (l *Linter) Doubts() []Doubt { return l.doubts }

// New returns a linter for a cluster with these namespaces.
func New(profile Profile, namespaces map[string]Namespace) *Linter {
	return &Linter{profile: profile, namespaces: namespaces}
}

// Check returns the findings about an object, without those that the object suppresses.
func (l *Linter) Check(o manifest.Object) []Finding { return l.check(o, nil) }

func (l *Linter) check(o manifest.Object, a *admission) []Finding {
	var findings []Finding
	for _, p := range podsOf(o, a, &l.profile, l.namespaces) {
		l.doubts = append(l.doubts, p.doubts()...)
		var found []Finding
		for _, r := range all {
			r.check(p, &reporter{rule: r, pod: p, into: &found})
		}
		ignored := suppressions(p)
		for _, f := range found {
			if _, ok := ignored[f.Rule.ID]; !ok {
				findings = append(findings, f)
			}
		}
	}
	return findings
}

// Unjudged returns, for an object from which pods are made that Check does not judge, why it
// does not. It is empty for any other object.
func Unjudged(o manifest.Object) []string {
	var why []string
	for _, part := range o.Apart() {
		if !slices.Contains(why, part.Why) {
			why = append(why, part.Why)
		}
	}
	return why
}

// multiKueue is the value of the field managedBy that has an object of any kind run in another
// cluster.
const multiKueue = "kueue.x-k8s.io/multikueue"

// ManagedBy returns the controller that the field managedBy names in place of the kind's own
// controller, and "" where there is none. That controller may make the pods in another cluster;
// the verdict then holds only for the cluster that was judged. Source:
// https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/4368-support-managed-by-for-batch-jobs
func ManagedBy(o manifest.Object) string {
	if o.KindOf() == nil {
		return ""
	}
	for _, path := range [][]any{{"managedBy"}, {"jobTemplate", "spec", "managedBy"}, {"runPolicy", "managedBy"}} {
		by := manifest.Text(manifest.Get(manifest.Get(o.Node, "spec"), path...))
		// Each of the other kinds also accepts the name of its own controller, which differs
		// from kind to kind.
		if by == multiKueue || o.Group() == "batch" && Foreign(by) {
			return by
		}
	}
	return ""
}

// Foreign tells whether the field managedBy of a Job names another controller than the Job
// controller.
func Foreign(by string) bool { return by != "" && by != batchv1.JobControllerName }

// NamespaceOf returns what a manifest says about a namespace.
func NamespaceOf(o manifest.Object) (name string, ns Namespace, ok bool) {
	if o.Kind != "Namespace" || o.Group() != "" {
		return "", ns, false
	}
	meta := place{o.Node, nil}.get("metadata")
	return o.Name, Namespace{Labels: manifest.Texts(meta.get("labels").node), Annotations: manifest.Texts(meta.get("annotations").node)}, true
}

// A suppression is an annotation that suppresses a rule.
type suppression struct {
	at     place
	id     string
	reason string
}

// annotationsThatIgnore returns the suppressions of the object and of the pod template.
func annotationsThatIgnore(p *pod) []suppression {
	var found []suppression
	seen := map[string]bool{}
	for _, at := range []place{
		p.root.get("metadata", "annotations"), p.root.get("spec", "jobTemplate", "metadata", "annotations"), p.meta.get("annotations"),
	} {
		manifest.Each(at.node, func(key, value *yamlNode) {
			id, ok := strings.CutPrefix(key.Value, Prefix)
			if !ok || seen[id] && len(p.template.Path) == 0 { // a Pod is its own pod template
				return
			}
			seen[id] = true
			found = append(found, suppression{place{key, at.path.Join(key.Value)}, id, strings.TrimSpace(manifest.Text(value))})
		})
	}
	return found
}

// suppressions returns what a pod suppresses, keyed by the id of the rule.
func suppressions(p *pod) map[string]suppression {
	ids := map[string]suppression{}
	for _, s := range annotationsThatIgnore(p) {
		ids[s.id] = s
	}
	return ids
}
