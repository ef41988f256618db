package patch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// A style is how the place of an addition is written, which is how the addition is
// written too.
type style struct {
	json bool
	// step is by how much a mapping is indented below its key, list by how much a list is.
	step, list int
	// quote is put around strings: 0 where they need none.
	quote byte
	// newline ends a line.
	newline string
	// colon and comma separate in flow collections.
	colon, comma string
}

// These match strings that are strings without quotes too, for every version of YAML:
// flowWord wherever they stand, blockWord outside of flow collections. reserved are
// those that are not.
var (
	flowWord  = regexp.MustCompile(`^(?:[A-Za-z_/][A-Za-z0-9_./=-]*|--(?:[a-z][A-Za-z0-9_./=-]*)?|[1-9][0-9]*(?:m|Ki|Mi|Gi))$`)
	blockWord = regexp.MustCompile(`^[A-Za-z_/][A-Za-z0-9_./=:@'\[\]-]*[A-Za-z0-9_/=\]-]$`)
	reserved  = regexp.MustCompile(`^(?i:y|n|yes|no|on|off|true|false|null)$`)
)

// pair writes "KEY: VALUE" of a block mapping whose keys are at column indent. It
// neither begins nor ends with a line break.
func (s style) pair(key string, value any, indent int) string {
	return s.word(key, false) + ":" + s.below(value, indent, s.step, s.list)
}

// item writes "- VALUE" of a block sequence whose dashes are at column indent.
func (s style) item(value any, indent int) string {
	if m, isMap := value.(map[string]any); isMap && len(m) > 0 {
		return "- " + s.mapping(m, indent+2)
	}
	return "-" + s.below(value, indent, 2, 2)
}

// below writes what follows a colon or dash: on the same line, or on lines of its own.
func (s style) below(value any, indent, step, list int) string {
	switch value := value.(type) {
	case map[string]any:
		if len(value) > 0 {
			return s.newline + spaces(indent+step) + s.mapping(value, indent+step)
		}
	case []any:
		if len(value) > 0 {
			items := make([]string, len(value))
			for i, v := range value {
				items[i] = s.newline + spaces(indent+list) + s.item(v, indent+list)
			}
			return strings.Join(items, "")
		}
	case scalar:
		if value.tag == "!!str" && isText(value.text) {
			pad := s.newline + spaces(indent+step)
			return " |" + pad + strings.ReplaceAll(strings.TrimSuffix(value.text, "\n"), "\n", pad)
		}
		return " " + s.scalar(value, false)
	}
	return " " + s.flow(value)
}

// isText says whether a string is best written as a literal block.
func isText(text string) bool {
	return strings.Count(text, "\n") > 1 && strings.HasSuffix(text, "\n") && !strings.HasSuffix(text, "\n\n") &&
		!strings.ContainsAny(text[:1], " \n\t#") && !strings.Contains(text, "\n\n") &&
		strings.IndexFunc(text, func(r rune) bool { return r != '\n' && (r > unicode.MaxASCII || !unicode.IsPrint(r)) }) < 0
}

func (s style) mapping(m map[string]any, indent int) string {
	var pairs []string
	for _, key := range sortedKeys(m) {
		pairs = append(pairs, s.pair(key, m[key], indent))
	}
	return strings.Join(pairs, s.newline+spaces(indent))
}

// flow writes a value on one line.
func (s style) flow(value any) string {
	switch value := value.(type) {
	case map[string]any:
		var pairs []string
		for _, key := range sortedKeys(value) {
			pairs = append(pairs, s.flowPair(key, value[key]))
		}
		return "{" + strings.Join(pairs, s.comma) + "}"
	case []any:
		items := make([]string, len(value))
		for i, v := range value {
			items[i] = s.flow(v)
		}
		return "[" + strings.Join(items, s.comma) + "]"
	case scalar:
		return s.scalar(value, true)
	}
	return "null"
}

func (s style) flowPair(key string, value any) string {
	return s.word(key, true) + s.colon + s.flow(value)
}

// pretty writes a value of JSON over several lines. pad begins the line it stands on.
func (s style) pretty(value any, pad, unit string) string {
	inner := s.newline + pad + unit
	switch value := value.(type) {
	case map[string]any:
		if len(value) == 0 {
			return "{}"
		}
		var pairs []string
		for _, key := range sortedKeys(value) {
			pairs = append(pairs, s.word(key, true)+s.colon+s.pretty(value[key], pad+unit, unit))
		}
		return "{" + inner + strings.Join(pairs, ","+inner) + s.newline + pad + "}"
	case []any:
		if len(value) == 0 {
			return "[]"
		}
		items := make([]string, len(value))
		for i, v := range value {
			items[i] = s.pretty(v, pad+unit, unit)
		}
		return "[" + inner + strings.Join(items, ","+inner) + s.newline + pad + "]"
	}
	return s.flow(value)
}

func (s style) scalar(value scalar, inFlow bool) string {
	switch {
	case value.tag == "!!str" && value.plain && !s.json && flowWord.MatchString(value.text):
		return value.text // a word of the user, in the user's way
	case value.tag == "!!str":
		return s.word(value.text, inFlow)
	case value.tag == "!!null":
		return "null"
	}
	return value.text
}

// word writes a string.
func (s style) word(text string, inFlow bool) string {
	switch {
	case s.json || s.quote == '"':
		return quoted(text)
	case s.quote == '\'' && !strings.Contains(text, "'") && isPrintable(text):
		return "'" + text + "'"
	case reserved.MatchString(text):
		return quoted(text)
	case flowWord.MatchString(text), !inFlow && blockWord.MatchString(text):
		return text
	}
	return quoted(text)
}

func isPrintable(text string) bool {
	return strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0
}

// quoted writes a string in double quotes, so that JSON and YAML read the same.
func quoted(text string) string {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(text); err != nil {
		panic(err) // a string always encodes
	}
	var out strings.Builder
	for _, r := range strings.TrimSuffix(b.String(), "\n") {
		if r == 0x7f || r >= 0x80 && r < 0xa0 || r == '\ufeff' || r >= 0xfffe && r <= 0xffff {
			fmt.Fprintf(&out, `\u%04x`, r) // what YAML does not take as it is
			continue
		}
		out.WriteRune(r)
	}
	return out.String()
}

// sortedKeys puts first what names a thing.
func sortedKeys(m map[string]any) []string {
	rank := func(key string) int {
		return slices.Index([]string{"image", "name"}, key) // -1 for the others
	}
	keys := slices.Collect(maps.Keys(m))
	slices.SortFunc(keys, func(a, b string) int {
		if d := rank(b) - rank(a); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return keys
}

func spaces(n int) string { return strings.Repeat(" ", n) }
