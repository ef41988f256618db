package lint

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
	sigs "sigs.k8s.io/yaml"
)

// typeOf sees the types that Kubernetes' own parser sees.
func TestTypeOf(t *testing.T) {
	for _, text := range []string{
		"yes", "Yes", "YES", "yEs", "no", "No", "NO", "on", "On", "ON", "oN", "off", "OFF", "y", "Y", "n", "N", "true", "True", "TRUE", "tRue",
		"false", "~", "null", "Null", "", "1", "-1", "+1", "1.5", ".5", "1e3", "1E3", "1e", "0x1f", "0o17", "017", "08", "0b11", "1_000", "12:30:45", "1.2.3",
		"2024-01-01", "2024-01-01T00:00:00Z", ".inf", ".nan", "enabled", "'yes'", `"1"`, "!!str 1", "!!str true", "1s", "=", "<<", "-", "0", "-0", "1.",
	} {
		var seen map[string]any
		if err := sigs.Unmarshal([]byte("a: "+text), &seen); err != nil {
			continue // the parser refuses the whole document
		}
		want := "string"
		switch seen["a"].(type) {
		case nil:
			want = ""
		case bool:
			want = "boolean"
		case float64, int64:
			want = "number"
		}
		var top yaml.Node
		require.NoError(t, yaml.Unmarshal([]byte("a: "+text), &top), text)
		require.Equal(t, want, typeOf(top.Content[0].Content[1]), "%q", text)
	}
}
