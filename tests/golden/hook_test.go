package golden

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// A proxy is a server that mode hook asks: it is ready after some time, and a POST stops it.
type proxy struct {
	*httptest.Server
	mutex sync.Mutex
	ready time.Time
	looks int      // the number of readiness requests
	asked []string // stop requests
	token string
	body  string // the body of the answer once it is ready
}

func newProxy(t *testing.T, readyAfter time.Duration) *proxy {
	p := &proxy{ready: time.Now().Add(readyAfter)}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		if r.Method == http.MethodPost {
			p.asked = append(p.asked, r.URL.RequestURI())
			p.token = r.Header.Get("dapr-api-token")
			return
		}
		p.looks++
		if time.Now().Before(p.ready) {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = io.WriteString(w, p.body)
	}))
	t.Cleanup(p.Close)
	return p
}

func (p *proxy) stops() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return p.asked
}

// readyIn makes the proxy ready after some time from now.
func (p *proxy) readyIn(d time.Duration) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.ready = time.Now().Add(d)
}

// untilAsked waits for a readiness request.
func (p *proxy) untilAsked(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		p.mutex.Lock()
		defer p.mutex.Unlock()
		return p.looks > 0
	}, 2*time.Minute, 10*time.Millisecond)
}

// tools returns a folder with links to programs of this machine.
func tools(t *testing.T, programs ...string) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range append(programs, "sleep", "date", "cat", "env") {
		path, err := exec.LookPath(name)
		require.NoError(t, err)
		require.NoError(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return dir
}

// installed returns those of the programs that this machine has.
func installed(programs ...string) []string {
	var found []string
	for _, name := range programs {
		if _, err := exec.LookPath(name); err == nil {
			found = append(found, name)
		}
	}
	return found
}

// hooked returns the container of a Job that mode hook has wrapped.
func hooked(t *testing.T, restartPolicy string, command []string, settings map[string]any) []string {
	t.Helper()
	return hookedBy(t, helms(t)[0], restartPolicy, command, settings)
}

func hookedBy(t *testing.T, h helm, restartPolicy string, command []string, settings map[string]any) []string {
	t.Helper()
	spec, err := json.Marshal(map[string]any{
		"restartPolicy": restartPolicy,
		"containers":    []any{map[string]any{"name": "main", "image": "app", "command": command}},
	})
	require.NoError(t, err)
	options := map[string]any{"mode": "hook", "mesh": "linkerd"}
	for key, value := range settings {
		options[key] = value
	}
	values := valuesFile(t, map[string]any{"podSpec": string(spec), "options": options})
	r := h.run(t, "template", "release", h.consumers(t)["consumer"], "-f", values)
	require.Zero(t, r.code, r.stderr)
	var job struct {
		Spec struct {
			Template struct {
				Spec struct{ Containers []struct{ Command []string } }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal([]byte(r.stdout), &job))
	return job.Spec.Template.Spec.Containers[0].Command
}

// at makes mode hook use this proxy.
func (p *proxy) at(more map[string]any) map[string]any {
	wrapper := map[string]any{"readyUrl": p.URL + "/ready?it's", "stop": []string{"POST " + p.URL + "/shutdown?it's"}}
	for key, value := range more {
		wrapper[key] = value
	}
	return map[string]any{"wrapper": wrapper}
}

const stopped = "/shutdown?it's"

// A run is a wrapped command that was started.
type run struct {
	*exec.Cmd
	t       *testing.T
	streams [2]string // files: stdout and stderr
}

// start starts a command with a shell of this machine in place of /bin/sh.
func start(t *testing.T, command []string, shell []string, path string, env ...string) *run {
	t.Helper()
	require.Equal(t, "/bin/sh", command[0])
	program, err := exec.LookPath(shell[0])
	require.NoError(t, err)
	r := &run{Cmd: exec.Command(program, append(append([]string{}, shell[1:]...), command[1:]...)...), t: t}
	r.Stdin = strings.NewReader("from stdin\n")
	for i := range r.streams {
		r.streams[i] = filepath.Join(t.TempDir(), "stream")
		f, err := os.Create(r.streams[i])
		require.NoError(t, err)
		defer f.Close()
		if i == 0 {
			r.Stdout = f
		} else {
			r.Stderr = f
		}
	}
	r.Env = append([]string{"PATH=" + path, "JOBMESH_POD_LINKERD=edge-26.1.1", "http_proxy=http://127.0.0.1:1", "ALL_PROXY=http://127.0.0.1:1"}, env...)
	require.NoError(t, r.Start())
	t.Cleanup(func() { _ = r.Process.Kill() }) // the process still runs after a failed test
	return r
}

func (r *run) stdout() string { return read(r.t, r.streams[0]) }
func (r *run) stderr() string { return read(r.t, r.streams[1]) }

// code waits for the end and returns the exit code.
func (r *run) code() int {
	r.t.Helper()
	err := r.Wait()
	if exit := new(exec.ExitError); err != nil && !errors.As(err, &exit) {
		require.NoError(r.t, err)
	}
	return r.ProcessState.ExitCode()
}

// says waits until the command has printed something.
func (r *run) says(text string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return strings.Contains(r.stdout(), text) }, 2*time.Minute, 10*time.Millisecond)
}

// TestHookShells runs what mode hook writes in each shell and with each client of
// this machine: it waits, passes stdin, arguments and exit code, and stops the
// proxy once.
func TestHookShells(t *testing.T) {
	shells := [][]string{{"sh"}}
	for _, name := range installed("dash", "bash", "ksh") {
		shells = append(shells, []string{name})
	}
	for range installed("busybox") {
		shells = append(shells, []string{"busybox", "sh"})
	}
	clients := installed("curl", "wget", "busybox")
	require.NotEmpty(t, clients, "hint: install curl, wget or busybox")
	args := []string{"sh", "-c", `cat; printf '%s|' "$@"; env; exit 3`, "name", "", "two words", `"$HOME"`, "a\nb", "it's"}
	for _, shell := range shells {
		for _, client := range clients {
			t.Run(strings.Join(shell, " ")+" "+client, func(t *testing.T) {
				p := newProxy(t, 0)
				command := hooked(t, "Never", args, p.at(nil))
				p.readyIn(300 * time.Millisecond)
				r := start(t, command, shell, tools(t, "sh", client))
				require.Equal(t, 3, r.code(), r.stderr())
				require.False(t, time.Now().Before(p.ready))
				require.Contains(t, r.stdout(), "from stdin\n|two words|\"$HOME\"|a\nb|it's|")
				require.NotContains(t, r.stdout(), "JOBMESH_POD")
				require.Contains(t, r.stdout(), "http_proxy=http://127.0.0.1:1")
				require.Equal(t, []string{stopped}, p.stops())
				require.Empty(t, r.stderr())
			})
		}
	}
}

// TestHookReadsTheAnswer: an answer without the body that the table of meshes demands does not
// count, and of several checks any one is enough. The servers replace those at the ports of the
// mesh.
func TestHookReadsTheAnswer(t *testing.T) {
	const first, second = "http://127.0.0.1:9902/ready", "http://127.0.0.1:9901/ready"
	for _, h := range helms(t) {
		for _, client := range installed("curl", "wget", "busybox") {
			for about, late := range map[string]string{"said at the first": "LIVE\n", "said at the second": "READY"} {
				t.Run(h.name+" "+client+" "+about, func(t *testing.T) {
					agent, envoy := newProxy(t, 0), newProxy(t, time.Hour)
					agent.body = "READY" // kuma-dp up to 2.11, which has no Envoy yet
					command := hookedBy(t, h, "Never", []string{"sh", "-c", "exit 3"}, map[string]any{"mesh": "kuma", "wrapper": map[string]any{"stop": []string{"POST " + envoy.URL + stopped}}})
					script := command[2]
					require.Contains(t, script, first)
					require.Contains(t, script, second)
					command[2] = strings.NewReplacer(first, agent.URL+"/ready", second, envoy.URL+"/ready").Replace(script)
					r := start(t, command, []string{"sh"}, tools(t, "sh", client), "JOBMESH_POD_KUMA=true")
					envoy.untilAsked(t) // it is asked after the first one, whose answer was not enough
					require.Empty(t, envoy.stops())
					agent.says(late)
					if late == "READY" {
						envoy.readyIn(0)
					}
					require.Equal(t, 3, r.code(), r.stderr())
					require.Equal(t, []string{stopped}, envoy.stops())
					require.Empty(t, r.stderr())
				})
			}
		}
	}
	t.Run("never", func(t *testing.T) {
		agent, envoy := newProxy(t, 0), newProxy(t, time.Hour)
		command := hooked(t, "Never", []string{"echo", "ran"}, map[string]any{"mesh": "kuma", "wrapper": map[string]any{"readyTimeout": "1s", "stop": []string{"POST " + envoy.URL + stopped}}})
		command[2] = strings.NewReplacer(first, agent.URL, second, envoy.URL).Replace(command[2])
		r := start(t, command, []string{"sh"}, os.Getenv("PATH"), "JOBMESH_POD_KUMA=true")
		require.Equal(t, 69, r.code())
		require.Empty(t, r.stdout())
		require.Equal(t, "jobmesh: the proxy is not ready after 1s: GET "+agent.URL+" or "+envoy.URL+"\n", r.stderr())
	})
}

// says sets what the proxy answers once it is ready.
func (p *proxy) says(body string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	p.body = body
}

// TestHookSignals: a signal reaches the command, whose exit code counts.
func TestHookSignals(t *testing.T) {
	for _, shell := range installed("dash", "bash") {
		for script, want := range map[string]int{
			`trap "exit 5" TERM; echo up; while :; do sleep 0.05; done`:                            5,
			`trap "sleep 0.5; exit 0" TERM; echo up; while :; do sleep 0.05; done`:                 0,
			`trap "trap - TERM; kill -TERM $$" TERM; echo up; while :; do sleep 0.05; done`:        143,
			`trap "kill -KILL $$" TERM; echo up; while :; do sleep 0.05; done`:                     137,
			`trap "echo once" TERM; echo up; for i in 1 2 3 4 5 6 7 8; do sleep 0.1; done; exit 7`: 7,
		} {
			t.Run(shell+" "+script, func(t *testing.T) {
				t.Parallel()
				p := newProxy(t, 0)
				r := start(t, hooked(t, "Never", []string{"sh", "-c", script}, p.at(nil)), []string{shell}, os.Getenv("PATH"))
				r.says("up\n")
				require.Empty(t, p.stops())
				require.NoError(t, r.Process.Signal(syscall.SIGTERM))
				require.Equal(t, want, r.code(), r.stderr())
				require.Equal(t, []string{stopped}, p.stops())
			})
		}
	}
}

// TestHookWaits shows what happens while the proxy is not ready.
func TestHookWaits(t *testing.T) {
	path := os.Getenv("PATH")
	never := time.Hour
	echo := []string{"echo", "ran"}

	t.Run("a signal ends the wait", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, never)
		r := start(t, hooked(t, "Never", echo, p.at(nil)), []string{"sh"}, path)
		p.untilAsked(t)
		require.NoError(t, r.Process.Signal(syscall.SIGTERM))
		require.Equal(t, 143, r.code(), r.stderr())
		require.Empty(t, r.stdout())
		require.Equal(t, []string{stopped}, p.stops())
	})
	t.Run("a time limit fails", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, never)
		r := start(t, hooked(t, "Never", echo, p.at(map[string]any{"readyTimeout": "1s"})), []string{"sh"}, path)
		require.Equal(t, 69, r.code())
		require.Empty(t, r.stdout())
		require.Equal(t, "jobmesh: the proxy is not ready after 1s: GET "+p.URL+"/ready?it's\n", r.stderr())
		require.Equal(t, []string{stopped}, p.stops())
	})
	t.Run("or runs all the same", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, never)
		r := start(t, hooked(t, "Never", echo, p.at(map[string]any{"readyTimeout": "1s", "onReadyTimeout": "run"})), []string{"sh"}, path)
		require.Zero(t, r.code())
		require.Equal(t, "ran\n", r.stdout())
		require.Equal(t, []string{stopped}, p.stops())
	})
	t.Run("no limit", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, 1500*time.Millisecond)
		r := start(t, hooked(t, "Never", echo, p.at(map[string]any{"readyTimeout": "0"})), []string{"sh"}, path)
		require.Zero(t, r.code())
		require.Equal(t, "ran\n", r.stdout())
	})
	t.Run("no client", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, 0)
		r := start(t, hooked(t, "Never", echo, p.at(nil)), []string{"sh"}, tools(t))
		require.Equal(t, 127, r.code())
		require.Equal(t, "jobmesh: mode hook needs curl, wget or busybox in the image\n", r.stderr())
	})
}

// TestHookStops shows when and how the proxy is stopped.
func TestHookStops(t *testing.T) {
	path := os.Getenv("PATH")
	for name, c := range map[string]struct {
		restartPolicy string
		command       []string
		wrapper       map[string]any
		env           []string
		code          int
		stops         []string
	}{
		"after a failure that is final":    {"Never", []string{"false"}, nil, nil, 1, []string{stopped}},
		"not after one that is tried anew": {"OnFailure", []string{"false"}, nil, nil, 1, nil},
		"after a success":                  {"OnFailure", []string{"true"}, nil, nil, 0, []string{stopped}},
		"never where it runs for ever":     {"Always", []string{"sh", "-c", "exit 4"}, nil, nil, 4, nil},
		"when the author says":             {"OnFailure", []string{"false"}, map[string]any{"stopWhen": "always"}, nil, 1, []string{stopped}},
		"a command that is not there":      {"Never", []string{"/no/such/command"}, nil, nil, 127, []string{stopped}},
		"without a proxy":                  {"Never", []string{"true"}, nil, []string{"JOBMESH_POD_LINKERD="}, 0, nil},
		"without a proxy in so many words": {"Never", []string{"true"}, nil, []string{"JOBMESH_POD_LINKERD=false"}, 0, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, 0)
			r := start(t, hooked(t, c.restartPolicy, c.command, p.at(c.wrapper)), []string{"sh"}, path, c.env...)
			require.Equal(t, c.code, r.code(), r.stderr())
			require.Equal(t, c.stops, p.stops())
		})
	}
	t.Run("several requests of which one fails", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, 0)
		settings := p.at(map[string]any{"stop": []string{"POST http://127.0.0.1:1/gone", "POST " + p.URL + "/two"}})
		r := start(t, hooked(t, "Never", []string{"sh", "-c", "exit 9"}, settings), []string{"sh"}, path)
		require.Equal(t, 9, r.code())
		require.Equal(t, []string{"/two"}, p.stops())
		require.Equal(t, "jobmesh: the proxy was not stopped by POST http://127.0.0.1:1/gone\n", r.stderr())
	})
	for _, client := range installed("curl", "wget", "busybox") {
		t.Run("with the token of Dapr by "+client, func(t *testing.T) {
			t.Parallel()
			p := newProxy(t, 0)
			settings := p.at(nil)
			settings["mesh"] = "dapr"
			command := hooked(t, "Never", []string{"true"}, settings)
			r := start(t, command, []string{"sh"}, tools(t, client, "true"), "JOBMESH_POD_DAPR=true", "DAPR_API_TOKEN=a secret")
			require.Zero(t, r.code(), r.stderr())
			require.Equal(t, []string{stopped}, p.stops())
			require.Equal(t, "a secret", p.token)

			r = start(t, command, []string{"sh"}, tools(t, client, "true"), "JOBMESH_POD_DAPR=true")
			require.Zero(t, r.code(), r.stderr())
			require.Empty(t, p.token)
		})
	}
}

// TestHookNative: mode hook recognises a native sidecar by the same annotations as the wrapper,
// and leaves it to the kubelet: the command replaces the shell.
func TestHookNative(t *testing.T) {
	const status = `{"initContainers":%s,"containers":%s,"volumes":["istio-token"],"imagePullSecrets":null,"revision":"default"}`
	for name, c := range map[string]struct {
		mesh   string
		env    []string
		native bool
	}{
		"linkerd":                        {"linkerd", []string{"JOBMESH_POD_LINKERD_NATIVE=true"}, true},
		"linkerd beta":                   {"linkerd", []string{"JOBMESH_POD_LINKERD_NATIVE_BETA=true"}, true},
		"linkerd alpha":                  {"linkerd", []string{"JOBMESH_POD_LINKERD_NATIVE_ALPHA=true"}, true},
		"linkerd refused by the new one": {"linkerd", []string{"JOBMESH_POD_LINKERD_NATIVE=false", "JOBMESH_POD_LINKERD_NATIVE_ALPHA=true"}, false},
		"linkerd nothing said":           {"linkerd", []string{"JOBMESH_POD_LINKERD_NATIVE=", "JOBMESH_POD_LINKERD_NATIVE_BETA="}, false},
		"istio":                          {"istio", []string{"JOBMESH_POD_ISTIO=" + fmt.Sprintf(status, `["istio-init","istio-proxy"]`, "null")}, true},
		"istio with the network plugin":  {"istio", []string{"JOBMESH_POD_ISTIO=" + fmt.Sprintf(status, `["istio-validation","istio-proxy"]`, `[]`)}, true},
		"istio classic":                  {"istio", []string{"JOBMESH_POD_ISTIO=" + fmt.Sprintf(status, `["istio-init"]`, `["istio-proxy"]`)}, false},
		"istio classic and alone":        {"istio", []string{"JOBMESH_POD_ISTIO=" + fmt.Sprintf(status, "null", `["istio-proxy"]`)}, false},
		"dapr":                           {"dapr", []string{"JOBMESH_POD_DAPR=true", "JOBMESH_POD_DAPR_NATIVE=Yes"}, true},
		"dapr classic":                   {"dapr", []string{"JOBMESH_POD_DAPR=true", "JOBMESH_POD_DAPR_NATIVE=enabled"}, false},
		"consul":                         {"consul", []string{"JOBMESH_POD_CONSUL=injected", "JOBMESH_POD_CONSUL_NATIVE=T"}, true},
		"consul classic":                 {"consul", []string{"JOBMESH_POD_CONSUL=injected", "JOBMESH_POD_CONSUL_NATIVE=false"}, false},
		"istio nothing to read":          {"istio", []string{"JOBMESH_POD_ISTIO=yes"}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			row := meshNamed(t, c.mesh)
			require.Equal(t, c.native, row.IsNative(func(_, variable string) string {
				for _, entry := range c.env {
					if value, found := strings.CutPrefix(entry, variable+"="); found {
						return value
					}
				}
				return ""
			}), "what the wrapper knows")

			p := newProxy(t, 300*time.Millisecond)
			settings := p.at(nil)
			settings["mesh"] = c.mesh
			delete(settings["wrapper"].(map[string]any), "stop")
			command := hooked(t, "Never", []string{"sh", "-c", "echo $$; env; exit 3"}, settings)
			for _, shell := range installed("dash", "bash", "ksh") {
				r := start(t, command, []string{shell}, os.Getenv("PATH"), c.env...)
				require.Equal(t, 3, r.code(), r.stderr())
				require.False(t, time.Now().Before(p.ready), "it waits for either")
				first, _, _ := strings.Cut(r.stdout(), "\n")
				require.Equal(t, c.native, first == strconv.Itoa(r.Process.Pid), shell)
				require.NotContains(t, r.stdout(), "JOBMESH_POD_"+strings.ToUpper(c.mesh))
			}
		})
	}
	t.Run("the author asks for a stop", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, 0)
		r := start(t, hooked(t, "Never", []string{"true"}, p.at(nil)), []string{"sh"}, os.Getenv("PATH"), "JOBMESH_POD_LINKERD_NATIVE=true")
		require.Zero(t, r.code(), r.stderr())
		require.Equal(t, []string{stopped}, p.stops())
	})
	t.Run("a native sidecar that is not ready is not stopped either", func(t *testing.T) {
		t.Parallel()
		p := newProxy(t, time.Hour)
		settings := p.at(map[string]any{"readyTimeout": "1s"})
		delete(settings["wrapper"].(map[string]any), "stop")
		r := start(t, hooked(t, "Never", []string{"true"}, settings), []string{"sh"}, os.Getenv("PATH"), "JOBMESH_POD_LINKERD_NATIVE=true")
		require.Equal(t, 69, r.code())
		require.NotContains(t, r.stderr(), "not stopped")
	})
}

func meshNamed(t *testing.T, name string) mesh.Mesh {
	t.Helper()
	for _, m := range mesh.All() {
		if m.Name == name {
			return m
		}
	}
	require.Fail(t, "no mesh "+name)
	return mesh.Mesh{}
}
