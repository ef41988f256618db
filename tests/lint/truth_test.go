package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// This is the truth table of native sidecars: what is installed, what the pod says, and whether
// the Job ends beside the proxy. "-" means that nothing is said.
//
// The proxy is a native sidecar where lint reports a missing deadline for it (JM201), and a
// classic one where a rule says that it outlives the Job, or, under Kuma, where nothing is
// reported.
func TestTruthTable(t *testing.T) {
	table, err := os.ReadFile("testdata/truth.txt")
	require.NoError(t, err)
	rows := 0
	for number, line := range strings.Split(string(table), "\n") {
		cells := strings.Fields(line)
		if len(cells) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		require.Len(t, cells, 7, "line %d", number+1)
		rows++
		t.Run(fmt.Sprintf("%d %s", number+1, strings.Join(cells, " ")), func(t *testing.T) {
			installed, annotation, verdict := cells[0], cells[3], cells[6]
			args := []string{"--mesh", installed}
			for i, flag := range []string{1: "--mesh-version", 2: "--native", 4: "--kube-version", 5: "--min-kubelet"} {
				if flag != "" && cells[i] != "-" {
					args = append(args, flag, cells[i])
				}
			}
			name, _, _ := strings.Cut(installed, "@")
			found, code := run(t, append(args, truthJob(t, name, annotation))...)
			row, known := mesh.ByName(name)
			require.True(t, known)
			hangs := slices.ContainsFunc(found, func(id string) bool { return slices.Contains([]string{"JM101", "JM107", "JM108"}, id) })
			require.Equal(t, verdict == "native", slices.Contains(found, "JM201"), "%v", found)
			require.Equal(t, verdict == "classic" && row.Rule != "", hangs, "%v", found)
			if verdict == "native" && annotation == "-" {
				require.Zero(t, code, "a Job that ends is no error")
			}
		})
	}
	require.GreaterOrEqual(t, rows, 100)
}

// truthJob writes a Job that asks for the proxy of a mesh where that is needed, and has an
// annotation about native sidecars: annotation=value, where the annotation is the mesh's first
// one, or one of Linkerd's by its prefix.
func truthJob(t *testing.T, name, annotation string) string {
	t.Helper()
	m, _ := mesh.ByName(name)
	var annotations []string
	if m.Inject.WhenAsked {
		annotations = append(annotations, m.Inject.Key+`: "true"`)
	}
	if word, value, said := strings.Cut(annotation, "="); said {
		i := slices.IndexFunc(m.Native.Words, func(w mesh.NativeWord) bool { return strings.Contains(w.Name, word) })
		require.GreaterOrEqual(t, i, 0, word)
		annotations = append(annotations, fmt.Sprintf("%s: %q", m.Native.Words[i].Name, value))
	}
	file := filepath.Join(t.TempDir(), "job.yaml")
	require.NoError(t, os.WriteFile(file, []byte(`apiVersion: batch/v1
kind: Job
metadata: {name: report}
spec:
  template:
    metadata: {annotations: {`+strings.Join(annotations, ", ")+`}}
    spec:
      restartPolicy: Never
      containers: [{name: report, image: example.com/report:1, command: [/report]}]
`), 0o600))
	return file
}

// A Job beside a new installation of any supported mesh, of which only the name is given, has
// no error.
func TestFreshInstallationsGiveNoError(t *testing.T) {
	for _, m := range mesh.All() {
		if m.Annotation == "" || m.Rule != "" && !m.Native.Default.Known() {
			continue // Consul and Dapr make no native sidecars unless they are told to
		}
		t.Run(m.Name, func(t *testing.T) {
			for _, args := range [][]string{nil, {"--mesh-version", m.Newest().String()}, {"--kube-version", "1.37"}} {
				_, code := run(t, append(append([]string{"--mesh", m.Name}, args...), truthJob(t, m.Name, "-"))...)
				require.Zero(t, code, "%v", args)
			}
		})
	}
}
