package inject

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// These are the fields of a pod spec between which containers move, and the field of a
// container that has no meaning in initContainers.
const (
	containers     = "containers"
	initContainers = "initContainers"
	rulesField     = "restartPolicyRules"
)

// moveContainers moves, in the text, each container that the chart has moved from containers to
// initContainers, with its comments. The other changes of the chart are additions, which finish
// makes afterwards. It returns false where a container could not be moved; the whole document
// then stays as it was.
func (u *unit) moveContainers(renderings []rendering) bool {
	d := u.tasks[0].object.Document
	moved := false
	for i, t := range u.tasks {
		if renderings[i].mistakes != nil {
			continue
		}
		after := t.result(renderings[i].object)
		for _, template := range t.object.PodTemplates() {
			_, spec := template.Spec()
			result, moves, err := moveIn(d, t.object.Path, spec, t.before, after)
			if err != nil {
				u.note(t.object, Skipped, err.Error())
				return false
			}
			for _, m := range moves {
				u.noteMoved(t.object, spec, after, m.Name)
			}
			d, t.moves = result, append(t.moves, moves...)
			moved = moved || len(moves) > 0
		}
	}
	if !moved {
		return true
	}
	tree, err := meaning(d)
	for _, t := range u.tasks {
		if err != nil {
			u.mistake(t.object, err)
			return false
		}
		for _, o := range d.Objects() {
			if slices.Equal(o.Path, t.object.Path) {
				t.object = o
			}
		}
		t.before = manifest.Lookup(tree, t.object.Path)
	}
	return true
}

// noteMoved notes what a user has to know of a container that became a native sidecar: that no
// container waits for it where it has no startup probe, and how its program ends when it is
// told to.
func (u *unit) noteMoved(o manifest.Object, spec manifest.Path, after any, name string) {
	items, _ := manifest.Lookup(after, spec.Join(initContainers)).([]any)
	i := slices.IndexFunc(items, func(item any) bool { return nameOf(item) == name })
	if i < 0 {
		return
	}
	fields, _ := items[i].(map[string]any)
	if h := helperOf(fields); h != nil && h.Note != "" {
		u.note(o, Noted, fmt.Sprintf("%s is the program %s. %s", name, h.Title, strings.TrimSuffix(h.Note, ".")))
	}
	if fields["startupProbe"] != nil {
		return
	}
	why := "it has no readiness probe that could be copied"
	if fields["readinessProbe"] != nil {
		why = "the proxy of a mesh may start after it, and it would wait for the network; set mesh and meshVersion where the proxy is a native sidecar, or mesh=none where there is no proxy"
	}
	u.note(o, Noted, fmt.Sprintf("%s is a native sidecar without a startup probe, so that nothing waits until it serves: %s", name, why))
}

// helperOf returns the table's row of the program that a container runs, and nil where there is
// no such row.
func helperOf(container map[string]any) *sidecar.Helper {
	image, _ := container["image"].(string)
	var argv []string
	for _, field := range []string{"command", "args"} {
		words, _ := container[field].([]any)
		for _, word := range words {
			argv = append(argv, fmt.Sprint(word))
		}
	}
	var programs []string
	if container["command"] != nil && len(argv) > 0 {
		programs = script.Read(argv, nil).Programs
	}
	return sidecar.Find(image, programs, argv)
}

// moveIn moves the containers of one pod spec, and returns the new document with the moves that
// undo needs.
func moveIn(d *manifest.Document, object, spec manifest.Path, before, after any) (*manifest.Document, []patch.Move, error) {
	names := func(tree any, field string) []string {
		var names []string
		items, _ := manifest.Lookup(tree, spec.Join(field)).([]any)
		for _, item := range items {
			names = append(names, nameOf(item))
		}
		return names
	}
	from, to := names(before, containers), names(before, initContainers)
	left, wanted := names(after, containers), names(after, initContainers)
	var moves []patch.Move
	for _, name := range wanted {
		index := slices.Index(from, name)
		if name == "" || index < 0 || slices.Contains(left, name) || slices.Contains(to, name) {
			continue
		}
		at := 0 // the number of init containers that stay in front of this one
		for at < len(to) && slices.Index(wanted, to[at]) < slices.Index(wanted, name) {
			at++
		}
		result, move, err := patch.MoveItem(d, patch.Moving{
			Object: object, Mapping: spec, From: containers, To: initContainers, Index: index, At: at, Without: rulesField,
		})
		if err != nil {
			return nil, nil, err
		}
		d, moves = result, append(moves, move)
		from, to = slices.Delete(from, index, index+1), slices.Insert(to, at, name)
	}
	return d, moves, nil
}

// unmove takes moves back, from the last one to the first one.
func unmove(d *manifest.Document, object manifest.Path, moves []patch.Move) (*manifest.Document, error) {
	for _, m := range slices.Backward(moves) {
		var err error
		if d, err = patch.Unmove(d, object, m); err != nil {
			return nil, err
		}
	}
	return d, nil
}
