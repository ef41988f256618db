package lint

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/cli"
)

const (
	hangs = "apiVersion: batch/v1\nkind: Job\nmetadata: {name: a, namespace: n}\n" +
		"spec: {template: {spec: {restartPolicy: Never, containers: [{name: a, image: b, command: [c]}]}}}\n"
	meshed = "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: n, labels: {istio-injection: enabled}}\n"
)

// Inputs that can be read only once are still read for namespaces: pipes as in jobmesh lint
// <(helm template .), and a stdin that is too long for memory.
func TestReadOnce(t *testing.T) {
	t.Run("pipe", func(t *testing.T) {
		in, out, err := os.Pipe()
		require.NoError(t, err)
		_, err = out.WriteString(hangs + meshed)
		require.NoError(t, err)
		require.NoError(t, out.Close())
		defer in.Close()
		found, code := run(t, "--mesh-version", "1.24", fmt.Sprintf("/dev/fd/%d", in.Fd()))
		require.Equal(t, []string{"JM101"}, found)
		require.Equal(t, 1, code)
	})
	t.Run("long stdin", func(t *testing.T) {
		filler := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: " + strings.Repeat("x", 1<<20) + "}\n"
		in := []io.Reader{strings.NewReader(hangs)}
		for range 18 {
			in = append(in, strings.NewReader(filler))
		}
		var out, errs bytes.Buffer
		code := cli.Run(context.Background(), []string{"lint", "--mesh-version", "1.24"}, "1.2.3",
			cli.Streams{In: io.MultiReader(append(in, strings.NewReader(meshed))...), Out: &out, Err: &errs})
		require.Equal(t, 1, code, errs.String())
		require.Contains(t, out.String(), "stdin:4:61  error JM101")
		require.Contains(t, errs.String(), "20 objects of 1 file")
	})
}

// A file in a folder that cannot be read does not hide the others.
func TestFolderInPart(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "job.yaml"), []byte(hangs), 0o600))
	require.NoError(t, os.Symlink("nowhere", filepath.Join(dir, "gone.yaml")))
	found, code := run(t, "--mesh", "istio", "--mesh-version", "1.24", dir)
	require.Equal(t, []string{"JM101"}, found)
	require.Equal(t, 7, code)
}
