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

// Prefix is that of the annotations that suppress a rule, on the object or on the
// pod template: the id follows, and the value is the reason.
const Prefix = "jobmesh.dev/ignore-"

// A Linter judges objects one by one.
type Linter struct {
	profile    Profile
	namespaces map[string]Namespace
	doubts     []Doubt
}

// A Doubt is a container of which lint cannot tell whether it stops the proxy, so that
// nothing is claimed about it.
type Doubt struct {
	Object, Container, File string
	Line                    int
	// What is the part of the script that decides, as written.
	What string
}

// Doubts returns what could not be told about the objects that were checked.
func (l *Linter) Doubts() []Doubt { return l.doubts }

// New returns a linter for a cluster with these namespaces.
func New(profile Profile, namespaces map[string]Namespace) *Linter {
	return &Linter{profile: profile, namespaces: namespaces}
}

// Check returns the findings about an object, but for those that it suppresses.
func (l *Linter) Check(o manifest.Object) []Finding {
	var findings []Finding
	for _, p := range podsOf(o, &l.profile, l.namespaces) {
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

// Unjudged says of an object that pods are made from it that Check does not judge, and why.
// Empty where there are none.
func Unjudged(o manifest.Object) []string {
	var why []string
	for _, part := range o.Apart() {
		if !slices.Contains(why, part.Why) {
			why = append(why, part.Why)
		}
	}
	return why
}

// multiKueue is the controller in the field managedBy that runs objects of any kind in another
// cluster.
const multiKueue = "kueue.x-k8s.io/multikueue"

// ManagedBy is who runs an object in the place of its own controller, by the field managedBy.
// Whoever it is may make the pods in another cluster, so that a verdict holds for the cluster
// that was judged, and not for certain for that one. It is empty where nobody does. Source:
// https://github.com/kubernetes/enhancements/tree/master/keps/sig-apps/4368-support-managed-by-for-batch-jobs
func ManagedBy(o manifest.Object) string {
	if o.KindOf() == nil {
		return ""
	}
	for _, path := range [][]any{{"managedBy"}, {"jobTemplate", "spec", "managedBy"}, {"runPolicy", "managedBy"}} {
		by := manifest.Text(manifest.Get(manifest.Get(o.Node, "spec"), path...))
		// The other kinds take the name of their own controller too, each another one.
		if by == multiKueue || o.Group() == "batch" && Foreign(by) {
			return by
		}
	}
	return ""
}

// Foreign tells whether the field managedBy of a Job names somebody else than the Job controller.
func Foreign(by string) bool { return by != "" && by != batchv1.JobControllerName }

// NamespaceOf returns what a manifest says about a namespace.
func NamespaceOf(o manifest.Object) (name string, ns Namespace, ok bool) {
	if o.Kind != "Namespace" || o.Group() != "" {
		return "", ns, false
	}
	meta := place{o.Node, nil}.get("metadata")
	return o.Name, Namespace{Labels: manifest.Texts(meta.get("labels").node), Annotations: manifest.Texts(meta.get("annotations").node)}, true
}

// A suppression is an annotation that silences a rule.
type suppression struct {
	at     place
	id     string
	reason string
}

// annotationsThatIgnore are the suppressions of the object and of the pod template.
func annotationsThatIgnore(p *pod) []suppression {
	var found []suppression
	seen := map[string]bool{}
	for _, at := range []place{
		p.root.get("metadata", "annotations"), p.root.get("spec", "jobTemplate", "metadata", "annotations"), p.meta.get("annotations"),
	} {
		manifest.Each(at.node, func(key, value *yamlNode) {
			id, ok := strings.CutPrefix(key.Value, Prefix)
			if !ok || seen[id] && len(p.template.Path) == 0 { // a Pod is its own template
				return
			}
			seen[id] = true
			found = append(found, suppression{place{key, at.path.Join(key.Value)}, id, strings.TrimSpace(manifest.Text(value))})
		})
	}
	return found
}

// suppressions are the ids that a pod silences.
func suppressions(p *pod) map[string]suppression {
	ids := map[string]suppression{}
	for _, s := range annotationsThatIgnore(p) {
		ids[s.id] = s
	}
	return ids
}
