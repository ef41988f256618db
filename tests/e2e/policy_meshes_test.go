package e2e

import (
	"fmt"
	"maps"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/results"
)

// The policies run beside the injectors of real meshes. No Job here knows about jobmesh; only the namespace has the
// label. Each mesh is asked for a classic sidecar: the policies wrap the command for it, or make it native.

// byPolicy is a way that needs no change to the Job.
const byPolicy way = "policy"

// A policyBeside is a proxy that the policies find in a pod, and work that needs this proxy.
type policyBeside struct {
	mesh        string // a name of proxyVersions
	policy      policyWay
	shows       string // in addition to what its Jobs show
	proxy       string // the name of its container
	script      string // a script that calls a server through the proxy
	annotations func() map[string]string
	// answered checks that a container of the pod got an answer.
	answered func(*testing.T, space, *corev1.Pod, string)
	// more checks what else is expected of the proxy.
	more func(*testing.T, space, *corev1.Pod)
}

// job returns a Job of one command, with the annotations of the mesh that its author has written.
func (b policyBeside) job(s space, name, script string) *batchv1.Job {
	return annotate(s.bareJob(name, s.unwrapped("main", shell(script)...)), b.annotations())
}

// assertChanged checks that the policies have changed the pod as intended, and that nothing disturbed the proxy.
func (b policyBeside) assertChanged(t *testing.T, s space, pod *corev1.Pod) {
	t.Helper()
	b.answered(t, s, pod, "main")
	assert.Equal(t, map[string]string{"imageVolume": s.wrapperImage()}, delivered(pod))
	if b.policy.native() {
		assert.Contains(t, names(pod.Spec.InitContainers), b.proxy)
		assert.Equal(t, b.proxy, pod.Annotations["jobmesh.dev/native"])
	} else {
		assert.Contains(t, names(pod.Spec.Containers), b.proxy)
		assert.NotContains(t, pod.Annotations, "jobmesh.dev/native")
	}
	assertUndisturbed(t, pod, b.proxy)
	if b.more != nil {
		b.more(t, s, pod)
	}
}

// note notes what a test shows.
func (b policyBeside) note(t *testing.T, shows string) {
	showsReal(t, b.mesh, b.policy.native(), results.Result{Delivery: "imageVolume", By: string(byPolicy), Shows: shows + b.shows})
}

// succeedsAndFails runs Jobs that end with 0 and with 3.
func (b policyBeside) succeedsAndFails(t *testing.T, s space) {
	for _, code := range []int32{0, 3} {
		t.Run(ends(code), func(t *testing.T) {
			t.Parallel()
			b.note(t, ends(code))
			name := fmt.Sprint("ends-with-", code)
			s.create(t, b.job(s, name, fmt.Sprintf("%s; exit %d", b.script, code)))
			assert.Equal(t, outcomeOf(code), outcome(s.ended(t, name)))
			pod := s.pod(t, name)
			assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
			b.assertChanged(t, s, pod)
		})
	}
}

// startsAgain runs Jobs whose command is restarted, in its pod and in a second pod, and the Job of a CronJob.
func (b policyBeside) startsAgain(t *testing.T, s space) {
	t.Run("in its pod", func(t *testing.T) {
		t.Parallel()
		b.note(t, "`OnFailure`: started again in its pod")
		job := b.job(s, "again", b.script+"; test -e /scratch/tried || { touch /scratch/tried; exit 7; }")
		job.Spec.Template.Spec.RestartPolicy, job.Spec.BackoffLimit = corev1.RestartPolicyOnFailure, new(int32(3))
		s.create(t, job)
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "again")))
		pod := s.pod(t, "again")
		assert.EqualValues(t, 1, container(pod, "main").RestartCount)
		assert.Zero(t, terminated(t, pod, "main").ExitCode)
		b.assertChanged(t, s, pod)
	})
	t.Run("in a second pod", func(t *testing.T) {
		t.Parallel()
		b.note(t, "`backoffLimit`: a second pod after one that failed")
		job := b.job(s, "second-try", b.script+unlessRepaired)
		main := &job.Spec.Template.Spec.Containers[0]
		main.Env, job.Spec.BackoffLimit = []corev1.EnvVar{repaired()}, new(int32(1))
		s.create(t, job)
		first := s.repair(t, "second-try")
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "second-try")))
		pods := s.pods(t, "second-try")
		require.Len(t, pods, 2)
		for _, pod := range pods {
			assert.Equal(t, map[bool]int32{true: 3, false: 0}[pod.Name == first.Name], terminated(t, &pod, "main").ExitCode, pod.Name)
			b.assertChanged(t, s, &pod)
		}
	})
	t.Run("of a CronJob", func(t *testing.T) {
		t.Parallel()
		b.note(t, "a CronJob")
		s.runCronJob(t, "nightly", b.job(s, "", b.script))
		assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "nightly-now")))
		b.assertChanged(t, s, s.pod(t, "nightly-now"))
	})
}

// standIn returns a stand-in for the proxy of a mesh.
func standIn(p policyWay, mesh string) policyBeside {
	return policyBeside{
		policy: p, proxy: mesh + "-proxy", script: needsProxy(mesh),
		annotations: func() map[string]string { return map[string]string{} },
		answered:    func(*testing.T, space, *corev1.Pod, string) {},
	}
}

// istioBeside returns a classic proxy of Istio.
func istioBeside(p policyWay, r istioRevision, ask string) policyBeside {
	return policyBeside{
		mesh: "Istio", policy: p, shows: r.shows, proxy: istioProxy, script: ask,
		annotations: func() map[string]string { return istioSidecar(false, nil) },
		answered:    func(t *testing.T, s space, pod *corev1.Pod, container string) { s.assertServed(t, pod, container) },
		more: func(t *testing.T, s space, pod *corev1.Pod) {
			s.assertAgentAsked(t, pod, askedBy(p.native()))
			s.assertHandedOver(t, pod, p.native())
		},
	}
}

// newIstioPolicySpace makes a namespace of Istio in which the policies apply.
func newIstioPolicySpace(t *testing.T, p policyWay, r istioRevision) space {
	t.Helper()
	namespace := the.namespace(mesh{})
	maps.Copy(namespace.Labels, istioLabels(t, r))
	namespace.Labels[podSecurity] = r.standard
	return newPolicySpace(t, p, namespace)
}

func istioByPolicy(t *testing.T, ask string) {
	t.Parallel()
	for _, r := range []istioRevision{istioWithInit, istioWithCNI} {
		for _, p := range []policyWay{policyWraps, policyMakesNative} {
			t.Run(r.title+" "+string(p), func(t *testing.T) {
				t.Parallel()
				s, b := newIstioPolicySpace(t, p, r), istioBeside(p, r, ask)
				b.succeedsAndFails(t, s)
				if r.title == istioWithInit.title {
					b.startsAgain(t, s)
				}
			})
		}
	}
	t.Run("native by Istio", func(t *testing.T) {
		t.Parallel()
		s, b := newIstioPolicySpace(t, policyMakesNative, istioWithInit), istioBeside(policyMakesNative, istioWithInit, ask)
		showsReal(t, "Istio", true, results.Result{Delivery: "imageVolume", By: string(byPolicy), Shows: ends(3) + " (native by the mesh)"})
		job := annotate(b.job(s, "ends-with-3", ask+"; exit 3"), istioSidecar(true, nil))
		s.create(t, job)
		assert.Equal(t, batchv1.JobFailed, outcome(s.ended(t, "ends-with-3")))
		pod := s.pod(t, "ends-with-3")
		assert.EqualValues(t, 3, terminated(t, pod, "main").ExitCode)
		s.assertServed(t, pod, "main")
		assertUndisturbed(t, pod, istioProxy)
		b.more(t, s, pod)
	})
}

// istioChartsByPolicy installs charts in the shape of public ones, whose authors do not consider meshes.
func istioChartsByPolicy(t *testing.T, ask string) {
	t.Parallel()
	for _, p := range []policyWay{policyWraps, policyMakesNative} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			s, b := newIstioPolicySpace(t, p, istioWithInit), istioBeside(p, istioWithInit, ask)
			for name, test := range map[string]struct {
				shows string
				run   func(*testing.T)
			}{
				"migration hook":    {"a chart with a migration hook", func(t *testing.T) { s.migrationHook(t, b) }},
				"certificate hooks": {"a chart with certificate hooks", func(t *testing.T) { s.certificateHooks(t, b) }},
				"backup":            {"a chart with a backup CronJob", func(t *testing.T) { s.backup(t, b) }},
			} {
				t.Run(name, func(t *testing.T) {
					t.Parallel()
					b.note(t, test.shows)
					test.run(t)
				})
			}
		})
	}
}

// The policies change nothing in a namespace that has not opted in, and they change no pod without a Job in a namespace
// that has.
func istioWithoutLabel(t *testing.T) {
	t.Parallel()
	labelled := newIstioPolicySpace(t, policyMakesNative, istioWithInit)
	labels := istioLabels(t, istioWithInit)
	labels[policyLabel] = policyMakesNative.release()
	unlabelled := newMeshSpace(t, istioWithInit.standard, labels)
	job := podOfJob(annotate(the.bareJob("", the.unwrapped("main", "true")), istioSidecar(false, nil)).Spec.Template)
	other := job.DeepCopy()
	other.OwnerReferences[0].APIVersion, other.OwnerReferences[0].Kind = "apps/v1", "ReplicaSet"
	for name, test := range map[string]struct {
		space   space
		pod     *corev1.Pod
		changed bool
	}{
		"labelled, of a Job":        {labelled, job, true},
		"labelled, of a Deployment": {labelled, other, false},
		"unlabelled, of a Job":      {unlabelled, job, false},
	} {
		made, err := the.client.CoreV1().Pods(test.space.name).Create(the.ctx, test.pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		require.NoError(t, err, name)
		if test.changed {
			assert.Equal(t, wrapperDir+"/jobmesh-wrap", made.Spec.Containers[0].Command[0], name)
			continue
		}
		assert.Equal(t, []string{"true"}, made.Spec.Containers[0].Command, name)
		assert.ElementsMatch(t, []string{"main", istioProxy}, names(made.Spec.Containers), name)
		assert.Empty(t, delivered(made), name)
		for annotation := range made.Annotations {
			assert.NotContains(t, annotation, "jobmesh", name)
		}
	}
}

func daprByPolicy(t *testing.T, call string) {
	t.Parallel()
	for _, p := range []policyWay{policyWraps, policyMakesNative} {
		t.Run(string(p), func(t *testing.T) {
			t.Parallel()
			namespace := the.namespace(mesh{})
			maps.Copy(namespace.Labels, daprLabels(t))
			s := newPolicySpace(t, p, namespace)
			b := policyBeside{
				mesh: "Dapr", policy: p, proxy: daprProxy, script: call,
				annotations: func() map[string]string { return daprPod("calls", daprSidecar(false, nil)) },
				answered:    func(t *testing.T, s space, pod *corev1.Pod, _ string) { s.assertCalled(t, pod, "calls") },
				more:        func(t *testing.T, s space, pod *corev1.Pod) { s.assertHandedOver(t, pod, p.native()) },
			}
			b.succeedsAndFails(t, s)
			b.startsAgain(t, s)
		})
	}
}
