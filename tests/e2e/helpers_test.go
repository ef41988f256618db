package e2e

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

const pgbouncerPort = 6432

// pgbouncerConfig is the configuration of a pooler that needs no password. The image has no folder for a socket.
var pgbouncerConfig = fmt.Sprintf(`[databases]
work = host=127.0.0.1 port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
`, pgbouncerPort)

// pgbouncerConfigFile is the path of the configuration in the image.
const pgbouncerConfigFile = "etc/pgbouncer.ini"

// PgBouncer has no stop request. It shuts down cleanly on SIGINT. On SIGTERM it ends with code 1, which would fail the
// pod although its command has succeeded.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal      string
		code, proxy int32
		ends        batchv1.JobConditionType
		shows       string
	}{
		"succeeds":              {"=INT", 0, 0, batchv1.JobComplete, completes + " (SIGINT)"},
		"fails":                 {"=INT", 3, 137, batchv1.JobFailed, ends(3) + " (SIGINT)"},
		"succeeds, and SIGTERM": {"", 0, 1, batchv1.JobFailed, "fails the pod on SIGTERM"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			showsReal(t, "PgBouncer", false, results.Result{Delivery: "initContainer", By: string(byHand), Shows: test.shows})
			s := newSpace(t, mesh{})
			flags := []string{
				"--ready-url=none", fmt.Sprintf("--wait-for=tcp://127.0.0.1:%d", pgbouncerPort), "--stop-process=pgbouncer" + test.signal,
			}
			script := fmt.Sprintf("nc -w 60 127.0.0.1 %d </dev/null; echo pooled; exit %d", pgbouncerPort, test.code)
			job := s.plainJob("pools", s.wrapped("main", flags, shell(script)...), corev1.Container{
				Name: "pgbouncer", Image: s.images.pgbouncer.Name(), Args: []string{"/" + pgbouncerConfigFile}, SecurityContext: restricted(),
			})
			job.Spec.Template.Spec.ShareProcessNamespace = new(true)
			s.create(t, job)

			assert.Equal(t, test.ends, outcome(s.ended(t, "pools")))
			pod := s.pod(t, "pools")
			assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
			assert.Contains(t, s.logs(t, pod, "main"), "pooled\n")
			assert.Equal(t, test.proxy, terminated(t, pod, "pgbouncer").ExitCode)
		})
	}
}

// These are real proxies that people put beside a Job to reach a database. None of them needs a network to be ready:
// they look for the database only when a client connects.
func TestHelperProxies(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]struct{ title, image, instance, endWell string }{
		programs.CloudSQLProxy: {"Cloud SQL Auth Proxy", the.images.cloudSQL.Name(), cloudSQLInstance, "--exit-zero-on-sigterm"},
		programs.AlloyDBAuthProxy: {
			"AlloyDB Auth Proxy", the.images.alloyDB.Name(), "projects/p/locations/l/clusters/c/instances/i?port=5432", "--exit-zero-sigterm",
		},
	} {
		for shows, test := range map[string]struct {
			how   string   // the flag by which the proxy can be ended
			flags []string // of the wrapper
			code  int32    // of the command
		}{
			"request":                {"--quitquitquit", []string{"--mesh=" + name}, 0},
			"request, command fails": {"--quitquitquit", []string{"--mesh=" + name}, 3},
			// A busy node may start the proxy long after the command.
			"request, found by itself": {"--quitquitquit", []string{"--detect-timeout=1m"}, 0},
			"signal":                   {proxy.endWell, []string{"--ready-url=http://127.0.0.1:9090/startup", "--stop-process=" + name}, 0},
		} {
			t.Run(name+", "+shows, func(t *testing.T) {
				t.Parallel()
				how, _, _ := strings.Cut(shows, ",")
				showsReal(t, proxy.title, false, results.Result{Delivery: "initContainer", By: string(byHand), Shows: fmt.Sprintf("%s (%s)", ends(test.code), how)})
				s := newSpace(t, mesh{})
				script := fmt.Sprintf("nc -w 60 127.0.0.1 5432 </dev/null; echo connected; exit %d", test.code)
				job := s.plainJob("queries", s.wrapped("main", test.flags, shell(script)...), corev1.Container{
					Name: "proxy", Image: proxy.image, Args: []string{test.how, "--health-check", "--token=none", proxy.instance},
					SecurityContext: restricted(),
				})
				job.Spec.Template.Spec.ShareProcessNamespace = new(true)
				s.create(t, job)

				assert.Equal(t, outcomeOf(test.code), outcome(s.ended(t, "queries")))
				pod := s.pod(t, "queries")
				assert.Equal(t, test.code, terminated(t, pod, "main").ExitCode)
				assert.Contains(t, s.logs(t, pod, "main"), "connected\n")
				assertUndisturbed(t, pod, "proxy")
			})
		}
	}
}

// If nothing can end such a proxy, the Job hangs, and the wrapper says why.
func TestHelperProxyWithoutAnEndpoint(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	s.create(t, s.plainJob("hangs", s.wrapped("main", []string{"--mesh=" + programs.CloudSQLProxy}, "true"), s.cloudSQLProxy()))
	pod := s.podWhen(t, "hangs", "its command has ended", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Terminated != nil
	})
	assert.Zero(t, terminated(t, pod, "main").ExitCode)
	assert.Contains(t, s.logs(t, pod, "main"), "--quitquitquit")
	assert.NotNil(t, container(s.pod(t, "hangs"), "proxy").State.Running)
}

// cloudSQLInstance names a database that does not exist.
const cloudSQLInstance = "project:region:instance?port=5432"

// cloudSQLProxy returns a container with the proxy for this instance, and more flags.
func (s *suite) cloudSQLProxy(more ...string) corev1.Container {
	return corev1.Container{
		Name: "proxy", Image: s.images.cloudSQL.Name(), Args: append(more, "--health-check", "--token=none", cloudSQLInstance),
		SecurityContext: restricted(),
	}
}
