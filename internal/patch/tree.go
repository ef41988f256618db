package patch

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A scalar is a leaf of a tree, with its text as it is written and the kind that the parser
// gives it. Comparing the text too is safer than comparing values: readers of YAML differ in
// what they take a plain word for, but a word that has not changed means the same as before.
type scalar struct {
	tag, text string
	plain     bool
}

// treeOf returns what a node means: maps, lists and scalars, with aliases and merge
// keys written out. Nothing in it is shared.
func treeOf(n *yaml.Node) any {
	n = manifest.Resolve(n)
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.MappingNode:
		m := make(map[string]any, len(n.Content)/2)
		manifest.Each(n, func(key, value *yaml.Node) { m[keyOf(key)] = treeOf(value) })
		return m
	case n.Kind == yaml.SequenceNode:
		l := make([]any, len(n.Content))
		for i, item := range n.Content {
			l[i] = treeOf(item)
		}
		return l
	case n.Tag == "!!null":
		return scalar{tag: "!!null"}
	}
	return scalar{n.Tag, n.Value, n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0}
}

// keyOf returns a key as a string. A key that is not a scalar gets a string that no field
// name can be, because nothing ever looks for it.
func keyOf(key *yaml.Node) string {
	if key.Kind == yaml.ScalarNode {
		return key.Value
	}
	return fmt.Sprintf("\x00%v", treeOf(key))
}

// treeOfValue does the same for a value in the form that encoding/json gives it.
func treeOfValue(value any) any {
	switch value := value.(type) {
	case map[string]any:
		m := make(map[string]any, len(value))
		for key, v := range value {
			m[key] = treeOfValue(v)
		}
		return m
	case []any:
		l := make([]any, len(value))
		for i, v := range value {
			l[i] = treeOfValue(v)
		}
		return l
	case string:
		return scalar{tag: "!!str", text: value}
	case bool:
		return scalar{tag: "!!bool", text: fmt.Sprint(value), plain: true}
	case nil:
		return scalar{tag: "!!null"}
	case scalar:
		return value
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(fmt.Sprintf("patch: %T is no value of JSON", value)) // a mistake of the caller, not of any input
	}
	number := scalar{tag: "!!int", text: string(text), plain: true}
	if strings.ContainsAny(number.text, ".eE") {
		number.tag = "!!float"
	}
	return number
}

func equal(a, b any) bool {
	switch a := a.(type) {
	case map[string]any:
		b, same := b.(map[string]any)
		if !same || len(a) != len(b) {
			return false
		}
		for key, value := range a {
			if other, has := b[key]; !has || !equal(value, other) {
				return false
			}
		}
		return true
	case []any:
		b, same := b.([]any)
		return same && slices.EqualFunc(a, b, equal)
	case scalar:
		b, same := b.(scalar)
		return same && a.tag == b.tag && a.text == b.text
	}
	return a == nil && b == nil
}

// apply makes a change in a tree, and returns the tree. False if there is no such place.
func (c Change) apply(tree any) (any, bool) { return c.applyAt(tree, c.Path) }

func (c Change) applyAt(tree any, path manifest.Path) (any, bool) {
	if len(path) == 0 {
		return c.applyHere(tree)
	}
	switch step := path[0].(type) {
	case string:
		m, isMap := tree.(map[string]any)
		if !isMap {
			return tree, false
		}
		changed, ok := c.applyAt(m[step], path[1:])
		if ok {
			m[step] = changed
		}
		return m, ok
	case int:
		l, isList := tree.([]any)
		if !isList || step >= len(l) {
			return tree, false
		}
		changed, ok := c.applyAt(l[step], path[1:])
		if ok {
			l[step] = changed
		}
		return l, ok
	}
	return tree, false
}

func (c Change) applyHere(tree any) (any, bool) {
	value := treeOfValue(c.Value)
	switch c.Op {
	case AddKey:
		m, isMap := tree.(map[string]any)
		if !isMap {
			if !isNull(tree) {
				return tree, false
			}
			m = map[string]any{}
		}
		m[c.Key] = value
		return m, true
	case Set:
		return value, true
	}
	l, isList := tree.([]any)
	if !isList && !isNull(tree) {
		return tree, false
	}
	if c.Op == Insert {
		return slices.Insert(slices.Clone(l), min(c.At, len(l)), value.([]any)...), true
	}
	if c.Op == Prepend {
		return append(slices.Clone(value.([]any)), l...), true
	}
	return append(slices.Clone(l), value.([]any)...), true
}

func isNull(tree any) bool {
	s, is := tree.(scalar)
	return tree == nil || is && s.tag == "!!null"
}
