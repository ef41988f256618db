package main

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// Every part of the chart knows a flag of each kind from its row alone.
func TestAFlagIsOneRow(t *testing.T) {
	form := wrapflags.Form{Pattern: `^a\.<$`, Words: "an a"}
	all := []wrapflags.Setting{
		{Name: "one-url", Value: "URL", Usage: "goes with --two-many", Chart: wrapflags.Chart{Form: form, Hook: true}},
		{Name: "two-many", Value: "'A B'", Repeatable: true, Usage: "sends", Chart: wrapflags.Chart{Form: form, Hook: true}},
		{Name: "three", Value: "x|y", Default: "y", Usage: "chooses", Chart: wrapflags.Chart{Note: "as the pod has it"}},
		{Name: "four-timeout", Value: "DURATION", Default: "2m", Usage: "waits; 0 means for ever", Chart: wrapflags.Chart{Form: form}},
		{Name: "five", Default: "false", Usage: "is on"},
		{Name: "six", Value: "N", Usage: "follows", Chart: wrapflags.Chart{Derived: true}},
	}
	require.Equal(t, `"oneUrl": ["^a\\.<$", "an a"],
"twoMany": ["^a\\.<$", "an a"],
"fourTimeout": ["^a\\.<$", "an a"]`, flagForms(all))
	require.Equal(t, `{{- $keys := list "oneUrl" "twoMany" "three" "fourTimeout" "five" "six" -}}`, flagKeys(all))
	require.Equal(t, `{{- $keys := list "oneUrl" "twoMany" -}}`, flagKeys(hookFlags(all)))
	require.Equal(t, "# Mode `hook` supports oneUrl and twoMany.\n"+
		"# @key oneUrl goes with twoMany.\n"+
		"# @key twoMany a list of `A B`; sends.\n"+
		"# @key three `x` or `y`; chooses; as the pod has it.\n"+
		"# @key fourTimeout waits; `\"0\"` means for ever (default `2m`).\n"+
		"# @key five is on.\n", flagComments(all))
	schema, kinds := map[string]string{}, map[string]string{}
	for _, m := range flagSchema(all) {
		text, err := encode(m.value)
		require.NoError(t, err)
		schema[m.name] = string(text)
		var read settingSchema
		require.NoError(t, json.Unmarshal(text, &read))
		kinds[m.name] = read.kind()
	}
	require.Equal(t, map[string]string{
		"oneUrl":      `{"type": ["string", "null"], "pattern": "^$|^a\\.<$"}`,
		"twoMany":     `{"type": ["array", "null"], "items": {"type": "string", "pattern": "^a\\.<$"}}`,
		"three":       `{"enum": ["x", "y", null]}`,
		"fourTimeout": `{"type": ["string", "null"], "pattern": "^a\\.<$"}`,
		"five":        `{"type": ["boolean", "null"]}`,
	}, schema)
	require.Equal(t, map[string]string{
		"oneUrl": "string", "twoMany": "slice", "three": "|x|y|", "fourTimeout": "string", "five": "bool",
	}, kinds)
	limit, err := time.ParseDuration(wrapflags.Default("ready-timeout"))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("{{- $limit := %d -}}\n{{- $onReadyTimeout := %q -}}", int(limit.Seconds()), wrapflags.Default("on-ready-timeout")), hookDefaults())
}
