package manifest

import "go.yaml.in/yaml/v3"

// every stands in the paths of the table for every item of a list, or every value of
// a mapping.
const every = "[]"

// A Kind says where objects of one kind have their pod templates.
type Kind struct {
	// Group and Kind name it; all versions are alike.
	Group, Kind string
	// Path leads to the pod templates. "[]" stands for every item of a list or value of
	// a mapping. It is empty for a Pod, which is its own.
	Path []string
	// Ends says that the pods are meant to end, and that jobmesh.manifests treats the
	// kind: _manifests.tpl of the library chart has the same rows.
	Ends bool
	// Argo says that a template has one container and the volumes of a pod, but no
	// pod spec.
	Argo bool
}

// Kinds are the kinds whose pod templates are known.
var Kinds = []Kind{
	{Group: "batch", Kind: "Job", Path: []string{"spec", "template"}, Ends: true},
	{Group: "batch", Kind: "CronJob", Path: []string{"spec", "jobTemplate", "spec", "template"}, Ends: true},
	{Kind: "Pod", Ends: true},
	{Group: "keda.sh", Kind: "ScaledJob", Path: []string{"spec", "jobTargetRef", "template"}, Ends: true},
	{Group: "jobset.x-k8s.io", Kind: "JobSet", Path: []string{"spec", "replicatedJobs", every, "template", "spec", "template"}, Ends: true},
	{Group: "argoproj.io", Kind: "Workflow", Path: []string{"spec", "templates", every}, Ends: true, Argo: true},
	{Group: "argoproj.io", Kind: "WorkflowTemplate", Path: []string{"spec", "templates", every}, Ends: true, Argo: true},
	{Group: "argoproj.io", Kind: "ClusterWorkflowTemplate", Path: []string{"spec", "templates", every}, Ends: true, Argo: true},
	{Group: "argoproj.io", Kind: "CronWorkflow", Path: []string{"spec", "workflowSpec", "templates", every}, Ends: true, Argo: true},

	{Group: "apps", Kind: "Deployment", Path: []string{"spec", "template"}},
	{Group: "apps", Kind: "StatefulSet", Path: []string{"spec", "template"}},
	{Group: "apps", Kind: "DaemonSet", Path: []string{"spec", "template"}},
	{Group: "apps", Kind: "ReplicaSet", Path: []string{"spec", "template"}},
	{Kind: "ReplicationController", Path: []string{"spec", "template"}},
	{Kind: "PodTemplate", Path: []string{"template"}},
	{Group: "ray.io", Kind: "RayJob", Path: []string{"spec", "submitterPodTemplate"}},
	{Group: "batch.volcano.sh", Kind: "Job", Path: []string{"spec", "tasks", every, "template"}},
	{Group: "kubeflow.org", Kind: "MPIJob", Path: []string{"spec", "mpiReplicaSpecs", every, "template"}},
	{Group: "kubeflow.org", Kind: "PyTorchJob", Path: []string{"spec", "pytorchReplicaSpecs", every, "template"}},
	{Group: "kubeflow.org", Kind: "TFJob", Path: []string{"spec", "tfReplicaSpecs", every, "template"}},
}

// KindOf returns the row of an object, nil where its kind is not known.
func (o Object) KindOf() *Kind {
	for i := range Kinds {
		if Kinds[i].Kind == o.Kind && Kinds[i].Group == o.Group() {
			return &Kinds[i]
		}
	}
	return nil
}

// A PodTemplate is where an object says what its pods are.
type PodTemplate struct {
	Object Object
	// Node has the fields metadata and spec, and Path leads to it from the object. For
	// a Pod it is the object; for Argo it is a template of the workflow.
	Node *yaml.Node
	Path Path
	Argo bool
}

// PodTemplates returns the pod templates of an object that there are, as mappings; of
// Argo those that have a container. None for a kind that is not in Kinds.
func (o Object) PodTemplates() []PodTemplate {
	kind := o.KindOf()
	if kind == nil {
		return nil
	}
	return templates(nil, o, kind, o.Node, kind.Path, nil)
}

func templates(into []PodTemplate, o Object, kind *Kind, n *yaml.Node, rest []string, path Path) []PodTemplate {
	n = Resolve(n)
	switch {
	case n == nil:
		return into
	case len(rest) == 0:
		if n.Kind == yaml.MappingNode && (!kind.Argo || Get(n, "container") != nil) {
			into = append(into, PodTemplate{Object: o, Node: n, Path: path, Argo: kind.Argo})
		}
		return into
	case rest[0] != every:
		return templates(into, o, kind, Get(n, rest[0]), rest[1:], path.Join(rest[0]))
	case n.Kind == yaml.MappingNode:
		Each(n, func(key, value *yaml.Node) {
			into = templates(into, o, kind, value, rest[1:], path.Join(key.Value))
		})
		return into
	}
	for i, item := range Items(n) {
		into = templates(into, o, kind, item, rest[1:], path.Join(i))
	}
	return into
}

// Spec is the pod spec, nil where there is none. For Argo it is the template, which
// has initContainers and volumes as a pod spec has them.
func (t PodTemplate) Spec() (*yaml.Node, Path) {
	if t.Argo {
		return t.Node, t.Path
	}
	return Get(t.Node, "spec"), t.Path.Join("spec")
}

// HostNetwork tells whether the pods use the network of their node. An Argo workflow says
// so once, for all its templates.
func (t PodTemplate) HostNetwork() bool {
	spec, _ := t.Spec()
	if t.Argo {
		spec = Get(t.Object.Node, t.Path[:len(t.Path)-2]...)
	}
	return Text(Get(spec, "hostNetwork")) == "true"
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
	if n := Get(t.Node, "container"); t.Argo && n != nil && n.Kind == yaml.MappingNode {
		name := Text(Get(n, "name"))
		if name == "" {
			name = "main"
		}
		all = append(all, Container{Name: name, Node: n, Path: path.Join("container")})
	}
	return all
}
