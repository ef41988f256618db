package wrapflags

import (
	"encoding/json"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// in returns an environment.
func in(env map[string]string) Lookup {
	return func(name string) (string, bool) {
		value, set := env[name]
		return value, set
	}
}

// All mistakes are reported, wherever they stand, and everything else is parsed.
func TestMistakes(t *testing.T) {
	for _, c := range []struct {
		args string
		env  map[string]string
		want string
	}{
		{"", nil, "no command given: want jobmesh-wrap [flags] -- COMMAND [ARG...]"},
		{"--", nil, "no command given: want jobmesh-wrap [flags] -- COMMAND [ARG...]"},
		{"/app", nil, `put -- before the command "/app"`},
		{"--quiet /app --bogus", nil, `put -- before the command "/app"`},
		{"--bogus -- /app", nil, "unknown flag --bogus"},
		{"--bogus=1 -x --mesh=x -- /app", nil, `unknown flag --bogus; unknown flag -x; --mesh: "x" is not one of auto, none, ` + strings.Join(mesh.Names(), ", ")},
		{"--bogus 1 --stop-when never -- /app", nil, "unknown flag --bogus"},
		{"--mesh", nil, "--mesh needs a value"},
		{"--mesh -- /app", nil, "--mesh needs a value"},
		{"--quiet --quiet -- /app", nil, "--quiet is given twice"},
		{"-- /app", map[string]string{"JOBMESH_READY_TIMEOUT": "1d", "JOBMESH_WAIT_FOR": "tcp://a:1\n\nx\n"},
			`JOBMESH_READY_TIMEOUT: "1d" is not a duration such as 500ms, 30s or 2m; JOBMESH_WAIT_FOR: "x" is not of the form tcp://HOST:PORT, tls://HOST:PORT or http://...`},
		{"--member=a --state-dir=/s -- /app", nil, "--state-dir, --member and --members go together: one of them is missing"},
		{"probe -- /app", nil, "probe takes flags only, and runs no command"},
		{"stop -- /app", nil, "stop takes flags only, and runs no command"},
		{"--mesh=istio,none -- /app", nil, "--mesh auto and --mesh none stand alone: istio,none contradicts itself"},
		{"--mesh=istio, -- /app", nil, `--mesh: "" is not one of auto, none, ` + strings.Join(mesh.Names(), ", ")},
		{"--native=a_b -- /app", nil, `--native: "a_b" is not the name of a mesh or of a container`},
		{"--restart-codes=42;88 -- /app", nil, `--restart-codes: "42;88" is not a list of exit codes such as 42,88 or !0,1`},
		{"--restart-codes=! -- /app", nil, `--restart-codes: "!" is not a list of exit codes such as 42,88 or !0,1`},
		{"--stop-process=a/b -- /app", nil, `--stop-process: "a/b" is not the name of a process, with the signal behind a = where it is not TERM`},
		{"--stop-process=a=WINCH -- /app", nil, `--stop-process: "a=WINCH": the signal is not one of TERM, INT, QUIT, HUP, KILL, USR1, USR2, ABRT, ALRM`},
		{"--wait-for=tls://db -- /app", nil, `--wait-for: "tls://db" has no port`},
		{"install", nil, "install needs one argument, the directory to copy to, unless --state-dir is given"},
		{"install --from /x --state-dir /s", nil, "install needs one argument, the directory to copy to, unless --state-dir is given"},
		{"install --state-dir= /x", nil, "install: --state-dir needs a folder, as in --state-dir /jobmesh-state"},
		{"install --from /x --from /y /z", nil, "install: --from is given twice"},
		{"install --quiet /z", nil, "install: unknown flag --quiet"},
		{"install --from / /x", nil, "install: --from needs one file, as in --from /linkerd-await"},
	} {
		call, err := ReadJobmeshWrap(strings.Fields(c.args), in(c.env))
		require.EqualError(t, err, c.want, c.args)
		require.Empty(t, call.Command, c.args)
	}
	call, err := ReadJobmeshWrap(strings.Fields("--log-format=json --bogus 1 --stop-when never -- /app"), in(nil))
	require.Error(t, err)
	require.Equal(t, JSON, call.Options.LogFormat)
	require.Equal(t, StopNever, call.Options.StopWhen)
}

func TestInstallIsRead(t *testing.T) {
	for args, want := range map[string][3]string{
		"install /d":                          {"/d"},
		"install --from /x /d":                {"/d", "/x"},
		"install --state-dir /s --from=/x /d": {"/d", "/x", "/s"},
		"install --state-dir=/s":              {"", "", "/s"},
	} {
		call, err := ReadJobmeshWrap(strings.Fields(args), in(nil))
		require.NoError(t, err, args)
		require.Equal(t, want, [3]string{call.Dir, call.From, call.Options.StateDir}, args)
	}
	call, err := ReadJobmeshWrap([]string{"install"}, in(map[string]string{"JOBMESH_STATE_DIR": "/s"}))
	require.NoError(t, err)
	require.Equal(t, "/s", call.Options.StateDir)
}

// A setting with several values takes them in one flag, in the variable, and by repeating the
// flag.
func TestSeveralValues(t *testing.T) {
	for _, c := range []struct {
		args, meshes, native string
		env                  map[string]string
	}{
		{args: "", meshes: "auto"},
		{args: "--mesh=istio,cloud-sql-proxy --mesh istio", meshes: "istio cloud-sql-proxy"},
		{args: "--native istio --native=a,b", meshes: "auto", native: "istio a b"},
		{env: map[string]string{"JOBMESH_MESH": "dapr, istio\nkuma", "JOBMESH_NATIVE": "x"}, meshes: "dapr istio kuma", native: "x"},
		{args: "--mesh=none", env: map[string]string{"JOBMESH_MESH": "dapr"}, meshes: "none"},
	} {
		call, err := ReadJobmeshWrap(append(strings.Fields(c.args), "--", "x"), in(c.env))
		require.NoError(t, err, c.args)
		require.Equal(t, strings.Fields(c.meshes), call.Options.Meshes, c.args)
		require.Equal(t, strings.Fields(c.native), append([]string{}, call.Options.Native...), c.args)
	}
}

func TestCodes(t *testing.T) {
	for text, has := range map[string][]bool{ // 0, 1, 42, 137
		"42,88":   {false, false, true, false},
		"!0,1":    {false, false, true, true},
		" 0 , 42": {true, false, true, false},
	} {
		codes, err := parseCodes(text)
		require.NoError(t, err)
		require.Equal(t, has, []bool{codes.Has(0), codes.Has(1), codes.Has(42), codes.Has(137)}, text)
	}
	require.False(t, Codes{}.Has(0))
}

func TestMisspelt(t *testing.T) {
	require.Equal(t, []Misspelling{
		{"JOBMESH_REDY_TIMEOUT", "JOBMESH_READY_TIMEOUT"}, {"JOBMESH_POD_LINKRED", "JOBMESH_POD_LINKERD"},
		{"JOBMESH_POD_KUMA_NATIV", "JOBMESH_POD_KUMA_NATIVE"}, {"JOBMESH_QUITE", "JOBMESH_QUIET"},
	}, Misspelt([]string{
		"JOBMESH_REDY_TIMEOUT", "JOBMESH_READY_TIMEOUT", "JOBMESH_POD_LINKRED", "JOBMESH_POD_DAPR_NATIVE", "JOBMESH_POD_KUMA_NATIVE", "JOBMESH_POD_KUMA_NATIV", "JOBMESH_POD_LINKERD_NATIVE_BETA", "JOBMESH_QUITE",
		"READY_TIMEOT", "JOBMESH_", // Kubernetes sets these for a Service named jobmesh:
		"JOBMESH_SERVICE_HOST", "JOBMESH_SERVICE_PORT", "JOBMESH_SERVICE_PORT_HTTP", "JOBMESH_PORT", "JOBMESH_PORT_80_TCP", "JOBMESH_PORT_80_TCP_PROTO", "JOBMESH_PORT_80_TCP_ADDR",
	}))
}

func TestProcesses(t *testing.T) {
	for text, want := range map[string][2]string{
		"envoy": {"envoy"}, "pgbouncer=INT": {"pgbouncer", "INT"}, "a=b=SIGUSR1": {"a=b", "USR1"},
	} {
		name, signal, err := parseProcess(text)
		require.NoError(t, err)
		require.Equal(t, want, [2]string{name, signal}, text)
	}
	require.Equal(t, 2, SignalNumber("INT"))
	require.Equal(t, 15, SignalNumber(""))
}

// An unknown value is not refused, and hides no mistake.
func TestWhatIsNotKnown(t *testing.T) {
	for _, c := range []struct {
		args    string
		env     map[string]string
		unknown []string
		open    bool
		command string
		err     string
	}{
		{args: "--ready-timeout=? -- /app ?", unknown: []string{"ready-timeout"}, command: "/app ?"},
		{args: "--mesh ? --stop=? -- /app", unknown: []string{"mesh", "stop"}, command: "/app"},
		{args: "-- /app", env: map[string]string{"JOBMESH_READY_TIMEOUT": "\x00", "JOBMESH_WAIT_FOR": "a\n\x00"}, unknown: []string{"ready-timeout", "wait-for"}, command: "/app"},
		{args: "--state-dir=/s --members=2 -- /app", env: map[string]string{"JOBMESH_MEMBER": "\x00"}, unknown: []string{"member"}, command: "/app"},
		{args: "--mesh=none -- /app", env: map[string]string{"JOBMESH_STOP": "\x00"}, unknown: []string{"stop"}, command: "/app"},
		{args: "--mesh=? --ready-timeout=x -- /app", unknown: []string{"mesh"}, err: `--ready-timeout: "x" is not a duration such as 500ms, 30s or 2m`},
		{args: "? -- /app", open: true, command: "/app"},
		{args: "? linkerd --bogus -- /app", open: true, command: "/app"},
		{args: "?", open: true},
		{args: "install ?", open: true},
	} {
		call, err := ReadJobmeshWrap(strings.Fields(strings.ReplaceAll(c.args, "?", "\x00")), in(c.env))
		if c.err != "" {
			require.EqualError(t, err, c.err, c.args)
			continue
		}
		require.NoError(t, err, c.args)
		require.Equal(t, c.unknown, call.Options.Unknown, c.args)
		require.Equal(t, c.open, call.Open, c.args)
		require.Equal(t, strings.Fields(strings.ReplaceAll(c.command, "?", "\x00")), append([]string{}, call.Command...), c.args)
	}
}

func FuzzReadJobmeshWrap(f *testing.F) {
	f.Add("--mesh\nlinkerd\n--\ntrue", "fail")
	f.Add("--wait-for\n\x00\n\x00\n--bogus\nx\n--\ntrue", "\x00")
	f.Fuzz(func(t *testing.T, joined, value string) {
		args := strings.Split(joined, "\n")
		variable := settings[len(joined)%len(settings)].Variable()
		call, err := ReadJobmeshWrap(args, in(map[string]string{variable: value}))
		if err == nil && len(call.Command) > 0 {
			assert.Equal(t, call.Command, args[len(args)-len(call.Command):], "the command is the end of the arguments, untouched")
		}
		assert.False(t, call.Open && err != nil)
		assert.False(t, call.Open && !strings.Contains(joined, "\x00"))
	})
}

// The chart accepts no value that the wrapper refuses, except where it cannot check the value:
// whether a URL names a host of the pod.
func TestFormsAreNoWiderThanTheSettings(t *testing.T) {
	texts := []string{
		"0", "1", "5s", "1m30s", "1.5h", "0s", "500ms", "1us", "-1s", "+1s", "1d", "", "s", "1h2", "2m ", "none", "nonesuch",
		"http://127.0.0.1:1/", "envoy=INT", "envoy=SIGUSR1", "tls://db:1", "POST http://127.0.0.1:1/", "post http://127.0.0.1:1/", "a/b", "envoy", "tcp://db:5432", "udp://db:1", "db:5432",
		"http://db:80/", "https://db/x", "fail", "run", "always", "Fail", "text", "json",
	}
	for _, s := range Settings() {
		if s.Chart.Form.Pattern == "" {
			continue
		}
		form, taken := regexp.MustCompile(s.Chart.Form.Pattern), 0
		for _, text := range texts {
			if !form.MatchString(text) {
				continue
			}
			if err := s.set(&Options{}, text); err != nil {
				require.Regexp(t, `host|http://`, err.Error(), "%s: %q", s.Name, text)
				continue
			}
			taken++
		}
		require.NotZero(t, taken, s.Name)
		require.False(t, form.MatchString(""), s.Name)
	}
}

func TestKeys(t *testing.T) {
	for _, s := range Settings() {
		require.Equal(t, "JOBMESH_"+strings.ToUpper(strings.ReplaceAll(s.Name, "-", "_")), s.Variable())
	}
	s, _ := settingNamed("on-ready-timeout")
	require.Equal(t, "onReadyTimeout", s.Key())
	require.Equal(t, "2m", Default("ready-timeout"))
}

// The file contains the answers of linkerd-await itself.
func TestLinkerdAwaitIsReadAsItReads(t *testing.T) {
	text, err := os.ReadFile("testdata/linkerd-await.txt")
	require.NoError(t, err)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	cases := 0
	for i := 0; i+1 < len(lines); i++ {
		if strings.HasPrefix(lines[i], "#") {
			continue
		}
		env := map[string]string{}
		words := lines[i]
		if rest, ok := strings.CutPrefix(words, awaitVerbose+"="); ok {
			quoted, err := strconv.QuotedPrefix(rest)
			require.NoError(t, err)
			env[awaitVerbose], _ = strconv.Unquote(quoted)
			words = strings.TrimPrefix(rest, quoted)
		}
		args := unquote(t, words)
		i++
		require.Equal(t, strings.TrimSpace(lines[i]), saysOf(args, env), "%s %s", env, args)
		cases++
	}
	require.Greater(t, cases, 200)
}

// unquote returns the words of a line, which are in quotes.
func unquote(t *testing.T, text string) (words []string) {
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		quoted, err := strconv.QuotedPrefix(text)
		require.NoError(t, err, text)
		word, err := strconv.Unquote(quoted)
		require.NoError(t, err)
		words, text = append(words, word), text[len(quoted):]
	}
	return words
}

func saysOf(args []string, env map[string]string) string {
	a, err := ReadLinkerdAwait(args, in(env))
	switch {
	case err != nil:
		return "refused"
	case a.Version:
		return "version"
	}
	says := []string{"ok"}
	if a.Port != 4191 {
		says = append(says, "port="+strconv.Itoa(int(a.Port)))
	}
	if a.Shutdown {
		says = append(says, "shutdown")
	}
	if a.Verbose {
		says = append(says, "verbose")
	}
	if strings.Contains(a.given, "t") {
		says = append(says, "timeout="+strconv.FormatInt(a.Timeout.Milliseconds(), 10)+"ms")
	}
	if !a.TimeoutFatal {
		says = append(says, "not-fatal")
	}
	says = append(says, "runs")
	for _, word := range a.Command {
		quoted, _ := json.Marshal(word) // letters stay as they are
		says = append(says, string(quoted))
	}
	return strings.Join(says, " ")
}

func TestLinkerdAwait(t *testing.T) {
	a, err := ReadLinkerdAwait([]string{"-h"}, in(nil))
	require.NoError(t, err)
	require.True(t, a.Help)
	_, err = ReadLinkerdAwait([]string{"-p", "0", "a"}, in(nil))
	require.EqualError(t, err, `linkerd-await: -p: "0" is not a port`)
	a, err = ReadLinkerdAwait([]string{"-S", "a"}, in(map[string]string{"LINKERD_AWAIT_DISABLED": "", "LINKERD_DISABLED": "no mesh"}))
	require.NoError(t, err)
	require.Equal(t, "no mesh", a.Disabled)

	a, err = ReadLinkerdAwait([]string{"-S", "-t", "\x00", "--timeout-fatal=\x00", "a", "\x00"}, in(map[string]string{"LINKERD_DISABLED": "\x00", "LINKERD_AWAIT_VERBOSE": "\x00"}))
	require.NoError(t, err)
	require.Equal(t, []string{"timeout", "timeout-fatal", "LINKERD_AWAIT_DISABLED"}, a.Unknown)
	require.True(t, a.Open, "behind the command there may be flags, too")
	a, err = ReadLinkerdAwait([]string{"-S", "--", "a", "\x00"}, in(nil))
	require.NoError(t, err)
	require.False(t, a.Open)
}

func TestAwaitDuration(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0": 0, "0s": 0, "1ms": time.Millisecond, " 12s ": 12 * time.Second, "10m": 10 * time.Minute, "10h": 10 * time.Hour,
		"10d": 240 * time.Hour, "+1s": time.Second, "99999999999d": math.MaxInt64, "18446744073709551615ms": math.MaxInt64,
	} {
		got, ok := awaitDuration(text)
		assert.True(t, ok, text)
		assert.Equal(t, want, got, text)
	}
	for _, text := range []string{"", " ", "x", "1", "0x", "123x", "++1s", "-1s", "1.5s", "9999999999999d", "18446744073709551616ms"} {
		_, ok := awaitDuration(text)
		assert.False(t, ok, text)
	}
}

func FuzzDurations(f *testing.F) {
	f.Add("12s")
	f.Add("1h2m")
	f.Fuzz(func(t *testing.T, text string) {
		if d, ok := awaitDuration(text); ok {
			assert.GreaterOrEqual(t, d, time.Duration(0))
		}
		var d time.Duration
		if duration(&d, text, 0) == nil {
			assert.GreaterOrEqual(t, d, time.Duration(0))
		}
	})
}

func TestScuttle(t *testing.T) {
	const admin, quit = "http://127.0.0.1:15000", "http://127.0.0.1:15020"
	for name, c := range map[string]struct {
		env     map[string]string
		when    string
		sends   string
		process string
		waits   string
		timeout time.Duration
		fatal   bool
		ignored int
		unknown []string
		err     string
	}{
		"no Envoy":                     {env: map[string]string{"ISTIO_QUIT_API": quit}, when: StopNever},
		"an empty one":                 {env: map[string]string{"ENVOY_ADMIN_API": "", "ISTIO_QUIT_API": quit}, when: StopNever},
		"generic endpoints alone":      {env: map[string]string{"GENERIC_QUIT_ENDPOINTS": quit}, when: StopNever},
		"both":                         {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit}, when: StopAlways, sends: quit + "/quitquitquit", waits: admin + "/server_info"},
		"localhost":                    {env: map[string]string{"ENVOY_ADMIN_API": "http://localhost:15000/", "ISTIO_QUIT_API": quit + "/"}, when: StopAlways, sends: quit + "/quitquitquit", waits: "http://localhost:15000/server_info"},
		"an Envoy elsewhere":           {env: map[string]string{"ENVOY_ADMIN_API": "http://envoy.other:15000", "ISTIO_QUIT_API": quit}, when: StopNever, waits: "http://envoy.other:15000/server_info"},
		"another address of this host": {env: map[string]string{"ENVOY_ADMIN_API": "http://127.0.0.2:15000", "ISTIO_QUIT_API": quit}, when: StopNever, waits: "http://127.0.0.2:15000/server_info"},
		"no quit API":                  {env: map[string]string{"ENVOY_ADMIN_API": admin}, when: StopAlways, process: "pilot-agent", waits: admin + "/server_info"},
		"generic endpoints first":      {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "GENERIC_QUIT_ENDPOINTS": " http://127.0.0.1:9/x , "}, when: StopAlways, sends: "http://127.0.0.1:9/x " + quit + "/quitquitquit", waits: admin + "/server_info"},
		"never":                        {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "NEVER_KILL_ISTIO": "true"}, when: StopNever, sends: quit + "/quitquitquit", waits: admin + "/server_info"},
		"never, in other words":        {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "NEVER_KILL_ISTIO": "1", "NEVER_KILL_ISTIO_ON_FAILURE": "TRUE"}, when: StopAlways, sends: quit + "/quitquitquit", waits: admin + "/server_info", ignored: 2},
		"on failure":                   {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "NEVER_KILL_ISTIO_ON_FAILURE": "true"}, when: StopSuccess, sends: quit + "/quitquitquit", waits: admin + "/server_info"},
		"without waiting":              {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "START_WITHOUT_ENVOY": "true"}, when: StopAlways, sends: quit + "/quitquitquit"},
		"a limit":                      {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "WAIT_FOR_ENVOY_TIMEOUT": "5s"}, when: StopAlways, sends: quit + "/quitquitquit", waits: admin + "/server_info", timeout: 5 * time.Second},
		"a fatal limit":                {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "WAIT_FOR_ENVOY_TIMEOUT": "5s", "QUIT_WITHOUT_ENVOY_TIMEOUT": "1m"}, when: StopAlways, sends: quit + "/quitquitquit", waits: admin + "/server_info", timeout: time.Minute, fatal: true},
		"a limit in other words":       {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": quit, "WAIT_FOR_ENVOY_TIMEOUT": "soon"}, when: StopAlways, sends: quit + "/quitquitquit", waits: admin + "/server_info", ignored: 1},
		"no URL":                       {env: map[string]string{"ENVOY_ADMIN_API": "127.0.0.1:15000"}, err: `ENVOY_ADMIN_API: "127.0.0.1:15000/server_info" does not start with http://`},
		"a quit API elsewhere":         {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": "http://istio:15020"}, err: `ISTIO_QUIT_API: "http://istio:15020/quitquitquit" needs localhost or an IP address as its host`},
		"not known":                    {env: map[string]string{"ENVOY_ADMIN_API": "\x00"}, when: StopNever, unknown: []string{"ENVOY_ADMIN_API"}},
		"some not known": {env: map[string]string{"ENVOY_ADMIN_API": admin, "ISTIO_QUIT_API": "\x00", "NEVER_KILL_ISTIO": "\x00", "QUIT_WITHOUT_ENVOY_TIMEOUT": "\x00"}, when: StopAlways, waits: admin + "/server_info",
			unknown: []string{"QUIT_WITHOUT_ENVOY_TIMEOUT", "NEVER_KILL_ISTIO", "ISTIO_QUIT_API"}},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := ReadScuttle([]string{"--", "a", "--"}, in(c.env))
			if c.err != "" {
				require.EqualError(t, err, c.err)
				return
			}
			require.NoError(t, err)
			require.Equal(t, []string{"a", "--"}, s.Command)
			var sends []string
			for _, r := range s.Stop {
				require.Equal(t, "POST", r.Method)
				sends = append(sends, r.URL.Text)
			}
			waits := ""
			if s.Envoy != nil {
				waits = s.Envoy.Text
			}
			require.Equal(t, c.when, s.StopWhen)
			require.Equal(t, c.sends, strings.Join(sends, " "))
			require.Equal(t, c.process, s.StopProcess)
			require.Equal(t, c.waits, waits)
			require.Equal(t, c.timeout, s.Timeout)
			require.Equal(t, c.fatal, s.Fatal)
			require.Len(t, s.Ignored, c.ignored)
			require.Equal(t, c.unknown, s.Unknown)
		})
	}
	s, err := ReadScuttle([]string{"--"}, in(map[string]string{"ENVOY_ADMIN_API": "x"}))
	require.NoError(t, err, "with nothing to run, nothing is wrong")
	require.Empty(t, s.Command)
}

func TestEnvoyPreflight(t *testing.T) {
	const admin = "http://127.0.0.1:9901"
	for name, c := range map[string]struct {
		env  map[string]string
		want Preflight
	}{
		"nothing":             {nil, Preflight{StopWhen: StopNever, Stop: "/quitquitquit"}},
		"a kill API alone":    {map[string]string{"ENVOY_KILL_API": admin + "/quitquitquit"}, Preflight{StopWhen: StopNever, Stop: admin + "/quitquitquit"}},
		"an Envoy":            {map[string]string{"ENVOY_ADMIN_API": admin}, Preflight{Waits: true, StopWhen: StopSuccess, Stop: admin + "/quitquitquit"}},
		"an empty one":        {map[string]string{"ENVOY_ADMIN_API": ""}, Preflight{Waits: true, StopWhen: StopNever, Stop: "/quitquitquit"}},
		"an Envoy elsewhere":  {map[string]string{"ENVOY_ADMIN_API": "http://envoy:9901", "ALWAYS_KILL_ENVOY": "true"}, Preflight{Waits: true, StopWhen: StopNever, Stop: "http://envoy:9901/quitquitquit"}},
		"always":              {map[string]string{"ENVOY_ADMIN_API": admin, "ALWAYS_KILL_ENVOY": "true"}, Preflight{Waits: true, StopWhen: StopAlways, Stop: admin + "/quitquitquit"}},
		"always, other words": {map[string]string{"ENVOY_ADMIN_API": admin, "ALWAYS_KILL_ENVOY": "1"}, Preflight{Waits: true, StopWhen: StopSuccess, Stop: admin + "/quitquitquit"}},
		"never":               {map[string]string{"ENVOY_ADMIN_API": admin, "NEVER_KILL_ENVOY": "true", "ALWAYS_KILL_ENVOY": "true"}, Preflight{Waits: true, StopWhen: StopNever, Stop: admin + "/quitquitquit"}},
		"without waiting":     {map[string]string{"ENVOY_ADMIN_API": admin, "START_WITHOUT_ENVOY": "true", "ENVOY_KILL_API": ""}, Preflight{StopWhen: StopSuccess}},
		"not known":           {map[string]string{"ENVOY_ADMIN_API": "\x00", "ALWAYS_KILL_ENVOY": "\x00"}, Preflight{Waits: true, StopWhen: StopNever, Stop: "\x00/quitquitquit", Unknown: []string{"ENVOY_ADMIN_API", "ALWAYS_KILL_ENVOY"}}},
	} {
		c.want.Command = []string{"a"}
		require.Equal(t, c.want, ReadEnvoyPreflight([]string{"a"}, in(c.env)), name)
	}
}
