package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// settingsOutput returns what the templates know about the chart's values in addition to the
// schema. Helm applies the schema to values alone: global.jobmesh and the settings of a call
// bypass it, and a chart that only contains the templates has none of the library's values.
func settingsOutput() output {
	return whole(chart+"/templates/_settings_tables.tpl", "values.schema.json and values.yaml", func() ([]byte, error) {
		kinds, err := settingKinds()
		if err != nil {
			return nil, err
		}
		defaults, err := settingDefaults()
		if err != nil {
			return nil, err
		}
		return fmt.Appendf(nil, `
{{/*
What each setting is: a kind, in the words of kindOf; a "merged map", which is
merged key by key, and "*" any key of it; or one of the words between bars, or "",
or of the kind before the first bar. The name of a mesh is looked up in the table of
meshes.
*/}}
{{- define "jobmesh._settings.kinds" -}}
%s
{{- end -}}

{{/* The defaults. */}}
{{- define "jobmesh._settings.defaults" -}}
%s
{{- end -}}
`, kinds, defaults), nil
	})
}

// A settingSchema is the part of JSON schema that values.schema.json uses.
type settingSchema struct {
	Type                 any
	Enum                 []string
	OneOf                []settingSchema
	Properties           members[settingSchema]
	AdditionalProperties json.RawMessage
}

// settingKinds returns the schema in the form of jobmesh._settings.kinds, as JSON.
func settingKinds() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(chart, "values.schema.json"))
	if err != nil {
		return nil, err
	}
	var top settingSchema
	if err := json.Unmarshal(text, &top); err != nil {
		return nil, err
	}
	var lines []string
	var walk func(prefix string, s settingSchema)
	walk = func(prefix string, s settingSchema) {
		for _, m := range s.Properties {
			name := prefix + m.key
			if name == "global" { // Helm passes it to every chart
				continue
			}
			kind := m.value.kind()
			if name == "mesh" {
				kind = "string"
			}
			lines = append(lines, fmt.Sprintf("  %q: %q", name, kind))
			walk(name+".", m.value)
		}
		var any settingSchema
		if json.Unmarshal(s.AdditionalProperties, &any) == nil && prefix != "" && any.Type != nil {
			lines = append(lines, fmt.Sprintf("  %q: %q", prefix+"*", any.kind()))
		}
	}
	walk("", top)
	return []byte("{\n" + strings.Join(lines, ",\n") + "\n}"), nil
}

func (s settingSchema) kind() string {
	switch {
	case s.Enum != nil:
		// The templates read "" as not set.
		words := slices.DeleteFunc(slices.Clone(s.Enum), func(word string) bool { return word == "" })
		return "|" + strings.Join(words, "|") + "|"
	case len(s.OneOf) == 2:
		return s.OneOf[0].kind() + s.OneOf[1].kind()
	case s.Properties != nil || bytes.HasPrefix(s.AdditionalProperties, []byte("{")):
		return "merged map"
	}
	return map[string]string{"boolean": "bool", "string": "string", "array": "slice", "object": "map"}[strings.TrimSuffix(strings.Trim(fmt.Sprint(s.Type), "[]"), " null")]
}

// members are the members of a JSON object, in their order.
type members[T any] []struct {
	key   string
	value T
}

func (m *members[T]) UnmarshalJSON(text []byte) error {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil { // the opening brace
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		var value T
		if err := d.Decode(&value); err != nil {
			return err
		}
		*m = append(*m, struct {
			key   string
			value T
		}{key.(string), value})
	}
	return nil
}

// settingDefaults returns values.yaml without its comments.
func settingDefaults() ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, err
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	uncomment(&root)
	var b bytes.Buffer
	e := yaml.NewEncoder(&b)
	e.SetIndent(2)
	err = e.Encode(&root)
	return bytes.TrimSpace(b.Bytes()), err
}

func uncomment(n *yaml.Node) {
	n.HeadComment, n.LineComment, n.FootComment = "", "", ""
	for _, child := range n.Content {
		uncomment(child)
	}
}
