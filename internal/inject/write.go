package inject

import (
	"bytes"
	"errors"
	"slices"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// finish makes the chart's changes in the text of a document, and notes for each object whether
// it was changed. The renderings are the chart's answers to the tasks, in the same order.
//
// All objects of a document are changed in one step, because anchors and aliases connect them.
// So a mistake in one object leaves the whole document as it was.
func (u *unit) finish(renderings []rendering) {
	if len(u.tasks) == 0 || !u.moveContainers(renderings) {
		return
	}
	var changes []patch.Change
	var ends []int // the index in changes at which those of each task end
	for i, t := range u.tasks {
		for _, mistake := range renderings[i].mistakes {
			u.mistake(t.object, errors.New(naming(t.object, mistake)))
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
		if err == nil && u.unrecorded {
			text, err = u.withoutRecord(renderings)
		}
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

// placeholder takes the place of the record while the changes of an object are planned. The
// record says how to undo them, so it can only be written once all of them are known.
const placeholder = "\x00record"

// changes appends the differences that the chart has made in an object, and the annotation for
// the record. It appends nothing for an object that the chart has not changed.
func (t *task) changes(into []patch.Change, rendered any) ([]patch.Change, error) {
	after := t.result(rendered)
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

// write returns the text of the document with the changes. It first tries to change anchored
// values where they stand; if that changes the meaning elsewhere, it writes out the aliases
// instead.
func (u *unit) write(changes []patch.Change, ends []int) ([]byte, error) {
	d := u.tasks[0].object.Document
	text, err := u.attempt(d, changes, ends, false)
	if err == nil {
		return text, nil
	}
	if text, second := u.attempt(d, changes, ends, true); second == nil {
		return text, nil
	}
	return nil, err
}

// attempt returns the text with the changes and the records; with expand, aliases are written
// out. It fails where the records would not restore the document to the byte.
func (u *unit) attempt(d *manifest.Document, changes []patch.Change, ends []int, expand bool) ([]byte, error) {
	changes = slices.Clone(changes)
	plan, err := patch.New(d, changes, expand)
	if err != nil {
		return nil, err
	}
	from := 0
	for task, end := range ends {
		var undos []patch.Undo
		for i := from; i < end; i++ {
			undos = append(undos, plan.Undo(i)...)
		}
		record := recordOf(u.renderer.version, undos, u.tasks[task].moves)
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
		if undos, _, has, err := recorded(o); err != nil {
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

// replaced returns the value with the record in place of the placeholder.
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
