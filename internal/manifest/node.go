package manifest

import "go.yaml.in/yaml/v3"

// Resolve follows an alias to the node it stands for. A nil node stays nil.
func Resolve(n *yaml.Node) *yaml.Node {
	for n != nil && n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// Field returns the key and the value of a field of a mapping, without looking at mappings
// that it merges. Where the field is written twice the last one counts, as in Kubernetes.
// Both are nil where the mapping does not have the field. The value may be an alias.
func Field(n *yaml.Node, name string) (key, value *yaml.Node) {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil, nil
	}
	for i := len(n.Content) - 2; i >= 0; i -= 2 {
		if k := Resolve(n.Content[i]); k.Kind == yaml.ScalarNode && k.Value == name && !isMerge(n.Content[i]) {
			return n.Content[i], n.Content[i+1]
		}
	}
	return nil, nil
}

// Get returns the node at a path below another one. It follows aliases and merge keys. It
// returns nil where there is no such node; a null is a node.
func Get(n *yaml.Node, path ...any) *yaml.Node {
	for _, step := range path {
		n = Resolve(n)
		switch step := step.(type) {
		case string:
			n = lookup(n, step)
		case int:
			if n == nil || n.Kind != yaml.SequenceNode || step < 0 || step >= len(n.Content) {
				return nil
			}
			n = n.Content[step]
		}
	}
	return Resolve(n)
}

// lookup finds a field of a mapping, or else of the first of its merged mappings that has
// the field.
func lookup(n *yaml.Node, name string) *yaml.Node {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return nil
	}
	if _, value := Field(n, name); value != nil {
		return value
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		from := Resolve(n.Content[i+1])
		if from.Kind == yaml.MappingNode {
			if value := lookup(from, name); value != nil {
				return value
			}
		}
		if from.Kind == yaml.SequenceNode {
			for _, item := range from.Content {
				if value := lookup(item, name); value != nil {
					return value
				}
			}
		}
	}
	return nil
}

func isMerge(key *yaml.Node) bool { return key.Kind == yaml.ScalarNode && key.Tag == "!!merge" }

// Text returns what a scalar says as a string, "" for any other node and for null.
// It does not tell a string from a number: compare the Tag of the node for that.
func Text(n *yaml.Node) string {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.ScalarNode || n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

// Items returns the items of a sequence, aliases followed; none for any other node.
func Items(n *yaml.Node) []*yaml.Node {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	items := make([]*yaml.Node, len(n.Content))
	for i, item := range n.Content {
		items[i] = Resolve(item)
	}
	return items
}

// Texts returns the fields of a mapping as strings, as those of labels are.
func Texts(n *yaml.Node) map[string]string {
	texts := map[string]string{}
	Each(n, func(key, value *yaml.Node) { texts[key.Value] = Text(value) })
	return texts
}

// Each calls f with every field of a mapping, and then with those fields of its merged
// mappings that have another name.
func Each(n *yaml.Node, f func(key, value *yaml.Node)) {
	each(n, map[string]bool{}, f)
}

func each(n *yaml.Node, seen map[string]bool, f func(key, value *yaml.Node)) {
	n = Resolve(n)
	if n == nil || n.Kind != yaml.MappingNode {
		return
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key := Resolve(n.Content[i])
		if isMerge(n.Content[i]) || seen[key.Value] {
			continue
		}
		seen[key.Value] = true
		_, value := Field(n, key.Value)
		if value == nil { // a key that is no scalar
			value = n.Content[i+1]
		}
		f(key, Resolve(value))
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		if !isMerge(n.Content[i]) {
			continue
		}
		from := Resolve(n.Content[i+1])
		each(from, seen, f)
		for _, item := range Items(from) {
			each(item, seen, f)
		}
	}
}
