package inject

import (
	"errors"
	"maps"
	"slices"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// A task is one object that the chart is asked to inject.
type task struct {
	object manifest.Object
	before any    // the object as Kubernetes reads it
	asked  string // the object that the chart is given, as JSON
	// hidden are the parts of the object that the chart does not get, because their pods are
	// left as they are. The key is the path as text.
	hidden map[string]part
	// moves are the containers that have already been moved in the text.
	moves []patch.Move
	// asHook says that the chart gets the object as a Helm hook, which it is not.
	asHook bool
}

// A part is a part of an object: its path, and its value.
type part struct {
	path  manifest.Path
	value any
}

// treats says whether the chart is asked to inject an object, and returns the pod templates
// that are injected. The chart is asked about an object without the template that its kind
// requires, too, because its message says what is missing.
func (u *unit) treats(o manifest.Object) ([]manifest.PodTemplate, bool) {
	row := o.KindOf()
	if row == nil {
		return nil, false
	}
	found := slices.DeleteFunc(o.PodTemplates(), func(t manifest.PodTemplate) bool { return !u.injects(t) })
	required := slices.ContainsFunc(row.Templates, func(t kind.Template) bool {
		return !t.Optional && (t.Inject == kind.Always || t.Inject == kind.Named && slices.Contains(u.renderer.kinds, row.Kind))
	})
	return found, required || len(found) > 0
}

// injects says whether a pod template is injected, as far as its kind decides that. The chart
// injects a Pod only where it is a Helm hook. Inject treats any Pod that ends by itself, as its
// restartPolicy says: the user has passed in just that Pod.
func (u *unit) injects(t manifest.PodTemplate) bool {
	switch t.Row.Inject {
	case kind.Always:
		return true
	case kind.Named:
		return slices.Contains(u.renderer.kinds, t.Object.Kind)
	case kind.Hook:
		return isHook(t.Object) || t.EndsByPolicy()
	}
	return false
}

func isHook(o manifest.Object) bool {
	return manifest.Get(o.Node, "metadata", "annotations", hook) != nil
}

const hook = "helm.sh/hook"

// newTask prepares an object for the chart. It returns nil where the chart need not be asked,
// because no pod template is left to inject, or because there is a mistake.
//
// The object that the chart gets has two differences, which task.result reverts. Where one of
// several pod templates is left as it is, null takes the place of the item that holds it. A Pod
// that ends gets the annotation of a Helm hook, because the chart takes any other Pod for one
// that never ends.
func (u *unit) newTask(o manifest.Object, templates []manifest.PodTemplate, before any) *task {
	t := &task{object: o, before: before, hidden: map[string]part{}}
	show := before
	for _, template := range templates {
		reason := skipReason(template, u.renderer.mesh, u.renderer.mode, u.renderer.moves)
		if reason == "" {
			continue
		}
		path := template.Item
		if len(templates) > 1 {
			if path == nil {
				path = template.Path
			}
			reason += " (" + path.String() + ")"
		}
		u.note(o, Skipped, reason)
		if path == nil {
			return nil
		}
		t.hidden[path.String()] = part{path, manifest.Lookup(before, path)}
		show = with(show, path, nil)
	}
	if len(templates) > 0 && len(t.hidden) == len(templates) {
		return nil
	}
	if len(templates) > 0 && templates[0].Row.Inject == kind.Hook && !isHook(o) {
		t.asHook = true
		metadata, _ := manifest.Lookup(before, manifest.Path{"metadata"}).(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		if metadata == nil && manifest.Lookup(before, manifest.Path{"metadata"}) != nil || annotations == nil && metadata["annotations"] != nil {
			u.mistake(o, errors.New("metadata and its annotations must be mappings"))
			return nil
		}
		show = with(show, manifest.Path{"metadata"}, merge(metadata, map[string]any{"annotations": merge(annotations, map[string]any{hook: "test"})}))
	}
	t.asked = asJSON(show)
	return t
}

// result returns the injected object, made of the chart's answer. It reverts what newTask has
// changed for the chart: the hidden parts stand in their places again, and the hook annotation
// is gone, with the mappings that were added for it.
func (t *task) result(rendered any) any {
	for _, h := range t.hidden {
		rendered = with(rendered, h.path, h.value)
	}
	if !t.asHook {
		return rendered
	}
	metadata, _ := manifest.Lookup(rendered, manifest.Path{"metadata"}).(map[string]any)
	annotations, _ := metadata["annotations"].(map[string]any)
	annotations = maps.Clone(annotations)
	delete(annotations, hook)
	metadata = maps.Clone(metadata)
	old, _ := manifest.Lookup(t.before, manifest.Path{"metadata"}).(map[string]any)
	metadata["annotations"] = annotations
	if was, had := old["annotations"]; len(annotations) == 0 {
		metadata["annotations"] = was
		if !had {
			delete(metadata, "annotations")
		}
	}
	if len(metadata) > 0 || old != nil {
		return with(rendered, manifest.Path{"metadata"}, metadata)
	}
	object := maps.Clone(rendered.(map[string]any))
	delete(object, "metadata") // newTask added it for the annotation
	if was, had := t.before.(map[string]any)["metadata"]; had {
		object["metadata"] = was
	}
	return object
}
