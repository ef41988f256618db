package mesh

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestVariable(t *testing.T) {
	linkerd, ok := ByName("linkerd")
	require.True(t, ok)
	assert.Equal(t, "JOBMESH_POD_LINKERD", linkerd.Variable())
	_, ok = ByName("linkrd")
	assert.False(t, ok)
	envoy, _ := ByName("envoy")
	assert.Empty(t, envoy.Variable(), "nobody injects it")
}

func TestInjected(t *testing.T) {
	assert.False(t, Injected(""))
	assert.False(t, Injected("false"))
	assert.True(t, Injected("true"))
	assert.True(t, Injected("stable-2.14.10"))
}

func TestIstioNative(t *testing.T) {
	istio, _ := ByName("istio")
	for status, want := range map[string]bool{
		// As the injector writes it, classic and native.
		`{"initContainers":["istio-init"],"containers":["istio-proxy"],"volumes":["workload-socket"],"imagePullSecrets":null,"revision":"default"}`: false,
		`{"initContainers":["istio-init","istio-proxy"],"containers":null,"volumes":["workload-socket"],"revision":"default"}`:                      true,
		`{"revision":"a,b]}","x":{"initContainers":["istio-proxy"]},"initContainers":["istio-validation"]}`:                                         false,
		`{"x":[1,{"y":[]},"]"],"z":{},"initContainers":[null,3,"istio-proxy"]}`:                                                                     true,
		"{ \"a\" : true ,\n\t\"initContainers\" : [ \"istio-proxy\" ] }":                                                                            true,
		`{"a":"\"initContainers\":[\"istio-proxy\"]"}`:                                                                                              false,
		`{"initContainers":null}`:              false,
		`{"initContainers":[]}`:                false,
		`{"initContainers":"istio-proxy"}`:     false,
		`{"initContainers":["istio-proxy-x"]}`: false,
		`{"initContainers":["istio-proxy`:      false,
		`{"a":`:                                false,
		`[]`:                                   false,
		`injected`:                             false,
		``:                                     false,
	} {
		got := istio.Native(func(variable string) string {
			assert.Equal(t, "JOBMESH_POD_ISTIO", variable)
			return status
		})
		assert.Equal(t, want, got, status)
	}
}

func TestLinkerdNative(t *testing.T) {
	linkerd, _ := ByName("linkerd")
	for _, c := range []struct {
		stable, beta, alpha string
		want                bool
	}{
		{"", "", "", false},
		{"true", "", "", true},
		{"", "true", "", true},
		{"", "", "true", true},
		{"false", "true", "true", false},
		{"", "false", "true", false},
		{"enabled", "", "", false},
	} {
		values := map[string]string{
			"JOBMESH_POD_LINKERD_NATIVE": c.stable, "JOBMESH_POD_LINKERD_NATIVE_BETA": c.beta,
			"JOBMESH_POD_LINKERD_NATIVE_ALPHA": c.alpha, "JOBMESH_POD_LINKERD": "stable-2.14.10",
		}
		assert.Equal(t, c.want, linkerd.Native(func(v string) string { return values[v] }), "%+v", c)
	}
}

func TestLinkerdNativeByDefault(t *testing.T) {
	for version, want := range map[string]bool{
		"2.20.0": true, "2.21": true, "stable-2.14.10": false, "stable-2.20.1": true, "enterprise-2.19.3": false,
		"enterprise-2.20.0-1": true, "edge-26.6.1": true, "edge-26.5.9": false, "edge-27.1.1": true, "edge-24.2.4": false,
		"v2.20.0": true, "": false, "dev-undefined": false, "2.20.0-rc1": true, "git-0a1b2c3d": false,
	} {
		assert.Equal(t, want, LinkerdNativeByDefault(version), version)
	}
}

func TestLinkerdShutdownOff(t *testing.T) {
	for body, want := range map[string][2]bool{
		`{"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED":"true"}`:  {false, true},
		`{"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED":"false"}`: {true, true},
		`{"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED":null}`:    {true, true},
		`{}`:           {false, false},
		`not found`:    {false, false},
		`{"LINKERD2_P`: {false, false},
	} {
		off, known := LinkerdShutdownOff(body)
		assert.Equal(t, want, [2]bool{off, known}, body)
	}
}

func TestField(t *testing.T) {
	assert.Equal(t, "LIVE", Field(`{"version":"x","state":"LIVE","hot":{"state":"NO"}}`, "state"))
	assert.Empty(t, Field(`{"state":1}`, "state"))
}

// What encoding/json wrote is read the way encoding/json reads it.
func FuzzIstioNative(f *testing.F) {
	f.Add("istio-init", "istio-proxy", "x")
	f.Add(`"],`, "\\", "{")
	f.Fuzz(func(t *testing.T, first, second, other string) {
		status, err := json.Marshal(map[string]any{
			"containers": []string{other}, "initContainers": []string{first, second}, "a": map[string]any{other: []int{1}},
		})
		require.NoError(t, err)
		want := first == "istio-proxy" || second == "istio-proxy"
		assert.Equal(t, want, istioNative(string(status)), string(status))
		istioNative(first) // whatever it is: no panic, no endless loop
	})
}
