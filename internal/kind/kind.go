// Package kind is the table of kinds whose objects describe pods: where the pod templates
// stand, whether the pods end, how the kubelet restarts them, who ends the containers beside
// the work, and what jobmesh does with the kind. Injection, lint, the library chart and the
// documentation read the table, so a kind is one row here and nothing elsewhere.
//
// Two cases are not in the table. A List, in any of its forms, is replaced by the objects in it
// before the table is read. And an object of a kind that is not in the table passes through
// injection unchanged and is not judged; where it holds a pod template, a message says so.
package kind

import "slices"

// Every is the element of a path that stands for each item of a list, or each value of a
// mapping.
const Every = "[]"

// A Kind is one row of the table.
type Kind struct {
	// Group and Kind name the kind, in all versions of the group. Group is "" for core/v1.
	Group, Kind string
	// Templates are its pod templates. Most kinds have one. A kind with several sorts of pods,
	// such as a launcher and workers, has one for each sort.
	Templates []Template
	// Immutable says that the pod template of an existing object cannot be changed.
	Immutable bool
	// Source says where these facts come from, and which version they were checked against.
	Source string
}

// A Template is the place where objects of a kind describe one sort of pods.
type Template struct {
	// Path leads to it from the object, with Every for lists and mappings. It is empty for a
	// Pod, which is its own template.
	Path []string
	// Optional says that an object may lack the template. Where a template is not optional, its
	// absence is a mistake of the author.
	Optional bool
	Form     Form
	Pods     Pods
	Restart  Restart
	Sidecars Ender
	// KillCommand is the prefix of an annotation; the name of a container follows. The
	// annotation holds the command with which the controller ends that container. Empty where
	// the kind has no such annotation.
	KillCommand string
	// Fills names who writes a command into a container without one. That happens after
	// injection, and so replaces the wrapper. Empty where nobody does.
	Fills string
	// Jobs are the versions of the group in which the pods are those of Jobs of batch/v1, which
	// the controller of the kind makes where the object is none itself; Every is all of them.
	Jobs   []string
	Inject Treatment
	// Why says why a template whose treatment is Never is left alone.
	Why string
}

// A Form is the form of the value at the end of a Template's path.
type Form int

const (
	// PodTemplate has the fields metadata and spec.
	PodTemplate Form = iota
	// Argo is a template of a workflow: a container, a script, a set of containers, or work
	// that the executor does itself, beside initContainers and volumes as in a pod spec.
	// Everything else stands in the workflow, once for all its templates.
	Argo
	// Other is anything else from which a controller makes pods. Jobmesh knows only that it is
	// there.
	Other
)

// Pods says whether the pods of a template are meant to end.
type Pods int

const (
	// End means that the pods do work and are meant to end: lint judges whether they do.
	End Pods = iota
	// Serve means that the pods serve until somebody deletes them.
	Serve
	// ByPolicy means that the pods are meant to end where their restartPolicy is Never or
	// OnFailure.
	ByPolicy
	// Unjudged means that jobmesh cannot say whether the pods end. Lint says so.
	Unjudged
)

// Restart says what decides whether the kubelet starts a container again after it has ended.
type Restart struct {
	// Policies are the values that the kind accepts. Nil means that the author cannot choose.
	Policies []string
	// Default applies where the author says nothing; it is empty where the kind then refuses
	// the object. DefaultIn has the versions of the group with another default.
	Default   string
	DefaultIn map[string]string
	// Owner is the key beside the template whose value replaces restartPolicy of the pod spec.
	// It is empty where the pod spec decides.
	Owner string
}

// In returns the policy that applies, in a version of the group, where the author says nothing.
func (r Restart) In(version string) string {
	if other, ok := r.DefaultIn[version]; ok {
		return other
	}
	return r.Default
}

// OfJobs tells whether the pods are those of Jobs of batch/v1, in a version of the group.
func (t *Template) OfJobs(version string) bool {
	return slices.Contains(t.Jobs, Every) || slices.Contains(t.Jobs, version)
}

// Policy returns the restartPolicy of the pods; said is the author's value.
func (r Restart) Policy(said, version string) string {
	switch said {
	case "":
		return r.In(version)
	case "ExitCode": // Kubeflow's operator makes a new pod after some exit codes
		return "Never"
	}
	return said
}

// An Ender says who ends the containers beside the work when the work has ended. The kubelet
// ends native sidecars, whatever the kind.
type Ender int

const (
	// Nobody means that the pod runs until they end by themselves.
	Nobody Ender = iota
	// Controller means that the kind's own controller ends them.
	Controller
	// Kubelet means that only the kubelet ends them, when the pod is deleted.
	Kubelet
)

// A Treatment says what jobmesh inject, and jobmesh.manifests of the library chart, do with a
// template.
type Treatment int

const (
	// Never means that the template is left alone.
	Never Treatment = iota
	// Always means that the template is injected.
	Always
	// Named means that the template is injected where the value kinds names the kind.
	Named
	// Hook means that the template is injected where the object is a Helm hook; a helm test is
	// one.
	Hook
)

// Of returns the row of a kind, and nil where the table has none.
func Of(group, kind string) *Kind {
	for i := range Table {
		if Table[i].Kind == kind && Table[i].Group == group {
			return &Table[i]
		}
	}
	return nil
}

// Names returns the names of the kinds that have a template with one of these treatments, in
// the order of the table.
func Names(treated ...Treatment) []string {
	var names []string
	for _, k := range Table {
		if slices.ContainsFunc(k.Templates, func(t Template) bool { return slices.Contains(treated, t.Inject) }) {
			names = append(names, k.Kind)
		}
	}
	return names
}
