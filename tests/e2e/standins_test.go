package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

// Kuma and Consul are not available here. Their stand-ins behave as the real proxies were measured to behave: Kuma's
// proxy says that it is ready before its Envoy is, and Consul's proxy must not be asked to stop before its Envoy is
// ready.
func TestStandIns(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ title, ready string }{
		"kuma":   {"Kuma", "http://127.0.0.1:9901/ready"},
		"consul": {"Consul", "http://127.0.0.1:19000/ready"},
	} {
		for _, code := range []int32{0, 3} {
			t.Run(fmt.Sprintf("%s, exit %d", name, code), func(t *testing.T) {
				t.Parallel()
				showsStandIn(t, test.title, false, results.Result{Delivery: "initContainer", By: string(byHand), Shows: ends(code)})
				s := newSpace(t, mesh{})
				script := fmt.Sprintf("wget -q -O - %s; exit %d", test.ready, code)
				s.create(t, s.plainJob("waits", s.wrapped("main", []string{"--mesh=" + name}, shell(script)...), corev1.Container{
					Name: "proxy", Image: s.images.proxy.Name(), Args: []string{"-mesh", name, "-ready-after", slow.String()},
					SecurityContext: restricted(),
				}))
				assert.Equal(t, outcomeOf(code), outcome(s.ended(t, "waits")))
				pod := s.pod(t, "waits")
				assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
				assert.Contains(t, s.logs(t, pod, "main"), "ready\n")
				assertUndisturbed(t, pod, "proxy")
			})
		}
	}
}
