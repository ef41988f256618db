package patch

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A Mend puts a mistake right. Other than a Change it leaves no record by which it could
// be undone.
type Mend struct {
	Kind MendKind
	// Path leads to the mapping or list that is changed.
	Path manifest.Path
	// Key is the field that is renamed, rewritten, removed or added.
	Key string
	// Text is the new name, or the new value, which is a string.
	Text string
	// Count is how many items RemoveFirst takes from the front of a list.
	Count int
}

// A MendKind is a way to put something right.
type MendKind int

// The kinds of mends. AddText adds the mappings of Path that are missing, and Remove also
// removes the mappings that it leaves empty.
const (
	Rename MendKind = iota
	Rewrite
	Remove
	RemoveFirst
	AddText
)

// Mended returns the document with mends, made one after the other. All other bytes stay.
func Mended(d *manifest.Document, mends []Mend) (*manifest.Document, error) {
	for _, m := range mends {
		wanted, err := m.apply(treeOf(d.Root), m.Path)
		if err != nil {
			return nil, err
		}
		text, err := m.write(d, wanted)
		if err != nil {
			return nil, err
		}
		result := manifest.Parse(d.File, d.Line, text)
		switch {
		case result.Err != nil:
			return nil, fmt.Errorf("the result would not be valid: %w", result.Err)
		case result.Root == nil || !equal(treeOf(result.Root), wanted):
			return nil, fmt.Errorf("%s cannot be changed without changing something else", m.Path)
		}
		result.Number, result.Offset = d.Number, d.Offset
		d = result
	}
	return d, nil
}

// apply makes the mend in a tree.
func (m Mend) apply(tree any, path manifest.Path) (any, error) {
	if len(path) > 0 {
		return m.applyBelow(tree, path)
	}
	switch node := tree.(type) {
	case map[string]any:
		return m.applyToMapping(node)
	case []any:
		if m.Kind == RemoveFirst && m.Count < len(node) {
			return node[m.Count:], nil
		}
	}
	return nil, errors.New(m.Path.String() + " is not what it was taken for")
}

func (m Mend) applyBelow(tree any, path manifest.Path) (any, error) {
	switch step := path[0].(type) {
	case string:
		node, isMap := tree.(map[string]any)
		if !isMap {
			break
		}
		child, there := node[step]
		if m.Kind == AddText && (!there || isNull(child)) {
			child = map[string]any{}
		}
		changed, err := m.apply(child, path[1:])
		if err != nil {
			return nil, err
		}
		node = maps.Clone(node)
		if left, isMap := changed.(map[string]any); isMap && len(left) == 0 && m.Kind == Remove {
			delete(node, step)
		} else {
			node[step] = changed
		}
		return node, nil
	case int:
		node, isList := tree.([]any)
		if !isList || step >= len(node) {
			break
		}
		changed, err := m.apply(node[step], path[1:])
		node = slices.Clone(node)
		node[step] = changed
		return node, err
	}
	return nil, errors.New(m.Path.String() + " is not there")
}

func (m Mend) applyToMapping(node map[string]any) (any, error) {
	old, there := node[m.Key]
	node = maps.Clone(node)
	switch {
	case m.Kind == AddText && there:
		return nil, fmt.Errorf("%s is there already", m.Path.Join(m.Key))
	case m.Kind == AddText:
		node[m.Key] = scalar{tag: "!!str", text: m.Text}
		return node, nil
	case !there:
		return nil, fmt.Errorf("%s is not there", m.Path.Join(m.Key))
	}
	switch m.Kind {
	case Rename:
		if _, taken := node[m.Text]; taken {
			return nil, fmt.Errorf("%s is there already", m.Path.Join(m.Text))
		}
		delete(node, m.Key)
		node[m.Text] = old
	case Rewrite:
		node[m.Key] = scalar{tag: "!!str", text: m.Text}
	case Remove:
		delete(node, m.Key)
	default:
		return nil, errors.New(m.Path.String() + " is not what it was taken for")
	}
	return node, nil
}

// write makes the mend in the text.
func (m Mend) write(d *manifest.Document, wanted any) ([]byte, error) {
	w := &writer{text: newText(d), added: map[*yaml.Node]int{}}
	n, path := d.Root, manifest.Path{}
	for i, step := range m.Path { // as far as there is something
		below := manifest.Get(n, step)
		if below == nil || below.Kind == yaml.ScalarNode && m.Kind == AddText {
			if m.Kind != AddText {
				return nil, fmt.Errorf("%s is not there", m.Path)
			}
			return m.addBelow(w, n, path, m.Path[i:], wanted)
		}
		n, path = below, path.Join(step)
	}
	n = manifest.Resolve(n)
	key, value := manifest.Field(n, m.Key)
	if m.Kind < RemoveFirst && key == nil {
		return nil, fmt.Errorf("%s is not there", m.Path.Join(m.Key))
	}
	switch m.Kind {
	case Rename:
		w.respell(key, path, m.Text)
	case Rewrite:
		w.respell(value, path, m.Text)
	case AddText:
		w.addPair(n, path, m.Key, scalar{tag: "!!str", text: m.Text})
	case Remove:
		return m.remove(d)
	case RemoveFirst:
		return cutFrom(d, n, m.Count)
	}
	return w.result()
}

// addBelow adds a text with the mappings that it needs on the way.
func (m Mend) addBelow(w *writer, n *yaml.Node, path, rest manifest.Path, wanted any) ([]byte, error) {
	name, isName := rest[0].(string)
	if !isName {
		return nil, fmt.Errorf("%s is not there", m.Path)
	}
	key, value := manifest.Field(n, name)
	if key == nil {
		w.addPair(manifest.Resolve(n), path, name, manifest.Lookup(wanted, path.Join(name)))
		return w.result()
	}
	a := action{parent: manifest.Resolve(n), node: value, path: path.Join(name)}
	w.replace(a, manifest.Lookup(wanted, a.path))
	return w.result()
}

// respell writes a scalar in the place of another, with the same quotes.
func (w *writer) respell(n *yaml.Node, path manifest.Path, text string) {
	s := w.style(path)
	if q := quoteOf(n); q != 0 {
		s.quote = q
	}
	from := w.text.content(n)
	w.edit(from, w.text.end(n, -1), s.word(text, true), 0)
}

// remove takes a field out, and the mappings that it leaves empty.
func (m Mend) remove(d *manifest.Document) ([]byte, error) {
	path, key := m.Path, m.Key
	for {
		n := manifest.Resolve(manifest.Get(d.Root, path...))
		if children(n) > 1 || len(path) == 0 {
			index, value := find(n, step{name: key})
			if value == nil {
				return nil, fmt.Errorf("%s is not there", m.Path.Join(m.Key))
			}
			r := newReverter(d)
			r.drop(n, index)
			r.cut(n)
			return r.result()
		}
		name, isName := path[len(path)-1].(string)
		if !isName {
			return nil, fmt.Errorf("%s would be empty", path)
		}
		path, key = path[:len(path)-1], name
	}
}

func cutFrom(d *manifest.Document, list *yaml.Node, count int) ([]byte, error) {
	if list.Kind != yaml.SequenceNode || count >= len(list.Content) {
		return nil, errors.New("the list has no more items than that")
	}
	r := newReverter(d)
	for i := range count {
		r.drop(list, i)
	}
	r.cut(list)
	return r.result()
}
