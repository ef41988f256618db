package golden

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// fence matches a block of YAML in a guide that opens with the name of its file.
var fence = regexp.MustCompile("(?ms)^```yaml\n# (\\S+\\.yaml)\n(.*?)^```$")

// TestGuides: the files shown in a guide are a chart that both Helm programs render,
// with every Job wrapped, and its helm-unittest suites pass.
func TestGuides(t *testing.T) {
	unittest, err := filepath.Abs(filepath.Join(root, "bin", "helm-unittest"))
	require.NoError(t, err)
	require.FileExists(t, unittest, "hint: make test builds it")
	for _, guide := range []struct {
		name         string
		jobs, suites int
	}{
		{"add-it-to-your-chart.md", 2, 0},
		{"test-it-in-your-ci.md", 2, 2},
	} {
		for _, h := range helms(t) {
			t.Run(guide.name+" "+h.name, func(t *testing.T) {
				dir := t.TempDir()
				require.NoError(t, os.CopyFS(filepath.Join(dir, "library"), os.DirFS(library)))
				suites := 0
				for _, block := range fence.FindAllStringSubmatch(read(t, root, "docs", guide.name), -1) {
					file := filepath.Join(dir, "shop", block[1])
					require.NoFileExists(t, file, "shown twice")
					require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
					content := strings.Replace(block[2], "oci://ghcr.io/jobmesh", "file://../library", 1)
					require.NoError(t, os.WriteFile(file, []byte(content), 0o644))
					if strings.HasSuffix(file, "_test.yaml") {
						suites++
					}
				}
				require.Equal(t, guide.suites, suites)

				chart := filepath.Join(dir, "shop")
				r := h.run(t, "dependency", "update", "--skip-refresh", chart)
				require.Zero(t, r.code, r.stderr)
				r = h.run(t, "template", "release", chart)
				require.Zero(t, r.code, r.stderr)
				require.Equal(t, guide.jobs, strings.Count(r.stdout, "- /jobmesh/jobmesh-wrap\n"))
				if suites > 0 {
					output, err := exec.Command(unittest, "--strict", chart).CombinedOutput()
					require.NoError(t, err, string(output))
				}
			})
		}
	}
}
