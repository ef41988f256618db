package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// flagOutputs are the parts of the library chart that depend on the wrapper's flags. They come
// before the chart's page, which is made from the chart's files.
var flagOutputs = []output{
	flagRegion("_settings.tpl", "wrapper forms", flagForms),
	flagRegion("_settings.tpl", "hook keys", func(all []wrapflags.Setting) string { return flagKeys(hookFlags(all)) }),
	flagRegion("_wrapper.tpl", "keys", flagKeys),
	flagRegion("_hook.tpl", "defaults", func([]wrapflags.Setting) string { return hookDefaults() }),
	region(chart+"/values.yaml", "wrapper", flagSource, func() ([]byte, error) {
		return []byte(flagComments(wrapflags.Settings())), nil
	}),
	jsonMembers(chart+"/values.schema.json", []string{"properties", "wrapper", "properties"}, func() ([]jsonMember, error) {
		return flagSchema(wrapflags.Settings()), nil
	}),
}

const flagSource = "internal/wrapflags"

// flagRegion returns the output for some lines of a template.
func flagRegion(file, name string, write func(all []wrapflags.Setting) string) output {
	return region(chart+"/templates/"+file, name, flagSource, func() ([]byte, error) {
		return []byte(write(wrapflags.Settings())), nil
	})
}

// chartFlags returns the settings that are keys of the value `wrapper`.
func chartFlags(all []wrapflags.Setting) []wrapflags.Setting {
	return slices.DeleteFunc(slices.Clone(all), func(s wrapflags.Setting) bool { return s.Chart.Derived })
}

// hookFlags returns those that mode hook supports.
func hookFlags(all []wrapflags.Setting) []wrapflags.Setting {
	return slices.DeleteFunc(chartFlags(all), func(s wrapflags.Setting) bool { return !s.Chart.Hook })
}

// flagKeys returns the line of a template that lists the keys of settings.
func flagKeys(list []wrapflags.Setting) string {
	var keys []string
	for _, s := range list {
		keys = append(keys, strconv.Quote(s.Key()))
	}
	return "{{- $keys := list " + strings.Join(keys, " ") + " -}}"
}

// choices returns the only values of a setting, and nil where it takes other values too.
func choices(s wrapflags.Setting) []string {
	if !strings.Contains(s.Value, "|") {
		return nil
	}
	return strings.Split(s.Value, "|")
}

// flagForms returns lines of the JSON in jobmesh._settings.forms.
func flagForms(all []wrapflags.Setting) string {
	var lines []string
	for _, s := range chartFlags(all) {
		if form := s.Chart.Form; form.Pattern != "" {
			pair, _ := encode([]string{form.Pattern, form.Words}) // strings can always be encoded
			lines = append(lines, fmt.Sprintf("%q: %s", s.Key(), pair))
		}
	}
	return strings.Join(lines, ",\n")
}

// hookDefaults returns the wrapper's own defaults for mode hook.
func hookDefaults() string {
	limit, err := time.ParseDuration(wrapflags.Default("ready-timeout"))
	if err != nil || limit%time.Second != 0 {
		panic("mode hook counts in whole seconds: the default of --ready-timeout is " + wrapflags.Default("ready-timeout"))
	}
	return fmt.Sprintf("{{- $limit := %d -}}\n{{- $onReadyTimeout := %q -}}", int(limit.Seconds()), wrapflags.Default("on-ready-timeout"))
}

// flagSchema returns the members of the schema of `wrapper`. A text other than a duration may
// be empty, which means that it is not set.
func flagSchema(all []wrapflags.Setting) []jsonMember {
	var list []jsonMember
	for _, s := range chartFlags(all) {
		pattern := s.Chart.Form.Pattern
		var schema string
		switch {
		case s.Repeatable:
			schema = fmt.Sprintf(`{"type": ["array", "null"], "items": {"type": "string", "pattern": %q}}`, pattern)
		case s.Value == "":
			schema = `{"type": ["boolean", "null"]}`
		case choices(s) != nil:
			schema = fmt.Sprintf(`{"enum": ["%s", null]}`, strings.Join(choices(s), `", "`))
		case s.Value == "DURATION":
			schema = fmt.Sprintf(`{"type": ["string", "null"], "pattern": %q}`, pattern)
		default:
			schema = fmt.Sprintf(`{"type": ["string", "null"], "pattern": %q}`, "^$|"+pattern)
		}
		list = append(list, jsonMember{s.Key(), json.RawMessage(schema)})
	}
	return list
}

var (
	flagName = regexp.MustCompile("--[a-z-]+")
	noLimit  = regexp.MustCompile(`\b0 means`)
)

// flagComments returns the lines that document the keys in values.yaml.
func flagComments(all []wrapflags.Setting) string {
	var b strings.Builder
	var hook []string
	for _, s := range hookFlags(all) {
		hook = append(hook, s.Key())
	}
	fmt.Fprintf(&b, "# Mode `hook` supports %s.\n", listed(hook, "and"))
	for _, s := range chartFlags(all) {
		text := flagName.ReplaceAllStringFunc(s.Usage, func(flag string) string {
			for _, other := range all {
				if "--"+other.Name == flag {
					return other.Key()
				}
			}
			return flag
		})
		text = noLimit.ReplaceAllString(text, "`\"0\"` means")
		switch {
		case s.Repeatable:
			text = "a list of `" + strings.Trim(s.Value, "'") + "`; " + text
		case choices(s) != nil:
			text = listed(quoted(choices(s)), "or") + "; " + text
		}
		switch {
		case s.Chart.Note != "":
			text += "; " + s.Chart.Note
		case s.Default != "" && s.Value != "":
			text += " (default `" + s.Default + "`)"
		}
		fmt.Fprintf(&b, "# @key %s %s.\n", s.Key(), text)
	}
	return b.String()
}
