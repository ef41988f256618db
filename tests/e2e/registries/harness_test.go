package registries

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/require"
)

// fromEnv returns the path in a variable of the environment, or the path where make puts the file.
func fromEnv(t *testing.T, variable string, otherwise ...string) string {
	t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		path = filepath.Join(append([]string{"..", "..", ".."}, otherwise...)...)
	}
	path, err := filepath.Abs(path)
	require.NoError(t, err)
	require.FileExists(t, path, "%s; make build and ci/registries provide it", variable)
	return path
}

func dist(t *testing.T) string {
	return filepath.Dir(fromEnv(t, "JOBMESH_RESULT", "dist", "result.json"))
}

// A content is a digest and a size in result.json.
type content struct {
	Digest string
	Size   int64
}

// A result is the part of result.json that this package needs.
type result struct {
	Version string
	Image   struct {
		content
		Reference string
		Platforms []struct {
			content
			Platform      string
			Config, Layer content
		}
	}
	Archive struct{ Path string }
	Chart   struct{ Path string }
}

func resultOf(t *testing.T, dist string) (r result) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dist, "result.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, &r))
	return r
}

// run runs a program that must succeed, and returns its stdout and stderr.
func run(t *testing.T, dir, program string, arguments ...string) (stdout, stderr string) {
	t.Helper()
	stdout, stderr, err := try(t, dir, program, arguments...)
	require.NoError(t, err, "%s %s\n%s%s", filepath.Base(program), strings.Join(arguments, " "), stdout, stderr)
	return stdout, stderr
}

func try(t *testing.T, dir, program string, arguments ...string) (stdout, stderr string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, arguments...)
	var out, errs bytes.Buffer
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, &out, &errs
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir(), "XDG_RUNTIME_DIR=", "DOCKER_CONFIG=")
	err = cmd.Run()
	return out.String(), errs.String(), err
}

// publish runs jobmesh publish, and returns the references of the image and of the library chart that it prints. After
// them it prints the charts that contain the library.
func publish(t *testing.T, prefix, from string) (image, chart, stderr string) {
	t.Helper()
	stdout, stderr := run(t, "", fromEnv(t, "JOBMESH", "bin", "jobmesh"), "publish", prefix, "--from", from)
	lines := strings.Fields(stdout)
	charts, err := filepath.Glob(filepath.Join(from, "charts", "*.tgz"))
	require.NoError(t, err)
	require.Len(t, lines, 1+len(charts), "the image and all charts")
	return lines[0], lines[1], stderr
}

// A front is a proxy in front of a registry. It counts requests, and breaks them on demand.
type front struct {
	host string

	mu       sync.Mutex
	requests map[string]int // by method
	wrong    func(w http.ResponseWriter, r *http.Request) bool
}

func (f *front) forget() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = map[string]int{}
}

func (f *front) sent(methods ...string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range methods {
		n += f.requests[m]
	}
	return n
}

func startFront(t *testing.T, behind http.Handler) *front {
	t.Helper()
	f := &front{requests: map[string]int{}, wrong: func(http.ResponseWriter, *http.Request) bool { return false }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests[r.Method]++
		wrong := f.wrong
		f.mu.Unlock()
		if !wrong(w, r) {
			behind.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	f.host = strings.TrimPrefix(server.URL, "http://")
	return f
}

// kinds are the registries, by name.
var kinds = map[string]func(*testing.T) http.Handler{
	"docker-registry": dockerRegistry,
	"in process": func(*testing.T) http.Handler {
		return registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	},
	"in process with referrers": func(*testing.T) http.Handler {
		return registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithReferrersSupport(true))
	},
}

// dockerRegistry starts Debian's registry, and returns a handler that leads to it.
func dockerRegistry(t *testing.T) http.Handler {
	program := fromEnv(t, "JOBMESH_DOCKER_REGISTRY", "bin", "docker-registry")
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	dir := t.TempDir()
	config := filepath.Join(dir, "config.yml")
	require.NoError(t, os.WriteFile(config, []byte(fmt.Sprintf(
		"version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: %q}}\nhttp: {addr: %q}\n", dir, address)), 0o600))
	server := exec.Command(program, "serve", config)
	server.Env = append(os.Environ(), "OTEL_TRACES_EXPORTER=none")
	var said bytes.Buffer
	server.Stdout, server.Stderr = &said, &said
	require.NoError(t, server.Start())
	t.Cleanup(func() {
		_ = server.Process.Kill()
		_ = server.Wait()
		if t.Failed() {
			t.Log(said.String())
		}
	})
	where := &url.URL{Scheme: "http", Host: address}
	require.Eventually(t, func() bool {
		answer, err := http.Get(where.String() + "/v2/")
		return err == nil && answer.Body.Close() == nil
	}, time.Minute, 10*time.Millisecond, "docker-registry does not listen")
	return &httputil.ReverseProxy{
		Rewrite:  func(r *httputil.ProxyRequest) { r.SetURL(where); r.Out.Host = r.In.Host }, // the registry answers with locations that have this host
		ErrorLog: log.New(io.Discard, "", 0),
	}
}
