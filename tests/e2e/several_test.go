package e2e

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
)

// member returns a wrapped container that is one of two.
func (s *suite) member(name, script string) corev1.Container {
	flags := []string{besideEnvoy, "--state-dir=" + scratchDir, "--member=" + name, "--members=2"}
	return s.wrapped(name, flags, shell(script)...)
}

// awaitFile returns a script that waits until another container has made the file.
func awaitFile(name string) string {
	return fmt.Sprintf("until test -e %s/%s; do sleep 0.1; done", scratchDir, name)
}

// Two wrapped containers share a proxy. The first one to end leaves it to the other, whatever its own exit code is.
func TestLastOfSeveralContainersStopsTheProxy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ first, last int32 }{
		"both succeed":    {0, 0},
		"the first fails": {3, 0},
		"the last fails":  {0, 4},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{})
			s.create(t, s.plainJob("two",
				s.member("first", fmt.Sprintf("%s; exit %d", askEnvoy, test.first)),
				// When the file exists, the first container has left its mark. Envoy must still be there a moment
				// later.
				s.member("main", fmt.Sprintf("%s; sleep 1; %s; exit %d", awaitFile("first.done"), askEnvoy, test.last)),
				s.envoyWithAdmin()))

			assert.Equal(t, outcomeOf(test.first+test.last), outcome(s.ended(t, "two")))
			pod := s.pod(t, "two")
			for name, code := range map[string]int32{"first": test.first, "main": test.last} {
				assert.Equal(t, code, terminated(t, pod, name).ExitCode, name)
				assert.Contains(t, s.logs(t, pod, name), envoy.Answer+"\n", name)
			}
			assertUndisturbed(t, pod, envoy.Program)
			s.assertStopRequests(t, pod, 1)
		})
	}
}

// A wrapper that is killed stops nothing and leaves no mark. It is not restarted, so the other wrapper does not wait
// for it. The command of the other container kills it once both commands run; for that the pod shares its process
// namespace.
func TestKilledContainerDoesNotKeepTheProxy(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{})
	killOther := awaitFile("victim-runs") + `; victim=; for p in $(pidof jobmesh-wrap); do test $p = $PPID || victim="$victim $p"; done; ` +
		`kill -9 $victim; while kill -0 $victim 2>/dev/null; do sleep 0.1; done; ` + askEnvoy
	job := s.plainJob("killed",
		s.member("victim", "touch /scratch/victim-runs; exec sleep 1000"),
		s.member("main", killOther),
		s.envoyWithAdmin())
	yes := true
	job.Spec.Template.Spec.ShareProcessNamespace = &yes
	s.create(t, job)

	assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "killed")))
	pod := s.pod(t, "killed")
	assert.EqualValues(t, 137, terminated(t, pod, "victim").ExitCode)
	assert.Zero(t, terminated(t, pod, "main").ExitCode)
	assert.Contains(t, s.logs(t, pod, "main"), envoy.Answer+"\n")
	assertUndisturbed(t, pod, envoy.Program)
	s.assertStopRequests(t, pod, 1)
}
