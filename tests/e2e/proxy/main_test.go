package main

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestAdminContract checks the admin contract request by request. Requests come from this machine unless from is set.
func TestAdminContract(t *testing.T) {
	const elsewhere = "198.51.100.7:40000"
	type question struct {
		method, path, from string
		port               int
	}
	for name, test := range map[string]struct {
		mesh     string
		env      string // value of LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED
		notReady bool
		ask      question
		status   int
		body     string
		stops    bool
	}{
		"linkerd is not ready at first": {
			mesh: "linkerd", notReady: true, ask: question{method: "GET", path: "/ready", port: 4191}, status: 503,
		},
		"linkerd is ready": {
			mesh: "linkerd", ask: question{method: "GET", path: "/ready", port: 4191}, status: 200, body: "ready\n",
		},
		"linkerd is alive before it is ready": {
			mesh: "linkerd", notReady: true, ask: question{method: "GET", path: "/live", port: 4191}, status: 200, body: "live\n",
		},
		"linkerd stops": {
			mesh: "linkerd", env: "true", ask: question{method: "POST", path: "/shutdown", port: 4191},
			status: 200, body: "shutdown\n", stops: true,
		},
		"linkerd has the stop turned off by default": {
			mesh: "linkerd", ask: question{method: "POST", path: "/shutdown", port: 4191},
			status: 404, body: "shutdown endpoint is not enabled\n",
		},
		"linkerd wants a POST": {
			mesh: "linkerd", env: "true", ask: question{method: "GET", path: "/shutdown", port: 4191}, status: 405,
		},
		"linkerd obeys its own pod only": {
			mesh: "linkerd", env: "true", ask: question{method: "POST", path: "/shutdown", port: 4191, from: elsewhere}, status: 403,
		},
		"linkerd tells its environment": {
			mesh: "linkerd", env: "true", ask: question{method: "GET", path: "/env.json?" + linkerdShutdown, port: 4191},
			status: 200, body: `{"` + linkerdShutdown + `":"true"}` + "\n",
		},
		"linkerd tells what is not set": {
			mesh: "linkerd", ask: question{method: "GET", path: "/env.json?NOT_SET", port: 4191},
			status: 200, body: `{"NOT_SET":null}` + "\n",
		},
		"istio's Envoy is not ready at first": {
			mesh: "istio", notReady: true, ask: question{method: "GET", path: "/healthz/ready", port: 15021}, status: 503,
		},
		"istio's Envoy is ready": {
			mesh: "istio", ask: question{method: "GET", path: "/healthz/ready", port: 15021}, status: 200, body: "ready\n",
		},
		"istio's agent is ready": {
			mesh: "istio", ask: question{method: "GET", path: "/healthz/ready", port: 15020}, status: 200, body: "ready\n",
		},
		"istio stops": {
			mesh: "istio", ask: question{method: "POST", path: "/quitquitquit", port: 15020}, status: 200, body: "OK", stops: true,
		},
		"istio wants a POST": {
			mesh: "istio", ask: question{method: "GET", path: "/quitquitquit", port: 15020}, status: 405,
		},
		"istio obeys its own pod only": {
			mesh: "istio", ask: question{method: "POST", path: "/quitquitquit", port: 15020, from: elsewhere}, status: 403,
		},
		"kuma's reporter is ready at once": {
			mesh: "kuma", notReady: true, ask: question{method: "GET", path: "/ready", port: 9902}, status: 200, body: "READY",
		},
		"kuma's Envoy is not": {
			mesh: "kuma", notReady: true, ask: question{method: "GET", path: "/ready", port: 9901}, status: 503,
		},
		"kuma stops": {
			mesh: "kuma", ask: question{method: "POST", path: "/quitquitquit", port: 9901}, status: 200, body: "OK\n", stops: true,
		},
		"consul is not ready at first": {
			mesh: "consul", notReady: true, ask: question{method: "GET", path: "/ready", port: 19000}, status: 503,
		},
		"consul stops": {
			mesh: "consul", ask: question{method: "POST", path: "/graceful_shutdown", port: 20600}, status: 200, stops: true,
		},
		"consul obeys a GET too": {
			mesh: "consul", ask: question{method: "GET", path: "/graceful_shutdown", port: 20600}, status: 200, stops: true,
		},
		"consul does not stop before it is ready": {
			mesh: "consul", notReady: true, ask: question{method: "POST", path: "/graceful_shutdown", port: 20600}, status: 200,
		},
		"istio's Envoy is not the one to stop": {
			mesh: "istio", ask: question{method: "POST", path: "/quitquitquit", port: 15021}, status: 404,
		},
	} {
		t.Run(name, func(t *testing.T) {
			if test.env != "" {
				t.Setenv(linkerdShutdown, test.env)
			}
			stopped := false
			a := admin{stop: func() { stopped = true }}
			if test.notReady {
				a.readyAt = time.Now().Add(time.Hour)
			}
			handler := servers[test.mesh](a)[test.ask.port]
			require.NotNil(t, handler, "port %d", test.ask.port)
			request := httptest.NewRequest(test.ask.method, test.ask.path, nil)
			request.RemoteAddr = "127.0.0.1:40000"
			if test.ask.from != "" {
				request.RemoteAddr = test.ask.from
			}
			answer := httptest.NewRecorder()
			handler.ServeHTTP(answer, request)

			assert.Equal(t, test.status, answer.Code)
			assert.Equal(t, test.stops, stopped)
			if test.body != "" {
				assert.Equal(t, test.body, answer.Body.String())
			}
		})
	}
}

// The program serves on real ports until it is asked to stop, and then ends without an error.
func TestRunEndsWhenAskedTo(t *testing.T) {
	const address = "127.15.20.1" // a loopback address that no real proxy uses
	ended := make(chan error, 1)
	go func() { ended <- run(address, "istio", 0) }()
	require.Eventually(t, func() bool {
		response, err := http.Get("http://" + address + ":15021/healthz/ready")
		if err != nil {
			return false
		}
		defer response.Body.Close()
		return response.StatusCode == http.StatusOK
	}, time.Minute, 10*time.Millisecond)

	response, err := http.Post("http://"+address+":15020/quitquitquit", "", nil)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	assert.Equal(t, "OK", string(body))
	select {
	case err := <-ended:
		assert.NoError(t, err)
	case <-time.After(time.Minute):
		t.Fatal("it is still there")
	}
}

func TestUnknownMesh(t *testing.T) {
	assert.EqualError(t, run("127.15.20.1", "nobody", 0), "-mesh nobody: not known")
}
