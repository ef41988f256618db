package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// pod reads the pod template of a Job, and returns a pod of it.
func pod(t testing.TB, template string) *corev1.Pod {
	t.Helper()
	var parsed corev1.PodTemplateSpec
	require.NoError(t, yaml.UnmarshalStrict([]byte(template), &parsed))
	return podOf(parsed)
}

func container(name string) corev1.Container {
	probe := &corev1.Probe{PeriodSeconds: 10, FailureThreshold: 3}
	probe.HTTPGet = &corev1.HTTPGetAction{Path: "/ready"}
	return corev1.Container{Name: name, Image: "proxy", ReadinessProbe: probe}
}

// injects returns a webhook that appends init containers and ordinary containers to a pod, once.
func injects(inits, containers []string) webhook {
	return func(p *corev1.Pod) bool {
		for _, c := range p.Spec.Containers {
			if c.Name == containers[0] {
				return false
			}
		}
		for _, c := range p.Spec.InitContainers {
			if c.Name == containers[0] {
				return false
			}
		}
		for _, name := range inits {
			p.Spec.InitContainers = append(p.Spec.InitContainers, corev1.Container{Name: name, Image: "init"})
		}
		for _, name := range containers {
			p.Spec.Containers = append(p.Spec.Containers, container(name))
		}
		return true
	}
}

const plain = `
spec:
  restartPolicy: Never
  containers:
    - {name: main, image: a, command: [/app, run]}
`

const withDatabase = `
spec:
  restartPolicy: Never
  initContainers:
    - {name: prepare, image: a, command: [/prepare]}
  containers:
    - {name: main, image: a, command: [/app, run]}
    - {name: db, image: "gcr.io/x/cloud-sql-proxy:2.27.0", readinessProbe: {tcpSocket: {port: 5432}}}
`

func TestNativize(t *testing.T) {
	all := rendered(t)
	for name, c := range map[string]struct {
		pod               string
		webhook           webhook
		inits, containers []string
		native            string
	}{
		"no proxy": {plain, nil, nil, []string{"main"}, ""},
		"Dapr":     {plain, injects(nil, []string{"daprd"}), []string{"daprd"}, []string{"main"}, "daprd"},
		"two, in their order": {
			plain, injects([]string{"vault-agent-init"}, []string{"daprd", "vault-agent"}),
			[]string{"daprd", "vault-agent", "vault-agent-init"}, []string{"main"}, "daprd,vault-agent",
		},
		"Istio, behind what redirects": {
			plain, injects([]string{"istio-init"}, []string{"istio-proxy"}), []string{"istio-init", "istio-proxy"}, []string{"main"}, "istio-proxy",
		},
		"a proxy behind a helper in the list, in front of it in the pod": {
			plain, injects([]string{"linkerd-init"}, []string{"vault-agent", "linkerd-proxy"}),
			[]string{"linkerd-init", "linkerd-proxy", "vault-agent"}, []string{"main"}, "linkerd-proxy,vault-agent",
		},
		"a helper of the author": {withDatabase, nil, []string{"db", "prepare"}, []string{"main"}, "db"},
		"a helper of the author, and Istio": {
			withDatabase, injects([]string{"istio-validation"}, []string{"istio-proxy"}),
			[]string{"prepare", "istio-validation", "istio-proxy", "db"}, []string{"main"}, "db,istio-proxy",
		},
		"a helper of the author, and Dapr": {
			withDatabase, injects(nil, []string{"daprd"}), []string{"daprd", "db", "prepare"}, []string{"main"}, "db,daprd",
		},
		"a helper of the author, and three": {
			withDatabase, injects([]string{"kuma-init"}, []string{"vault-agent", "kuma-sidecar"}),
			[]string{"prepare", "kuma-init", "kuma-sidecar", "db", "vault-agent"}, []string{"main"}, "db,kuma-sidecar,vault-agent",
		},
		"a program of the table that is the work": {`
spec: {restartPolicy: Never, containers: [{name: sync, image: git-sync, command: [git-sync]}]}
`, injects(nil, []string{"daprd"}), []string{"daprd"}, []string{"sync"}, "daprd"},
		"one that ends by itself": {`
spec: {restartPolicy: Never, containers: [{name: sync, image: git-sync, command: [git-sync], args: [--one-time]}, {name: b, image: b}]}
`, nil, nil, []string{"sync", "b"}, ""},
		"one that ends by its variable": {`
spec: {restartPolicy: Never, containers: [{name: sync, image: git-sync, env: [{name: GITSYNC_ONE_TIME, value: "true"}]}, {name: b, image: b}]}
`, nil, nil, []string{"sync", "b"}, ""},
		"one that a shell starts": {`
spec: {restartPolicy: Never, containers: [{name: log, image: x, command: [sh, -c], args: ["exec /opt/fluent-bit -c x"]}, {name: b, image: b}]}
`, nil, []string{"log"}, []string{"b"}, "log"},
		"one that the author names as work": {`
metadata: {annotations: {jobmesh.dev/containers: "b, log"}}
spec: {restartPolicy: Never, containers: [{name: log, image: fluent-bit}, {name: b, image: b}]}
`, nil, nil, []string{"log", "b"}, ""},
		"behind what writes its files": {`
spec:
  restartPolicy: Never
  volumes: [{name: conf, emptyDir: {}}, {name: map, configMap: {name: x}}]
  initContainers:
    - {name: first, image: x, volumeMounts: [{name: conf, mountPath: /c}]}
    - {name: second, image: x, volumeMounts: [{name: conf, mountPath: /c, readOnly: true}, {name: map, mountPath: /m}]}
  containers:
    - {name: log, image: fluent-bit, volumeMounts: [{name: conf, mountPath: /c}, {name: map, mountPath: /m}]}
    - {name: b, image: b}
`, nil, []string{"first", "log", "second"}, []string{"b"}, "log"},
		"opted out": {`
metadata: {labels: {jobmesh.dev/inject: disabled}}
spec: {restartPolicy: Never, containers: [{name: b, image: b}]}
`, injects(nil, []string{"daprd"}), nil, []string{"b", "daprd"}, ""},
	} {
		for _, order := range [][]string{{"-nativize", "-wrap"}, {"-wrap", "-nativize"}} {
			t.Run(name+", "+order[0]+" first", func(t *testing.T) {
				got := policies(t, all, order...).admitted(t, pod(t, c.pod), "in", c.webhook)
				require.Equal(t, c.inits, names(got.Spec.InitContainers))
				require.Equal(t, c.containers, names(got.Spec.Containers))
				require.Equal(t, c.native, got.Annotations["jobmesh.dev/native"])
				for _, init := range got.Spec.InitContainers {
					if init.ReadinessProbe == nil {
						continue
					}
					require.Equal(t, new(corev1.ContainerRestartPolicyAlways), init.RestartPolicy, init.Name)
					require.Equal(t, init.ReadinessProbe.HTTPGet, init.StartupProbe.HTTPGet)
					require.EqualValues(t, []int32{1, 1, 120}, []int32{init.StartupProbe.SuccessThreshold, init.StartupProbe.PeriodSeconds, init.StartupProbe.FailureThreshold})
				}
			})
		}
	}
}

func names(containers []corev1.Container) []string {
	var all []string
	for _, c := range containers {
		all = append(all, c.Name)
	}
	return all
}

// A proxy that is ready only when the application answers would wait for ever if it started before the application.
func TestReadyAfterTheApplication(t *testing.T) {
	c := policies(t, rendered(t), "-nativize")
	p := pod(t, plain)
	p.Annotations = map[string]string{"dapr.io/app-port": "8080"}
	got := c.admitted(t, p, "in", injects(nil, []string{"daprd"}))
	require.Equal(t, []string{"daprd"}, names(got.Spec.InitContainers))
	require.Nil(t, got.Spec.InitContainers[0].StartupProbe)
}

// An init container with restartPolicy Always may have no restart rules.
func TestRestartRulesOfASidecar(t *testing.T) {
	got := policies(t, rendered(t), "-nativize").admitted(t, pod(t, `
spec:
  restartPolicy: Never
  containers:
    - {name: b, image: b}
    - {name: log, image: fluent-bit, restartPolicy: Never, restartPolicyRules: [{action: Restart, exitCodes: {operator: In, values: [1]}}]}
`), "in", nil)
	require.Equal(t, []string{"log"}, names(got.Spec.InitContainers))
	require.Empty(t, got.Spec.InitContainers[0].RestartPolicyRules)
	require.Equal(t, new(corev1.ContainerRestartPolicyAlways), got.Spec.InitContainers[0].RestartPolicy)
}

// TestNamedSidecars checks the names in the values, beside the proxies of meshes.
func TestNamedSidecars(t *testing.T) {
	got := policies(t, rendered(t, "--set", "sidecars={mine}"), "-nativize").admitted(t, pod(t, `
spec: {restartPolicy: Never, containers: [{name: b, image: b}, {name: mine, image: x}, {name: log, image: fluent-bit}]}
`), "in", injects(nil, []string{"daprd"}))
	require.Equal(t, []string{"daprd", "mine"}, names(got.Spec.InitContainers))
	require.Equal(t, []string{"b", "log"}, names(got.Spec.Containers))
}

// A container that was made native is not wrapped, in either order of the policies. The init container for the state
// that several containers share comes first.
func TestBesideAWrapper(t *testing.T) {
	all := rendered(t)
	var pods []string
	for _, order := range [][]string{{"-nativize", "-wrap"}, {"-wrap", "-nativize"}} {
		p := pod(t, withDatabase)
		p.Spec.Containers = append(p.Spec.Containers, corev1.Container{Name: "second", Image: "a", Command: []string{"/second"}})
		p.Annotations = map[string]string{containersKey: "main,second"}
		got := policies(t, all, order...).admitted(t, p, "in", injects([]string{"istio-init"}, []string{"istio-proxy"}))
		require.Equal(t, []string{"jobmesh-install", "prepare", "istio-init", "istio-proxy", "db"}, names(got.Spec.InitContainers))
		require.Equal(t, []string{"/jobmesh/jobmesh-wrap", "--state-dir=/jobmesh-state", "--member=second", "--members=2", "--", "/second"}, got.Spec.Containers[1].Command)
		require.Empty(t, got.Spec.InitContainers[4].Command)
		pods = append(pods, text(t, got))
	}
	require.JSONEq(t, pods[0], pods[1])
}

// A pod that passes through the chain a second time does not change again.
func TestTwiceEqualsOnce(t *testing.T) {
	c := policies(t, rendered(t), "-nativize", "-wrap")
	w := injects([]string{"istio-init"}, []string{"istio-proxy", "vault-agent"})
	once := c.admitted(t, pod(t, withDatabase), "in", w)
	require.JSONEq(t, text(t, once), text(t, c.admitted(t, once, "in", w)))
}
