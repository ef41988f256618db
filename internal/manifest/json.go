package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"

	"go.yaml.in/yaml/v3"
)

// FromJSON reads one object of JSON that a program has just written, such as an object of an
// API server. Its nodes are those that Scan would give for that text, but for lines and columns,
// which no file has. It takes a fifth of the time and a ninth of the memory, since the text is not
// read as YAML.
func FromJSON(file string, text []byte) (Object, error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	root, err := jsonNode(decoder, 0)
	if err != nil {
		return Object{}, fmt.Errorf("%s: %w", file, err)
	}
	d := &Document{File: file, Number: 1, Text: text, JSON: true, Root: root}
	objects := d.Objects()
	if len(objects) != 1 {
		return Object{}, fmt.Errorf("%s: it is not one object", file)
	}
	return objects[0], nil
}

// jsonNode reads the next value.
func jsonNode(decoder *json.Decoder, depth int) (*yaml.Node, error) {
	token, err := decoder.Token()
	if err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, fmt.Errorf("it is nested deeper than %d levels", maxDepth)
	}
	switch v := token.(type) {
	case json.Delim:
		node := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq", Style: yaml.FlowStyle}
		if v == '{' {
			node.Kind, node.Tag = yaml.MappingNode, "!!map"
		}
		for decoder.More() {
			item, err := jsonNode(decoder, depth+1)
			if err != nil {
				return nil, err
			}
			node.Content = append(node.Content, item) // of a mapping, its keys and values in turn
		}
		_, err := decoder.Token() // the end of it
		return node, err
	case string:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: v, Style: yaml.DoubleQuotedStyle}, nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(v)}, nil
	case json.Number:
		node := &yaml.Node{Kind: yaml.ScalarNode, Value: v.String()}
		node.Tag = node.ShortTag() // as YAML tells numbers apart
		return node, nil
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
}
