package policy

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// images writes a file of values with an image whose command has so many characters.
func images(t *testing.T, characters int) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "images.yaml")
	content := "images: {registry.example.com/report:1: {entrypoint: [/report, " + strings.Repeat("x", characters) + "]}}\n"
	require.NoError(t, os.WriteFile(file, []byte(content), 0o600))
	return file
}

// TestManyImages checks that the API server compiles what the chart takes, and that the chart refuses more.
func TestManyImages(t *testing.T) {
	all := rendered(t, "-f", images(t, 89_000))
	got := policies(t, all, "-wrap").admitted(t, pod(t, plain), "in", nil)
	require.True(t, isWrapped(got))
	said, err := exec.Command(helm(), "template", "jobmesh", packed, "-f", images(t, 90_000)).CombinedOutput()
	require.Error(t, err)
	require.Regexp(t, `images has 900[0-9]{2} characters as an expression, and the API server reads 100000 at most; leave out images whose pods have a command`, string(said))
}

// TestNull checks that a value that is null is as if nobody had written it, with both Helms, which leave its key out
// before they look into the schema.
func TestNull(t *testing.T) {
	content, err := os.ReadFile(filepath.Join(packed, "values.yaml"))
	require.NoError(t, err)
	var values map[string]any
	require.NoError(t, yaml.Unmarshal(content, &values))
	require.Contains(t, values, "failurePolicy")
	for _, program := range []string{helm(), cmp.Or(os.Getenv("JOBMESH_HELM4"), filepath.Join("..", "..", "bin", "helm4"))} {
		template := func(arguments ...string) string {
			out, err := exec.Command(program, append([]string{"template", "jobmesh", packed}, arguments...)...).CombinedOutput()
			require.NoError(t, err, string(out))
			return string(out)
		}
		wanted := template()
		for key := range values {
			require.Equal(t, wanted, template("--set", key+"=null"), key)
		}
	}
}
