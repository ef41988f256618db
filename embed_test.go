package jobmesh

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDigestOf(t *testing.T) {
	const text = "# 0.2.0 is mentioned here\n0.2.0 sha256:ab\n"
	require.Equal(t, "sha256:ab", digestOf(text, "0.2.0"))
	require.Empty(t, digestOf(text, "0.2"))
	require.Empty(t, digestOf(text, "0.2.0-rc.1"))
	require.Empty(t, digestOf("# none yet\n", "0.2.0"))
}
