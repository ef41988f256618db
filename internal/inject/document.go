package inject

import (
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A unit is a document on its way through the steps of this package: restore takes out what an
// earlier run has put in, newTask prepares the objects that the chart is shown, render has the
// chart inject them, and finish writes the differences into the text.
type unit struct {
	document *manifest.Document
	text     []byte // the text as the steps have changed it so far
	notes    []Note
	mistakes []Mistake
	tasks    []*task
	renderer *renderer // has the settings of the document, or else those of the run
	// unrecorded says that the changes belong to the author from now on: no record says how to
	// undo them.
	unrecorded bool
}

// handle takes documents through all steps. The objects of all documents without settings of
// their own are rendered in one run of the engine, because each run parses all templates again.
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

// prepare takes out what an earlier run has put in, and makes a task for each object that the
// chart has to inject.
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
	final := in.options.Uninject || !u.renderer.enabled
	if d = u.restore(final, in.options.Uninject); d == nil || final {
		return
	}
	objects := d.Objects()
	var tree any
	for _, o := range objects {
		u.passOver(o)
		templates, treated := u.treats(o)
		if !treated {
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
		tree = words(tree, o)
		if note := liveNote(o); note != "" {
			u.note(o, Noted, note)
		}
		if t := u.newTask(o, templates, manifest.Lookup(tree, o.Path)); t != nil {
			if note := byExecutor(templates, u.renderer.mode); note != "" {
				u.note(o, Noted, note)
			}
			u.tasks = append(u.tasks, t)
		}
	}
}

// passOver notes, each reason once, which pods of an object are not injected: those of a kind
// that is not known, and those of a part that jobmesh leaves to others.
func (u *unit) passOver(o manifest.Object) {
	said := map[string]bool{}
	for _, part := range o.Apart() {
		if !said[part.Why] {
			said[part.Why] = true
			u.note(o, Skipped, part.Why+" ("+part.Path.String()+")")
		}
	}
	if names := o.Elsewhere(); names != nil {
		u.note(o, Noted, "the templates of "+strings.Join(names, ", ")+" have to be injected there")
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
