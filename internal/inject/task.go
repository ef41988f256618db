package inject

import (
	"errors"
	"maps"
	"slices"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A task is one object that the chart is asked to inject.
type task struct {
	object manifest.Object
	before any    // the object as Kubernetes reads it
	asked  string // what the chart is shown, as JSON on one line
	// hidden are the items of the object that the chart is not shown, because their pods
	// are left as they are, by their path as text.
	hidden map[string]item
	// asHook says that the chart is shown the object as a Helm hook, which it is not.
	asHook bool
}

// An item is an item of a list: where it stands in the object, and what it is.
type item struct {
	path  manifest.Path
	value any
}

// treats says whether an object is injected, and returns its pod templates. The kinds are
// those that the chart injects. A Pod is injected where it is a Helm hook, as in the chart,
// and also where its restartPolicy shows that it ends.
func (u *unit) treats(o manifest.Object) ([]manifest.PodTemplate, bool) {
	kind := o.KindOf()
	if kind == nil || !kind.Ends && !(kind.Group == "apps" && slices.Contains(u.renderer.kinds, kind.Kind)) {
		return nil, false
	}
	templates := o.PodTemplates()
	if kind.Argo && len(templates) == 0 {
		return nil, false
	}
	return templates, o.Kind != "Pod" || isHook(o) || endsByItself(o)
}

func isHook(o manifest.Object) bool {
	return manifest.Get(o.Node, "metadata", "annotations", hook) != nil
}

const hook = "helm.sh/hook"

// endsByItself says whether a Pod is one that its kubelet does not start again for ever.
func endsByItself(o manifest.Object) bool {
	policy := manifest.Text(manifest.Get(o.Node, "spec", "restartPolicy"))
	return policy == "Never" || policy == "OnFailure"
}

// newTask prepares an object for the chart. It returns nil where the chart need not be
// asked: no pod template is left to inject, or there is a mistake.
//
// The chart is shown the object with two differences, which task.result takes back. Of an
// item of a list whose pods are left as they are, it is shown null. A Pod that ends is shown
// as a Helm hook, since the chart takes any other Pod for one that runs for ever.
func (u *unit) newTask(o manifest.Object, templates []manifest.PodTemplate, before any) *task {
	t := &task{object: o, before: before, hidden: map[string]item{}}
	show := before
	for _, template := range templates {
		reason := skipReason(template, u.renderer.mesh, u.renderer.mode)
		if reason == "" {
			continue
		}
		path := itemOf(template.Path)
		if len(templates) > 1 && path != nil {
			reason += " (" + path.String() + ")"
		}
		u.note(o, Skipped, reason)
		if path == nil {
			return nil
		}
		t.hidden[path.String()] = item{path, manifest.Lookup(before, path)}
		show = with(show, path, nil)
	}
	if len(templates) > 0 && len(t.hidden) == len(templates) {
		return nil
	}
	if o.Kind == "Pod" && !isHook(o) {
		t.asHook = true
		metadata, _ := manifest.Lookup(before, manifest.Path{"metadata"}).(map[string]any)
		annotations, _ := metadata["annotations"].(map[string]any)
		if metadata == nil && manifest.Lookup(before, manifest.Path{"metadata"}) != nil || annotations == nil && metadata["annotations"] != nil {
			u.mistake(o, errors.New("metadata and its annotations must be mappings"))
			return nil
		}
		show = with(show, manifest.Path{"metadata"}, merge(metadata, map[string]any{"annotations": merge(annotations, map[string]any{hook: "test"})}))
	}
	t.asked = oneLine(show)
	return t
}

// itemOf returns the path of the item of a list that a path leads through, of the last
// such item. It returns nil where the path leads through no list.
func itemOf(path manifest.Path) manifest.Path {
	for i := len(path) - 1; i >= 0; i-- {
		if _, isIndex := path[i].(int); isIndex {
			return path[:i+1]
		}
	}
	return nil
}

// result returns what the injected object means, from what the chart made of it. It takes
// back what newTask changed for the chart alone: the hidden items stand in their places
// again, and the hook annotation is gone, with the mappings that it needed.
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
	return with(rendered, manifest.Path{"metadata"}, metadata)
}
