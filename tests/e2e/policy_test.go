package e2e

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
)

// A policyWay says what a release of jobmesh-policy does to the pods of Jobs in its namespaces.
type policyWay string

const (
	policyWraps       policyWay = "wraps"
	policyMakesNative policyWay = "wraps, and makes native" // the default of the chart
)

// native tells whether proxies and helpers become native sidecars.
func (w policyWay) native() bool { return w == policyMakesNative }

// release is the name of the release. It is also the value of a label that selects the namespaces of this release,
// since policies belong to the whole cluster.
func (w policyWay) release() string {
	return map[policyWay]string{policyWraps: "wraps", policyMakesNative: "native"}[w]
}

// policyLabel is the label that assigns a namespace to a release.
const policyLabel = "e2e.jobmesh.dev/policy"

// labels returns the labels of a namespace in which the policies apply.
func (w policyWay) labels() map[string]string {
	return map[string]string{"jobmesh.dev/inject": "enabled", policyLabel: w.release()}
}

// newPolicySpace makes a namespace in which the policies apply. The first call installs the policies.
func newPolicySpace(t *testing.T, w policyWay, namespace *corev1.Namespace) space {
	t.Helper()
	require.NoError(t, installPolicies())
	maps.Copy(namespace.Labels, w.labels())
	return newSpaceOf(t, namespace)
}

// policyNamespace is the namespace of the releases.
const policyNamespace = "jobmesh-e2e-policies"

// installPolicies installs one release for each policyWay, and returns when they work. close removes them.
var installPolicies = sync.OnceValue(func() error {
	archives, err := filepath.Glob(filepath.Join(the.given.Dist, "charts", "jobmesh-policy-*.tgz"))
	if err != nil {
		return err
	}
	if len(archives) != 1 {
		return fmt.Errorf("packed charts jobmesh-policy in %s: %d, not one", the.given.Dist, len(archives))
	}
	images, err := pushShapeImages()
	if err != nil {
		return err
	}
	known, err := the.knownImages(images)
	if err != nil {
		return err
	}
	ways := []policyWay{policyWraps, policyMakesNative}
	for _, w := range ways {
		v := values{
			"namespaces": values{"matchLabels": w.labels()}, "nativize": w.native(), "images": known, "jobmesh": the.jobmesh(nil),
		}
		content, err := json.Marshal(v) // JSON is also YAML
		if err != nil {
			return err
		}
		the.policies = append(the.policies, w.release())
		if err := the.run(string(content), the.given.Helm4, "install", w.release(), archives[0],
			"--namespace", policyNamespace, "--create-namespace", "--values", "-"); err != nil {
			return err
		}
	}
	for _, w := range ways {
		if err := the.awaitPolicy(w); err != nil {
			return err
		}
	}
	return nil
})

func (s *suite) removePolicies() error {
	var failed []error
	for _, release := range s.policies {
		failed = append(failed, s.run("", s.given.Helm4, "uninstall", release, "--namespace", policyNamespace, "--ignore-not-found"))
	}
	if len(s.policies) > 0 {
		failed = append(failed, s.run("", s.kubectl, "delete", "namespace", policyNamespace, "--ignore-not-found", "--wait=false"))
	}
	return errors.Join(failed...)
}

// awaitPolicy waits until every policy that changes pods works: the API server loads them one by one.
func (s *suite) awaitPolicy(w policyWay) error {
	probed := s.namespace(mesh{})
	delete(probed.Labels, podSecurity) // the pod of the dry run below is never created
	maps.Copy(probed.Labels, w.labels())
	namespace, err := s.client.CoreV1().Namespaces().Create(s.ctx, probed, metav1.CreateOptions{})
	if err != nil {
		return err
	}
	defer s.client.CoreV1().Namespaces().Delete(context.WithoutCancel(s.ctx), namespace.Name, metav1.DeleteOptions{})
	const proxy = "kuma-sidecar" // of a mesh in which no namespace here is
	beside := corev1.Container{Name: proxy, Image: s.images.shell.Name(), Command: shell("true")}
	pod := podOfJob(s.policyJob("", "true", beside).Spec.Template)
	ctx, cancel := context.WithTimeoutCause(s.ctx, clusterLimit, fmt.Errorf("policies: no pod that they change after %s", clusterLimit))
	defer cancel()
	for {
		made, err := s.client.CoreV1().Pods(namespace.Name).Create(ctx, pod, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && made.Spec.Containers[0].Command[0] == wrapperDir+"/jobmesh-wrap" &&
			slices.Contains(names(made.Spec.InitContainers), proxy) == w.native() {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w (%v)", context.Cause(ctx), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// podOfJob returns a pod as the Job controller creates it.
func podOfJob(template corev1.PodTemplateSpec) *corev1.Pod {
	pod := &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}
	pod.Name = "probe"
	pod.OwnerReferences = []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "probe", UID: "probe", Controller: new(true)}}
	return pod
}

// policyJob returns a Job that was not injected.
func (s *suite) policyJob(name, script string, beside ...corev1.Container) *batchv1.Job {
	main := corev1.Container{Name: "main", Image: s.images.shell.Name(), Command: shell(script), SecurityContext: restricted()}
	job := s.plainJob(name, append([]corev1.Container{main}, beside...)...)
	job.Spec.Template.Spec.InitContainers, job.Spec.Template.Spec.Volumes = nil, nil
	return job
}

// The label of the namespace is enough: the policies wrap a Job, or make its proxy a native sidecar.
func TestPolicy(t *testing.T) {
	t.Parallel()
	for w, mesh := range map[policyWay]mesh{
		policyWraps:       {name: "istio", readyAfter: slow},
		policyMakesNative: {name: "linkerd", readyAfter: slow},
	} {
		t.Run(string(w), func(t *testing.T) {
			t.Parallel()
			s := newPolicySpace(t, w, the.namespace(mesh))
			for _, code := range []int32{0, 3} {
				job := s.policyJob(fmt.Sprint("ends-with-", code), fmt.Sprintf("%s; exit %d", needsProxy(mesh.name), code))
				s.create(t, job)
				assert.Equal(t, outcomeOf(code), outcome(s.ended(t, job.Name)))
				pod := s.pod(t, job.Name)
				assert.Equal(t, code, terminated(t, pod, "main").ExitCode)
				assert.Equal(t, w.native(), len(pod.Spec.Containers) == 1, "the proxy is a native sidecar")
			}
			s.runCronJob(t, "nightly", s.policyJob("", needsProxy(mesh.name)))
			assert.Equal(t, batchv1.JobComplete, outcome(s.ended(t, "nightly-now")))

			// This is the hook of a chart whose Jobs were not injected.
			v := s.migration(needsProxy(mesh.name), values{"enabled": false})
			require.NoError(t, s.install(t, s.given.Helm4, "app", "database-migration", v))
			requireDeployed(t, s, s.given.Helm4, 1)
		})
	}
}

// runCronJob makes a CronJob of the Job, and starts a Job NAME-now from it.
func (s space) runCronJob(t *testing.T, name string, job *batchv1.Job) {
	t.Helper()
	cron := &batchv1.CronJob{ObjectMeta: metav1.ObjectMeta{Name: name}}
	cron.Spec.Schedule, cron.Spec.Suspend = "0 0 1 1 *", new(true)
	cron.Spec.JobTemplate.Spec = job.Spec
	_, err := s.client.BatchV1().CronJobs(s.name).Create(s.ctx, cron, metav1.CreateOptions{})
	require.NoError(t, err)
	require.NoError(t, s.run("", s.kubectl, "create", "job", "--namespace", s.name, "--from=cronjob/"+name, name+"-now"))
}

// A helper among the containers never ends. The policy makes it a native sidecar, so the Job ends with its command.
func TestPolicyMakesAHelperNative(t *testing.T) {
	t.Parallel()
	for _, code := range []int32{0, 3} {
		t.Run(fmt.Sprint("exit code ", code), func(t *testing.T) {
			t.Parallel()
			s := newPolicySpace(t, policyMakesNative, the.namespace(mesh{}))
			helper := corev1.Container{
				Name: "database", Image: s.images.cloudSQL.Name(), SecurityContext: restricted(),
				Command: []string{"/" + programs.CloudSQLProxy},
				Args:    []string{"--health-check", "--http-address=0.0.0.0", "--token=none", "project:region:instance?port=5432"},
			}
			helper.ReadinessProbe = &corev1.Probe{PeriodSeconds: 1}
			helper.ReadinessProbe.HTTPGet = &corev1.HTTPGetAction{Path: "/startup", Port: intstr.FromInt32(9090)}
			// The command waits only because of the probe.
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
