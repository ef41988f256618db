package inject

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// restore removes what an earlier run has put in, as the records in the objects say, and
// returns the document as it was before. Injection starts from that document, so that a second
// run gives the same result as the first one.
//
// With final, nothing is injected afterwards, and each restored object gets a note. With
// uninject, the user has asked for that; then an object with a wrapper but without a record
// gets a note too, because it cannot be restored.
//
// It returns nil where a record is damaged, or does not fit the document any more. The unit's
// mistakes then name the object.
func (u *unit) restore(final, uninject bool) *manifest.Document {
	var additions []patch.Addition
	if results, err := earlierResults(u.document); err == nil && results != nil {
		additions = append(additions, patch.Addition{Node: u.document.Root, Undos: results})
	}
	var objects []manifest.Object
	moved := map[string][]patch.Move{} // keyed by the path of the object
	for _, o := range u.document.Objects() {
		undos, moves, has, err := recorded(o)
		switch {
		case err != nil:
			u.mistake(o, err)
		case has:
			objects = append(objects, o)
			moved[o.Path.String()] = moves
			additions = append(additions, patch.Addition{Node: o.Node, Undos: undos})
			if final {
				u.note(o, Restored, "")
			}
		case uninject && wrapped(o):
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
		err = d.Err
		for _, o := range objects {
			if err == nil {
				d, err = unmove(d, o.Path, moved[o.Path.String()])
			}
			if errors.Is(err, patch.ErrChanged) {
				u.mistake(o, err)
				return nil
			}
		}
		if err == nil {
			u.text = d.Text
			return d
		}
	}
	// The records do not fit the document. Each one is tried alone, to name the objects whose
	// record is wrong.
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

// wrapped tells whether a container of the object runs the wrapper, whether inject or the
// author put it there.
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
