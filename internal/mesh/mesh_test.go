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
		assert.Equal(t, want, istio.Native(status), status)
	}
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
