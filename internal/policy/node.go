package policy

import (
	"maps"
	"reflect"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

type node = yaml.Node

// Fields of a pod spec whose items are known by name, and move from one to the other.
var containerFields = []string{"initContainers", "containers"}

// MeaningOf is what a node says, in the types of encoding/json. Words of commands are strings,
// however they are written.
func MeaningOf(n *node) any { return meaning(n, false) }

func meaning(n *node, words bool) any {
	n = manifest.Resolve(n)
	switch {
	case n == nil:
		return nil
	case n.Kind == yaml.MappingNode:
		m := map[string]any{}
		manifest.Each(n, func(key, value *node) { m[key.Value] = meaning(value, key.Value == "command" || key.Value == "args") })
		return m
	case n.Kind == yaml.SequenceNode:
		items := []any{}
		for _, item := range manifest.Items(n) {
			items = append(items, meaning(item, words))
		}
		return items
	case words && n.Tag != "!!null":
		return n.Value
	}
	switch n.Tag {
	case "!!null":
		return nil
	case "!!bool":
		return n.Value == "true"
	case "!!int", "!!float":
		if number, err := strconv.ParseFloat(n.Value, 64); err == nil {
			return number
		}
	}
	return n.Value
}

// overlay is a node that means after, where n means before. What is the same in both is the node
// that was there. What is new has the line and column of the mapping or list that it is in.
func overlay(n *node, before, after any) *node {
	n = manifest.Resolve(n)
	if n == nil || reflect.DeepEqual(before, after) {
		return n
	}
	switch after := after.(type) {
	case map[string]any:
		if before, isMap := before.(map[string]any); isMap && n.Kind == yaml.MappingNode {
			return mapping(n, before, after)
		}
	case []any:
		if before, isList := before.([]any); isList && n.Kind == yaml.SequenceNode {
			return items(n, before, after)
		}
	}
	return made(n, after)
}

func mapping(n *node, before, after map[string]any) *node {
	result := &node{Kind: yaml.MappingNode, Tag: "!!map", Line: n.Line, Column: n.Column}
	seen := map[string]bool{}
	manifest.Each(n, func(key, value *node) {
		content, stays := after[key.Value]
		if !stays || seen[key.Value] {
			return
		}
		seen[key.Value] = true
		if slices.Contains(containerFields, key.Value) {
			value = containers(n, value, before, content)
		} else {
			value = overlay(value, before[key.Value], content)
		}
		result.Content = append(result.Content, key, value)
	})
	for _, key := range slices.Sorted(maps.Keys(after)) {
		if seen[key] {
			continue
		}
		value := made(n, after[key])
		if slices.Contains(containerFields, key) {
			value = containers(n, n, before, after[key])
		}
		result.Content = append(result.Content, made(n, key), value)
	}
	return result
}

// containers are those of a pod spec: each is what was written under its name, in either field.
func containers(spec, at *node, before map[string]any, after any) *node {
	list, isList := after.([]any)
	if !isList {
		return made(at, after)
	}
	result := &node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: at.Line, Column: at.Column}
	for _, item := range list {
		result.Content = append(result.Content, containerOf(spec, at, before, item))
	}
	return result
}

func containerOf(spec, at *node, before map[string]any, after any) *node {
	for _, field := range containerFields {
		all, _ := before[field].([]any)
		for i, item := range all {
			if nodes := manifest.Items(manifest.Get(spec, field)); nameOf(item) == nameOf(after) && nameOf(after) != "" && i < len(nodes) {
				return overlay(nodes[i], item, after)
			}
		}
	}
	return made(at, after)
}

// items are those of another list: each is the first one that was there and means the same, or
// else that in its place.
func items(n *node, before, after []any) *node {
	result := &node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: n.Line, Column: n.Column}
	nodes := manifest.Items(n)
	for i, item := range after {
		same := slices.IndexFunc(before, func(old any) bool { return reflect.DeepEqual(old, item) })
		switch {
		case same >= 0 && same < len(nodes):
			result.Content = append(result.Content, nodes[same])
		case i < len(nodes) && i < len(before) && nameOf(item) != "" && nameOf(before[i]) == nameOf(item):
			result.Content = append(result.Content, overlay(nodes[i], before[i], item))
		default:
			result.Content = append(result.Content, made(n, item))
		}
	}
	return result
}

// made is a new node, in the place of another one.
func made(at *node, value any) *node {
	scalar := func(tag, text string) *node {
		return &node{Kind: yaml.ScalarNode, Tag: tag, Value: text, Line: at.Line, Column: at.Column}
	}
	switch value := value.(type) {
	case map[string]any:
		n := &node{Kind: yaml.MappingNode, Tag: "!!map", Line: at.Line, Column: at.Column}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			n.Content = append(n.Content, scalar("!!str", key), made(at, value[key]))
		}
		return n
	case []any:
		n := &node{Kind: yaml.SequenceNode, Tag: "!!seq", Line: at.Line, Column: at.Column}
		for _, item := range value {
			n.Content = append(n.Content, made(at, item))
		}
		return n
	case string:
		return scalar("!!str", value)
	case bool:
		return scalar("!!bool", strconv.FormatBool(value))
	case float64:
		return scalar("!!int", strconv.FormatFloat(value, 'f', -1, 64))
	}
	return scalar("!!null", "null")
}

// replaced is a node with another one at a path. Nothing is changed in what was given.
func replaced(n *node, path manifest.Path, by *node) *node {
	if len(path) == 0 {
		return by
	}
	n = manifest.Resolve(n)
	child := manifest.Get(n, path[0])
	if n == nil || child == nil {
		return n
	}
	result := &node{Kind: n.Kind, Tag: n.Tag, Line: n.Line, Column: n.Column}
	next := replaced(child, path[1:], by)
	if n.Kind == yaml.SequenceNode {
		for i, item := range manifest.Items(n) {
			if i == path[0] {
				item = next
			}
			result.Content = append(result.Content, item)
		}
		return result
	}
	manifest.Each(n, func(key, value *node) {
		if key.Value == path[0] {
			value = next
		}
		result.Content = append(result.Content, key, value)
	})
	return result
}
