package inject

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// Nativize returns the document with containers of one object moved to the place of native
// sidecars, as the library chart does it in mode native with these sidecars. Inject undoes its
// own moves; this move belongs to the author. It leaves no record, so a later run of inject
// takes it for a part of what was written, and does not undo it.
func Nativize(library fs.FS, d *manifest.Document, object manifest.Path, names []string) (*manifest.Document, error) {
	moved := make([]any, len(names))
	for i, name := range names {
		moved[i] = name
	}
	in, err := New(Options{Library: library, Values: map[string]any{
		"jobmesh": map[string]any{"mode": "native", "sidecars": moved},
	}})
	if err != nil {
		return nil, err
	}
	return in.nativize(d, object)
}

func (in *Injector) nativize(d *manifest.Document, object manifest.Path) (*manifest.Document, error) {
	u := &unit{document: d, text: d.Text, renderer: in.renderer, unrecorded: true}
	if err := u.only(object); err != nil {
		return nil, err
	}
	if err := in.render(in.renderer, []*unit{u}); err != nil {
		return nil, err
	}
	for _, m := range u.mistakes {
		return nil, m
	}
	for _, n := range u.notes {
		if n.Action == Skipped {
			return nil, errors.New(n.String())
		}
	}
	result := manifest.Parse(d.File, d.Line, u.text)
	result.Number, result.Offset = d.Number, d.Offset
	return result, result.Err
}

// only makes the object at this path the unit's only task.
func (u *unit) only(object manifest.Path) error {
	tree, err := meaning(u.document)
	if err != nil {
		return err
	}
	for _, o := range u.document.Objects() {
		if !slices.Equal(o.Path, object) {
			continue
		}
		if _, _, has, _ := recorded(o); has {
			return fmt.Errorf("%s holds what jobmesh inject has put in; run that again, with sidecars", o)
		}
		if templates, treated := u.treats(o); treated {
			tree = words(tree, o)
			if t := u.newTask(o, templates, manifest.Lookup(tree, o.Path)); t != nil {
				u.tasks = append(u.tasks, t)
			}
		}
	}
	if len(u.tasks) == 0 {
		return fmt.Errorf("%s: %s has nothing that could be moved", u.document.File, object)
	}
	return nil
}

// withoutRecord returns the text of the document with the changes, and without a record. The
// caller has called write before, which has shown that the changes can be made, and taken back
// to the byte.
func (u *unit) withoutRecord(renderings []rendering) ([]byte, error) {
	var changes []patch.Change
	for i, t := range u.tasks {
		var err error
		if changes, err = diff(changes, t.before, t.result(renderings[i].object), t.object.Path, len(t.object.Path)); err != nil {
			return nil, err
		}
	}
	var failed error
	for _, expand := range []bool{false, true} {
		plan, err := patch.New(u.tasks[0].object.Document, changes, expand)
		if err == nil {
			var result *manifest.Document
			if result, err = plan.Apply(); err == nil {
				return result.Text, nil
			}
		}
		failed = errors.Join(failed, err)
	}
	return nil, failed
}
