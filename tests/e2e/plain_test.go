package e2e

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
)

// These are plain manifests, without a chart, whose author has put Envoy beside the command. Every container has a
// read-only root and a folder that all of them share.

const (
	wrapperDir = "/jobmesh"
	scratchDir = "/scratch"
)

// askEnvoy is a script that fails if Envoy does not serve, and prints Envoy's answer.
var askEnvoy = fmt.Sprintf("wget -q -O - http://127.0.0.1:%d/", envoy.Port)

// wrapped returns a container that runs the command through the wrapper.
func (s *suite) wrapped(name string, flags []string, command ...string) corev1.Container {
	wrapper := append([]string{wrapperDir + "/jobmesh-wrap"}, flags...)
	c := s.unwrapped(name, append(append(wrapper, "--"), command...)...)
	c.VolumeMounts = append(c.VolumeMounts, corev1.VolumeMount{Name: "jobmesh", MountPath: wrapperDir, ReadOnly: true})
	return c
}

// unwrapped returns a container that runs the command.
func (s *suite) unwrapped(name string, command ...string) corev1.Container {
	return corev1.Container{
		Name:            name,
		Image:           s.images.shell.Name(),
		Command:         command,
		SecurityContext: restricted(),
		VolumeMounts:    []corev1.VolumeMount{{Name: "scratch", MountPath: scratchDir}},
	}
}

// envoyWithAdmin returns Envoy with its admin interface, as usual: it ends if a container of its pod asks it to.
func (s *suite) envoyWithAdmin() corev1.Container { return s.envoy("--config-yaml", envoy.Admin) }

// envoyWithoutAdmin returns an Envoy that only a signal can end.
func (s *suite) envoyWithoutAdmin() corev1.Container { return s.envoy() }

func (s *suite) envoy(more ...string) corev1.Container {
	arguments := []string{"--config-path", "/" + envoyBootstrap, "--concurrency", "1", "--disable-hot-restart", "--log-level", "error"}
	return corev1.Container{
		Name:            envoy.Program,
		Image:           s.images.envoy.Name(),
		Args:            append(arguments, more...),
		SecurityContext: restricted(),
	}
}

// native makes a container a native sidecar: it is ready before the other containers start, and ends after them.
func native(c corev1.Container) corev1.Container {
	always := corev1.ContainerRestartPolicyAlways
	c.RestartPolicy = &always
	c.StartupProbe = &corev1.Probe{
		ProbeHandler:     corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{Path: "/", Port: intstr.FromInt32(envoy.Port)}},
		PeriodSeconds:    1,
		FailureThreshold: 60,
	}
	return c
}

// restricted returns the security context that the Pod Security Standard "restricted" requires.
func restricted() *corev1.SecurityContext {
	yes, no := true, false
	return &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no,
		Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		ReadOnlyRootFilesystem:   &yes,
		RunAsNonRoot:             &yes,
		SeccompProfile:           &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
}

// plainJob returns a Job of one pod with the containers. Those with restartPolicy Always become native sidecars. A
// wrapped container starts before its proxy is created, unless the proxy is a native sidecar.
func (s *suite) plainJob(name string, containers ...corev1.Container) *batchv1.Job {
	install := corev1.Container{
		Name:            "jobmesh-install",
		Image:           s.wrapperImage(),
		Args:            []string{"install", wrapperDir},
		SecurityContext: restricted(),
		VolumeMounts:    []corev1.VolumeMount{{Name: "jobmesh", MountPath: wrapperDir}},
	}
	no, noRetry := false, int32(0)
	pod := corev1.PodSpec{
		RestartPolicy:                corev1.RestartPolicyNever,
		AutomountServiceAccountToken: &no,
		InitContainers:               []corev1.Container{install},
		Volumes:                      []corev1.Volume{{Name: "jobmesh"}, {Name: "scratch"}},
	}
	for i := range pod.Volumes {
		pod.Volumes[i].EmptyDir = &corev1.EmptyDirVolumeSource{}
	}
	for _, c := range containers {
		if c.RestartPolicy != nil {
			pod.InitContainers = append(pod.InitContainers, c)
		} else {
			pod.Containers = append(pod.Containers, c)
		}
	}
	return &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       batchv1.JobSpec{BackoffLimit: &noRetry, Template: corev1.PodTemplateSpec{Spec: pod}},
	}
}

func (s space) create(t *testing.T, job *batchv1.Job) {
	t.Helper()
	_, err := s.client.BatchV1().Jobs(s.name).Create(s.ctx, job, metav1.CreateOptions{})
	require.NoError(t, err)
}

// assertStopRequests checks how often Envoy was asked to stop. Envoy logs every request to its admin interface.
func (s space) assertStopRequests(t *testing.T, pod *corev1.Pod, want int) {
	t.Helper()
	requests := []string{}
	for line := range strings.Lines(s.logs(t, pod, envoy.Program)) {
		if strings.HasPrefix(line, "admin: POST ") {
			requests = append(requests, strings.TrimSuffix(line, "\n"))
		}
	}
	assert.Equal(t, slices.Repeat([]string{"admin: POST /quitquitquit 200"}, want), requests)
}
