package wrapper

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// hostPort returns the listening address that a URL of the mesh table names.
func hostPort(t *testing.T, url string) string {
	t.Helper()
	_, rest, ok := strings.Cut(url, "http://")
	require.True(t, ok, url)
	return rest[:strings.Index(rest, "/")]
}

// Every row of the table is tried at its real ports.
func TestEveryMesh(t *testing.T) {
	for _, m := range mesh.All() {
		t.Run(m.Name, func(t *testing.T) {
			const late = 200 * time.Millisecond
			var ready, stop *proxy
			if at := hostPort(t, m.Stop); len(m.Ready) == 0 || hostPort(t, m.Ready[0]) == at {
				stop = startProxy(t, at, late)
				ready = stop
			} else {
				// Kuma's proxy has a readiness check too, which must not be tried first.
				stop = startProxy(t, at, time.Hour)
				ready = startProxy(t, hostPort(t, m.Ready[0]), late)
			}
			r := command(t, "--mesh="+m.Name, "--", "sh", "-c", "exit 5").run()
			assert.Equal(t, 5, r.code, r.stderr)
			assert.Equal(t, 1, stop.stops(), r.stderr)
			path := strings.TrimPrefix(m.Stop, "POST http://"+stop.addr)
			assert.Equal(t, "POST "+path+" HTTP/1.1", stop.stopLine)
			if len(m.Ready) > 0 {
				ready.waitedFor()
			}
		})
	}
}

func TestDaprGetsItsToken(t *testing.T) {
	p := startProxy(t, "127.0.0.1:3500", 0)
	r := command(t, "--", "sh", "-c", "echo $DAPR_API_TOKEN").env("JOBMESH_POD_DAPR=true", "DAPR_API_TOKEN=s3cret").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Equal(t, "s3cret", p.stopHeader.Get("dapr-api-token"))
	assert.Equal(t, "s3cret\n", r.stdout, "the command has it too")
	assert.NotContains(t, r.stderr, "s3cret")
	assert.Empty(t, startedElsewhere(t).Get("dapr-api-token"))
}

// startedElsewhere starts the proxy of another mesh at the address of the same variable.
func startedElsewhere(t *testing.T) interface{ Get(string) string } {
	t.Helper()
	p := startProxy(t, "127.0.0.1:4191", 0)
	r := command(t, "--mesh=linkerd", "--", "true").env("DAPR_API_TOKEN=s3cret").run()
	require.Equal(t, 0, r.code, r.stderr)
	return p.stopHeader
}

func TestKumaWithoutAdminPortIsLeftToItsControlPlane(t *testing.T) {
	startProxy(t, "127.0.0.1:9902", 0)
	r := command(t, "--stop-timeout="+beyond, "--", "true").env("JOBMESH_POD_KUMA=true").run()
	assert.Equal(t, 0, r.code)
	assert.Contains(t, r.stderr, "the kubelet or Kuma's control plane stops it")
	assert.NotContains(t, r.stderr, "error")
}

// No annotation of Kuma says so, so only the variable does.
func TestKumaThatAVariableCallsNative(t *testing.T) {
	startProxy(t, "127.0.0.1:9902", 0)
	admin := startProxy(t, "127.0.0.1:9901", 0)
	r := command(t, "--", "sh", "-c", "exit 3").env("JOBMESH_POD_KUMA=true", "JOBMESH_POD_KUMA_NATIVE=true").run()
	assert.Equal(t, 3, r.code, r.stderr)
	assert.Contains(t, r.stderr, "handing over to it")
	assert.Zero(t, admin.stops())
}

// Linkerd's stop endpoint is off by default since 2.16.
func TestLinkerdsSwitch(t *testing.T) {
	const warned = "linkerd has its stop endpoint off: this pod will not end after the command"
	for name, c := range map[string]struct {
		version, shutdown string
		env               []string
		stopCode          int
		stops             int
		before, after     string
	}{
		"on":                 {version: "edge-26.6.1", shutdown: `"true"`, stopCode: 200, stops: 1, after: "linkerd took the stop after"},
		"off, classic":       {version: "stable-2.16.1", shutdown: `"false"`, stopCode: 404, stops: 1, before: warned, after: "error: linkerd did not stop"},
		"unset, classic":     {version: "edge-26.5.1", shutdown: `null`, stopCode: 404, stops: 1, before: warned, after: "error: linkerd did not stop"},
		"off, 2.20":          {version: "2.20.1", shutdown: `"false"`, stopCode: 404, before: "taken for a native sidecar"},
		"native by its name": {version: "2.19.1", shutdown: `"true"`, env: []string{"JOBMESH_POD_LINKERD_NATIVE_BETA=true"}, stopCode: 200},
		"not native":         {version: "2.20.1", shutdown: `"true"`, env: []string{"JOBMESH_POD_LINKERD_NATIVE=false"}, stopCode: 200, stops: 1},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, "127.0.0.1:4191", 0, func(p *proxy) {
				p.shutdown, p.stopCodes = c.shutdown, []int{c.stopCode}
			})
			r := command(t, "--", "sh", "-c", "echo MIDDLE >&2; exit 3").
				env("JOBMESH_POD_LINKERD=" + c.version).env(c.env...).run()
			assert.Equal(t, 3, r.code, r.stderr)
			assert.Equal(t, c.stops, p.stops(), r.stderr)
			before, after, ok := strings.Cut(r.stderr, "MIDDLE")
			require.True(t, ok)
			assert.Contains(t, before, c.before)
			assert.Contains(t, after, c.after)
			if c.before == warned {
				for _, part := range []string{before, after} {
					assert.Contains(t, part, "config.linkerd.io/proxy-admin-shutdown: enabled")
				}
			} else {
				assert.NotContains(t, before, "warning")
			}
		})
	}
}

// Istio's own Envoy must not be taken for one without an agent.
func TestDetectionPrefersTheAgent(t *testing.T) {
	startProxy(t, "127.0.0.1:15000", 0)
	agent := startProxy(t, "127.0.0.1:15020", 0)
	startProxy(t, "127.0.0.1:15021", 100*time.Millisecond)
	r := command(t, "--", "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "istio found after")
	assert.Equal(t, 1, agent.stops())
}

// A server of another program at a known port is not a proxy.
func TestDetectionPassesOthersBy(t *testing.T) {
	other := listen(t, "127.0.0.1:9090")
	go func() {
		for {
			c, err := other.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 512))
			_, _ = c.Write([]byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"))
			_ = c.Close()
		}
	}()
	r := command(t, "--detect-timeout=200ms", "--", "true").run()
	assert.Equal(t, 0, r.code, r.stderr)
	assert.Contains(t, r.stderr, "no proxy found")
}

func TestProbeTellsAndChangesNothing(t *testing.T) {
	for name, c := range map[string]struct {
		mesh, version, shutdown string
		env                     []string
		ready, native           bool
		stop                    string
	}{
		"linkerd":              {mesh: "linkerd", shutdown: `"true"`, env: []string{"JOBMESH_POD_LINKERD=2.19.0"}, ready: true, stop: "POST http://127.0.0.1:4191/shutdown"},
		"linkerd switched off": {mesh: "linkerd", shutdown: `"false"`, env: []string{"JOBMESH_POD_LINKERD=2.19.0"}, ready: true, stop: "switched off: annotate the pod with config.linkerd.io/proxy-admin-shutdown: enabled"},
		"linkerd native":       {mesh: "linkerd", shutdown: `"false"`, env: []string{"JOBMESH_POD_LINKERD=2.20.0"}, ready: true, native: true, stop: "left to the kubelet"},
		"istio":                {mesh: "istio", env: []string{"JOBMESH_POD_ISTIO={}"}, ready: true, stop: "POST http://127.0.0.1:15020/quitquitquit"},
		"consul":               {mesh: "consul", env: []string{"JOBMESH_POD_CONSUL=injected"}, ready: true, stop: "POST http://127.0.0.1:20600/graceful_shutdown"},
		"dapr":                 {mesh: "dapr", env: []string{"JOBMESH_POD_DAPR=true"}, ready: true, stop: "POST http://127.0.0.1:3500/v1.0/shutdown"},
	} {
		t.Run(name, func(t *testing.T) {
			m, ok := mesh.ByName(c.mesh)
			require.True(t, ok)
			p := startProxy(t, hostPort(t, m.Ready[0]), 0, func(p *proxy) { p.shutdown = c.shutdown })
			r := command(t, "probe", "--log-format=json").env(c.env...).run()
			require.Equal(t, 0, r.code, r.stderr)
			var got struct {
				Proxies []struct {
					Proxy, Annotation, Answer, Stop string
					Ready, Native                   bool
				}
			}
			require.NoError(t, json.Unmarshal([]byte(r.stdout), &got), r.stdout)
			require.Len(t, got.Proxies, 1)
			assert.Equal(t, c.mesh, got.Proxies[0].Proxy)
			assert.Equal(t, "set", got.Proxies[0].Annotation)
			assert.Equal(t, c.ready, got.Proxies[0].Ready)
			assert.Equal(t, c.native, got.Proxies[0].Native)
			assert.Equal(t, c.stop, got.Proxies[0].Stop)
			assert.Zero(t, p.stops())

			text := command(t, "probe").env(c.env...).run().stdout
			assert.Regexp(t, `(?m)^PROXY +ANNOTATION +ANSWER +READY +NATIVE +STOP$`, text)
			assert.Contains(t, text, c.stop)
		})
	}
	t.Run("nothing known", func(t *testing.T) {
		r := command(t, "probe").run()
		assert.Equal(t, 0, r.code)
		for _, m := range mesh.All() {
			assert.Equal(t, m.Alike == "", strings.Contains(r.stdout, m.Name), "%s: one of those that cannot be told apart will do", m.Name)
		}
		assert.Contains(t, r.stdout, "connection refused")
	})
	t.Run("with a command", func(t *testing.T) {
		r := command(t, "probe", "--", "true").run()
		assert.Equal(t, 64, r.code)
	})
}
