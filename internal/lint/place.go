package lint

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// placeRules are the rules for labels and annotations in the wrong place, or with a spelling
// that the mesh does not read.
var placeRules = []Rule{
	{
		ID: "JM301", Severity: Error,
		Title:   "a label or annotation for the mesh where no mesh reads it",
		Message: "`{key}` has no effect here; the mesh reads {right}",
		Why: `Injectors look at the pod that is created, and a pod has the labels and annotations of the pod template.
What stands on the Job, on the CronJob, on its jobTemplate or inside the pod spec stays there.`,
		Fix: "move it to {right}",
		Links: []string{
			"https://github.com/jenkins-x/exposecontroller/issues/158", "https://github.com/lacuna-tech/mds-core/pull/180",
			"https://github.com/feast-dev/feast/pull/5725", "https://github.com/istio/istio/issues/11659",
		},
		check: misplaced,
	},
	{
		ID: "JM302", Severity: Warning,
		Title:   "a key that no mesh reads",
		Message: "`{key}` is not a key that a mesh reads; did you mean `{meant}`?",
		Why:     `Unknown labels and annotations are not refused by anybody. The pod is treated as if it were not there.`,
		Fix:     "rename it to `{meant}`",
		Links:   []string{"https://github.com/linkerd/linkerd2/issues/13205", "https://istio.io/latest/docs/reference/config/annotations/"},
		check: func(p *pod, r *reporter) {
			for _, level := range p.levels() {
				level.each(func(key, _ *yamlNode, at place) {
					if right, ok := meant(key.Value); ok {
						r.mending(patch.Mend{Kind: patch.Rename, Path: parent(at), Key: key.Value, Text: right}).
							add(place{key, at.path}, "", "key", key.Value, "meant", right)
					}
				})
			}
		},
	},
	{
		ID: "JM303", Severity: Error,
		Title:   "a value that the mesh reads in another way than a person does",
		Message: "`{key}: {value}` is read as {taken}",
		Why: `Each mesh compares the value with words of its own, and what it does with another is not what it looks
like: Istio takes "False" for on, Linkerd takes "true" for no.`,
		Fix:   "write {exact}",
		Links: []string{"https://linkerd.io/2/features/proxy-injection/", "https://github.com/istio/istio/blob/master/manifests/charts/istio-control/istio-discovery/files/injection-template.yaml"},
		check: func(p *pod, r *reporter) {
			for _, level := range []metadata{{p.meta.get("annotations"), false, true}, {p.meta.get("labels"), true, true}} {
				level.each(func(key, value *yamlNode, at place) {
					w, ok := wordOf(key.Value)
					if !ok || w.Understood(value.Value) || value.Kind != yaml.ScalarNode || notString(value) || level.labels && !w.Label || !level.labels && !w.Annotation {
						return
					}
					r.mending(respelled(w, value.Value, parent(at))...).
						add(place{value, at.path}, "", "key", key.Value, "value", strconv.Quote(value.Value), "taken", w.Other, "exact", exactWords(w))
				})
			}
		},
	},
	{
		ID: "JM304", Severity: Warning,
		Title:   "label and annotation disagree",
		Message: "the label `{key}: {label}` wins over the annotation `{annotation}`",
		Why:     `Istio and Kuma read the label first. The annotation is the older way, and is not looked at then.`,
		Fix:     "keep the label alone",
		Links:   []string{"https://github.com/istio/istio/blob/master/pkg/kube/inject/inject.go"},
		check: func(p *pod, r *reporter) {
			for _, m := range mesh.All() {
				if !slices.Contains(m.Inject.Levels, mesh.PodLabel) || !slices.Contains(m.Inject.Levels, mesh.PodAnnotation) {
					continue
				}
				key := m.Inject.Key
				label, one := p.labels[key]
				annotation, two := p.annotations[key]
				if one && two && label != annotation {
					r.add(p.annotation(key), "", "key", key, "label", label, "annotation", annotation)
				}
			}
		},
	},
	{
		ID: "JM305", Severity: Warning,
		Title:   "a Linkerd annotation of another version",
		Message: "Linkerd {version} {does} `{key}`",
		Why:     "The annotation for native sidecars was renamed twice: " + renamings(rowOf("linkerd").Native.Words) + ".\nAn older release does not know the newer names.",
		Fix:     "use `{right}`",
		Links:   []string{"https://github.com/linkerd/linkerd2/pull/15267"},
		check: func(p *pod, r *reporter) {
			v := p.installation("linkerd").Version
			if p.profile.Mesh != "linkerd" || !v.Known() {
				return
			}
			var set, readable []string
			right := ""
			names := rowOf("linkerd").Native.Words
			for _, known := range names {
				reads := v.AtLeast(known.Since.Major, known.Since.Minor)
				if reads && right == "" {
					right = known.Name
				}
				if _, ok := p.annotations[known.Name]; ok {
					set = append(set, known.Name)
					if reads {
						readable = append(readable, known.Name)
					}
				}
			}
			switch {
			case len(set) == 0 || right == "":
			case len(readable) == 0:
				r.mending(p.renamed(set[0], right)).add(p.annotation(set[0]), "", "version", v.String(), "does", "does not read", "key", set[0], "right", right)
			case right == names[0].Name && !slices.Contains(set, right):
				r.mending(p.renamed(set[0], right)).add(p.annotation(set[0]), "", "version", v.String(), "does", "still reads the deprecated", "key", set[0], "right", right)
			}
		},
	},
	{
		ID: "JM306", Severity: Error,
		Title:   "a native sidecar told to wait before it exits",
		Message: "`{key}` with a native sidecar: {what}",
		Why: `Waiting before exit is a preStop hook that keeps a classic proxy up for the application. The kubelet
orders this by itself for a native sidecar. Up to 2.19 Linkerd refuses to inject a pod that asks for both; since
2.20 it ignores the wait, and this finding is for information.`,
		Fix:   "remove it",
		Links: []string{"https://github.com/linkerd/linkerd2/issues/12164"},
		check: func(p *pod, r *reporter) {
			x, ok := p.proxyOf("linkerd")
			seconds, err := strconv.Atoi(p.annotations[mesh.LinkerdWait])
			if !ok || !x.native.Yes || err != nil || seconds == 0 {
				return
			}
			severity, what := Error, "Linkerd up to 2.19 refuses to inject the pod"
			if p.version("linkerd").AtLeast(2, 20) {
				severity, what = Info, "Linkerd 2.20 and newer ignore it"
			}
			r.addAs(severity, p.annotation(mesh.LinkerdWait), "", "key", mesh.LinkerdWait, "what", what)
		},
	},
	{
		ID: "JM307", Severity: Error,
		Title:   "a label or annotation that is not a string",
		Message: "the value {value} of `{key}` is a {type}, not a string; the API server refuses the object",
		Why: `Values of labels and annotations are strings. A bare true, false, yes, no, on, off or number is not one
in the YAML that Kubernetes reads.`,
		Fix:   `quote it: "{value}"`,
		Links: []string{"https://kubernetes.io/docs/concepts/overview/working-with-objects/annotations/"},
		check: func(p *pod, r *reporter) {
			for _, level := range p.levels() {
				level.each(func(key, value *yamlNode, at place) {
					if kind := typeOf(value); kind != "string" && kind != "" {
						r.mending(patch.Mend{Kind: patch.Rewrite, Path: parent(at), Key: key.Value, Text: value.Value}).
							add(place{value, at.path}, "", "key", key.Value, "value", value.Value, "type", kind)
					}
				})
			}
		},
	},
}

// metadata is a mapping of labels or annotations in an object.
type metadata struct {
	place
	labels bool
	// read is set for the metadata of the pod template, which a mesh reads.
	read bool
}

// each calls f for every key; at is the place of the value.
func (m metadata) each(f func(key, value *yamlNode, at place)) {
	manifest.Each(m.node, func(key, value *yamlNode) {
		f(key, value, place{value, m.path.Join(key.Value)})
	})
}

// levels returns all labels and annotations of an object that may be meant for a mesh. Those of
// the object itself are returned for its first pod template only.
func (p *pod) levels() []metadata {
	levels := []metadata{{p.meta.get("annotations"), false, true}, {p.meta.get("labels"), true, true}}
	if len(p.template.Path) == 0 { // a Pod is its own pod template
		return levels
	}
	// These are all metadata on the way to the pod template. Metadata that several templates
	// share is returned once.
	own := false
	for i := range p.template.Path {
		if i > 0 {
			_, inList := p.template.Path[i-1].(int)
			own = own || inList
		}
		if p.first || own {
			at := p.root.get(p.template.Path[:i]...).get("metadata")
			levels = append(levels, metadata{at.get("annotations"), false, false}, metadata{at.get("labels"), true, false})
		}
	}
	if p.template.Row.Form == kind.PodTemplate {
		levels = append(levels,
			metadata{p.spec.get("annotations"), false, false}, metadata{p.spec.get("labels"), true, false},
			metadata{p.spec.get("metadata", "annotations"), false, false}, metadata{p.spec.get("metadata", "labels"), true, false},
			metadata{place{p.template.Node, p.template.Path}.get("annotations"), false, false})
	}
	return levels
}

// misplaced reports labels and annotations that stand where no mesh reads them. It does not
// report one that the pod template repeats with the same value: charts write such common
// annotations to every level.
func misplaced(p *pod, r *reporter) {
	for _, level := range p.levels() {
		level.each(func(key, value *yamlNode, at place) {
			if !ofMesh(key.Value) {
				return
			}
			w, known := wordOf(key.Value)
			asLabel := level.labels && known && w.Label
			if level.read && (asLabel || !level.labels && (!known || w.Annotation)) {
				return
			}
			annotated, yes := p.annotations[key.Value]
			labelled, alsoYes := p.labels[key.Value]
			said := manifest.Text(value)
			if yes && annotated == said || alsoYes && labelled == said && known && w.Label {
				return
			}
			field := "annotations"
			if asLabel || known && !w.Annotation {
				field = "labels"
			}
			r.mending(p.moved(at, key.Value, said, field)...).
				add(place{key, at.path}, "", "key", key.Value, "right", p.meta.path.Join(field).String())
		})
	}
}

// booleans are the words that YAML 1.1 reads as booleans and YAML 1.2 as strings.
var booleans = []string{
	"y", "Y", "yes", "Yes", "YES", "on", "On", "ON",
	"n", "N", "no", "No", "NO", "off", "Off", "OFF",
}

// typeOf names the type of a scalar as Kubernetes reads it, in YAML 1.1. It returns "" for
// null, and for a value that is no scalar.
func typeOf(n *yaml.Node) string {
	if n == nil || n.Kind != yaml.ScalarNode {
		return ""
	}
	switch n.Tag {
	case "!!null":
		return ""
	case "!!bool":
		return "boolean"
	case "!!int", "!!float":
		return "number"
	}
	if n.Style&(yaml.SingleQuotedStyle|yaml.DoubleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle|yaml.TaggedStyle) == 0 &&
		slices.Contains(booleans, n.Value) {
		return "boolean"
	}
	return "string"
}

func notString(n *yaml.Node) bool { return typeOf(n) != "string" }

// renamings lists the names of an annotation, each with the first release that reads it.
func renamings(words []mesh.NativeWord) string {
	var names []string
	for _, w := range slices.Backward(words) {
		names = append(names, fmt.Sprintf("%s since %s", w.Name, w.Since))
	}
	return strings.Join(names, ",\n")
}
