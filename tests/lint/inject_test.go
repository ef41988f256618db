package lint

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/cli"
)

// For what inject writes, no rule about hanging or injection reports anything: Jobs of the
// corpus that hang without a wrapper do not hang with it.
func TestInjectedIsClean(t *testing.T) {
	files, err := filepath.Glob("corpus/*.yaml")
	require.NoError(t, err)
	cured := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		header := verdict.FindStringSubmatch(string(text))
		require.NotNil(t, header)
		found := strings.Fields(header[2])
		hangs := slices.ContainsFunc(found, func(id string) bool { return slices.Contains([]string{"JM101", "JM107", "JM108"}, id) })
		// A container without a command cannot be wrapped, and a wrong annotation stays wrong.
		// KubeRay writes the command of its submitter.
		if !hangs || filepath.Base(file) == "ray-job-submitter.yaml" || slices.Contains(found, "JM501") || slices.Contains(found, "JM307") {
			continue
		}
		cured++
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			var out, errs bytes.Buffer
			code := cli.Run(context.Background(), []string{"inject", file}, "1.2.3", cli.Streams{Out: &out, Err: &errs})
			require.Zero(t, code, errs.String())
			injected := filepath.Join(t.TempDir(), "injected.yaml")
			require.NoError(t, os.WriteFile(injected, out.Bytes(), 0o600))
			got, _ := run(t, append(strings.Fields(header[1]), injected)...)
			require.False(t, slices.ContainsFunc(got, func(id string) bool {
				return strings.HasPrefix(id, "JM1") || strings.HasPrefix(id, "JM5")
			}), "%v", got)
		})
	}
	require.Greater(t, cured, 10)
}
