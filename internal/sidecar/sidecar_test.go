package sidecar

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

func TestFind(t *testing.T) {
	for _, c := range []struct{ image, programs, argv, want string }{
		{"gcr.io/cloud-sql-connectors/cloud-sql-proxy:2.18.0", "", "a:b:c", "cloud-sql-proxy"},
		{"mirror.example.com:5000/gcr/cloud-sql-proxy@sha256:0123", "", "", "cloud-sql-proxy"},
		{"gcr.io/cloudsql-docker/gce-proxy:1.33.9", "cloud_sql_proxy", "/cloud_sql_proxy -instances=a", "cloud-sql-proxy-v1"},
		{"datadog/agent:7", "", "", "datadog-agent"},
		{"example.com/agent:7", "", "", ""},
		{"docker:28-dind-rootless", "", "", "dind"},
		{"docker:28-cli", "", "", ""},
		{"docker", "", "", ""},
		{"FLUENT/Fluent-Bit:4.0", "", "", "fluent-bit"},
		{"example.com/my-fluent-bit-parser:1", "", "", ""},
		// What runs decides.
		{"example.com/tools:1", "proxysql", "proxysql -f", "proxysql"},
		{"timberio/vector:0.50.0", "python", "python build.py", ""},
		{"timberio/vector:0.50.0", "entrypoint.sh", "/entrypoint.sh", "vector"},
		{"timberio/vector:0.50.0", "sleep vector", "sh -c sleep 1; vector", "vector"},
		{"hashicorp/vault:1.14", "", "agent -config=a", "vault-agent"},
		{"hashicorp/vault:1.14", "vault", "vault kv get agents", ""},
		{"", "", "", ""},
	} {
		got := ""
		if h := Find(c.image, strings.Fields(c.programs), strings.Split(c.argv, " ")); h != nil {
			got = h.Name
		}
		require.Equal(t, c.want, got, "%+v", c)
	}
}

func TestEndsItself(t *testing.T) {
	for _, c := range []struct {
		name string
		argv []string
		env  map[string]string
		want bool
	}{
		{"vector", []string{"vector", "validate"}, nil, true},
		{"vector", []string{"validate"}, nil, true},
		{"vector", []string{"--config", "/etc/validate.yaml"}, nil, false},
		{"haproxy", []string{"haproxy", "-c", "-f", "a"}, nil, true},
		{"haproxy", []string{"sh", "-c", "haproxy -f a"}, nil, false},
		{"haproxy", []string{"sh", "-c", "haproxy -c -f a && haproxy -f a"}, nil, false},
		{"haproxy", []string{"sh", "-c", "haproxy -c -f a\nhaproxy -c -f b\n"}, nil, true},
		{"envoy", []string{"--mode=validate"}, nil, true},
		{"envoy", []string{"--mode", "validate"}, nil, true},
		{"envoy", []string{"--mode", "serve"}, nil, false},
		{"git-sync", []string{"--one-time=true"}, nil, true},
		{"git-sync", []string{"--one-time=false"}, nil, false},
		{"git-sync", nil, map[string]string{"GIT_SYNC_ONE_TIME": "1"}, true},
		{"git-sync", nil, map[string]string{"GITSYNC_ONE_TIME": "false"}, false},
		{"tailscale", []string{"tailscaled", "--version"}, nil, true},
		{"tailscale", nil, nil, false},
	} {
		require.Equal(t, c.want, byName(t, c.name).EndsItself(c.argv, c.env), "%+v", c)
	}
}

func TestStopRequest(t *testing.T) {
	h := byName(t, "alloydb-auth-proxy")
	require.Equal(t, "POST http://127.0.0.1:9091/quitquitquit", h.StopRequest(h.Ends[0]))
	require.Empty(t, h.StopRequest(h.Ends[1]))
	require.Equal(t, "ALLOYDB_PROXY_EXIT_ZERO_SIGTERM", h.Variable("--exit-zero-sigterm"))
	h = byName(t, "pushgateway")
	require.Empty(t, h.Variable("--web.enable-lifecycle"))
	require.Equal(t, []string{"http://127.0.0.1:9091/-/ready"}, h.ReadyURLs())
	require.Equal(t, []string{"http://127.0.0.1:9090/startup"}, byName(t, "cloud-sql-proxy").ReadyURLs())
	require.Empty(t, byName(t, "cloud-sql-proxy-v1").ReadyURLs())
	require.Empty(t, byName(t, "promtail").ReadyURLs())
	require.Equal(t, "PUT http://127.0.0.1:9091/-/quit", h.StopRequest(h.Ends[0]))
}

// Every row has what a row needs, and nothing that contradicts itself.
func TestTable(t *testing.T) {
	names := map[string]bool{}
	for _, h := range All() {
		require.False(t, names[h.Name], h.Name)
		names[h.Name] = true
		require.NotEmpty(t, h.Title, h.Name)
		require.NotEmpty(t, h.Images, h.Name)
		require.NotEmpty(t, h.Programs, h.Name)
		require.Equal(t, h.Checked == "", h.Sources == nil, h.Name)
		require.True(t, h.Checked != "" || h.Once == nil && h.Ends == nil && h.Ready == "", h.Name)
		if h.Mesh != "" {
			_, known := mesh.ByName(h.Mesh)
			require.True(t, known, h.Name)
		}
		require.Equal(t, "", map[bool]string{true: h.Ready}[h.Mesh != ""], "%s: internal/mesh says that", h.Name)
		for _, e := range h.Ends {
			require.NotEmpty(t, h.StopRequest(e)+e.Signal, h.Name)
			require.False(t, h.OnlyProcess && e.Signal == "", h.Name)
			require.False(t, e.Signal != "" && e.Request != "", h.Name)
		}
	}
}

func byName(t *testing.T, name string) *Helper {
	t.Helper()
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	require.Fail(t, "no helper", name)
	return nil
}
