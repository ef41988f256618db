package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Encode writes a value for programs, as json or yaml: the same keys in the same order.
func Encode(out io.Writer, format string, v any) error {
	switch format {
	case "json":
		return encode(out, v)
	case "yaml":
		return encodeYAML(out, v)
	}
	return fmt.Errorf("output %q is neither json nor yaml", format)
}

func encode(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

// encodeYAML writes what the value is in JSON, which YAML parsers read, in the style that
// people write YAML in.
func encodeYAML(out io.Writer, v any) error {
	var text bytes.Buffer
	if err := encode(&text, v); err != nil {
		return err
	}
	var document yaml.Node
	if err := yaml.Unmarshal(text.Bytes(), &document); err != nil {
		return err
	}
	plain(&document)
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	if err := e.Encode(&document); err != nil {
		return err
	}
	return e.Close()
}

// plain forgets the brackets of JSON, and its quotes around keys, which are names of
// ours. Values keep theirs: on and 1.0 are no strings to every parser without them.
func plain(n *yaml.Node) {
	if len(n.Content) > 0 {
		n.Style = 0
	}
	for i, child := range n.Content {
		if n.Kind == yaml.MappingNode && i%2 == 0 {
			child.Style = 0
		}
		plain(child)
	}
}
