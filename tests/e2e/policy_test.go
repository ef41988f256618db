package e2e

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

// policy installs the chart jobmesh-policy for the namespace of the space, which gets the label, and returns when it
// works.
func (s space) policy(t *testing.T, more values) {
	t.Helper()
	archives, err := filepath.Glob(filepath.Join(s.given.Dist, "charts", "jobmesh-policy-*.tgz"))
	require.NoError(t, err)
	require.Len(t, archives, 1)
	_, err = s.client.CoreV1().Namespaces().Patch(s.ctx, s.name, types.MergePatchType,
		[]byte(`{"metadata": {"labels": {"jobmesh.dev/inject": "enabled"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	v := values{
		// Policies are the cluster's, and other tests have their own.
		"namespaces": values{"matchLabels": values{"kubernetes.io/metadata.name": s.name}},
		"jobmesh":    s.jobmesh(nil),
	}
	for key, value := range more {
		v[key] = value
	}
	_, err = s.helm(t, s.given.Helm4, v, "install", s.name, archives[0])
	require.NoError(t, err)
	t.Cleanup(func() {
		last := *s.suite
		last.ctx = context.WithoutCancel(s.ctx)
		if err := last.run("", s.given.Helm4, "uninstall", s.name, "--namespace", s.name); err != nil {
			t.Errorf("policy: %v", err)
		}
	})
	s.awaitPolicy(t, v["nativize"] != false)
}

// awaitPolicy returns when the API server has noticed each policy that changes pods: it takes them up one by one.
func (s space) awaitPolicy(t *testing.T, nativize bool) {
	t.Helper()
	const proxy = "kuma-sidecar" // that of a mesh which no namespace here is in
	beside := corev1.Container{Name: proxy, Image: s.images.shell.Name(), Command: shell("true"), SecurityContext: restricted()}
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "probe"}, Spec: s.policyJob("", "true", beside).Spec.Template.Spec}
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "probe", UID: "probe", Controller: new(true)}}
	require.Eventually(t, func() bool {
		made, err := s.client.CoreV1().Pods(s.name).Create(s.ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err != nil {
			return false
		}
		moved := slices.ContainsFunc(made.Spec.InitContainers, func(c corev1.Container) bool { return c.Name == proxy })
		return made.Spec.Containers[0].Command[0] == wrapperDir+"/jobmesh-wrap" && moved == nativize
	}, clusterLimit, 100*time.Millisecond, "a pod that the policies change")
}

// policyJob is a Job that nobody has injected.
func (s *suite) policyJob(name, script string, beside ...corev1.Container) *batchv1.Job {
	main := corev1.Container{Name: "main", Image: s.images.shell.Name(), Command: shell(script), SecurityContext: restricted()}
	job := s.plainJob(name, append([]corev1.Container{main}, beside...)...)
	job.Spec.Template.Spec.InitContainers, job.Spec.Template.Spec.Volumes = nil, nil
	return job
}

// A labelled namespace is all that a Job needs: the policies wrap it, or make a native sidecar of its proxy.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		mesh     mesh
		nativize bool
	}{
		"wrap":             {mesh{name: "istio", readyAfter: slow}, false},
		"wrap, and native": {mesh{name: "linkerd", readyAfter: slow}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, test.mesh)
			s.policy(t, values{"nativize": test.nativize})
			for _, code := range []int32{0, 3} {
				job := s.policyJob(fmt.Sprint("ends-with-", code), fmt.Sprintf("%s; exit %d", needsProxy(test.mesh.name), code))
				s.create(t, job)
				assert.Equal(t, outcomeOf(code), outcome(s.ended(t, job.Name)))
				pod := s.pod(t, job.Name)
				assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
				assert.Equal(t, test.nativize, len(pod.Spec.Containers) == 1, "the proxy is a native sidecar")
			}

			cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: "nightly"}}
			cron.Spec.Schedule, cron.Spec.Suspend = "0 0 1 1 *", new(true)
			cron.Spec.JobTemplate.Spec = s.policyJob("", needsProxy(test.mesh.name)).Spec
			_, err := s.client.BatchV1().CronJobs(s.name).Create(s.ctx, cron, metav1.CreateOptions{})
			require.NoError(t, err)
			require.NoError(t, s.run("", s.kubectl, "create", "job", "--namespace", s.name, "--from=cronjob/nightly", "nightly-now"))
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "nightly-now")))

			// The hook of a chart whose Jobs nobody has injected.
			v := s.migration(needsProxy(test.mesh.name), values{"enabled": false})
			require.NoError(t, s.install(t, s.given.Helm4, "app", "database-migration", v))
			requireDeployed(t, s, s.given.Helm4, 1)
		})
	}
}

// A helper in containers, which never ends: the policy makes a native sidecar of it, and the Job is done with its command.
func TestPolicyMakesAHelperNative(t *testing.T) {
	t.Parallel()
	for _, code := range []int32{0, 3} {
		t.Run(fmt.Sprint("exit code ", code), func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{})
			s.policy(t, nil)
			helper := corev1.Container{
				Name: "database", Image: s.images.cloudSQL.Name(), SecurityContext: restricted(),
				Command: []string{"/" + programs.CloudSQLProxy},
				Args:    []string{"--health-check", "--http-address=0.0.0.0", "--token=none", "project:region:instance?port=5432"},
			}
			helper.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1}
			helper.ReadinessProbe.HTTPGet = &corev1.HTTPGetAction{Path: "/startup", Port: intstr.FromInt32(9090)}
			// Nothing but the probe makes the command wait.
			job := s.policyJob("queries", fmt.Sprintf("nc -w 60 127.0.0.1 5432 </dev/null; exit %d", code), helper)
			s.create(t, job)
			assert.Equal(t, outcomeOf(code), outcome(s.ended(t, "queries")))
			pod := s.pod(t, "queries")
			assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
			require.Len(t, pod.Spec.InitContainers, 1)
			assert.Equal(t, "database", pod.Spec.InitContainers[0].Name)
			assert.Equal(t, "database", pod.Annotations["jobmesh.dev/native"])
		})
	}
}
