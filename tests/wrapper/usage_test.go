package wrapper

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/mesh"
)

// A bad value is a usage error at once, in a flag and in a variable.
func TestBadUsage(t *testing.T) {
	for name, c := range map[string]struct {
		args  []string
		env   string
		words string
	}{
		"no command":              {args: []string{"--mesh=none", "--"}, words: "no command given"},
		"nothing at all":          {words: "no command given"},
		"unknown flag":            {args: []string{"--redy-url=x", "--", "true"}, words: "unknown flag --redy-url"},
		"short flag":              {args: []string{"-q", "--", "true"}, words: "unknown flag -q"},
		"no dashes":               {args: []string{"true"}, words: `put -- before the command "true"`},
		"flag without value":      {args: []string{"--mesh", "--", "true"}, words: "--mesh needs a value"},
		"flag twice":              {args: []string{"--stop-when=never", "--stop-when=never", "--", "true"}, words: "--stop-when is given twice"},
		"unknown mesh":            {args: []string{"--mesh=linkrd", "--", "true"}, words: `--mesh: "linkrd" is not one of auto, none, ` + strings.Join(mesh.Names(), ", ")},
		"bad duration":            {args: []string{"--ready-timeout=abc", "--", "true"}, words: `--ready-timeout: "abc" is not a duration`},
		"number without unit":     {args: []string{"--stop-timeout=5", "--", "true"}, words: `--stop-timeout: "5" is not a duration`},
		"negative duration":       {args: []string{"--ready-timeout=-1s", "--", "true"}, words: `"-1s" is less than 0s`},
		"no time to stop":         {args: []string{"--stop-timeout=0", "--", "true"}, words: `"0" is less than 1ms`},
		"bad port":                {args: []string{"--ready-url=http://127.0.0.1:99999/", "--", "true"}, words: "needs a port from 1 to 65535"},
		"https":                   {args: []string{"--ready-url=https://127.0.0.1/", "--", "true"}, words: "does not start with http://"},
		"host name":               {args: []string{"--ready-url=http://example/", "--", "true"}, words: "needs localhost or an IP address as its host"},
		"stop without method":     {args: []string{"--stop=http://127.0.0.1:1/", "--", "true"}, words: "is not of the form 'METHOD URL'"},
		"header injection":        {args: []string{"--stop=POST http://127.0.0.1:1/\r\nX: y", "--", "true"}, words: "space or control character"},
		"bad choice":              {args: []string{"--stop-when=sometimes", "--", "true"}, words: `"sometimes" is not one of always, success, never`},
		"bad switch":              {args: []string{"--quiet=maybe", "--", "true"}, words: `--quiet: "maybe" is neither true nor false`},
		"contradiction":           {args: []string{"--mesh=none", "--stop=POST http://127.0.0.1:1/", "--", "true"}, words: "--mesh none contradicts"},
		"variable: bad duration":  {args: []string{"--", "true"}, env: "JOBMESH_READY_TIMEOUT=abc", words: `JOBMESH_READY_TIMEOUT: "abc" is not a duration`},
		"variable: unknown mesh":  {args: []string{"--", "true"}, env: "JOBMESH_MESH=x", words: `JOBMESH_MESH: "x" is not one of`},
		"variable: bad stop":      {args: []string{"--", "true"}, env: "JOBMESH_STOP=quit", words: `JOBMESH_STOP: "quit" is not of the form`},
		"two ways to stop":        {args: []string{"--stop=POST http://127.0.0.1:1/", "--stop-process=x", "--", "true"}, words: "--stop contradicts --stop-process"},
		"process with a path":     {args: []string{"--stop-process=/bin/x", "--", "true"}, words: "is not the name of a process"},
		"member alone":            {args: []string{"--member=a", "--", "true"}, words: "--state-dir, --member and --members go together"},
		"members: none":           {args: []string{"--members=0", "--", "true"}, words: `--members: "0" is not a number from 1 on`},
		"member with a path":      {args: []string{"--member=../x", "--", "true"}, words: "is not the name of a container"},
		"wait-for without scheme": {args: []string{"--wait-for=db:5432", "--", "true"}, words: "is not of the form tcp://HOST:PORT"},
		"wait-for without port":   {args: []string{"--wait-for=tcp://db", "--", "true"}, words: `"tcp://db" has no port`},
		"wait-for a path":         {args: []string{"--wait-for=tcp://host/path:80", "--", "true"}, words: "neither a name nor an IP address"},
		"wait-for a bad address":  {args: []string{"--wait-for=tcp://256.1.1.1:80", "--", "true"}, words: "neither a name nor an IP address"},
		"variable: bad wait-for":  {args: []string{"--", "true"}, env: "JOBMESH_WAIT_FOR=tcp://db:1\nudp://db:1", words: `JOBMESH_WAIT_FOR: "udp://db:1" is not of the form`},
		"install with a flag":     {args: []string{"install", "--help"}, words: "install: unknown flag --help"},
		"install without DIR":     {args: []string{"install"}, words: "install needs one argument"},
		"install from nothing":    {args: []string{"install", "--from"}, words: "--from needs one file"},
		"install from empty":      {args: []string{"install", "--from=", "/tmp"}, words: "--from needs one file"},
		"install from a folder":   {args: []string{"install", "--from", "/bin/", "/tmp"}, words: "--from needs one file"},
		"install from two":        {args: []string{"install", "--from=/a", "--from=/b", "/tmp"}, words: "--from is given twice"},
		"install from, no DIR":    {args: []string{"install", "--from", "/a"}, words: "install needs one argument"},
		"install --fromage":       {args: []string{"install", "--fromage", "/tmp"}, words: "install: unknown flag --fromage"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := command(t, c.args...).env(c.env).run()
			assert.Equal(t, 64, r.code)
			assert.Empty(t, r.stdout)
			assert.Contains(t, r.stderr, "jobmesh-wrap: error: ")
			assert.Contains(t, r.stderr, c.words)
			assert.Equal(t, 1, strings.Count(r.stderr, "error: "))
		})
	}
}

// A command that never runs must not leave the proxy running: what the annotations name is
// asked to stop, with the flags that could be parsed.
func TestUsageErrorStopsWhatTheAnnotationsName(t *testing.T) {
	const linkerd = "JOBMESH_POD_LINKERD=2.19.0"
	for name, c := range map[string]struct {
		args  []string
		env   []string
		stops int
	}{
		"unknown flag":                           {args: []string{"--bogus", "--", "true"}, env: []string{linkerd}, stops: 1},
		"no --":                                  {args: []string{"true"}, env: []string{linkerd}, stops: 1},
		"no command":                             {env: []string{linkerd}, stops: 1},
		"a bad mesh":                             {args: []string{"--mesh=linkrd", "--", "true"}, env: []string{linkerd}, stops: 1},
		"a bad variable":                         {args: []string{"--", "true"}, env: []string{linkerd, "JOBMESH_READY_TIMEOUT=x"}, stops: 1},
		"behind the mistake: never":              {args: []string{"--bogus", "x", "--stop-when=never", "--", "true"}, env: []string{linkerd}},
		"after success alone":                    {args: []string{"--bogus", "--stop-when=success", "--", "true"}, env: []string{linkerd}},
		"no mesh":                                {args: []string{"--bogus", "--mesh=none", "--", "true"}, env: []string{linkerd}},
		"a native sidecar":                       {args: []string{"--bogus", "--", "true"}, env: []string{linkerd, "JOBMESH_POD_LINKERD_NATIVE=true"}},
		"no annotation":                          {args: []string{"--bogus", "--", "true"}, env: []string{"JOBMESH_POD_LINKERD="}},
		"nothing said":                           {args: []string{"--bogus", "--", "true"}},
		"not the command's business":             {args: []string{"probe", "--bogus"}, env: []string{linkerd}},
		"one of several, which one is not known": {args: []string{"--member=a", "--", "true"}, env: []string{linkerd}},
	} {
		t.Run(name, func(t *testing.T) {
			p := startProxy(t, "127.0.0.1:4191", 0)
			r := command(t, c.args...).env(c.env...).run()
			assert.Equal(t, 64, r.code)
			assert.Contains(t, r.stderr, "jobmesh-wrap: error: ")
			assert.Equal(t, c.stops, p.stops(), r.stderr)
		})
	}
	t.Run("one of several", func(t *testing.T) {
		p := startProxy(t, "127.0.0.1:4191", 0)
		dir := t.TempDir()
		member := func(name string, args ...string) *process {
			return command(t, append([]string{"--state-dir=" + dir, "--members=2", "--member=" + name}, args...)...).env(linkerd)
		}
		assert.Equal(t, 64, member("a", "--bogus", "--", "true").run().code)
		assert.Zero(t, p.stops(), "the other one needs it")
		assert.Equal(t, 3, member("b", "--", "sh", "-c", "exit 3").run().code)
		assert.Equal(t, 1, p.stops())
	})
}

func TestAllMistakesAreToldAtOnceInTheFormAskedFor(t *testing.T) {
	r := command(t, "--log-format=json", "--mesh=x", "--stop-when=y", "--ready-timeout=z", "--", "true").run()
	assert.Equal(t, 64, r.code)
	var line struct{ Level, Event, Message string }
	require.NoError(t, json.Unmarshal([]byte(r.stderr), &line), r.stderr)
	assert.Equal(t, "error", line.Level)
	assert.Equal(t, "usage", line.Event)
	for _, flag := range []string{"--mesh", "--stop-when", "--ready-timeout"} {
		assert.Contains(t, line.Message, flag)
	}
	r = command(t, "--nope").env("JOBMESH_LOG_FORMAT=json").run()
	assert.Equal(t, 64, r.code)
	require.NoError(t, json.Unmarshal([]byte(r.stderr), &line), r.stderr)
}

func TestFlagWinsOverVariableAndEmptyVariableIsUnset(t *testing.T) {
	r := command(t, "--mesh=none", "--", "true").env("JOBMESH_MESH=linkerd").run()
	assert.Equal(t, 0, r.code, r.stderr)
	r = command(t, "--mesh=none", "--", "true").env("JOBMESH_READY_TIMEOUT=", "JOBMESH_STOP=", "JOBMESH_QUIET=").run()
	assert.Equal(t, 0, r.code, r.stderr)
}

func TestVariablesDoWhatFlagsDo(t *testing.T) {
	p, second := startProxy(t, "", 0), startProxy(t, "", 0)
	r := command(t, "--", "sh", "-c", "exit 3").env(
		"JOBMESH_READY_URL=http://"+p.addr+"/ready",
		"JOBMESH_STOP=POST http://"+p.addr+"/shutdown\nPOST http://"+second.addr+"/quitquitquit\n",
		"JOBMESH_QUIET=true").run()
	assert.Equal(t, 3, r.code)
	assert.Empty(t, r.stderr)
	assert.Equal(t, 1, p.stops())
	assert.Equal(t, 1, second.stops())
}

func TestHelpAndVersion(t *testing.T) {
	r := command(t, "version").run()
	assert.Equal(t, 0, r.code)
	assert.Equal(t, "jobmesh-wrap 1.2.3\n", r.stdout)

	for _, flag := range []string{"--help", "-h"} {
		r = command(t, flag).run()
		assert.Equal(t, 0, r.code)
		assert.Contains(t, r.stdout, "jobmesh-wrap install [--state-dir STATE] [DIR]")
		assert.Contains(t, r.stdout, "--ready-timeout DURATION  (JOBMESH_READY_TIMEOUT)")
		assert.Contains(t, r.stdout, "(default 2m)")
	}
}

func TestJSONLogIsOneObjectALineWithDurationsAndNoSecrets(t *testing.T) {
	p := startProxy(t, "", 50*1e6)
	r := wrapped(t, p, []string{"--log-format=json"}, "sh", "-c", "sleep 0.05; exit 3", "hunter2").env("TOKEN=hunter3").run()
	assert.Equal(t, 3, r.code)
	durations := map[string]float64{}
	lines := bufio.NewScanner(strings.NewReader(r.stderr))
	for lines.Scan() {
		var line struct {
			Time, Level, Event, Message string
			Duration                    float64 `json:"duration_ms"`
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &line), lines.Text())
		assert.NotEmpty(t, line.Time)
		assert.Equal(t, "info", line.Level)
		assert.NotEmpty(t, line.Message)
		durations[line.Event] = line.Duration
	}
	assert.Greater(t, durations["command-ended"], 50.0)
	assert.Positive(t, durations["proxy-ready"])
	assert.Positive(t, durations["proxy-stopped"])
	assert.NotContains(t, r.stderr, "hunter")
}

func TestQuietLeavesErrors(t *testing.T) {
	p := startProxy(t, "", 0)
	r := wrapped(t, p, []string{"--quiet"}, "/no/such/command").run()
	assert.Equal(t, 127, r.code)
	assert.Equal(t, "jobmesh-wrap: error: command \"/no/such/command\" not found\n", r.stderr)
}

func TestClosedStderrIsNoReasonToFail(t *testing.T) {
	p := startProxy(t, "", 0)
	w := wrapped(t, p, nil, "sh", "-c", "exit 4")
	reader, writer, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, reader.Close())
	w.cmd.Stderr = writer
	r := w.run()
	require.NoError(t, writer.Close())
	assert.Equal(t, 4, r.code)
	assert.Equal(t, 1, p.stops())
}

func TestInstall(t *testing.T) {
	dir := t.TempDir()
	// This works under any umask, and can be repeated.
	for _, umask := range []string{"077", "000"} {
		install := exec.Command("sh", "-c", "umask "+umask+`; exec "$0" install "$1"`, binary, dir)
		out, err := install.CombinedOutput()
		require.NoError(t, err, string(out))
		assert.Empty(t, out)
		copied := filepath.Join(dir, "jobmesh-wrap")
		stat, err := os.Stat(copied)
		require.NoError(t, err)
		assert.Equal(t, os.FileMode(0o555), stat.Mode().Perm())
		want, err := os.ReadFile(binary)
		require.NoError(t, err)
		got, err := os.ReadFile(copied)
		require.NoError(t, err)
		assert.Equal(t, want, got)
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		assert.Len(t, entries, 1, "no temporary file is left")
	}
	out, err := exec.Command(filepath.Join(dir, "jobmesh-wrap"), "version").Output()
	require.NoError(t, err)
	assert.Equal(t, "jobmesh-wrap 1.2.3\n", string(out))
}

// A signal ends a verb, also where it is the first process of a container.
func TestSignalEndsAVerb(t *testing.T) {
	linkerd, hangs := startProxy(t, "127.0.0.1:4191", 0), startProxy(t, "127.0.0.1:8200", 0, func(p *proxy) { p.hangs = true })
	for signal, code := range map[syscall.Signal]int{syscall.SIGTERM: 143, syscall.SIGINT: 130} {
		for _, verb := range []string{"version", "help"} {
			t.Run(fmt.Sprint(verb, " ", signal), func(t *testing.T) {
				w := command(t, verb)
				_, w.cmd.Stdout = fullPipe(t) // nobody reads what it prints
				w.asInit().start().untilSignal(signal)
				w.signal(signal)
				assert.Contains(t, []int{2, code}, w.wait().code, "2 is the Go runtime's, in the first moment")
			})
		}
		t.Run(fmt.Sprint("probe ", signal), func(t *testing.T) {
			before := linkerd.looks()
			w := command(t, "probe")
			_, w.cmd.Stdout = fullPipe(t)
			w.asInit().start()
			require.Eventually(t, func() bool { return linkerd.looks() > before }, tooLong, time.Millisecond, "nobody looks")
			w.signal(signal)
			assert.Equal(t, code, w.wait().code)
		})
		t.Run(fmt.Sprint("stop ", signal), func(t *testing.T) {
			before := hangs.stops()
			w := command(t, "stop", "--mesh=vault-agent", "--stop-timeout="+beyond).asInit().start()
			require.Eventually(t, func() bool { return hangs.stops() > before }, tooLong, time.Millisecond, "nobody asks for a stop")
			w.signal(signal)
			r := w.wait()
			assert.Equal(t, code, r.code, r.stderr)
		})
	}
}

// A program in the root folder reads no file from its working directory.
func TestProgramInTheRootFolder(t *testing.T) {
	notUnderRace(t) // a build with the race detector is not static
	root := t.TempDir()
	program, err := os.ReadFile(binary)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, "jobmesh-wrap"), program, 0o755))
	require.NoError(t, os.Mkdir(filepath.Join(root, "-pod"), 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(root, "-pod", "annotations"), []byte("dapr.io/enabled=\"true\"\n"), 0o644))
	w := command(t, "probe").withMounts()
	w.cmd.Path, w.cmd.Args[0], w.cmd.Dir = "/jobmesh-wrap", "/jobmesh-wrap", "/"
	w.cmd.SysProcAttr.Chroot = root
	r := w.run()
	require.Equal(t, 0, r.code, r.stderr)
	assert.Regexp(t, `(?m)^dapr +- `, r.stdout)
}

// The init container may run as any user, and every user may execute the copy.
func TestInstallAsAnyUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to become somebody else")
	}
	dir := t.TempDir()
	require.NoError(t, os.Chmod(dir, 0o777))
	require.NoError(t, os.Chmod(filepath.Dir(dir), 0o755))
	for _, uid := range []uint32{65532, 1000660000} {
		w := command(t, "install", dir)
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid, Gid: 0}}
		r := w.run()
		assert.Equal(t, 0, r.code, r.stderr)
		w = command(t, "--mesh=none", "--", "true")
		w.cmd.Path = filepath.Join(dir, "jobmesh-wrap")
		w.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uid + 1, Gid: 1}}
		assert.Equal(t, 0, w.run().code)
	}
}

func TestInstallThatCannot(t *testing.T) {
	r := command(t, "install", "/no/such/dir").run()
	assert.Equal(t, 70, r.code)
	assert.Contains(t, r.stderr, "jobmesh-wrap: error: install: /no/such/dir: no such file or directory\nhint: ")

	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	r = command(t, "install", file).run()
	assert.Equal(t, 70, r.code)
	assert.Contains(t, r.stderr, "not a directory")
}

// Another program in the image, such as linkerd-await, is copied with the same guarantees.
func TestInstallFrom(t *testing.T) {
	program := filepath.Join(t.TempDir(), "linkerd-await")
	dir := t.TempDir()
	for _, content := range []string{"#!/bin/sh\necho one\n", "#!/bin/sh\necho longer\n", "#!/bin/sh\n"} {
		require.NoError(t, os.WriteFile(program, []byte(content), 0o600))
		for _, args := range [][]string{{"install", "--from", program, dir}, {"install", "--from=" + program, dir}} {
			r := command(t, args...).run()
			require.Equal(t, 0, r.code, r.stderr)
			got, err := os.ReadFile(filepath.Join(dir, "linkerd-await"))
			require.NoError(t, err)
			assert.Equal(t, content, string(got))
			stat, err := os.Stat(filepath.Join(dir, "linkerd-await"))
			require.NoError(t, err)
			assert.Equal(t, os.FileMode(0o555), stat.Mode(), "whatever the mode of the original")
		}
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, files, 1, "and nothing beside it")

	for from, words := range map[string]string{
		"/no/such/file": "install: /no/such/file: no such file or directory",
		dir:             "install: " + dir + ": is not a regular file",
		"/dev/null":     "install: /dev/null: is not a regular file",
	} {
		r := command(t, "install", "--from", from, dir).run()
		assert.Equal(t, 70, r.code)
		assert.Contains(t, r.stderr, words)
	}
	r := command(t, "install", "--from", program, "/no/such/dir").run()
	assert.Equal(t, 70, r.code)
	assert.Contains(t, r.stderr, "install: /no/such/dir: no such file or directory\nhint: ")
}

// This needs a mount: root, or a user namespace.
func TestInstallNamesMountsItCannotUse(t *testing.T) {
	for _, c := range []struct{ options, words string }{
		{"noexec", "is mounted noexec, so that nothing copied there could run"},
		{"size=64k", "no space left on device"},
		{"ro", "read-only file system"},
	} {
		t.Run(c.options, func(t *testing.T) {
			dir := t.TempDir()
			script := `mount -t tmpfs -o ` + c.options + ` none "$1" || exit 99; "$0" install "$1"; code=$?; ls -A "$1"; exit $code`
			w := command(t).withMounts()
			w.cmd.Path, w.cmd.Args = "/bin/sh", []string{"sh", "-c", script, binary, dir}
			r := w.run()
			assert.Equal(t, 70, r.code, r.stderr)
			assert.Contains(t, r.stderr, c.words)
			assert.Empty(t, r.stdout, "nothing is left behind")
		})
	}
}
