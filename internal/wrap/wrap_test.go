package wrap

import (
	"encoding/json"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/sock"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

func TestPollPause(t *testing.T) {
	for waited, want := range map[time.Duration]time.Duration{
		0:                       10 * time.Millisecond,
		9999 * time.Millisecond: 10 * time.Millisecond,
		10 * time.Second:        100 * time.Millisecond,
		59 * time.Second:        100 * time.Millisecond,
		time.Minute:             250 * time.Millisecond,
		time.Hour:               250 * time.Millisecond,
	} {
		assert.Equal(t, want, pollPause(waited), waited)
	}
}

func TestGonePause(t *testing.T) {
	var pauses []time.Duration
	for look := range 6 {
		pauses = append(pauses, gonePause(look)/time.Millisecond)
	}
	assert.Equal(t, []time.Duration{1, 2, 4, 8, 20, 20}, pauses)
}

func TestDecide(t *testing.T) {
	const native = `{"initContainers":["istio-proxy"]}`
	names := func(p plan) (names []string) {
		for _, x := range p.proxies {
			name := x.name
			if len(x.stop) == 0 {
				name += " unstopped"
			}
			names = append(names, name)
		}
		return names
	}
	for _, c := range []struct {
		about  string
		args   string
		env    environment
		file   map[string]string // annotations; nil: no file
		native string
		want   []string
		detect bool
		stops  bool
	}{
		{about: "none", args: "--mesh=none"},
		{about: "named", args: "--mesh=linkerd", want: []string{"linkerd"}, stops: true},
		{about: "named and native", args: "--mesh=istio", env: environment{"JOBMESH_POD_ISTIO=" + native}, want: []string{"istio unstopped"}},
		{about: "auto, nothing said", detect: true},
		{about: "auto, nothing said, own URLs", args: "--stop=POST~http://127.0.0.1:1/", want: []string{"proxy"}, stops: true},
		{about: "auto, no mesh", env: environment{"JOBMESH_POD_LINKERD=", "JOBMESH_POD_ISTIO=false"}},
		{about: "auto, no mesh, own URLs", args: "--stop=POST~http://127.0.0.1:1/", env: environment{"JOBMESH_POD_LINKERD="}},
		{about: "auto, linkerd", env: environment{"JOBMESH_POD_LINKERD=2.20.1", "JOBMESH_POD_ISTIO="}, want: []string{"linkerd"}, stops: true},
		{about: "auto, both", env: environment{"JOBMESH_POD_LINKERD=2.20.1", "JOBMESH_POD_ISTIO={}"}, want: []string{"linkerd", "istio"}, stops: true},
		{about: "auto, both, one native", env: environment{"JOBMESH_POD_LINKERD=2.20.1", "JOBMESH_POD_ISTIO=" + native}, want: []string{"linkerd", "istio unstopped"}, stops: true},
		{about: "auto, file, no mesh", file: map[string]string{"a": "b", "dapr.io/enabled": "false"}},
		{about: "auto, file, dapr", file: map[string]string{"dapr.io/enabled": "true"}, want: []string{"dapr"}, stops: true},
		{about: "auto, file, dapr native", file: map[string]string{"dapr.io/enabled": "true", "dapr.io/enable-native-sidecar": "true"}, want: []string{"dapr unstopped"}},
		{about: "auto, file, consul native", file: map[string]string{"consul.hashicorp.com/connect-inject-status": "injected", "consul.hashicorp.com/enable-consul-dataplane-as-sidecar": "true"}, want: []string{"consul unstopped"}},
		{about: "auto, file, istio native", file: map[string]string{"sidecar.istio.io/status": native}, want: []string{"istio unstopped"}},
		{about: "auto, variable against file", env: environment{"JOBMESH_POD_LINKERD_NATIVE=false"},
			file: map[string]string{"linkerd.io/proxy-version": "2.20.1", "config.linkerd.io/proxy-enable-native-sidecar": "true"}, want: []string{"linkerd"}, stops: true},
		{about: "auto, empty variable beside file", env: environment{"JOBMESH_POD_LINKERD="}, file: map[string]string{"linkerd.io/proxy-version": "2.20.1"}, want: []string{"linkerd"}, stops: true},
		{about: "auto, kuma, by its container", native: "kuma-sidecar", file: map[string]string{"kuma.io/sidecar-injected": "true"}, want: []string{"kuma unstopped"}},
		{about: "several", args: "--mesh=cloud-sql-proxy,istio", native: "istio", want: []string{"cloud-sql-proxy", "istio unstopped"}, stops: true},
		{about: "alike", args: "--mesh=alloydb-auth-proxy", native: "cloud-sql-proxy", want: []string{"alloydb-auth-proxy unstopped"}},
		{about: "never stopped", args: "--mesh=linkerd --stop-when=never", want: []string{"linkerd"}},
	} {
		t.Run(c.about, func(t *testing.T) {
			args := strings.Fields(c.args)
			for i := range args {
				args[i] = strings.ReplaceAll(args[i], "~", " ")
			}
			call, err := wrapflags.ReadJobmeshWrap(append(args, "--", "true"), c.env.lookup)
			require.NoError(t, err)
			opts := call.Options
			known := &pod{env: c.env, annotations: c.file}
			known.addNative(c.native)
			p, err := decide(&opts, known)
			require.NoError(t, err)
			assert.Equal(t, c.want, names(p))
			assert.Equal(t, c.detect, p.detect)
			assert.Equal(t, c.stops, p.stops(&opts))
		})
	}
}

// As the downward API writes them: sorted, and quoted as Go does it.
func TestParseAnnotations(t *testing.T) {
	assert.Equal(t, map[string]string{
		"a": "b", "sidecar.istio.io/status": `{"initContainers":["istio-proxy"]}`, "x/y": "two\nlines \u00e4 \t= \"", "empty": "",
	}, parseAnnotations(`a="b"
empty=""
sidecar.istio.io/status="{\"initContainers\":[\"istio-proxy\"]}"
x/y="two\nlines ä \t= \""
not quoted
bare=word
cut="off`))
	assert.NotNil(t, parseAnnotations(""), "no annotations are not no file")
}

func FuzzParseAnnotations(f *testing.F) {
	f.Add("a", "b\nc\"", "x")
	f.Fuzz(func(t *testing.T, name, value, noise string) {
		parseAnnotations(noise)
		if !strings.ContainsAny(name, "=\n") {
			assert.Equal(t, value, parseAnnotations(name + "=" + strconv.Quote(value))[name])
		}
	})
}

// Every row of the mesh table makes requests.
func TestMeshTableIsSound(t *testing.T) {
	for _, m := range mesh.All() {
		_, err := proxyOf(&m, &pod{})
		assert.NoError(t, err, m.Name)
	}
}

func TestJudgeStop(t *testing.T) {
	for status, want := range map[int]verdict{200: accepted, 204: accepted, 301: refused, 400: refused, 403: refused, 404: refused, 408: again, 429: again, 500: again, 503: again} {
		assert.Equal(t, want, judgeStop(status, nil), status)
	}
	assert.Equal(t, accepted, judgeStop(0, plainhttp.ErrNoReply))
	assert.Equal(t, again, judgeStop(0, sock.ErrTimeout))
}

func FuzzQuoteJSON(f *testing.F) {
	f.Add("a\"b\\c\x00\n\x7f\xff\u2028")
	f.Fuzz(func(t *testing.T, s string) {
		var got string
		require.NoError(t, json.Unmarshal([]byte(quoteJSON(s)), &got))
		assert.Equal(t, string([]rune(s)), got)
	})
}

func TestMilliseconds(t *testing.T) {
	assert.Equal(t, "12.034", milliseconds(12034567))
	assert.Equal(t, "0.001", milliseconds(1999))
	assert.Equal(t, "60000.000", milliseconds(time.Minute))
}

func TestShow(t *testing.T) {
	for d, want := range map[time.Duration]string{
		1234 * time.Microsecond:   "1.2ms",
		412300 * time.Microsecond: "412ms",
		12432 * time.Millisecond:  "12.4s",
		200 * time.Second:         "3m20s",
	} {
		assert.Equal(t, want, show(d))
	}
}

func TestProcessNames(t *testing.T) {
	assert.True(t, isNamed("envoy", "envoy\n", "/usr/bin/x\x00-c\x00"))
	assert.True(t, isNamed("pilot-agent", "main\n", "/usr/local/bin/pilot-agent\x00proxy\x00"))
	assert.True(t, isNamed("a-name-longer-than-comm", "a-name-longer-t\n", "./a-name-longer-than-comm\x00"))
	assert.False(t, isNamed("a-name-longer-t-and-more", "a-name-longer-t\n", ""))
	assert.False(t, isNamed("envoy", "envoy2\n", "/envoy/x\x00envoy\x00"))
	assert.True(t, isZombie("7 (sh) Z 1 7"))
	assert.True(t, isZombie("7 (a) Z (b) Z 1"))
	assert.False(t, isZombie("7 (x) Z) S 1 7"))
	assert.False(t, isZombie(""))
}

// A process may call itself anything.
func FuzzProcessNames(f *testing.F) {
	f.Add("7 (a) b) Z 1", "a")
	f.Fuzz(func(t *testing.T, text, comm string) {
		isZombie(text)
		isNamed(text, comm, text)
	})
}

func TestForwardedSignals(t *testing.T) {
	all := forwarded()
	assert.Len(t, all, 64-7)
	assert.Subset(t, all, []os.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGTSTP, syscall.SIGWINCH, syscall.Signal(34), syscall.Signal(64)})
	assert.NotContains(t, all, syscall.SIGURG)
	for _, s := range endSignals {
		assert.Contains(t, all, s)
	}
}
