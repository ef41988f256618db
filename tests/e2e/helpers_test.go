package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

// pgbouncerPort is where PgBouncer listens.
const pgbouncerPort = 6432

// pgbouncerConfig is that of a pooler which nobody has to know the password of. The image has no folder for a socket.
var pgbouncerConfig = fmt.Sprintf(`[databases]
work = host=127.0.0.1 port=5432
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = %d
unix_socket_dir =
auth_type = any
`, pgbouncerPort)

// pgbouncerConfigFile is where its image has that.
const pgbouncerConfigFile = "etc/pgbouncer.ini"

// PgBouncer has no request that ends it. It ends in order on SIGINT, and with code 1 on SIGTERM, which would fail the pod
// of a command that has done its work.
func TestPgBouncer(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		signal      string
		code, proxy int32
		ends        batchv1.JobConditionType
	}{
		"succeeds":              {"=INT", 0, 0, batchv1.JobComplete},
		"fails":                 {"=INT", 3, 137, batchv1.JobFailed},
		"succeeds, and SIGTERM": {"", 0, 1, batchv1.JobFailed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
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

// Real proxies that people put beside a Job to reach a database. None of them needs a network to be ready: it is when
// somebody connects that they look for the database.
func TestHelperProxies(t *testing.T) {
	t.Parallel()
	for name, proxy := range map[string]struct{ image, instance, endWell string }{
		programs.CloudSQLProxy:    {the.images.cloudSQL.Name(), "project:region:instance?port=5432", "--exit-zero-on-sigterm"},
		programs.AlloyDBAuthProxy: {the.images.alloyDB.Name(), "projects/p/locations/l/clusters/c/instances/i?port=5432", "--exit-zero-sigterm"},
	} {
		for shows, test := range map[string]struct {
			how   string   // how the proxy can be ended
			flags []string // of the wrapper
			code  int32    // of the command
		}{
			"request":                  {"--quitquitquit", []string{"--mesh=" + name}, 0},
			"request, command fails":   {"--quitquitquit", []string{"--mesh=" + name}, 3},
			"request, found by itself": {"--quitquitquit", nil, 0},
			"signal":                   {proxy.endWell, []string{"--ready-url=http://127.0.0.1:9090/startup", "--stop-process=" + name}, 0},
		} {
			t.Run(name+", "+shows, func(t *testing.T) {
				t.Parallel()
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

// Where nothing ends such a proxy, the Job hangs, and the wrapper says why.
func TestHelperProxyWithoutAnEndpoint(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	s.create(t, s.plainJob("hangs", s.wrapped("main", []string{"--mesh=" + programs.CloudSQLProxy}, "true"), corev1.Container{
		Name: "proxy", Image: s.images.cloudSQL.Name(), Args: []string{"--health-check", "--token=none", "project:region:instance?port=5432"},
		SecurityContext: restricted(),
	}))
	pod := s.podWhen(t, "hangs", "its command has ended", func(pod *corev1.Pod) bool {
		return container(pod, "main").State.Terminated != nil
	})
	assert.Zero(t, terminated(t, pod, "main").ExitCode)
	assert.Contains(t, s.logs(t, pod, "main"), "--quitquitquit")
	assert.NotNil(t, container(s.pod(t, "hangs"), "proxy").State.Running)
}
