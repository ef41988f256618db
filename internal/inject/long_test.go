package inject

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// TestLongNumbers: an object with a number that Helm would round in a chart is injected all the
// same, and the number stays as it is written.
func TestLongNumbers(t *testing.T) {
	const numbers = "numbers: [9007199254740993, -9007199254740995, 1e+21, 18446744073709551615, \"9007199254740993\"]\n"
	text := shapes(t)["block.yaml"] + numbers
	once, result := run(t, injector(t, map[string]any{}, false), text)
	require.Empty(t, result.Mistakes)
	require.Contains(t, once, "jobmesh-install")
	require.Contains(t, once, numbers)
	back, result := run(t, injector(t, map[string]any{}, true), once)
	require.Empty(t, result.Mistakes)
	require.Equal(t, text, back)
}
