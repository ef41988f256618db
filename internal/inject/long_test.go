package inject

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLongNumbers: what the chart is shown in the place of a number that Helm would round
// comes back as that number, whatever strings stand beside it.
func TestLongNumbers(t *testing.T) {
	const text = `{"a":[9007199254740992,-9007199254740994,1e+21,"9007199254740993"],"\uf8e5n1":"\uf8e5n9007199254740992","c":"\u0085"}`
	var tree, shown any
	require.NoError(t, json.Unmarshal([]byte(text), &tree))
	require.NoError(t, json.Unmarshal([]byte(oneLine(tree)), &shown))
	require.IsType(t, "", shown.(map[string]any)["a"].([]any)[0])
	require.Equal(t, tree, showAll(shown))
}
