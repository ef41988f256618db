package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
)

// These charts are written here in the shape of public ones. Nothing in them refers to a mesh or to jobmesh: only the
// policies act, in a namespace with the label.

// The hooks and the CronJob of these charts end beside a proxy, with the exit code of their work.
func TestPolicyForPublicCharts(t *testing.T) {
	t.Parallel()
	for w, mesh := range map[policyWay]mesh{
		policyWraps:       {name: "istio", readyAfter: slow},
		policyMakesNative: {name: "linkerd", readyAfter: slow},
	} {
		t.Run(string(w), func(t *testing.T) {
			t.Parallel()
			s := newPolicySpace(t, w, the.namespace(mesh))
			b := standIn(w, mesh.name)
			for name, run := range map[string]func(space, *testing.T, policyBeside){
				"migration hook": space.migrationHook, "certificate hooks": space.certificateHooks, "backup": space.backup,
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					run(s, t, b)
				})
			}
		})
	}
}

// shapeImages are images whose own ENTRYPOINT or CMD is the command of the containers in these charts.
type shapeImages struct {
	entry   string // it runs its arguments, as images of applications do
	kubectl string
}

// pushShapeImages pushes these images to the registry, once.
var pushShapeImages = sync.OnceValues(func() (shapeImages, error) {
	var images shapeImages
	shell, err := ofShell()
	if err != nil {
		return images, err
	}
	entry, err := mutate.Config(shell, v1.Config{Env: []string{"PATH=/bin"}, Entrypoint: []string{"sh", "-c", `exec "$@"`, "entrypoint"}})
	if err != nil {
		return images, err
	}
	tag, err := image.Push(the.given.Registry+"/jobmesh-e2e/entry", entry)
	if err != nil {
		return images, err
	}
	images.entry = tag.Name()
	kubectl, err := image.OfProgram(the.kubectl, "kubectl")
	if err != nil {
		return images, err
	}
	if tag, err = image.Push(the.given.Registry+"/jobmesh-e2e/kubectl", kubectl); err != nil {
		return images, err
	}
	images.kubectl = tag.Name()
	return images, nil
})

// knownImages returns the value `images` of jobmesh-policy for what the charts print. It gets the value as a user
// would.
func (s *suite) knownImages(images shapeImages) (any, error) {
	printed := ""
	for chart, img := range map[string]string{"migration-hook": images.entry, "certificate-hooks": images.kubectl} {
		out, err := s.output("", s.given.Helm4, "template", "app", shape(chart), "--set", "image="+img)
		if err != nil {
			return nil, err
		}
		printed += "\n---\n" + out
	}
	arguments := []string{"resolve", "-o", "params", "--lock-file", filepath.Join(s.dir, "policies.lock.yaml"), "-"}
	if s.given.OwnCluster() {
		arguments = append(arguments, "--plain-http")
	}
	out, err := s.output(printed, filepath.Join(repository, "bin", "jobmesh"), arguments...)
	if err != nil {
		return nil, err
	}
	var params struct {
		Images map[string]any `json:"images"`
	}
	if err := yaml.Unmarshal([]byte(out), &params); err != nil {
		return nil, fmt.Errorf("jobmesh resolve: %w", err)
	}
	if len(params.Images) != 2 {
		return nil, fmt.Errorf("jobmesh resolve: %d images, not 2: %s", len(params.Images), out)
	}
	return params.Images, nil
}

// shape returns the folder of such a chart.
func shape(chart string) string { return filepath.Join("charts", chart) }

// helmShape installs or upgrades a release of such a chart, and waits for its hooks.
func (s space) helmShape(t *testing.T, program, verb, release, chart string, v values) error {
	t.Helper()
	_, err := s.helm(t, program, v, verb, release, shape(chart), "--timeout", jobLimit.String())
	return err
}

// migrationHook installs an application after its database was migrated. An upgrade with a failing migration is
// refused, and the pod of the migration has ended and shows why.
func (s space) migrationHook(t *testing.T, b policyBeside) {
	images, err := pushShapeImages()
	require.NoError(t, err)
	of := func(code int32) values {
		return values{"image": images.entry, "args": shell(fmt.Sprintf("%s; exit %d", b.script, code)), "podAnnotations": b.annotations()}
	}
	require.NoError(t, s.helmShape(t, s.given.Helm4, "install", "app", "migration-hook", of(0)))
	requireDeployed(t, s, s.given.Helm4, 1)

	require.Error(t, s.helmShape(t, s.given.Helm4, "upgrade", "app", "migration-hook", of(3)))
	pod := s.podWhen(t, "app-run-migrations", "its command has ended, and that of the install is gone", func(pod *corev1.Pod) bool {
		return container(pod, "run-migrations").State.Terminated != nil
	})
	assert.EqualValues(t, 3, terminated(t, pod, "run-migrations").ExitCode)
	b.answered(t, s, pod, "run-migrations")
	assertOutlived(t, pod, b.proxy, "run-migrations")
}

// certificateHooks installs an application whose hooks make a certificate and call the API server.
func (s space) certificateHooks(t *testing.T, b policyBeside) {
	images, err := pushShapeImages()
	require.NoError(t, err)
	require.NoError(t, s.helmShape(t, s.given.Helm3, "install", "certs", "certificate-hooks", values{"image": images.kubectl, "podAnnotations": b.annotations()}))
	secret, err := s.client.CoreV1().Secrets(s.name).Get(s.ctx, "certs-admission", metav1.GetOptions{})
	require.NoError(t, err)
	assert.Equal(t, "made", string(secret.Data["cert"]))
	assert.Equal(t, "yes", secret.Labels["patched"])
}

// backup installs the backup of a database, which starts by its schedule. If helpers become native sidecars, the pod
// also has the proxy of the database among its containers.
func (s space) backup(t *testing.T, b policyBeside) {
	v := values{"image": s.images.shell.Name(), "podAnnotations": b.annotations(), "script": b.script + " && date > $(PGDUMP_DIR)/dump && echo dumped"}
	if b.policy.native() {
		v["script"] = "nc -w 60 127.0.0.1 5432 </dev/null && " + v["script"].(string)
		v["proxy"] = values{
			"image": s.images.cloudSQL.Name(), "command": []string{"/" + programs.CloudSQLProxy},
			"args": []string{"--health-check", "--http-address=0.0.0.0", "--token=none", cloudSQLInstance},
		}
	}
	require.NoError(t, s.helmShape(t, s.given.Helm4, "install", "db", "backup", v))
	fired := s.fired(t)
	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, fired)))
	pod := s.pod(t, fired)
	assert.Contains(t, s.logs(t, pod, "dumpall"), "dumped\n")
	b.answered(t, s, pod, "dumpall")
	assertOutlived(t, pod, b.proxy, "dumpall")
	if b.policy.native() {
		order := names(pod.Spec.InitContainers)
		assert.Less(t, slices.Index(order, b.proxy), slices.Index(order, "database"), "the helper needs the network of the mesh: %q", order)
		assert.Zero(t, container(pod, "database").RestartCount)
		// Which container is made native first depends on whether a policy or a webhook injects the proxy.
		assert.ElementsMatch(t, []string{"database", b.proxy}, strings.Split(pod.Annotations["jobmesh.dev/native"], ","))
	}
}
