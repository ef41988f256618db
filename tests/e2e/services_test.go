package e2e

import (
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"
)

// The cluster is an ordinary one: a pod reaches the API server by the name and by the address of its Service, and an
// unknown name does not exist. The control planes of meshes need no more than that.
func TestServicesHaveNames(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	script := `nc -w 60 kubernetes.default.svc 443 </dev/null
nc -w 60 kubernetes.default.svc.cluster.local "$KUBERNETES_SERVICE_PORT" </dev/null
nc -w 60 "$KUBERNETES_SERVICE_HOST" 443 </dev/null
! nc -w 60 nobody 443 </dev/null
echo reached`
	s.create(t, s.plainJob("asks", s.unwrapped("main", shell(script)...)))
	assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "asks")))
	assert.Contains(t, s.logs(t, s.pod(t, "asks"), "main"), "reached\n")
}
