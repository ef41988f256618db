package inject

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strconv"
	"strings"

	yaml3 "go.yaml.in/yaml/v3"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// What a document means is a tree of map[string]any and []any, as encoding/json makes it.
// No function here changes a tree that it is given: each returns another one, which shares
// with the first what is the same in both.

// meaning returns what a document says, as Kubernetes reads it.
func meaning(d *manifest.Document) (any, error) {
	text := d.AsJSON()
	if !d.JSON {
		var err error
		if text, err = yaml.YAMLToJSON(manifest.ForParser(d.Text)); err != nil {
			return nil, errors.New(strings.TrimPrefix(err.Error(), "yaml: "))
		}
	}
	var tree any
	err := json.Unmarshal(text, &tree)
	return tree, err
}

// words returns the tree with the words of commands as strings. Those that YAML takes for a
// boolean or a number, as in command: [true], are shown to the chart as they are written,
// and stay so in the text.
func words(tree any, o manifest.Object) any {
	for _, t := range o.PodTemplates() {
		for _, c := range t.Containers() {
			for _, field := range []string{"command", "args"} {
				for i, n := range manifest.Items(manifest.Get(c.Node, field)) {
					path := o.Path.Join(c.Path...).Join(field, i)
					if _, isString := manifest.Lookup(tree, path).(string); !isString && n.Kind == yaml3.ScalarNode && n.Tag != "!!null" {
						tree = with(tree, path, n.Value)
					}
				}
			}
		}
	}
	return tree
}

// with returns a tree that has another value at a path.
func with(tree any, path manifest.Path, value any) any {
	if len(path) == 0 {
		return value
	}
	switch step := path[0].(type) {
	case string:
		m, _ := tree.(map[string]any)
		m = maps.Clone(m)
		if m == nil {
			m = map[string]any{}
		}
		m[step] = with(m[step], path[1:], value)
		return m
	case int:
		l, _ := tree.([]any)
		l = slices.Clone(l)
		if step < len(l) {
			l[step] = with(l[step], path[1:], value)
		}
		return l
	}
	return tree
}

// oneLine writes JSON that the YAML parser of the chart can read, and the chart can print
// again: the characters that Helm's toYaml loses are hidden.
func oneLine(tree any) string {
	text, err := json.Marshal(tree)
	hidden := hide(string(text))
	if err == nil && long.Match(text) {
		text, err = json.Marshal(hideLong(tree))
		hidden = string(text)
	}
	if err != nil {
		panic(err) // it came from JSON
	}
	return strings.ReplaceAll(hidden, "\ufeff", `\ufeff`)
}

// long matches texts that may hold numbers which the chart refuses, because Helm would round
// them. Here the text of the user has them, and nothing is rounded.
var long = regexp.MustCompile(`[0-9]{16}|[0-9]e\+`)

// hideLong puts strings in the place of numbers of 2^53 and above, and hides what hide does.
func hideLong(tree any) any {
	switch tree := tree.(type) {
	case float64:
		if math.Abs(tree) >= 1<<53 {
			return string(mark) + longMark + strconv.FormatFloat(tree, 'g', -1, 64)
		}
	case string:
		return hide(tree)
	case map[string]any:
		hidden := make(map[string]any, len(tree))
		for key, value := range tree {
			hidden[hide(key)] = hideLong(value)
		}
		return hidden
	case []any:
		hidden := make([]any, len(tree))
		for i, value := range tree {
			hidden[i] = hideLong(value)
		}
		return hidden
	}
	return tree
}

// longMark stands behind the mark of a hidden number.
const longMark = "n"

// mark begins what stands for a hidden character: the mark, and the character as four
// hexadecimal digits. It is for private use, and hidden itself where somebody uses it.
const mark = '\uf8e5'

// hide hides the characters of a text that Helm's toYaml prints nothing for, or a blank.
func hide(text string) string {
	var b strings.Builder
	for _, r := range text {
		if r >= 0x7f && r < 0xa0 || r == '\ufffe' || r == '\uffff' || r == mark {
			fmt.Fprintf(&b, "%c%04x", mark, r)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

var hiddenRune = regexp.MustCompile(string(mark) + "[0-9a-f]{4}")

// show gives back what hide has hidden.
func show(text string) string {
	return hiddenRune.ReplaceAllStringFunc(text, func(hidden string) string {
		r, _ := strconv.ParseUint(hidden[len(string(mark)):], 16, 16) // the digits that were matched
		return string(rune(r))
	})
}

// showEscaped writes what hide has hidden as escapes, since a message has no control
// characters. The chart may have quoted the mark already.
func showEscaped(text string) string {
	return hiddenRune.ReplaceAllStringFunc(strings.ReplaceAll(text, fmt.Sprintf(`\u%x`, mark), string(mark)), func(hidden string) string {
		return `\u` + hidden[len(string(mark)):]
	})
}

// showAll gives back what hide has hidden in the keys and strings of a tree.
func showAll(tree any) any {
	switch tree := tree.(type) {
	case string:
		if number, isLong := strings.CutPrefix(tree, string(mark)+longMark); isLong {
			if f, err := strconv.ParseFloat(number, 64); err == nil {
				return f
			}
		}
		return show(tree)
	case map[string]any:
		shown := make(map[string]any, len(tree))
		for key, value := range tree {
			shown[show(key)] = showAll(value)
		}
		return shown
	case []any:
		shown := make([]any, len(tree))
		for i, value := range tree {
			shown[i] = showAll(value)
		}
		return shown
	}
	return tree
}

// sorted returns the keys of a map in their order.
func sorted(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// merge returns a map with the keys of both, where the second one wins.
func merge(under, over map[string]any) map[string]any {
	merged := map[string]any{}
	for key, value := range under {
		merged[key] = value
	}
	for key, value := range over {
		below, isMap := merged[key].(map[string]any)
		above, areMaps := value.(map[string]any)
		if isMap && areMaps {
			value = merge(below, above)
		}
		merged[key] = value
	}
	return merged
}
