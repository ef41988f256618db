package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Encode writes a value as json or yaml, with the same keys in the same order. It returns an
// error for another format.
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

// encodeYAML writes the JSON of a value, which is valid YAML, in the style in which people
// write YAML.
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

// plain drops the brackets of JSON, and the quotes around keys, which need none. Values keep
// their quotes: without them, some parsers do not read on and 1.0 as strings.
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
