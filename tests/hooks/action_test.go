// Package hooks tests what other programs run of jobmesh in a repository: the
// action of GitHub. The hook of pre-commit is tested by ci/pre-commit, with the
// program itself.
package hooks

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// An action is what of action.yml a runner acts by.
type action struct {
	Inputs map[string]struct {
		Description string
		Default     string
	}
	Runs struct {
		Using string
		Steps []struct {
			Uses  string
			Shell string
			Env   map[string]string
			Run   string
		}
	}
}

const hangs = `apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
      - name: migrate
        image: example.com/migrate:1
        command: [/migrate]
`

// There is no runner of GitHub here: the steps run in bash the way a runner runs
// them, with its options and variables; setup-go is left to the Go that is here.
func TestAction(t *testing.T) {
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "action.yml"))
	require.NoError(t, err)
	var a action
	require.NoError(t, yaml.Unmarshal(text, &a))
	require.Equal(t, "composite", a.Runs.Using)

	work, temp := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(work, "a job.yaml"), []byte(hangs), 0o600))
	run := func(inputs map[string]string) (string, error) {
		var out strings.Builder
		for _, step := range a.Runs.Steps {
			if step.Run == "" {
				continue
			}
			file := filepath.Join(temp, "step.sh")
			require.NoError(t, os.WriteFile(file, []byte(step.Run), 0o600))
			cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", file)
			cmd.Dir = work
			cmd.Env = append(os.Environ(), "RUNNER_TEMP="+temp)
			for name, value := range step.Env {
				cmd.Env = append(cmd.Env, name+"="+a.evaluate(t, value, root, inputs))
			}
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err != nil {
				return out.String(), err
			}
		}
		return out.String(), nil
	}

	out, err := run(nil)
	require.NoError(t, err, out)

	out, err = run(map[string]string{"mesh": "linkerd", "mesh-version": "2.18"})
	require.Error(t, err)
	assert.Regexp(t, `(?m)^::error file=a job\.yaml,line=10,col=9,title=JM101`, out)

	out, err = run(map[string]string{"mesh": "linkerd", "native": "true", "fail-on": "warning"})
	require.Error(t, err, out)
	assert.Regexp(t, `(?m)^::warning .*JM201`, out)

	out, err = run(map[string]string{"mesh": "linkered"})
	require.Error(t, err)
	assert.Contains(t, out, `--mesh "linkered" is unknown`)

	out, err = run(map[string]string{"paths": "none.yaml"})
	require.Error(t, err)
	assert.Contains(t, out, "none.yaml: no such file or directory")
}

var expression = regexp.MustCompile(`\$\{\{ *([a-z_.-]+) *\}\}`)

// evaluate does what a runner does with ${{ }}.
func (a action) evaluate(t *testing.T, text, root string, inputs map[string]string) string {
	return expression.ReplaceAllStringFunc(text, func(found string) string {
		name := expression.FindStringSubmatch(found)[1]
		if name == "github.action_path" {
			return root
		}
		input, isInput := strings.CutPrefix(name, "inputs.")
		require.True(t, isInput, name)
		declared, known := a.Inputs[input]
		require.True(t, known, "input %s is not declared", input)
		if value, given := inputs[input]; given {
			return value
		}
		return declared.Default
	})
}
