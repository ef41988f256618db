// Package hooks tests what other programs run of jobmesh in a repository: the GitHub action.
// ci/pre-commit tests the hook of pre-commit, with pre-commit itself.
package hooks

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh"
)

// An action has the parts of action.yml that a runner uses.
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

//go:embed testdata/hangs.yaml
var hangs []byte

// There is no runner of GitHub here: the steps run in bash the way a runner runs
// them, with its options and variables.
func TestAction(t *testing.T) {
	// Every runner of GitHub has both. ci/packed sees to it that they are here too.
	for _, tool := range []string{"curl", "openssl"} {
		if _, err := exec.LookPath(tool); err != nil && os.Getenv("JOBMESH_RELEASE") == "" {
			t.Skipf("%s is missing", tool)
		}
	}
	root, err := filepath.Abs("../..")
	require.NoError(t, err)
	text, err := os.ReadFile(filepath.Join(root, "action.yml"))
	require.NoError(t, err)
	var a action
	require.NoError(t, yaml.Unmarshal(text, &a))
	require.Equal(t, "composite", a.Runs.Using)

	release, key := released(t, root)
	server := httptest.NewServer(http.FileServer(http.Dir(release)))
	t.Cleanup(server.Close)
	work, temp := t.TempDir(), t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(work, "a job.yaml"), hangs, 0o600))
	run := func(inputs map[string]string) (string, error) {
		var out strings.Builder
		given := map[string]string{"downloads": server.URL + "/", "key": key}
		maps.Copy(given, inputs)
		for _, step := range a.Runs.Steps {
			if step.Run == "" {
				continue
			}
			file := filepath.Join(temp, "step.sh")
			require.NoError(t, os.WriteFile(file, []byte(step.Run), 0o600))
			cmd := exec.Command("bash", "--noprofile", "--norc", "-eo", "pipefail", file)
			cmd.Dir = work
			// The server of the test is not reached through a proxy of this machine.
			cmd.Env = append(os.Environ(), "NO_PROXY=127.0.0.1", "no_proxy=127.0.0.1", "RUNNER_TEMP="+temp, "RUNNER_OS="+runnerSystems[runtime.GOOS], "RUNNER_ARCH="+runnerSystems[runtime.GOARCH])
			for name, value := range step.Env {
				cmd.Env = append(cmd.Env, name+"="+a.evaluate(t, value, root, given))
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

	out, err = run(map[string]string{"mesh": "linkerd", "mesh-version": "2.18", "policy": "all"})
	require.NoError(t, err, out)

	out, err = run(map[string]string{"declared-features": "a b"})
	require.Error(t, err)
	assert.Contains(t, out, `--declared-features "a b" is not the name of a feature`)

	out, err = run(map[string]string{"mesh": "linkered"})
	require.Error(t, err)
	assert.Contains(t, out, `--mesh "linkered" is unknown`)

	out, err = run(map[string]string{"paths": "none.yaml"})
	require.Error(t, err)
	assert.Contains(t, out, "none.yaml: no such file or directory")

	// A program that its publisher has not signed does not run.
	_, other := newKeys(t)
	out, err = run(map[string]string{"key": other})
	require.Error(t, err)
	assert.Contains(t, out, "::error title=jobmesh::checksums.txt is not signed with this key")
	out, err = run(map[string]string{"key": ""})
	require.Error(t, err)
	assert.Contains(t, out, "there is no key to verify the program with")
	out, err = run(map[string]string{"downloads": server.URL + "/none"})
	require.Error(t, err)
	assert.Contains(t, out, "/none/checksums.txt cannot be downloaded")
	altered := t.TempDir()
	require.NoError(t, os.CopyFS(altered, os.DirFS(release)))
	require.NoError(t, os.WriteFile(filepath.Join(altered, archiveName()), []byte("another program"), 0o600))
	others := httptest.NewServer(http.FileServer(http.Dir(altered)))
	t.Cleanup(others.Close)
	out, err = run(map[string]string{"downloads": others.URL})
	require.Error(t, err)
	assert.Contains(t, out, archiveName()+" is not what checksums.txt says")
}

// Each setting of lint is an input of the action, but for post-renderers, which are not at work
// there.
func TestActionHasInputsForSettings(t *testing.T) {
	text, err := os.ReadFile("../../action.yml")
	require.NoError(t, err)
	var a action
	require.NoError(t, yaml.Unmarshal(text, &a))
	docs, err := os.ReadFile("../../docs/lint.md")
	require.NoError(t, err)
	settings := regexp.MustCompile("(?m)^\\| `--([a-z-]+)` \\| `[a-zA-Z]+` \\|").FindAllStringSubmatch(string(docs), -1)
	require.Greater(t, len(settings), 7)
	for _, s := range settings {
		if s[1] != "post-renderer" {
			assert.Contains(t, a.Inputs, s[1])
		}
	}
}

// runnerSystems maps Go's names to those of runners.
var runnerSystems = map[string]string{"linux": "Linux", "darwin": "macOS", "amd64": "X64", "arm64": "ARM64"}

func archiveName() string {
	return "jobmesh_" + jobmesh.Version + "_" + runtime.GOOS + "_" + runtime.GOARCH + ".tar.gz"
}

// released returns a folder with a release, and the public key that it was signed with:
// that of JOBMESH_RELEASE, or as much of one as the action takes, made here.
func released(t *testing.T, root string) (folder, public string) {
	t.Helper()
	if folder = os.Getenv("JOBMESH_RELEASE"); folder != "" {
		text, err := os.ReadFile(os.Getenv("JOBMESH_RELEASE_KEY"))
		require.NoError(t, err)
		return folder, string(text)
	}
	folder = t.TempDir()
	program := filepath.Join(t.TempDir(), "jobmesh")
	build := exec.Command("go", "build", "-o", program, "./cmd/jobmesh")
	build.Dir = root
	output, err := build.CombinedOutput()
	require.NoError(t, err, string(output))
	text, err := os.ReadFile(program)
	require.NoError(t, err)

	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "jobmesh", Mode: 0o755, Size: int64(len(text))}))
	_, err = w.Write(text)
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	sums := fmt.Appendf(nil, "%x  other.tar.gz\n%x  %s\n", sha256.Sum256(nil), sha256.Sum256(packed.Bytes()), archiveName())
	private, public := newKeys(t)
	digest := sha256.Sum256(sums)
	signature, err := ecdsa.SignASN1(rand.Reader, private, digest[:])
	require.NoError(t, err)
	for name, content := range map[string][]byte{archiveName(): packed.Bytes(), "checksums.txt": sums, "checksums.txt.sig": signature} {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), content, 0o600))
	}
	return folder, public
}

func newKeys(t *testing.T) (*ecdsa.PrivateKey, string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	require.NoError(t, err)
	return private, string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}))
}

var expression = regexp.MustCompile(`\$\{\{ *([a-z_.-]+) *\}\}`)

// evaluate expands ${{ }} as a runner does.
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
