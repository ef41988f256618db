package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A setting is a value of the chart and what its comment says of it.
type setting struct {
	path, text, def string // def is JSON, or "" where there is no default
}

// readValues returns the comment that opens a values.yaml, and its settings in
// their order. A key without a comment is part of the default of the one above
// it; a map with comments in it is a group. Lines "@key NAME TEXT" in a comment
// document keys that have no default.
func readValues(content []byte) (introduction string, settings []setting, err error) {
	var document yaml.Node
	if err := yaml.Unmarshal(content, &document); err != nil {
		return "", nil, err
	}
	opening, _, found := strings.Cut(string(content), "\n\n")
	if !found || !strings.HasPrefix(opening, "#") {
		return "", nil, fmt.Errorf("does not open with a comment")
	}
	settings, err = group("", document.Content[0])
	return comment(opening), settings, err
}

func group(prefix string, mapping *yaml.Node) ([]setting, error) {
	var settings []setting
	for i := 0; i < len(mapping.Content); i += 2 {
		key, value := mapping.Content[i], mapping.Content[i+1]
		path := prefix + key.Value
		if key.HeadComment == "" {
			return nil, fmt.Errorf("line %d: %s has no comment", key.Line, path)
		}
		text, keys := splitKeys(comment(lastBlock(key.HeadComment)))
		settings = append(settings, setting{path: path, text: text})
		last := &settings[len(settings)-1]
		switch {
		case len(keys) > 0:
			for _, k := range keys {
				k.path = path + "." + k.path
				settings = append(settings, k)
			}
		case commented(value):
			inner, err := group(path+".", value)
			if err != nil {
				return nil, err
			}
			settings = append(settings, inner...)
		default:
			var v any
			if err := value.Decode(&v); err != nil {
				return nil, err
			}
			def, err := json.Marshal(v)
			if err != nil {
				return nil, err
			}
			last.def = string(def)
		}
	}
	return settings, nil
}

// commented reports whether a mapping documents its own keys.
func commented(n *yaml.Node) bool {
	return n.Kind == yaml.MappingNode && len(n.Content) > 0 && n.Content[0].HeadComment != ""
}

// lastBlock drops comments that a blank line parts from the key.
func lastBlock(comment string) string {
	return comment[strings.LastIndex(comment, "\n\n")+1:]
}

// comment returns the text of a YAML comment, without the marks of what is
// generated in it.
func comment(c string) string {
	var lines []string
	for line := range strings.Lines(strings.TrimSpace(c)) {
		if isMark(line) {
			continue
		}
		lines = append(lines, strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(line), "#")))
	}
	return strings.Join(lines, "\n")
}

func splitKeys(comment string) (text string, keys []setting) {
	var lines []string
	for line := range strings.Lines(comment) {
		if rest, ok := strings.CutPrefix(line, "@key "); ok {
			name, text, _ := strings.Cut(strings.TrimSpace(rest), " ")
			keys = append(keys, setting{path: name, text: text})
			continue
		}
		lines = append(lines, line)
	}
	return strings.TrimSpace(strings.Join(lines, "")), keys
}
