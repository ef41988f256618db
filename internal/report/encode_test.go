package report

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	chartyaml "sigs.k8s.io/yaml"
)

// Both formats have the same data, also for parsers of YAML 1.1, which read on as true.
func TestYAMLSaysWhatJSONSays(t *testing.T) {
	value := map[string]any{
		"empty":  []any{},
		"none":   map[string]any{},
		"null":   nil,
		"number": 7.0,
		"bool":   true,
		"words":  []any{"on", "1.0", "~", "", "null", "true", "a: b", "- c", "two\nlines", "\u2028", "é😀", `"`, "<&>", "0x1f", "2001-01-01"},
		"object": map[string]any{"nested": "yes"},
	}
	var asJSON, asYAML bytes.Buffer
	require.NoError(t, Encode(&asJSON, "json", value))
	require.NoError(t, Encode(&asYAML, "yaml", value))
	var fromJSON, fromYAML map[string]any
	require.NoError(t, json.Unmarshal(asJSON.Bytes(), &fromJSON))
	require.NoError(t, chartyaml.Unmarshal(asYAML.Bytes(), &fromYAML), asYAML.String())
	require.Equal(t, value, fromJSON)
	require.Equal(t, value, fromYAML, asYAML.String())
}

func TestYAMLKeepsTheOrder(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, Encode(&out, "yaml", struct {
		Z string `json:"z"`
		A []int  `json:"a"`
	}{"last", []int{1}}))
	require.Equal(t, "z: \"last\"\na:\n  - 1\n", out.String())
	require.EqualError(t, Encode(&out, "text", nil), `output "text" is neither json nor yaml`)
}
