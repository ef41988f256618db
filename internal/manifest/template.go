package manifest

import (
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

// PodTemplates returns the pod templates that an object has, as mappings; of Argo those
// with a container. None for a kind that is not in the table.
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
		if t.Node.Kind == yaml.MappingNode && (t.Row.Form != kind.Argo || Get(t.Node, "container") != nil) {
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
	path := t.Path[:len(t.Path)-2] // without the list of templates, and the place in it
	return Get(t.Object.Node, path...), path
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
	// Name is that in the spec; Argo calls its only container main.
	Name string
	Node *yaml.Node
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
	if n := Get(t.Node, "container"); n != nil && n.Kind == yaml.MappingNode {
		name := Text(Get(n, "name"))
		if name == "" {
			name = "main"
		}
		all = append(all, Container{Name: name, Node: n, Path: path.Join("container")})
	}
	return all
}
