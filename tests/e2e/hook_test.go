package e2e

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
)

// helmStatus is the output of "helm status -o json" about a release.
type helmStatus struct {
	Info struct {
		Status string `json:"status"`
	} `json:"info"`
	Version int `json:"version"`
	Hooks   []struct {
		Kind    string `json:"kind"`
		LastRun struct {
			Phase string `json:"phase"`
		} `json:"last_run"`
	} `json:"hooks"`
}

// This is the chart of a migration: Helm waits for the hook Job before it installs or upgrades the application. The
// namespace is in a mesh, so that without jobmesh Helm would wait for ever.
func TestHookJobLetsTheReleaseDeploy(t *testing.T) {
	t.Parallel()
	for name, helm := range map[string]string{"Helm 3": the.given.Helm3, "Helm 4": the.given.Helm4} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSpace(t, mesh{name: "linkerd", readyAfter: slow})
			v := s.migration(needsProxy("linkerd")+"; echo migrated", nil)
			require.NoError(t, s.install(t, helm, "app", "database-migration", v))
			requireDeployed(t, s, helm, 1)

			_, err := s.helm(t, helm, v, "upgrade", "app", s.chart("database-migration"), "--timeout", jobLimit.String())
			require.NoError(t, err)
			requireDeployed(t, s, helm, 2)

			pod := s.pod(t, "app-migration")
			assert.Contains(t, s.logs(t, pod, "migrate"), "migrated\n")
			assert.Zero(t, terminated(t, pod, "linkerd-proxy").ExitCode)
		})
	}
}

// Without jobmesh the hook of the same release never ends.
func TestUnwrappedHookJobFailsTheRelease(t *testing.T) {
	t.Parallel()
	s := newSpace(t, mesh{name: "linkerd"})
	_, err := s.helm(t, s.given.Helm4, s.migration("echo migrated", values{"enabled": false}),
		"install", "app", s.chart("database-migration"), "--timeout", "15s")
	require.Error(t, err)
	pod := s.podWhen(t, "app-migration", "its migration has ended", func(pod *corev1.Pod) bool {
		return container(pod, "migrate").State.Terminated != nil
	})
	assert.Zero(t, terminated(t, pod, "migrate").ExitCode, "the migration itself was done")
}

func (s space) migration(script string, jobmesh values) values {
	return values{
		"image":   s.shellImage(),
		"command": []string{"sh", "-ec"},
		"args":    []string{script},
		"jobmesh": s.jobmesh(jobmesh),
	}
}

func requireDeployed(t *testing.T, s space, helm string, version int) {
	t.Helper()
	output, err := s.output("", helm, "status", "app", "--namespace", s.name, "--output", "json")
	require.NoError(t, err)
	var status helmStatus
	require.NoError(t, json.Unmarshal([]byte(output), &status), output)
	assert.Equal(t, "deployed", status.Info.Status)
	assert.Equal(t, version, status.Version)
	require.Len(t, status.Hooks, 1)
	assert.Equal(t, "Succeeded", status.Hooks[0].LastRun.Phase)
}
