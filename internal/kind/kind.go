// Package kind is the table of kinds whose objects say what pods are: where the pod
// templates stand, whether their pods end, how these are restarted, who ends the containers
// beside the work, and what jobmesh does with them. Finding pod templates, injection, lint,
// the library chart and the documentation read it, so a kind is one row here and nothing
// elsewhere.
//
// Two things are not in the table. A List, in any of its forms, is taken for the objects in
// it before anybody looks here. And a kind that is not in the table passes through injection
// unchanged and is not judged; where an object of it holds a pod template, that is said.
package kind

import "slices"

// Every stands in a path for every item of a list, or every value of a mapping.
const Every = "[]"

// A Kind is one row.
type Kind struct {
	// Group and Kind name it, in all versions of the group. Group is "" for core/v1.
	Group, Kind string
	// Templates are its pod templates. Most kinds have one; one with several sorts of pods,
	// such as a launcher and workers, has one for each sort.
	Templates []Template
	// Immutable says that the pods of an object cannot be changed once it is there.
	Immutable bool
	// Source is where these facts stand, with the version that they were checked against.
	Source string
}

// A Template is where objects of a kind say what pods of one sort are.
type Template struct {
	// Path leads to it from the object, with Every for lists and mappings. It is empty for a
	// Pod, which is its own template.
	Path []string
	// Optional says that objects of the kind may do without it. Where it is not optional, its
	// absence is a mistake of the author.
	Optional bool
	Form     Form
	Pods     Pods
	Restart  Restart
	Sidecars Ender
	// KillCommand is, with the name of a container behind it, the annotation that tells the
	// controller with which command it ends that container. Empty where there is none.
	KillCommand string
	// Fills says who writes a command into a container that has none, after injection and so
	// over the wrapper. Empty where nobody does.
	Fills  string
	Inject Treatment
	// Why says why a template with the treatment Never is left alone.
	Why string
}

// A Form is what stands at the end of the path.
type Form int

const (
	// PodTemplate has the fields metadata and spec.
	PodTemplate Form = iota
	// Argo is a template of a workflow: a container, a script, a set of containers, or work
	// that the executor does itself, with initContainers and volumes as a pod spec has them
	// beside it. The workflow says the rest for all its templates.
	Argo
	// Other is anything else from which a controller makes pods. Only that it is there is
	// known.
	Other
)

// Pods is whether pods are meant to end.
type Pods int

const (
	// End is for work: lint judges whether they do.
	End Pods = iota
	// Serve is for servers, which run until somebody deletes them.
	Serve
	// ByPolicy is for pods that end where their restartPolicy is Never or OnFailure.
	ByPolicy
	// Unjudged is for pods of which jobmesh cannot say whether they end. It says that.
	Unjudged
)

// Restart is what decides whether the kubelet starts a container again that has ended.
type Restart struct {
	// Policies are the values that the kind takes; others are refused. Nil where the author
	// cannot say.
	Policies []string
	// Default applies where the author says nothing. Empty where that is refused. DefaultIn
	// has the versions of the group in which it is another.
	Default   string
	DefaultIn map[string]string
	// Owner is the key beside the template whose value takes the place of restartPolicy in
	// the pod spec. Empty where the pod spec decides.
	Owner string
}

// In returns what applies in a version of the group where the author says nothing.
func (r Restart) In(version string) string {
	if other, ok := r.DefaultIn[version]; ok {
		return other
	}
	return r.Default
}

// Policy returns the restartPolicy of the pods, of what the author says where it counts.
func (r Restart) Policy(said, version string) string {
	switch said {
	case "":
		return r.In(version)
	case "ExitCode": // of Kubeflow: its operator starts a new pod after some codes
		return "Never"
	}
	return said
}

// An Ender is who ends the containers beside the work when the work has ended. Native
// sidecars are ended by the kubelet, whatever the kind.
type Ender int

const (
	// Nobody does: the pod runs until they end by themselves.
	Nobody Ender = iota
	// Controller is the kind's own controller.
	Controller
	// Kubelet is that of the node, when the pod is deleted: there is no end before that.
	Kubelet
)

// A Treatment is what jobmesh inject and jobmesh.manifests of the library chart do.
type Treatment int

const (
	// Never leaves the template alone.
	Never Treatment = iota
	// Always injects it.
	Always
	// Named injects it where the value kinds names the kind.
	Named
	// Hook injects it where the object is a Helm hook. A helm test is one.
	Hook
)

// Of returns the row of a kind, nil where the table has none.
func Of(group, kind string) *Kind {
	for i := range Table {
		if Table[i].Kind == kind && Table[i].Group == group {
			return &Table[i]
		}
	}
	return nil
}

// Names returns the names of the kinds with a template that is treated in one of these
// ways, in the order of the table.
func Names(treated ...Treatment) []string {
	var names []string
	for _, k := range Table {
		if slices.ContainsFunc(k.Templates, func(t Template) bool { return slices.Contains(treated, t.Inject) }) {
			names = append(names, k.Kind)
		}
	}
	return names
}
