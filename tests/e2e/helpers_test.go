package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
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
