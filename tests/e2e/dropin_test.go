package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A manifest was written for linkerd-await. The image has the wrapper under that name, and the wrapper accepts its
// flags.
func TestLinkerdAwait(t *testing.T) {
	t.Parallel()
	for _, code := range []int32{0, 3} {
		t.Run(fmt.Sprintf("exit %d", code), func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
			script := fmt.Sprintf("%s; echo worked; exit %d", needsProxy("linkerd"), code)
			main := s.unwrapped("main", append([]string{"/linkerd-await", "--shutdown", "--"}, shell(script)...)...)
			main.Image = s.images.await.Name()
			job := s.plainJob("await", main)
			job.Spec.Template.Spec.InitContainers = nil // the image has everything that is needed
			job.Spec.Template.Spec.Volumes = []corev1.Volume{{Name: "scratch", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}}}
			job.Spec.Template.ObjectMeta = metav1.ObjectMeta{
				Annotations: map[string]string{"config.linkerd.io/proxy-admin-shutdown": "enabled"},
			}
			s.create(t, job)

			assert.Equal(t, outcomeOf(code), outcome(s.ended(t, "await")))
			pod := s.pod(t, "await")
			assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
			assert.Contains(t, s.logs(t, pod, "main"), "worked\n")
			assertUndisturbed(t, pod, "linkerd-proxy")
		})
	}
}
