package lint

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/cli"
	rules "github.com/jobmesh/jobmesh/internal/lint"
)

// Where the policies of jobmesh-policy do something else than jobmesh inject, beside that nobody
// can take out the wrapper (JM605).
var policyDiffers = map[string]string{
	// They make every proxy native, also one whose mesh does not know how to.
	"consul-native-word-too-early.yaml":  "JM201",
	"dapr-native-word-too-early.yaml":    "JM201",
	"linkerd-native-word-too-early.yaml": "JM201",
	// They make Dapr's readiness probe its startup probe.
	"dapr-bare-true.yaml":    "JM307",
	"dapr-cronjob.yaml":      "none",
	"dapr-shutdown.yaml":     "none",
	"dapr-host-network.yaml": "JM201",
	// They move what stands in the manifest as a mesh left it, and what is moved has no probe.
	"kube-inject-cronjob-ignored-opt-out.yaml": "JM210 JM301",
	// They move Vault's agent when the webhook has added it.
	"vault-agent-cronjob.yaml": "none",
	"vault-agent-typo.yaml":    "JM302",
}

var (
	otherOwners = regexp.MustCompile(`(?m)^kind: (Workflow|CronWorkflow|WorkflowTemplate|ClusterWorkflowTemplate|PyTorchJob|TFJob)$|^apiVersion: batch.volcano.sh`)
	hookless    = regexp.MustCompile(`(?m)^kind: Pod$`)
)

// TestPolicyIsInject: what lint says of the Jobs of the corpus in a namespace with the policies is
// what it says of the output of inject with image volumes, beside proxies that are native.
func TestPolicyIsInject(t *testing.T) {
	files, err := filepath.Glob("corpus/*.yaml")
	require.NoError(t, err)
	same, left, refused, differs := 0, 0, 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		header := verdict.FindStringSubmatch(string(text))
		require.NotNil(t, header)
		args := strings.Fields(header[1])
		if i := slices.Index(args, "--kube-version"); i >= 0 && args[i+1] < "1.36" {
			continue // there are no policies
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			got, _ := run(t, append(slices.Clone(args), "--policy", file)...)
			if otherOwners.Match(text) || hookless.Match(text) && !bytes.Contains(text, []byte("helm.sh/hook")) {
				plain, _ := run(t, append(slices.Clone(args), file)...)
				require.Equal(t, plain, got)
				left++
				return
			}
			if want, special := policyDiffers[filepath.Base(file)]; special {
				require.Equal(t, want, strings.Join(append(got, map[bool][]string{true: {"none"}}[len(got) == 0]...), " "))
				differs++
				return
			}
			var out, errs bytes.Buffer
			code := cli.Run(context.Background(), []string{"inject", "--set", "delivery=imageVolume", "--set", "sidecars=known", file}, "1.2.3",
				cli.Streams{Out: &out, Err: &errs})
			if code != 0 {
				refused++
				require.False(t, slices.ContainsFunc(got, func(id string) bool {
					rule, err := rules.ByID(id)
					return err != nil || rule.Hangs()
				}), "%v", got)
				return
			}
			injected := filepath.Join(t.TempDir(), "injected.yaml")
			require.NoError(t, os.WriteFile(injected, out.Bytes(), 0o600))
			want, _ := run(t, append(slices.Clone(args), "--native", "true", injected)...)
			want = slices.DeleteFunc(want, func(id string) bool { return id == "JM605" })
			if len(want) == 0 {
				want = nil
			}
			require.Equal(t, want, got)
			same++
		})
	}
	require.Greater(t, same, 35)
	require.Greater(t, left, 15)
	require.Positive(t, refused)
	require.Len(t, policyDiffers, differs)
}
