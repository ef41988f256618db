package mesh

import (
	"encoding/json"
	"slices"
	"strconv"
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
		// These are statuses as the injector writes them, classic and native.
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
		got := istio.IsNative(func(annotation, variable string) string {
			if annotation == "" {
				assert.Equal(t, "JOBMESH_POD_ISTIO_NATIVE", variable)
				return ""
			}
			assert.Equal(t, "sidecar.istio.io/status JOBMESH_POD_ISTIO", annotation+" "+variable)
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
		{"enabled", "true", "", true}, // a value that is not a boolean counts as absent
		{"1", "", "", true},
	} {
		values := map[string]string{
			"JOBMESH_POD_LINKERD_NATIVE": c.stable, "JOBMESH_POD_LINKERD_NATIVE_BETA": c.beta,
			"JOBMESH_POD_LINKERD_NATIVE_ALPHA": c.alpha, "JOBMESH_POD_LINKERD": "stable-2.14.10",
		}
		assert.Equal(t, c.want, linkerd.IsNative(func(_, v string) string { return values[v] }), "%+v", c)
	}
}

// Each mesh is native by its own annotations: by the annotation itself, and by the variable of
// the same meaning.
func TestNativeWords(t *testing.T) {
	for _, c := range []struct {
		mesh, annotation, value string
		want                    bool
	}{
		{"dapr", "dapr.io/enable-native-sidecar", "true", true},
		{"dapr", "dapr.io/enable-native-sidecar", "Yes", true},
		{"dapr", "dapr.io/enable-native-sidecar", "false", false},
		{"dapr", "JOBMESH_POD_DAPR_NATIVE", "true", true},
		{"consul", "consul.hashicorp.com/enable-consul-dataplane-as-sidecar", "true", true},
		{"consul", "consul.hashicorp.com/enable-consul-dataplane-as-sidecar", "yes", false},
		{"consul", "JOBMESH_POD_CONSUL_NATIVE", "1", true},
		{"linkerd", "config.beta.linkerd.io/proxy-enable-native-sidecar", "true", true},
		{"istio", "sidecar.istio.io/nativeSidecar", "true", false}, // the annotation only asks for it
		{"istio", "JOBMESH_POD_ISTIO_NATIVE", "true", true},
		{"kuma", "JOBMESH_POD_KUMA_NATIVE", "true", true}, // Kuma has no annotation for that
		{"kuma", "JOBMESH_POD_KUMA_NATIVE", "no", false},
		{"envoy", "", "true", false},
	} {
		m, _ := ByName(c.mesh)
		got := m.IsNative(func(annotation, variable string) string {
			if c.annotation == annotation || c.annotation == variable {
				return c.value
			}
			return ""
		})
		assert.Equal(t, c.want, got, "%+v", c)
	}
}

func TestIs(t *testing.T) {
	istio, _ := ByName("istio")
	alloydb, _ := ByName("alloydb-auth-proxy")
	envoy, _ := ByName("envoy")
	assert.True(t, istio.Is("istio") && istio.Is("istio-proxy") && !istio.Is("linkerd"))
	assert.True(t, alloydb.Is("cloud-sql-proxy") && alloydb.Is("alloydb-auth-proxy"))
	assert.False(t, envoy.Is(""))
}

func TestNativeByDefault(t *testing.T) {
	linkerd, _ := ByName("linkerd")
	consul, _ := ByName("consul")
	assert.False(t, consul.NativeByDefault("99.0"), "it never is")
	for version, want := range map[string]bool{
		"2.20.0": true, "2.21": true, "stable-2.14.10": false, "stable-2.20.1": true, "enterprise-2.19.3": false,
		"enterprise-2.20.0-1": true, "edge-26.6.1": true, "edge-26.5.9": false, "edge-27.1.1": true, "edge-24.2.4": false,
		"v2.20.0": true, "": false, "dev-undefined": false, "2.20.0-rc1": true, "git-0a1b2c3d": false,
	} {
		assert.Equal(t, want, linkerd.NativeByDefault(version), version)
	}
}

func TestStopOff(t *testing.T) {
	linkerd, _ := ByName("linkerd")
	for body, want := range map[string][2]bool{
		`{"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED":"true"}`:  {false, true},
		`{"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED":"false"}`: {true, true},
		`{"LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED":null}`:    {true, true},
		`{}`:           {false, false},
		`not found`:    {false, false},
		`{"LINKERD2_P`: {false, false},
	} {
		off, known := StopOff(linkerd.StopSwitch, body)
		assert.Equal(t, want, [2]bool{off, known}, body)
	}
}

func TestParseVersion(t *testing.T) {
	for text, want := range map[string]Version{
		"2.19": {2, 19}, "v1.27.3": {1, 27}, "1.33.5-gke.1200": {1, 33}, "stable-2.14.10": {2, 14}, "1.29+": {1, 29},
		"enterprise-2.19.0": {2, 19}, "enterprise-2.20.0-1": {2, 20},
		"edge-26.6.1": {2, 20}, "edge-25.10.2": {2, 19}, "edge-24.11.8": {2, 17}, "edge-20.1.1": {2, 13},
	} {
		got, err := ParseVersion(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "2", "latest", "2.x", "-1.2", "0.0", "2.19beta", "edge-", "edge-26", "edge-x.1", "1.-2", "other-2.19"} {
		_, err := ParseVersion(text)
		require.ErrorContains(t, err, strconv.Quote(text)+" is not")
	}
	require.False(t, Version{}.AtLeast(0, 0))
	require.False(t, Version{}.Before(99, 0))
	require.Equal(t, "2.20", Version{2, 20}.String())
	require.Empty(t, Version{}.String())
}

func TestReadings(t *testing.T) {
	for _, c := range []struct {
		read             Reading
		value            string
		yes, known, well bool
	}{
		{GoBool, "true", true, true, true},
		{GoBool, "F", false, true, true},
		{GoBool, "yes", false, false, false},
		{Truthy, "On", true, true, true},
		{Truthy, "no", false, true, true},
		{Truthy, "enabled", false, true, false},
		{ButFalse, "false", false, true, true},
		{ButFalse, "False", true, true, false},
		{Words, "enabled", false, false, true},
		{Words, "true", false, false, false},
		{GoBool, "", false, false, false},
		{ButFalse, "", true, false, false},
		{Text, "anything", false, false, true},
	} {
		yes, known := c.read.Bool(c.value)
		w := Word{Read: c.read, Exact: []string{"enabled"}}
		assert.Equal(t, []bool{c.yes, c.known, c.well}, []bool{yes, known, w.Understood(c.value)}, "%d %s", c.read, c.value)
	}
}

// Every row has what its readers presume.
func TestTable(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range All() {
		t.Run(m.Name, func(t *testing.T) {
			require.False(t, seen[m.Name], "twice")
			seen[m.Name] = true
			require.NotEmpty(t, m.Title)
			require.NotEmpty(t, m.Checked)
			require.NotEmpty(t, m.Sources)
			for _, source := range m.Sources {
				require.Regexp(t, "^https://", source)
			}
			method, port, path := m.StopURL()
			require.Equal(t, "POST", method)
			require.Equal(t, m.Stop, "POST http://127.0.0.1:"+port+path)
			for url := range m.ReadyBody {
				require.Contains(t, m.Ready, url)
			}
			if m.Alike != "" {
				other, ok := ByName(m.Alike)
				require.True(t, ok)
				require.Equal(t, []any{other.Ready, other.ReadyBody, other.Stop}, []any{m.Ready, m.ReadyBody, m.Stop})
			}
			for _, port := range slices.Concat(m.Ports(), m.DeafPorts) {
				require.Regexp(t, "^[0-9]{4,5}$", port)
			}
			require.Equal(t, m.Inject.Key != "", len(m.Inject.Levels) > 0, "a word is read somewhere")
			if m.Annotation != "" {
				require.NotEmpty(t, m.Inject.Key, "somebody injects it")
				require.NotEmpty(t, m.Container)
			}
			for _, w := range m.AllWords() {
				require.True(t, w.Label || w.Annotation, w.Key)
				require.True(t, w.Read == Text || w.Other != "", w.Key)
			}
		})
	}
}

func TestField(t *testing.T) {
	assert.Equal(t, "LIVE", Field(`{"version":"x","state":"LIVE","hot":{"state":"NO"}}`, "state"))
	assert.Empty(t, Field(`{"state":1}`, "state"))
}

// The scanner reads what encoding/json wrote as encoding/json does.
func FuzzLists(f *testing.F) {
	f.Add("istio-init", "istio-proxy", "x")
	f.Add(`"],`, "\\", "{")
	f.Fuzz(func(t *testing.T, first, second, other string) {
		status, err := json.Marshal(map[string]any{
			"containers": []string{other}, "initContainers": []string{first, second}, "a": map[string]any{other: []int{1}},
		})
		require.NoError(t, err)
		want := first == "istio-proxy" || second == "istio-proxy"
		assert.Equal(t, want, lists(string(status), "initContainers", "istio-proxy"), string(status))
		lists(first, "initContainers", "istio-proxy") // any text neither panics nor loops without end
	})
}
