// Package patch adds to the text of a YAML or JSON document, and takes away again
// what it added. All other bytes stay: comments, order, quotes, indentation, line
// ends, anchors. What it adds is written in the way of its surroundings.
//
// No edit is trusted to have worked. The text that comes out is parsed again, and anything
// but what was asked for, no more and no less, is an error.
package patch

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// An Op is a way to change a document.
type Op int

// The kinds of changes. A null, or a missing value, counts as an empty mapping or list
// where something is added to it.
const (
	// AddKey gives the mapping at Path the field Key.
	AddKey Op = iota
	// Prepend puts the items of Value, a list, before those of the list at Path.
	Prepend
	// Append puts them after those of the list.
	Append
	// Set replaces what is at Path.
	Set
	// Insert puts the items of Value, each of which has a name, before item At of the list.
	Insert
)

// A Change is one addition, or replacement, in a document.
type Change struct {
	Op   Op
	Path manifest.Path
	// Base is how many steps of Path lead to the object that records the change.
	Base  int
	Key   string
	At    int
	Value any // as JSON has it: map[string]any, []any, string, bool, number, nil
}

// A SharedError says that a place cannot be changed, because others are aliases of it.
type SharedError struct {
	// Path leads to the place from the object that is changed.
	Path manifest.Path
	// Anchor is the anchor that the aliases name.
	Anchor string
}

func (e *SharedError) Error() string {
	return fmt.Sprintf("%s is shared with other places by the anchor &%s, and would change there too; write it out", e.Path, e.Anchor)
}

// A Plan is a set of changes to one document. It knows how each of them is undone.
type Plan struct {
	text    *text
	changes []Change
	actions []action
	// shared names the first place found that cannot be changed without changing others.
	shared *SharedError
}

// An action is a change together with the nodes of the document that it affects.
type action struct {
	kind   actionKind
	parent *yaml.Node    // collection that is added to; mapping that holds what is replaced
	node   *yaml.Node    // what is replaced
	path   manifest.Path // of parent, or of what is replaced
	// pointer leads from the object to the same place.
	pointer Pointer
	name    string // of the field that is added
	// merged says that a merge key has provided the field so far.
	merged bool
	old    string // what is replaced
}

type actionKind int

const (
	addPair actionKind = iota
	prependItems
	appendItems
	insertItems
	replace
)

// New plans the changes of a document. With expand, what stands behind an alias is
// written out where it is changed; without, it is changed where it stands.
func New(d *manifest.Document, changes []Change, expand bool) (*Plan, error) {
	p := &Plan{text: newText(d), changes: changes}
	for _, c := range changes {
		a, err := p.locate(c, expand)
		if err != nil {
			return nil, fmt.Errorf("%s %w", c.Path, err)
		}
		p.actions = append(p.actions, a)
	}
	return p, nil
}

// Undo returns how change i is undone. It does not depend on strings in the Value of a
// field that is added, so that one of them can record it.
func (p *Plan) Undo(i int) []Undo {
	a, value := p.actions[i], p.changes[i].Value
	switch a.kind {
	case replace:
		return []Undo{{Path: a.pointer, Replaced: true, Text: a.old}}
	case addPair:
		undo := []Undo{{Path: a.pointer.join(step{name: a.name})}}
		if !a.merged {
			undo = append(undo, undoParts(undo[0].Path, value)...)
		}
		return undo
	}
	if names, named := namesOf(value); named {
		var undo []Undo
		for _, name := range names {
			undo = append(undo, Undo{Path: a.pointer.join(step{name: name, isName: true})})
		}
		return undo
	}
	items, _ := value.([]any)
	if first, isString := items[0].(string); isString && a.kind == prependItems {
		undo := Undo{Path: a.pointer.join(step{first: len(items)}), Text: first}
		if len(items) > 1 {
			undo.Last, _ = items[len(items)-1].(string)
		}
		return []Undo{undo}
	}
	return nil // only its author knows them again
}

// SetValue gives a change another value.
func (p *Plan) SetValue(i int, value any) { p.changes[i].Value = value }

// locate finds the place of a change.
func (p *Plan) locate(c Change, expand bool) (action, error) {
	n := p.text.Root
	var key, parent *yaml.Node
	var pointer Pointer
	for i := 0; ; i++ {
		if n.Kind == yaml.AliasNode {
			if expand {
				return p.replacing(parent, key, n, c.Path[:i], pointer)
			}
			n = manifest.Resolve(n)
		}
		if n.Anchor != "" && p.shared == nil {
			p.shared = &SharedError{c.Path[min(c.Base, i):i], n.Anchor}
		}
		if i == len(c.Path) {
			break
		}
		var next step
		parent, key = n, nil
		switch name := c.Path[i].(type) {
		case string:
			k, v := manifest.Field(n, name)
			if v == nil {
				if manifest.Get(n, name) == nil {
					return action{}, errors.New("is not there")
				}
				// It comes from a merge key; a field of its own comes before that.
				return action{kind: addPair, parent: n, path: c.Path[:i], pointer: pointer, name: name, merged: true}, nil
			}
			key, n, next = k, v, step{name: name}
		case int:
			if n.Kind != yaml.SequenceNode || name >= len(n.Content) {
				return action{}, errors.New("is not there")
			}
			next = itemStep(n, name)
			n = n.Content[name]
		}
		if i >= c.Base {
			pointer = pointer.join(next)
		}
	}
	a := action{parent: n, path: c.Path, pointer: pointer}
	switch isNull := n.Kind == yaml.ScalarNode && n.Tag == "!!null"; {
	case c.Op == Set || isNull:
		return p.replacing(parent, key, n, c.Path, pointer)
	case c.Op == AddKey && n.Kind == yaml.MappingNode:
		a.kind, a.name = addPair, c.Key
		return a, nil
	case c.Op == AddKey || n.Kind != yaml.SequenceNode:
		return a, errors.New("cannot be added to")
	case c.Op == Prepend:
		a.kind = prependItems
	case c.Op == Append:
		a.kind = appendItems
	case c.Op == Insert && c.At < len(n.Content):
		a.kind = insertItems
	case c.Op == Insert:
		return a, errors.New("is not there")
	}
	names, named := namesOf(c.Value)
	for _, name := range names {
		if indexOf(n, name) >= 0 {
			return a, fmt.Errorf("has an item %q already", name)
		}
	}
	if items, _ := c.Value.([]any); !named && len(items) > 0 {
		if _, isString := items[0].(string); isString != (c.Op == Prepend) {
			return p.replacing(parent, key, n, c.Path, pointer)
		}
	}
	return a, nil
}

// replacing replaces the value of a field.
func (p *Plan) replacing(parent, key, n *yaml.Node, path manifest.Path, pointer Pointer) (action, error) {
	if key == nil || parent.Kind != yaml.MappingNode {
		return action{}, errors.New("cannot be replaced where it stands")
	}
	from := p.text.OffsetOf(n)
	old := string(p.text.Text[from:p.text.end(n, p.parentIndent(parent))])
	if strings.ContainsAny(old, "\r\n") {
		return action{}, errors.New("cannot be replaced, because it has several lines")
	}
	return action{kind: replace, parent: parent, node: n, path: path, pointer: pointer, old: old}, nil
}

func (p *Plan) parentIndent(parent *yaml.Node) int {
	if isFlow(parent) || len(parent.Content) == 0 {
		return -1
	}
	return p.text.indent(parent)
}

// An edit replaces the bytes of the document between two offsets with other text.
type edit struct {
	from, to int
	text     string
	depth    int // at the same place, what is deeper comes first
}

// Apply returns the document with the changes made.
func (p *Plan) Apply() (*manifest.Document, error) {
	wanted := treeOf(p.text.Root)
	for _, c := range p.changes {
		changed, ok := c.apply(wanted)
		if !ok {
			return nil, fmt.Errorf("%s cannot be changed", c.Path)
		}
		wanted = changed
	}
	result, err := p.try(wanted, false)
	if err != nil {
		// A block scalar that ends with the file and without a line break would get one.
		if second, again := p.try(wanted, true); again == nil {
			return second, nil
		}
	}
	return result, err
}

// try makes the edits, and parses what comes out.
func (p *Plan) try(wanted any, first bool) (*manifest.Document, error) {
	text, err := p.write(wanted, first)
	if err != nil {
		return nil, err
	}
	result := manifest.Parse(p.text.File, p.text.Line, text)
	if result.Err != nil {
		return nil, fmt.Errorf("the result would not be valid: %w", result.Err)
	}
	if result.Root == nil || !equal(treeOf(result.Root), wanted) {
		if p.shared != nil {
			return nil, p.shared
		}
		return nil, errors.New("cannot be changed without changing something else")
	}
	return result, nil
}

// write makes the edits. With first, new fields stand before those that are there.
func (p *Plan) write(wanted any, first bool) ([]byte, error) {
	w := &writer{text: p.text, first: first, added: map[*yaml.Node]int{}}
	done := map[string]bool{} // an anchor's content is changed once, whoever reaches it
	for i, a := range p.actions {
		value := manifest.Lookup(wanted, a.path)
		switch a.kind {
		case addPair:
			value = manifest.Lookup(wanted, a.path.Join(a.name))
			id := fmt.Sprintf("%p %s", a.parent, a.name)
			if done[id] {
				continue
			}
			done[id] = true
			w.addPair(a.parent, a.path, a.name, value)
		case replace:
			id := fmt.Sprintf("%p", a.node)
			if done[id] {
				continue
			}
			done[id] = true
			w.replace(a, value)
		default:
			id := fmt.Sprintf("%p %d", a.parent, a.kind)
			if done[id] {
				continue
			}
			done[id] = true
			items, _ := treeOfValue(p.changes[i].Value).([]any)
			at := -1
			switch a.kind {
			case prependItems:
				at = 0
			case insertItems:
				at = p.changes[i].At
			}
			w.addItems(a.parent, a.path, at, items)
		}
	}
	return w.result()
}

// result puts the edits into the text.
func (w *writer) result() ([]byte, error) {
	edits := w.list
	slices.SortStableFunc(edits, func(a, b edit) int {
		if a.from != b.from {
			return a.from - b.from
		}
		return b.depth - a.depth
	})
	var out []byte
	last := 0
	for _, e := range edits {
		if e.from < last || e.to > len(w.text.Text) {
			return nil, errors.New("two changes are in each other's way")
		}
		out = append(out, w.text.Text[last:e.from]...)
		out = append(out, e.text...)
		last = e.to
	}
	return append(out, w.text.Text[last:]...), nil
}
