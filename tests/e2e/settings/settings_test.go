package settings_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

// built makes a folder that looks like the repository after "make build", as far as a run checks it.
func built(t *testing.T) string {
	root := t.TempDir()
	for _, file := range []string{
		"dist/oci/index.json", "dist/charts/jobmesh-1.2.3.tgz", "bin/helm3", "bin/helm4",
	} {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(file)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, file), nil, 0o755))
	}
	return root
}

func TestEnvironment(t *testing.T) {
	const (
		root  = 0
		user  = 1000
		linux = "linux"
	)
	other := map[string]string{"KUBECONFIG": "/etc/kubeconfig", "JOBMESH_E2E_REGISTRY": "127.0.0.1:5000"}
	for name, test := range map[string]struct {
		env    map[string]string
		goos   string
		euid   int
		remove string
		wrong  string
		hint   string
	}{
		"root on Linux starts a cluster": {goos: linux, euid: root},
		"anyone uses another one":        {goos: "darwin", euid: user, env: other},
		"another system": {
			goos: "darwin", euid: root,
			wrong: "cluster: it needs Linux, not darwin",
			hint:  "set KUBECONFIG and JOBMESH_E2E_REGISTRY to use another cluster",
		},
		"another user": {
			goos: linux, euid: user,
			wrong: "cluster: it needs root, not user 1000",
			hint:  "run as root, or set KUBECONFIG and JOBMESH_E2E_REGISTRY to use another cluster",
		},
		"a cluster without a registry": {
			goos: linux, euid: root, env: map[string]string{"KUBECONFIG": "/etc/kubeconfig"},
			wrong: "cluster of KUBECONFIG: no registry is named that it pulls from",
			hint:  "set JOBMESH_E2E_REGISTRY=HOST[:PORT][/PREFIX]",
		},
		"a registry without a cluster": {
			goos: linux, euid: root, env: map[string]string{"JOBMESH_E2E_REGISTRY": "127.0.0.1:5000"},
			wrong: "registry of JOBMESH_E2E_REGISTRY: no cluster is named that pulls from it",
			hint:  "set KUBECONFIG",
		},
		"a set of tests that is not one": {
			goos: linux, euid: root, env: map[string]string{"MESHES": "istio"},
			wrong: "MESHES=istio: not a set of tests",
			hint:  "MESHES=all, or nothing",
		},
		"nothing built":     {goos: linux, euid: root, remove: "dist/oci", wrong: "no such file", hint: "make build"},
		"no chart packaged": {goos: linux, euid: root, remove: "dist/charts", wrong: "want one file", hint: "make build"},
		"no helm":           {goos: linux, euid: root, remove: "bin/helm4", wrong: "helm4", hint: "make e2e, or set JOBMESH_HELM4"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := built(t)
			if test.remove != "" {
				require.NoError(t, os.RemoveAll(filepath.Join(dir, test.remove)))
			}
			s, err := settings.Read(func(name string) string { return test.env[name] }, dir)
			if err == nil {
				err = s.CheckMachine(test.goos, test.euid)
			}
			if err == nil {
				err = s.CheckFiles()
			}
			if test.wrong == "" {
				require.NoError(t, err)
				return
			}
			require.Error(t, err)
			var report strings.Builder
			settings.Report(&report, err)
			lines := strings.Split(strings.TrimSuffix(report.String(), "\n"), "\n")
			require.Len(t, lines, 2, "a sentence and a hint")
			assert.Contains(t, lines[0], test.wrong)
			assert.Contains(t, lines[1], "hint: "+test.hint)
		})
	}
}
