package inject

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// A unit is a document on its way.
type unit struct {
	document *manifest.Document
	text     []byte // the result
	notes    []Note
	mistakes []Mistake
	tasks    []*task
	renderer *renderer // of its own settings, or that of all
}

// A task is an object for the chart.
type task struct {
	object manifest.Object
	before any    // what it means
	asked  string // JSON for the chart
	// put is what the chart was not shown, and unhook says that it was shown a Helm hook
	// that is none.
	put    map[string]hidden
	unhook bool
}

type hidden struct {
	path  manifest.Path
	value any
}

// handle handles documents: the objects of all that have the same settings are
// rendered together.
func (in *Injector) handle(units []unit) error {
	var together []*unit
	for i := range units {
		u := &units[i]
		in.prepare(u)
		if u.renderer == in.renderer {
			together = append(together, u)
		} else if err := in.render(u.renderer, []*unit{u}); err != nil {
			return err
		}
	}
	return in.render(in.renderer, together)
}

// render has the chart inject the objects of documents.
func (in *Injector) render(r *renderer, units []*unit) error {
	var asked []string
	for _, u := range units {
		for _, t := range u.tasks {
			asked = append(asked, t.asked)
		}
	}
	var renderings []rendering
	if len(asked) > 0 {
		var err error
		if renderings, err = r.render(asked); err != nil {
			return err
		}
	}
	for _, u := range units {
		u.finish(renderings[:len(u.tasks)])
		renderings = renderings[len(u.tasks):]
		if !in.options.Uninject && u.document.Root != nil && isResourceList(u.document) && len(u.mistakes) == 0 {
			u.withResults()
		}
	}
	return nil
}

// prepare takes out what an earlier run has put in, and finds what the chart is asked.
func (in *Injector) prepare(u *unit) {
	d := u.document
	u.text, u.renderer = d.Text, in.renderer
	if d.Err != nil {
		u.mistakes = append(u.mistakes, Mistake{File: d.File, Line: d.Line, Err: d.Err})
		return
	}
	if d.Root == nil {
		return
	}
	settings, err := functionSettings(d)
	if err == nil && settings != nil {
		u.renderer, err = newRenderer(in.options, over(in.options.Values, settings))
	}
	if err != nil {
		u.renderer = in.renderer
		u.mistakes = append(u.mistakes, Mistake{File: d.File, Line: d.Line, Err: &manifest.Error{File: d.File, Line: d.Line, Cause: err.Error()}})
		return
	}
	off := in.options.Uninject || !u.renderer.enabled
	if d = u.restore(off, in.options.Uninject); d == nil || off {
		return
	}
	objects := d.Objects()
	var tree any
	for _, o := range objects {
		templates, wanted := u.wants(o)
		if !wanted {
			continue
		}
		for _, note := range misplaced(o, templates) {
			u.note(o, Noted, note)
		}
		if tree == nil {
			var err error
			if tree, err = meaning(d); err != nil {
				u.mistake(o, err)
				return
			}
		}
		if t := u.task(o, templates, manifest.Lookup(tree, o.Path)); t != nil {
			u.tasks = append(u.tasks, t)
		}
	}
}

func (u *unit) note(o manifest.Object, action Action, reason string) {
	u.notes = append(u.notes, Note{
		Object: o.String(), File: o.Document.File, Line: o.Line(), Action: action, Reason: reason,
		apiVersion: o.APIVersion, kind: o.Kind, namespace: o.Namespace, name: o.Name,
	})
}

func (u *unit) mistake(o manifest.Object, err error) {
	u.mistakes = append(u.mistakes, Mistake{Object: o.String(), File: o.Document.File, Line: o.Line(), Err: err})
}

// restore returns the document without what an earlier run has put in, nil after a
// mistake. With final, that is the result.
func (u *unit) restore(final, asked bool) *manifest.Document {
	var additions []patch.Addition
	if results, err := earlierResults(u.document); err == nil && results != nil {
		additions = append(additions, patch.Addition{Node: u.document.Root, Undos: results})
	}
	var objects []manifest.Object
	for _, o := range u.document.Objects() {
		undos, has, err := recorded(o)
		switch {
		case err != nil:
			u.mistake(o, err)
		case has:
			objects = append(objects, o)
			additions = append(additions, patch.Addition{Node: o.Node, Undos: undos})
			if final {
				u.note(o, Restored, "")
			}
		case asked && wrapped(o):
			u.note(o, Skipped, "it has a wrapper that jobmesh inject did not put there")
		}
	}
	if len(u.mistakes) > 0 {
		return nil
	}
	if additions == nil {
		return u.document
	}
	text, err := patch.Revert(u.document, additions)
	if err == nil {
		d := manifest.Parse(u.document.File, u.document.Line, text)
		if err = d.Err; err == nil {
			u.text = text
			return d
		}
	}
	// Whose fault it is.
	for i, addition := range additions[len(additions)-len(objects):] {
		if _, err := patch.Revert(u.document, []patch.Addition{addition}); err != nil {
			u.mistake(objects[i], err)
		}
	}
	if len(u.mistakes) == 0 {
		u.mistakes = append(u.mistakes, Mistake{File: u.document.File, Line: u.document.Line,
			Err: fmt.Errorf("%s:%d: without the injected parts: %w", u.document.File, u.document.Line, err)})
	}
	return nil
}

// wrapped recognises what the library chart has injected.
func wrapped(o manifest.Object) bool {
	for _, t := range o.PodTemplates() {
		for _, c := range t.Containers() {
			first := manifest.Text(manifest.Get(c.Node, "command", 0))
			if first == "jobmesh-wrap" || strings.HasSuffix(first, "/jobmesh-wrap") {
				return true
			}
		}
	}
	return false
}

// wants says whether the chart treats an object. Only that a Pod ends, it cannot know
// better than by asking for a hook.
func (u *unit) wants(o manifest.Object) ([]manifest.PodTemplate, bool) {
	kind := o.KindOf()
	if kind == nil || !kind.Ends && !(kind.Group == "apps" && slices.Contains(u.renderer.kinds, kind.Kind)) {
		return nil, false
	}
	templates := o.PodTemplates()
	if kind.Argo && len(templates) == 0 {
		return nil, false
	}
	return templates, o.Kind != "Pod" || isHook(o) || ends(o)
}

func isHook(o manifest.Object) bool {
	return manifest.Get(o.Node, "metadata", "annotations", hook) != nil
}

const hook = "helm.sh/hook"

// ends says whether a Pod of its own ends by itself.
func ends(o manifest.Object) bool {
	policy := manifest.Text(manifest.Get(o.Node, "spec", "restartPolicy"))
	return policy == "Never" || policy == "OnFailure"
}

// task prepares an object for the chart. Nil if there is nothing to ask.
func (u *unit) task(o manifest.Object, templates []manifest.PodTemplate, before any) *task {
	t := &task{object: o, before: before, put: map[string]hidden{}}
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
		// The chart passes over an item that is none.
		t.put[path.String()] = hidden{path, manifest.Lookup(before, path)}
		show = with(show, path, nil)
	}
	if len(templates) > 0 && len(t.put) == len(templates) {
		return nil
	}
	if o.Kind == "Pod" && !isHook(o) {
		t.unhook = true
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

// itemOf returns the path up to the last list on it, nil if there is none.
func itemOf(path manifest.Path) manifest.Path {
	for i := len(path) - 1; i >= 0; i-- {
		if _, isIndex := path[i].(int); isIndex {
			return path[:i+1]
		}
	}
	return nil
}

// after returns the object as the chart made it, without what was only for the chart.
func (t *task) after(rendered any) any {
	for _, h := range t.put {
		rendered = with(rendered, h.path, h.value)
	}
	if !t.unhook {
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

// placeholder stands for the record until it is known.
const placeholder = "\x00record"

// finish makes the changes of the chart in the text of a document.
func (u *unit) finish(renderings []rendering) {
	if len(u.tasks) == 0 {
		return
	}
	var changes []patch.Change
	var ends []int // of the changes of each task
	for i, t := range u.tasks {
		for _, mistake := range renderings[i].mistakes {
			u.mistake(t.object, errors.New(mistake))
		}
		if renderings[i].mistakes != nil {
			continue
		}
		var err error
		if changes, err = t.changes(changes, renderings[i].object); err != nil {
			u.mistake(t.object, err)
		}
		ends = append(ends, len(changes))
	}
	if len(u.mistakes) > 0 {
		return
	}
	if len(changes) > 0 {
		text, err := u.write(changes, ends)
		if err != nil {
			u.mistake(u.tasks[0].object, err)
			return
		}
		u.text = text
	}
	same := bytes.Equal(u.text, u.document.Text)
	for i, t := range u.tasks {
		from := 0
		if i > 0 {
			from = ends[i-1]
		}
		if same || ends[i] == from {
			u.note(t.object, Unchanged, "")
		} else {
			u.note(t.object, Injected, "")
		}
	}
}

// changes adds what the chart changed in an object, and the record of it.
func (t *task) changes(into []patch.Change, rendered any) ([]patch.Change, error) {
	after := t.after(rendered)
	path, base := t.object.Path, len(t.object.Path)
	changes, err := diff(nil, t.before, after, path, base)
	if err != nil || len(changes) == 0 {
		return into, err
	}
	metadata, isMap := manifest.Lookup(after, manifest.Path{"metadata"}).(map[string]any)
	if !isMap && manifest.Lookup(after, manifest.Path{"metadata"}) != nil {
		return into, errors.New("metadata must be a mapping")
	}
	annotations, isMap := metadata["annotations"].(map[string]any)
	if !isMap && metadata["annotations"] != nil {
		return into, errors.New("metadata.annotations must be a mapping")
	}
	after = with(after, manifest.Path{"metadata"}, merge(metadata, map[string]any{"annotations": merge(annotations, map[string]any{Record: placeholder})}))
	return diff(into, t.before, after, path, base)
}

// write makes the changes. What an anchor holds is changed where it stands if that
// gives what is wanted, else what its aliases stand for is written out.
func (u *unit) write(changes []patch.Change, ends []int) ([]byte, error) {
	d := u.tasks[0].object.Document
	text, err := u.try(d, changes, ends, false)
	if err == nil {
		return text, nil
	}
	if text, second := u.try(d, changes, ends, true); second == nil {
		return text, nil
	}
	return nil, err
}

func (u *unit) try(d *manifest.Document, changes []patch.Change, ends []int, expand bool) ([]byte, error) {
	changes = slices.Clone(changes)
	plan, err := patch.New(d, changes, expand)
	if err != nil {
		return nil, err
	}
	from := 0
	for _, end := range ends {
		var undos []patch.Undo
		for i := from; i < end; i++ {
			undos = append(undos, plan.Undo(i)...)
		}
		record := recordOf(u.renderer.version, undos)
		for i := from; i < end; i++ {
			plan.SetValue(i, replaced(changes[i].Value, record))
		}
		from = end
	}
	result, err := plan.Apply()
	if err != nil {
		return nil, err
	}
	var additions []patch.Addition
	for _, o := range result.Objects() {
		if undos, has, err := recorded(o); err != nil {
			return nil, err
		} else if has {
			additions = append(additions, patch.Addition{Node: o.Node, Undos: undos})
		}
	}
	if back, err := patch.Revert(result, additions); err != nil || !bytes.Equal(back, d.Text) {
		return nil, errLost
	}
	return result.Text, nil
}

// replaced puts the record in the place of its placeholder.
func replaced(value any, record string) any {
	switch value := value.(type) {
	case string:
		if value == placeholder {
			return record
		}
	case map[string]any:
		m := make(map[string]any, len(value))
		for key, v := range value {
			m[key] = replaced(v, record)
		}
		return m
	}
	return value
}

// meaning is what a document says, as Kubernetes reads it.
func meaning(d *manifest.Document) (any, error) {
	text := d.AsJSON()
	if !d.JSON {
		var err error
		if text, err = yaml.YAMLToJSON(manifest.WithoutMark(d.Text)); err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
	}
	var tree any
	err := json.Unmarshal(text, &tree)
	return tree, err
}

// with returns a tree that has something else at a path; the tree itself stays.
func with(tree any, path manifest.Path, value any) any {
	if len(path) == 0 {
		return value
	}
	switch step := path[0].(type) {
	case string:
		m, _ := tree.(map[string]any)
		m = maps.Clone(m)
		if m == nil {
			m = map[string]any{}
		}
		m[step] = with(m[step], path[1:], value)
		return m
	case int:
		l, _ := tree.([]any)
		l = slices.Clone(l)
		if step < len(l) {
			l[step] = with(l[step], path[1:], value)
		}
		return l
	}
	return tree
}

// oneLine writes JSON that the YAML parser of the chart can read: without characters
// that YAML has to have escaped.
func oneLine(tree any) string {
	text, err := json.Marshal(tree)
	if err != nil {
		panic(err) // it came from JSON
	}
	var b strings.Builder
	for _, r := range string(text) {
		if r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufeff' || r == '\ufffe' || r == '\uffff' {
			fmt.Fprintf(&b, `\u%04x`, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
