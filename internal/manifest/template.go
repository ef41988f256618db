package manifest

import (
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/kind"
)

// KindOf returns the row of an object in the table of kinds, nil where it has none.
func (o Object) KindOf() *kind.Kind { return kind.Of(o.Group(), o.Kind) }

// A PodTemplate is where an object says what its pods are.
type PodTemplate struct {
	Object Object
	// Row is what the table of kinds knows of the template.
	Row *kind.Template
	// Node has the fields metadata and spec, and Path leads to it from the object. For
	// a Pod it is the object; for Argo it is a template of the workflow.
	Node *yaml.Node
	Path Path
	// Item is the part of Path that leads to the item of a list, or the value of a mapping,
	// that the template belongs to: the innermost one. Nil where an object has one template.
	Item Path
}

// argoWork are the fields of a template of Argo that make a pod of it: one container, a
// script in one, several containers, and two sorts of work that the executor does itself.
var argoWork = []string{"container", "script", "containerSet", "data", "resource"}

// PodTemplates returns the pod templates that an object has, as mappings; of Argo those
// of which it makes a pod. None for a kind that is not in the table.
func (o Object) PodTemplates() []PodTemplate {
	row := o.KindOf()
	if row == nil {
		return nil
	}
	var all []PodTemplate
	for i := range row.Templates {
		all = templates(all, PodTemplate{Object: o, Row: &row.Templates[i], Node: o.Node}, row.Templates[i].Path)
	}
	return all
}

// templates adds the pod templates that a path leads to from where t stands.
func templates(into []PodTemplate, t PodTemplate, rest []string) []PodTemplate {
	t.Node = Resolve(t.Node)
	step := func(key any, n *yaml.Node) PodTemplate {
		next := t
		next.Node, next.Path = n, t.Path.Join(key)
		return next
	}
	switch {
	case t.Node == nil:
		return into
	case len(rest) == 0:
		if t.Node.Kind == yaml.MappingNode && (t.Row.Form != kind.Argo || t.argoField() != "") {
			into = append(into, t)
		}
		return into
	case rest[0] != kind.Every:
		return templates(into, step(rest[0], Get(t.Node, rest[0])), rest[1:])
	}
	each := func(key any, n *yaml.Node) {
		next := step(key, n)
		next.Item = next.Path
		into = templates(into, next, rest[1:])
	}
	if t.Node.Kind == yaml.MappingNode {
		Each(t.Node, func(key, value *yaml.Node) { each(key.Value, value) })
		return into
	}
	for i, item := range Items(t.Node) {
		each(i, item)
	}
	return into
}

// Workflow returns the mapping that says what holds for all templates of an Argo workflow,
// and the path to it. Nil for any other kind, whose pod templates say everything themselves.
func (t PodTemplate) Workflow() (*yaml.Node, Path) {
	if t.Row.Form != kind.Argo {
		return nil, nil
	}
	path := t.Path[:slices.Index(t.Path, any("templates"))]
	return Get(t.Object.Node, path...), path
}

// argoField is the field of a template of Argo that makes a pod of it, "" where none does.
func (t PodTemplate) argoField() string {
	for _, field := range argoWork {
		if n := Get(t.Node, field); n != nil && n.Kind == yaml.MappingNode {
			return field
		}
	}
	return ""
}

// Metadata returns the mappings that together make a field of the pods' metadata, such as
// annotations; the first of them wins. An Argo workflow may have one for all of its
// templates.
func (t PodTemplate) Metadata(field string) []*yaml.Node {
	nodes := []*yaml.Node{Get(t.Node, "metadata", field)}
	if workflow, _ := t.Workflow(); workflow != nil {
		nodes = append(nodes, Get(workflow, "templateDefaults", "metadata", field), Get(workflow, "podMetadata", field))
	}
	return nodes
}

// Texts are the labels or annotations of the pods, field by name.
func (t PodTemplate) Texts(field string) map[string]string {
	all := map[string]string{}
	for _, n := range slices.Backward(t.Metadata(field)) {
		maps.Copy(all, Texts(n))
	}
	return all
}

// Spec is the pod spec, nil where there is none. For Argo it is the template, which
// has initContainers and volumes as a pod spec has them.
func (t PodTemplate) Spec() (*yaml.Node, Path) {
	if t.Row.Form == kind.Argo {
		return t.Node, t.Path
	}
	return Get(t.Node, "spec"), t.Path.Join("spec")
}

// HostNetwork tells whether the pods use the network of their node. An Argo workflow says
// so once, for all its templates.
func (t PodTemplate) HostNetwork() bool {
	spec, _ := t.Spec()
	if workflow, _ := t.Workflow(); workflow != nil {
		spec = workflow
	}
	return Text(Get(spec, "hostNetwork")) == "true"
}

// Windows tells whether the pods ask for a node with Windows, where the wrapper does not run.
func (t PodTemplate) Windows() bool {
	spec, _ := t.Spec()
	return strings.EqualFold(Text(Get(spec, "os", "name")), "windows") ||
		strings.EqualFold(Text(Get(spec, "nodeSelector", "kubernetes.io/os")), "windows")
}

// RestartPolicy returns the restartPolicy that the pods will have: the one that is written,
// where the kind heeds it, or else the default of the kind. It is empty where the API server
// refuses what is written.
func (t PodTemplate) RestartPolicy() string {
	spec, _ := t.Spec()
	said := Text(Get(spec, "restartPolicy"))
	if owner := t.Row.Restart.Owner; owner != "" {
		said = Text(Get(t.Object.Node, t.Path[:len(t.Path)-1].Join(owner)...))
	}
	if t.Row.Form == kind.Argo {
		said = ""
	}
	return t.Row.Restart.Policy(said, t.Object.version())
}

// OfJobs tells whether the pods are those of Jobs of batch/v1.
func (t PodTemplate) OfJobs() bool { return t.Row.OfJobs(t.Object.version()) }

// EndsByPolicy tells whether the kubelet leaves the pods ended when their containers have
// ended: whether restartPolicy is Never or OnFailure.
func (t PodTemplate) EndsByPolicy() bool {
	spec, _ := t.Spec()
	policy := Text(Get(spec, "restartPolicy"))
	return policy == "Never" || policy == "OnFailure"
}

// Annotation returns the value of a pod annotation, as a node, nil where there is none.
func (t PodTemplate) Annotation(name string) *yaml.Node {
	return Get(t.Node, "metadata", "annotations", name)
}

// Label returns the value of a pod label, as a node, nil where there is none.
func (t PodTemplate) Label(name string) *yaml.Node {
	return Get(t.Node, "metadata", "labels", name)
}

// A Container is one container of a pod template.
type Container struct {
	// Name is the name in the spec. The only container of an Argo template is called main
	// where the template does not name it.
	Name string
	// Executor says that Argo's own program does the work of the template in it.
	Executor bool
	Node     *yaml.Node
	// Path leads to it from the object.
	Path Path
	// Init says that it is an init container; Native, that it is a sidecar of
	// Kubernetes itself, an init container that is always restarted.
	Init, Native bool
}

// Containers returns the init containers, and then the containers.
func (t PodTemplate) Containers() []Container {
	spec, path := t.Spec()
	var all []Container
	for _, field := range []string{"initContainers", "containers"} {
		for i, n := range Items(Get(spec, field)) {
			if n.Kind != yaml.MappingNode {
				continue
			}
			init := field == "initContainers"
			all = append(all, Container{
				Name: Text(Get(n, "name")), Node: n, Path: path.Join(field, i),
				Init: init, Native: init && Text(Get(n, "restartPolicy")) == "Always",
			})
		}
	}
	if t.Row.Form != kind.Argo {
		return all
	}
	return append(all, t.argoContainers()...)
}

// argoContainers are those in which a template of Argo does its work.
func (t PodTemplate) argoContainers() []Container {
	field := t.argoField()
	n, path := Get(t.Node, field), t.Path.Join(field)
	if field == "containerSet" {
		var all []Container
		for i, item := range Items(Get(n, "containers")) {
			if item.Kind == yaml.MappingNode {
				all = append(all, Container{Name: Text(Get(item, "name")), Node: item, Path: path.Join("containers", i)})
			}
		}
		return all
	}
	name := Text(Get(n, "name"))
	if name == "" || field != "container" && field != "script" {
		name = "main"
	}
	return []Container{{Name: name, Node: n, Path: path, Executor: field == "data" || field == "resource"}}
}

// Apart returns the paths at which an object holds pods that jobmesh does not treat, each
// with the reason. An object of a kind that is not in the table is searched for pod
// templates; of the others the table says what is apart.
func (o Object) Apart() []Part {
	var parts []Part
	switch {
	case slices.Contains(kind.Patterns, o.Group()):
		return nil
	case o.KindOf() == nil:
		for _, path := range podTemplatesIn(o.Node, nil) {
			parts = append(parts, Part{path, "the kind " + o.Kind + " is not known, so its pods are neither judged nor injected"})
		}
		return parts
	}
	for _, t := range o.PodTemplates() {
		if t.Row.Pods == kind.Unjudged {
			parts = append(parts, Part{t.Path, t.Row.Why})
		}
	}
	return parts
}

// A Part is something in an object that jobmesh does not treat, and why.
type Part struct {
	Path Path
	Why  string
}

// podTemplatesIn finds what looks like a pod template: a mapping named template, with
// containers in its spec.
func podTemplatesIn(n *yaml.Node, at Path) []Path {
	n = Resolve(n)
	var found []Path
	switch {
	case n == nil:
	case n.Kind == yaml.MappingNode:
		Each(n, func(key, value *yaml.Node) {
			if key.Value == "template" && len(Items(Get(value, "spec", "containers"))) > 0 {
				found = append(found, at.Join(key.Value))
				return
			}
			if value.Kind != yaml.AliasNode { // what an anchor holds is found where it stands
				found = append(found, podTemplatesIn(value, at.Join(key.Value))...)
			}
		})
	case n.Kind == yaml.SequenceNode:
		for i, item := range n.Content {
			if item.Kind != yaml.AliasNode {
				found = append(found, podTemplatesIn(item, at.Join(i))...)
			}
		}
	}
	return found
}

// Elsewhere names the other objects that say what pods of a workflow of Argo are, as Kind/name:
// one for all of it, or some for steps and tasks.
func (o Object) Elsewhere() []string {
	row := o.KindOf()
	if row == nil || len(row.Templates) == 0 || row.Templates[0].Form != kind.Argo {
		return nil
	}
	path := row.Templates[0].Path
	n := o.Node
	for _, step := range path[:slices.Index(path, "templates")] {
		n = Get(n, step)
	}
	var names []string
	add := func(ref *yaml.Node) {
		of := "WorkflowTemplate/"
		if Text(Get(ref, "clusterScope")) == "true" {
			of = "ClusterWorkflowTemplate/"
		}
		if name := Text(Get(ref, "name")); name != "" && !slices.Contains(names, of+name) {
			names = append(names, of+name)
		}
	}
	add(Get(n, "workflowTemplateRef"))
	for _, template := range Items(Get(n, "templates")) {
		for _, group := range Items(Get(template, "steps")) {
			for _, step := range Items(group) {
				add(Get(step, "templateRef"))
			}
		}
		for _, task := range Items(Get(template, "dag", "tasks")) {
			add(Get(task, "templateRef"))
		}
	}
	return names
}
