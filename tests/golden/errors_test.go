package golden

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A suite is a helm-unittest suite, with the parts that are read here.
type suite struct {
	Templates []string
	Values    []string
	Set       map[string]any
	Tests     []struct {
		It      string
		Set     map[string]any
		Asserts []struct {
			FailedTemplate *struct{ ErrorMessage string }
		}
	}
}

// A mistake is a case of those suites that has to end with a message.
type mistake struct {
	name, template, message string
	files                   []string // values
}

// mistakes returns those cases in tests/chart. helm-unittest only runs them with the engine of
// Helm 3, and never with lint.
func mistakes(t *testing.T) []mistake {
	t.Helper()
	dir := filepath.Join(root, "tests", "chart", "tests")
	var all []mistake
	for _, topic := range []string{"calls", "dict", "entrypoint", "errors", "hook", "image", "kinds", "manifests", "modes", "selection", "settings"} {
		content, err := os.ReadFile(filepath.Join(dir, topic+"_test.yaml"))
		require.NoError(t, err)
		for _, document := range bytes.Split(content, []byte("\n---\n")) {
			var s suite
			require.NoError(t, yaml.Unmarshal(document, &s))
			for _, test := range s.Tests {
				m := mistake{name: topic + "/" + test.It, template: s.Templates[0]}
				for _, a := range test.Asserts {
					if a.FailedTemplate != nil {
						m.message = a.FailedTemplate.ErrorMessage
					}
				}
				if m.message == "" {
					continue
				}
				for _, file := range s.Values {
					m.files = append(m.files, filepath.Join(dir, file))
				}
				for _, set := range []map[string]any{s.Set, test.Set} {
					m.files = append(m.files, valuesFile(t, set))
				}
				all = append(all, m)
			}
		}
	}
	return all
}

func valuesFile(t *testing.T, values map[string]any) string {
	t.Helper()
	content, err := yaml.Marshal(values)
	require.NoError(t, err)
	f, err := os.CreateTemp(t.TempDir(), "values-*.yaml")
	require.NoError(t, err)
	_, err = f.Write(content)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	return f.Name()
}

// TestMistakes shows that both Helm programs answer a mistake with the same line, which is
// jobmesh's own and names the consumer's file. It also shows that lint, which ignores fail and
// continues, prints nothing of the library's internals.
func TestMistakes(t *testing.T) {
	programs := helms(t)
	cases := mistakes(t)
	require.Greater(t, len(cases), 130, "the suites are read")
	for _, h := range programs {
		chart := h.consumers(t)["consumer"]
		for _, m := range cases {
			t.Run(h.name+"/"+m.name, func(t *testing.T) {
				t.Parallel()
				var values []string
				for _, file := range m.files {
					values = append(values, "-f", file)
				}

				r := h.run(t, append([]string{"template", "release", chart}, values...)...)
				require.NotZero(t, r.code)
				first, _, _ := strings.Cut(r.stderr, "\n")
				want := fmt.Sprintf(`^Error: execution error at \(consumer/%s:\d+:\d+\): `, m.template)
				require.Regexp(t, want, first)
				require.True(t, strings.HasSuffix(first, "): "+m.message), "got  %s\nwant %s", first, m.message)

				r = h.run(t, append([]string{"lint", chart}, values...)...)
				require.Zero(t, r.code, r.stdout)
				require.NotContains(t, r.stdout, "[ERROR]")
				require.NotContains(t, r.stdout+r.stderr, "jobmesh._")
			})
		}
	}
}
