package inject

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/nearest"
)

// A schema is the library chart's values.schema.json, or the part of it that describes one
// setting.
type schema struct {
	Properties map[string]schema `json:"properties"`
	Enum       []any             `json:"enum"`
	AnyOf      []schema          `json:"anyOf"`
	OneOf      []schema          `json:"oneOf"`
	Pattern    string            `json:"pattern"`
	Type       any               `json:"type"`
}

// schemaOf reads the schema of a library chart. It returns an empty schema where that cannot be
// read: the schema only helps to explain mistakes.
func schemaOf(library fs.FS) (s schema) {
	text, err := fs.ReadFile(library, "library-chart/values.schema.json")
	if err == nil {
		_ = json.Unmarshal(text, &s) // an empty schema will do
	}
	return s
}

// at returns the part of the schema that describes a setting.
func (s schema) at(path []string) schema {
	for _, name := range path {
		s = s.Properties[name]
	}
	return s
}

// A Setting is one value of the library chart. Name has the form that --set takes.
type Setting struct {
	Name string
	// Words are the only words that the setting takes; nil where it takes other values too.
	Words []string
}

// Settings returns the settings of a library chart, sorted by name.
func Settings(library fs.FS) []Setting {
	all := schemaOf(library)
	delete(all.Properties, "global")
	return all.settings("")
}

func (s schema) settings(prefix string) []Setting {
	var found []Setting
	for _, name := range slices.Sorted(maps.Keys(s.Properties)) {
		p := s.Properties[name]
		if len(p.Properties) > 0 {
			found = append(found, p.settings(prefix+name+".")...)
			continue
		}
		setting := Setting{Name: prefix + name}
		if strings.Contains(fmt.Sprint(p.Type), "boolean") {
			setting.Words = []string{"true", "false"}
		}
		words := p.Enum
		if len(p.AnyOf) > 0 {
			words = p.AnyOf[0].Enum // the other forms are lists of these words
		}
		for _, word := range words {
			if word != "" && word != nil {
				setting.Words = append(setting.Words, fmt.Sprint(word))
			}
		}
		found = append(found, setting)
	}
	return found
}

const settingsHint = "jobmesh inject --help-values lists the settings"

// from returns what error messages call the source of the values.
func (o Options) from() string { return cmp.Or(o.From, "values") }

// These expressions match the lines that the check of a schema prints, one for each mistake.
var (
	schemaLine = regexp.MustCompile(`(?m)^\s*- at '(.*?)': (.*)$`)
	additional = regexp.MustCompile(`^additional properties (.*) not allowed$`)
	wrongType  = regexp.MustCompile(`^got (\w+), want (?:null or )?(\w+)(?: or null)?$`)
	mismatch   = regexp.MustCompile(`^'(.*)' does not match pattern '.*'$`)
	quoted     = regexp.MustCompile(`'([^']*)'`)
)

// explainValues returns the mistakes that the schema of the library chart found, in the words
// of jobmesh.
func explainValues(err error, from string, s schema) error {
	var mistakes []string
	for _, m := range schemaLine.FindAllStringSubmatch(err.Error(), -1) {
		mistakes = append(mistakes, s.mistakes(m[1], m[2])...)
	}
	if mistakes == nil {
		return fault.New(fault.Usage, fmt.Errorf("%s: %w", from, err))
	}
	return fault.New(fault.Usage, errors.New(from+": "+strings.Join(mistakes, "; ")), settingsHint)
}

// mistakes returns the mistakes in one line of the check. The parameter at is a JSON pointer to
// the setting.
func (s schema) mistakes(at, said string) []string {
	var path []string
	if at != "" {
		path = strings.Split(strings.TrimPrefix(at, "/"), "/")
	}
	name := strings.Join(path, ".")
	setting := s.at(path)
	if len(setting.AnyOf) > 0 && !strings.HasPrefix(said, "value must be one of ") {
		return nil // another line says what the setting takes
	}
	if m := additional.FindStringSubmatch(said); m != nil {
		return setting.unknown(path, m[1])
	}
	if name != "" {
		name += ": "
	}
	if strings.HasPrefix(said, "'oneOf' failed") || len(setting.OneOf) > 0 && strings.HasPrefix(said, "value must be ") {
		return nil // the line on the type says enough
	}
	if m := wrongType.FindStringSubmatch(said); m != nil && len(setting.OneOf) > 0 {
		return []string{name + "is " + article(m[1]) + " but must be " + article(m[2]) + setting.orWord()}
	} else if m != nil {
		return []string{name + "is " + article(m[1]) + " but must be " + article(m[2]) + setting.example()}
	}
	if m := mismatch.FindStringSubmatch(said); m != nil {
		if example := setting.example(); example != "" {
			return []string{fmt.Sprintf("%s%q does not have the right form%s", name, m[1], example)}
		}
	}
	return []string{name + said}
}

// orWord returns how a list is written after --set, and the words that may stand in its place.
func (s schema) orWord() string {
	said := ", as in {NAME}"
	for _, one := range s.OneOf {
		for _, word := range one.Enum {
			said += fmt.Sprintf(", or the word %v", word)
		}
	}
	return said
}

// unknown returns a message for each unknown setting, sorted, with the known setting that may
// be meant. The parameter listed has their names in quotes.
func (s schema) unknown(path []string, listed string) []string {
	var mistakes []string
	known := slices.Sorted(maps.Keys(s.Properties))
	for _, m := range quoted.FindAllStringSubmatch(listed, -1) {
		said := fmt.Sprintf("setting %q is unknown", strings.Join(append(slices.Clone(path), m[1]), "."))
		if near, ok := nearest.Guess(m[1], known); ok {
			said += ", did you mean " + near + "?"
		}
		mistakes = append(mistakes, said)
	}
	slices.Sort(mistakes)
	return mistakes
}

// article returns a JSON type with the indefinite article in front.
func article(kind string) string {
	switch kind {
	case "array":
		return "a list"
	case "object":
		return "a mapping"
	case "string":
		return "text"
	case "null":
		return "empty"
	case "integer":
		return "a whole number"
	}
	return "a " + kind
}

// examples are values to show in messages, each with a part of the pattern that it is for.
var examples = []struct{ in, example string }{
	{"|m|h)", "60s"},
	{"sha256:", "sha256: and 64 hexadecimal digits"},
	{"^(https?", "http://127.0.0.1:15021/healthz/ready"},
	{"^/", "/jobmesh"},
}

// example returns a valid value with words in front, and "" where none is known.
func (s schema) example() string {
	for _, e := range examples {
		if strings.Contains(s.Pattern, e.in) {
			return ", as in " + e.example
		}
	}
	return ""
}
