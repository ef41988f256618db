package policy

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apiserver/pkg/admission"
	"k8s.io/apiserver/pkg/warning"
)

// wrapped reports whether the first container of a pod starts through the wrapper.
func wrapped(p *corev1.Pod) bool {
	return len(p.Spec.Containers[0].Command) > 0 && p.Spec.Containers[0].Command[0] == "/jobmesh/jobmesh-wrap"
}

// who returns pods with different owners, namespaces and opt-outs, and whether they are wrapped if the value owners has
// argoproj.io/Workflow.
func who() map[string]struct {
	change    func(*corev1.Pod)
	namespace string
	want      bool
} {
	owner := func(version, kind string) func(*corev1.Pod) {
		return func(p *corev1.Pod) {
			p.OwnerReferences = []metav1.OwnerReference{{APIVersion: version, Kind: kind, Name: "o", UID: "u", Controller: new(true)}}
		}
	}
	return map[string]struct {
		change    func(*corev1.Pod)
		namespace string
		want      bool
	}{
		"a Job":                   {func(*corev1.Pod) {}, "in", true},
		"another namespace":       {func(*corev1.Pod) {}, "out", false},
		"an owner that was named": {owner("argoproj.io/v1alpha1", "Workflow"), "in", true},
		"a Job of another group":  {owner("batch.volcano.sh/v1alpha1", "Job"), "in", false},
		"a ReplicaSet":            {owner("apps/v1", "ReplicaSet"), "in", false},
		"nobody's pod":            {func(p *corev1.Pod) { p.OwnerReferences = nil }, "in", false},
		"a pod that is a Helm hook": {func(p *corev1.Pod) {
			p.OwnerReferences = nil
			p.Annotations = map[string]string{"helm.sh/hook": "test"}
		}, "in", true},
		"opted out by label":      {func(p *corev1.Pod) { p.Labels = map[string]string{"jobmesh.dev/inject": "disabled"} }, "in", false},
		"opted out by annotation": {func(p *corev1.Pod) { p.Annotations = map[string]string{"jobmesh.dev/inject": "disabled"} }, "in", false},
		"out of one mesh, in another": {func(p *corev1.Pod) {
			p.Annotations = map[string]string{"linkerd.io/inject": "disabled", "dapr.io/enabled": "true"}
		}, "in", true},
	}
}

func TestWhoIsWrapped(t *testing.T) {
	c := policies(t, rendered(t, "--set", "owners={argoproj.io/Workflow}"), "-wrap")
	for name, w := range who() {
		t.Run(name, func(t *testing.T) {
			p := pod(t, plain)
			w.change(p)
			require.Equal(t, w.want, wrapped(c.admitted(t, p, w.namespace, nil)))
		})
	}
}

// Argo's own container ends the proxy, so the wrapper only waits.
func TestExecutor(t *testing.T) {
	c := policies(t, rendered(t, "--set", "owners={argoproj.io/Workflow}"), "-wrap")
	p := pod(t, `
spec:
  restartPolicy: Never
  containers:
    - {name: wait, image: argoexec, command: [argoexec, wait]}
    - {name: main, image: a, command: [/var/run/argo/argoexec, emissary, --, /app]}
`)
	p.OwnerReferences[0].APIVersion, p.OwnerReferences[0].Kind = "argoproj.io/v1alpha1", "Workflow"
	got := c.admitted(t, p, "in", nil)
	require.Equal(t, []string{"argoexec", "wait"}, got.Spec.Containers[0].Command)
	require.Equal(t, []string{"/jobmesh/jobmesh-wrap", "--stop-when=never", "--", "/var/run/argo/argoexec", "emissary", "--", "/app"}, got.Spec.Containers[1].Command)
	require.Contains(t, got.Annotations, "workflows.argoproj.io/kill-cmd-linkerd-proxy")
}

// The command of a known image comes from the values, by the name of the image or by its digest.
func TestImages(t *testing.T) {
	c := policies(t, rendered(t, "-f", "testdata/images.yaml"), "-wrap")
	for image, want := range map[string]struct{ command, args []string }{
		"redis:7":                               {[]string{"/jobmesh/jobmesh-wrap", "--", "docker-entrypoint.sh"}, []string{"redis-server", "$$(HOME)"}},
		"mirror.example.com/any/name@" + digest: {[]string{"/jobmesh/jobmesh-wrap", "--"}, []string{"/report", "--all"}},
		"redis:8":                               {nil, nil},
	} {
		t.Run(image, func(t *testing.T) {
			p := pod(t, plain)
			p.Spec.Containers[0].Image, p.Spec.Containers[0].Command = image, nil
			got := c.admitted(t, p, "in", nil).Spec.Containers[0]
			require.Equal(t, want.command, got.Command)
			require.Equal(t, want.args, got.Args)
			if want.command == nil {
				return
			}
			p.Spec.Containers[0].Args = []string{"mine"}
			got = c.admitted(t, p, "in", nil).Spec.Containers[0]
			require.Equal(t, want.command, got.Command)
			require.Equal(t, []string{"mine"}, got.Args)
		})
	}
}

// The settings of the wrapper in the library chart's values are in the command.
func TestSettings(t *testing.T) {
	all := rendered(t, "--set", "jobmesh.wrapper.readyTimeout=1m,jobmesh.mountPath=/opt/j,jobmesh.annotations.a/b=c,jobmesh.image.pullSecrets={key}")
	got := policies(t, all, "-wrap").admitted(t, pod(t, strings.Replace(plain, "Never", "OnFailure", 1)), "in", nil)
	require.Equal(t, []string{"/opt/j/jobmesh-wrap", "--ready-timeout=1m", "--stop-when=success", "--", "/app", "run"}, got.Spec.Containers[0].Command)
	require.Equal(t, "c", got.Annotations["a/b"])
	require.Equal(t, []corev1.LocalObjectReference{{Name: "key"}}, got.Spec.ImagePullSecrets)
	require.Equal(t, "/opt/j-pod", got.Spec.Containers[0].VolumeMounts[1].MountPath)

	got = policies(t, rendered(t, "--set", "jobmesh.wrapper.stopWhen=never"), "-wrap").admitted(t, pod(t, plain), "in", nil)
	require.Equal(t, "--stop-when=never", got.Spec.Containers[0].Command[1])
}

// said returns the warnings when an object is created.
func said(t *testing.T, v admission.ValidationInterface, object runtime.Object, kind, resource string) []string {
	t.Helper()
	r := &recorder{}
	require.NoError(t, v.Validate(warning.WithWarningRecorder(context.Background(), r), attributes(object, kind, resource, "batch"), interfaces))
	return r.warnings
}

type recorder struct{ warnings []string }

func (r *recorder) AddWarning(_, text string) { r.warnings = append(r.warnings, text) }

// told are pod templates with the warning that is expected for a Job of each. An empty text means that no warning is
// expected.
var told = map[string]string{
	plain: "",
	`spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}, {name: b, image: b, command: [b]}]}`: "JM101: .* a, b do the work; annotate the pod template with jobmesh.dev/containers: all, or with the names of those that do, such as a",
	withHelper: "",
	`spec: {restartPolicy: Never, containers: [{name: a, image: a}]}`:                                                                                                                   "JM101: .* no command, and what its image runs is not known",
	`{metadata: {annotations: {jobmesh.dev/containers: x}}, spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}]}}`:                                             "JM101: .* names x, and the pod has a$",
	`{metadata: {annotations: {jobmesh.dev/inject: disabled}}, spec: {restartPolicy: Never, containers: [{name: a, image: a}]}}`:                                                        "",
	`spec: {restartPolicy: Never, hostNetwork: true, containers: [{name: a, image: a}]}`:                                                                                                "",
	`spec: {restartPolicy: Never, volumes: [{name: jobmesh-pod}], containers: [{name: a, image: a, command: [a]}]}`:                                                                     "JM101: .* jobmesh-pod exists already",
	`spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a], volumeMounts: [{name: x, mountPath: /jobmesh}]}]}`:                                                     "JM101: .* needs the folder",
	`{metadata: {annotations: {jobmesh.dev/containers: a}}, spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}, {name: b, image: b, restartPolicy: Always}]}}`: "JM114: .* restartPolicy Always",
	`spec: {restartPolicy: OnFailure, containers: [{name: a, image: a, command: [a], restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [0]}}]}]}`:                "JM114: .* every exit code",
	`spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a], restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [0]}}]}]}`:                    "",
}

// withHelper is a template with a helper. Policies that also nativize wrap the work of such a pod.
const withHelper = `spec: {restartPolicy: Never, containers: [{name: a, image: a, command: [a]}, {name: log, image: fluent-bit}]}`

// jobs returns a Job and a CronJob of a pod template.
func jobs(t testing.TB, template string) (*batchv1.Job, *batchv1.CronJob) {
	t.Helper()
	p := pod(t, template)
	spec := batchv1.JobSpec{Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Annotations: p.Annotations}, Spec: p.Spec}}
	job := &batchv1.Job{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "Job"}, ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "in"}, Spec: spec}
	cron := &batchv1.CronJob{TypeMeta: metav1.TypeMeta{APIVersion: "batch/v1", Kind: "CronJob"}, ObjectMeta: metav1.ObjectMeta{Name: "j", Namespace: "in"}}
	cron.Spec.JobTemplate.Spec = spec
	return job, cron
}

// The policy warns of a Job that is left as it is.
func TestTell(t *testing.T) {
	v := validator(t, named(rendered(t), "-tell"))
	for template, want := range told {
		t.Run(template, func(t *testing.T) {
			job, cron := jobs(t, template)
			for _, warnings := range [][]string{said(t, v, job, "Job", "jobs"), said(t, v, cron, "CronJob", "cronjobs")} {
				if want == "" {
					require.Empty(t, warnings)
					continue
				}
				require.Len(t, warnings, 1)
				require.Regexp(t, want, warnings[0])
			}
			job.Namespace = "out"
			require.Empty(t, said(t, v, job, "Job", "jobs"))
		})
	}
}

// If proxies become native sidecars, a Job that wrap leaves may still finish, and the warning says so.
func TestTellOfNative(t *testing.T) {
	job, _ := jobs(t, `spec: {restartPolicy: Never, containers: [{name: a, image: a}]}`)
	const unless = "JM101: the pod is not wrapped, so a mesh's proxy may outlive it unless the proxy becomes a native sidecar: "
	warnings := said(t, validator(t, named(rendered(t), "-tell")), job, "Job", "jobs")
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], unless)
	warnings = said(t, validator(t, named(rendered(t, "--set", "nativize=false"), "-tell")), job, "Job", "jobs")
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0], strings.ReplaceAll(unless, " unless the proxy becomes a native sidecar", ""))
}

// large returns a pod of many containers, with the annotation that names all of them.
func large(containers int) *corev1.Pod {
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: "p", Annotations: map[string]string{containersKey: "all"},
		OwnerReferences: []metav1.OwnerReference{{APIVersion: "batch/v1", Kind: "Job", Name: "j", UID: "u", Controller: new(true)}}}}
	p.Spec.RestartPolicy = corev1.RestartPolicyOnFailure
	for i := range containers {
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{
			Name: fmt.Sprint("c", i), Image: "registry.example.com/team/app:1.2.3",
			Command: []string{"sh", "-c", strings.Repeat("echo done; ", 1000)}, Args: []string{"x"},
		})
	}
	return p
}

// Pods far larger than usual stay within the cost limits of the API server, and a pod beyond these limits is admitted
// unchanged.
func TestBudgets(t *testing.T) {
	c := policies(t, rendered(t), "-nativize", "-wrap")
	require.True(t, wrapped(c.admitted(t, large(20), "in", nil)))
	huge := large(2000)
	got := policies(t, rendered(t, "--set", "failurePolicy=Ignore"), "-nativize", "-wrap").admitted(t, huge, "in", nil)
	require.Equal(t, text(t, huge.Spec), text(t, got.Spec))
}

// A long annotation does not keep the API server busy.
func TestLongAnnotations(t *testing.T) {
	all := rendered(t)
	p := pod(t, plain)
	p.Annotations = map[string]string{containersKey: "main" + strings.Repeat(",", 100_000), "jobmesh.dev/native": "x" + strings.Repeat(",", 100_000)}
	got := policies(t, all, "-nativize", "-wrap").admitted(t, p, "in", injects(nil, []string{"daprd"}))
	require.True(t, wrapped(got))
	require.Equal(t, "daprd", got.Spec.InitContainers[0].Name)
	got.Annotations = p.Annotations
	for _, name := range []string{"-wrap", "-nativize"} {
		require.Less(t, counted(t, named(all, name)[0], got).largest, limits.largest/10, name)
	}
}

// BenchmarkAdmission measures the time for one pod in both policies, before and after a webhook that adds a proxy. It
// takes a pod that no Job owns, a pod of a Job with one container, and one with a helper too.
func BenchmarkAdmission(b *testing.B) {
	c := policies(b, rendered(b), "-nativize", "-wrap")
	w := injects([]string{"istio-init"}, []string{"istio-proxy"})
	other := pod(b, plain)
	other.OwnerReferences[0].APIVersion, other.OwnerReferences[0].Kind = "apps/v1", "ReplicaSet"
	for _, p := range []struct {
		name string
		pod  *corev1.Pod
	}{{"of-a-Deployment", other}, {"of-a-Job", pod(b, plain)}, {"with-a-helper", pod(b, withDatabase)}} {
		b.Run(p.name, func(b *testing.B) {
			handler := c.handler(b, w)
			c.admitted(b, p.pod, "in", w) // the first call waits until the policies are read
			var times []time.Duration
			for b.Loop() {
				each := p.pod.DeepCopy()
				each.Namespace = "in"
				a := attributes(each, "Pod", "pods", "")
				start := time.Now()
				require.NoError(b, handler.Admit(context.Background(), a, interfaces))
				times = append(times, time.Since(start))
			}
			slices.Sort(times)
			b.ReportMetric(float64(times[len(times)/2].Microseconds()), "p50-µs")
			b.ReportMetric(float64(times[len(times)*99/100].Microseconds()), "p99-µs")
		})
	}
}
