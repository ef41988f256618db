package manifest

import (
	"strings"

	"go.yaml.in/yaml/v3"
)

// An Object is one Kubernetes object of a document.
type Object struct {
	Document *Document
	// Node is the mapping, and Path leads to it: empty, or into the items of a list.
	Node *yaml.Node
	Path Path

	APIVersion, Kind              string
	Namespace, Name, GenerateName string
}

// Line is the line of the file on which the object begins.
func (o Object) Line() int { return o.Node.Line }

// Group is the API group: "" for core/v1.
func (o Object) Group() string {
	group, _, found := strings.Cut(o.APIVersion, "/")
	if !found {
		return ""
	}
	return group
}

// version is that of the API group.
func (o Object) version() string {
	if _, version, grouped := strings.Cut(o.APIVersion, "/"); grouped {
		return version
	}
	return o.APIVersion
}

// String names the object as messages do: Job/prod/migrate, Job/migrate without a
// namespace, Job/migrate- where the server completes the name.
func (o Object) String() string {
	parts := []string{o.Kind}
	if o.Kind == "" {
		parts[0] = "object"
	}
	if o.Namespace != "" {
		parts = append(parts, o.Namespace)
	}
	switch {
	case o.Name != "":
		parts = append(parts, o.Name)
	case o.GenerateName != "":
		parts = append(parts, o.GenerateName)
	default:
		parts = append(parts, "(no name)")
	}
	return strings.Join(parts, "/")
}

// Objects returns the objects of the document. Those in a List, or in the ResourceList
// that functions of kustomize and kpt are given, are in it instead of the list.
func (d *Document) Objects() []Object {
	if d.Root == nil || Resolve(d.Root).Kind != yaml.MappingNode {
		return nil
	}
	return objects(nil, d, Resolve(d.Root), nil, 0)
}

func objects(into []Object, d *Document, n *yaml.Node, path Path, depth int) []Object {
	o := Object{
		Document: d, Node: n, Path: path,
		APIVersion:   Text(Get(n, "apiVersion")),
		Kind:         Text(Get(n, "kind")),
		Namespace:    Text(Get(n, "metadata", "namespace")),
		Name:         Text(Get(n, "metadata", "name")),
		GenerateName: Text(Get(n, "metadata", "generateName")),
	}
	items := Get(n, "items")
	if !o.isList() || items == nil || items.Kind != yaml.SequenceNode || depth > maxDepth {
		return append(into, o)
	}
	for i, item := range Items(items) {
		if item.Kind == yaml.MappingNode {
			into = objects(into, d, item, path.Join("items", i), depth+1)
		}
	}
	return into
}

// Count returns the number of Kubernetes objects in a document, which are the mappings with
// a kind. For a list that is the number of its items, except for the list that kustomize
// sends to a function, which counts as one object.
func (d *Document) Count() int {
	n := 0
	for _, o := range d.Objects() {
		if o.Kind != "" {
			n++
		}
	}
	if n == 0 && Text(Get(d.Root, "kind")) == "ResourceList" {
		n = 1
	}
	return n
}

// isList recognises List, the typed lists of the API (JobList), and ResourceList.
func (o Object) isList() bool {
	return strings.HasSuffix(o.Kind, "List")
}
