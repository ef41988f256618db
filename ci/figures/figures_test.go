package figures_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/ci/figures"
)

// The file has the figures for which make bench asks.
func TestPeers(t *testing.T) {
	f, err := figures.Read("../..")
	require.NoError(t, err)
	for _, id := range []string{"size", "memory", "time"} {
		peers, err := f.Peers(id)
		require.NoError(t, err)
		assert.Regexp(t, `^linkerd-await [\d.]+, scuttle [\d.]+, kubexit [\d.]+$`, peers)
	}
	_, err = f.Peers("speed")
	assert.EqualError(t, err, `docs/pictures/figures.yaml: has no chart "speed"`)
}
