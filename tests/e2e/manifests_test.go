package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
)

// foreignJob is a Job whose author does not know about meshes: it has comments, its own order of fields, and only what
// it needs to meet the Pod Security Standard "restricted".
const foreignJob = `# the nightly report
apiVersion: batch/v1
kind: Job
metadata:
    name: foreign   # four spaces, here
spec:
    backoffLimit: 0
    template:
        spec:
            restartPolicy: Never
            automountServiceAccountToken: false
            containers:
            - name: main
              image: %s
              command: ["sh", "-ec"]
              args:
              - |
                %s
              securityContext: {runAsNonRoot: true, runAsUser: 65532, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}
`

// foreign returns this Job with a script.
func (s *suite) foreign(script string) string {
	return fmt.Sprintf(foreignJob, s.images.shell.Name(), strings.ReplaceAll(script, "$", "$$"))
}

// program returns the jobmesh program of this build.
func program(t *testing.T) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(repository, "bin", "jobmesh"))
	require.NoError(t, err)
	return path
}

// resolve writes what an image runs into a lock file, as the registry of the cluster says.
func (s *suite) resolve(t *testing.T, image, file string) {
	t.Helper()
	arguments := []string{"resolve", "--image", image, "--lock-file", file}
	if s.given.OwnCluster() {
		arguments = append(arguments, "--plain-http")
	}
	require.NoError(t, s.run("", program(t), arguments...))
}

// jobmeshPlugin runs jobmesh as "kubectl jobmesh".
func (s *suite) jobmeshPlugin(t *testing.T, stdin string, arguments ...string) (string, error) {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.Symlink(program(t), filepath.Join(dir, "kubectl-jobmesh")))
	return s.output(stdin, "env", append([]string{"PATH=" + dir + ":" + os.Getenv("PATH"), s.kubectl, "jobmesh"}, arguments...)...)
}

// The cluster behaves as lint predicts for manifests that were not written for a mesh, and Jobs complete there with
// what inject makes of these manifests.
func TestForeignManifests(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		mesh     mesh
		delivery string
		version  string // of the mesh; it decides whether its proxies are classic or native
	}{
		{mesh{name: "linkerd", readyAfter: slow}, "initContainer", "2.19"},
		{mesh{name: "istio", readyAfter: slow}, "imageVolume", "1.26"},
	} {
		t.Run(test.mesh.name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, test.mesh)
			raw := s.foreign(needsProxy(test.mesh.name) + "; echo worked")
			there := []string{"lint", "--mesh", test.mesh.name, "--mesh-version", test.version, "--kube-version", "1.36"}

			verdict, err := s.jobmeshPlugin(t, raw, there...)
			require.ErrorContains(t, err, "exit status 1")
			assert.Contains(t, verdict, "JM101")

			injected, err := s.jobmeshPlugin(t, raw, "inject",
				"--set", "mesh="+test.mesh.name, "--set", "delivery="+test.delivery, "--set", "image.registry="+s.given.Registry)
			require.NoError(t, err)
			verdict, err = s.jobmeshPlugin(t, injected, there...)
			require.NoError(t, err, verdict)

			s.apply(t, injected)
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "foreign")))
			pod := s.pod(t, "foreign")
			assert.Contains(t, s.logs(t, pod, "main"), "worked\n")
			assertUndisturbed(t, pod, test.mesh.name+"-proxy")
			assert.Equal(t, map[string]string{test.delivery: s.wrapperImage()}, delivered(pod))

			// --uninject restores the original manifest, byte for byte.
			back, err := s.jobmeshPlugin(t, injected, "inject", "--uninject")
			require.NoError(t, err)
			assert.Equal(t, raw, back)
		})
	}
}

// The exit code of a command that fails is the code of its container, and the Job fails instead of hanging.
func TestForeignManifestKeepsItsCode(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{name: "linkerd"})
	injected, err := s.jobmeshPlugin(t, s.foreign("exit 3"), "inject", "--set", "image.registry="+s.given.Registry)
	require.NoError(t, err)
	s.apply(t, injected)
	assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "foreign")))
	pod := s.pod(t, "foreign")
	assert.EqualValues(t, 3, terminated(t, pod, "main").ExitCode)
	assertUndisturbed(t, pod, "linkerd-proxy")
}
