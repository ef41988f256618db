package jobmesh

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	program "github.com/jobmesh/jobmesh"
)

// built builds a release of one platform.
func built(t *testing.T) string {
	t.Helper()
	dist := filepath.Join(t.TempDir(), "dist")
	r := start(t, "../..", nil, "build", "--platform", "linux/amd64", "--output", dist)
	require.Equal(t, 0, r.wait(t), r.stderr.String())
	return dist
}

// running is a jobmesh that runs.
type running struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

func start(t *testing.T, dir string, env []string, arguments ...string) *running {
	t.Helper()
	r := &running{cmd: exec.Command("jobmesh", arguments...)}
	r.cmd.Dir, r.cmd.Stdout, r.cmd.Stderr = dir, &r.stdout, &r.stderr
	r.cmd.Env = append(os.Environ(), env...)
	require.NoError(t, r.cmd.Start())
	t.Cleanup(func() { _ = r.cmd.Process.Kill() })
	return r
}

func (r *running) wait(t *testing.T) int {
	t.Helper()
	_ = r.cmd.Wait() // the exit code is checked
	return r.cmd.ProcessState.ExitCode()
}

func quiet() http.Handler { return registry.New(registry.Logger(log.New(io.Discard, "", 0))) }

// Ctrl-C gives exit code 130 without waiting for anything, moves no tag, and loses nothing.
func TestCtrlC(t *testing.T) {
	dist := built(t)
	for name, answer := range map[string]http.HandlerFunc{
		"during an upload": func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			<-r.Context().Done()
		},
		"while waiting to try again": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "250") // a step has five minutes
			w.WriteHeader(http.StatusTooManyRequests)
		},
	} {
		t.Run(name, func(t *testing.T) {
			behind := quiet()
			reached := make(chan bool, 1)
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method != http.MethodPatch || answer == nil {
					behind.ServeHTTP(w, r)
					return
				}
				select {
				case reached <- true:
				default:
				}
				answer(w, r)
			}))
			defer server.Close()
			prefix := strings.TrimPrefix(server.URL, "http://") + "/x"
			r := start(t, "", nil, "publish", prefix, "--from", dist)
			<-reached
			time.Sleep(50 * time.Millisecond) // the program waits for the retry by then
			pressed := time.Now()
			require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
			assert.Equal(t, 130, r.wait(t))
			assert.Less(t, time.Since(pressed), time.Minute)
			assert.Equal(t, "jobmesh: interrupted; what existed before is unchanged\n", r.stderr.String())
			assert.Empty(t, r.stdout.String())
			tags, err := http.Get(server.URL + "/v2/x/jobmesh-wrap/manifests/" + program.Version)
			require.NoError(t, err)
			require.NoError(t, tags.Body.Close())
			assert.Equal(t, http.StatusNotFound, tags.StatusCode)
			answer = nil
			again := start(t, "", nil, "publish", prefix, "--from", dist)
			assert.Equal(t, 0, again.wait(t), again.stderr.String())
		})
	}
	t.Run("during a build", func(t *testing.T) {
		out := filepath.Join(t.TempDir(), "dist")
		temporary := t.TempDir()
		r := start(t, "../..", []string{"TMPDIR=" + temporary, "GOCACHE=" + t.TempDir()}, "build", "--output", out)
		// The build is at work, because without a cache it has to compile Go's whole standard
		// library.
		require.Eventually(t, func() bool {
			compiling, err := os.ReadDir(temporary)
			return err == nil && len(compiling) > 0
		}, 5*time.Minute, time.Millisecond)
		require.NoError(t, r.cmd.Process.Signal(os.Interrupt))
		assert.Equal(t, 130, r.wait(t), r.stderr.String())
		assert.NoFileExists(t, filepath.Join(out, "result.json"))
		left, err := os.ReadDir(temporary)
		require.NoError(t, err)
		assert.Empty(t, left)
	})
}

// authority makes a certificate authority and a certificate for a name; it returns the file of
// the authority's certificate.
func authority(t *testing.T, host string) (string, tls.Certificate) {
	t.Helper()
	sign := func(template, parent *x509.Certificate, parentKey *ecdsa.PrivateKey) ([]byte, *ecdsa.PrivateKey) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		require.NoError(t, err)
		if parentKey == nil {
			parentKey = key
		}
		der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, parentKey)
		require.NoError(t, err)
		return der, key
	}
	ca := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "a company"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	caDER, caKey := sign(ca, ca, nil)
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{host}, NotAfter: time.Now().Add(time.Hour)}
	leafDER, leafKey := sign(leaf, ca, caKey)
	file := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caDER}), 0o600))
	return file, tls.Certificate{Certificate: [][]byte{leafDER}, PrivateKey: leafKey}
}

// outside makes a registry look like one on another machine: through a proxy, every name leads
// to it.
func outside(t *testing.T, registry *httptest.Server) []string {
	t.Helper()
	address := registry.Listener.Addr().String()
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect {
			r.URL.Host, r.RequestURI = address, ""
			answer, err := http.DefaultTransport.RoundTrip(r.WithContext(context.WithoutCancel(r.Context())))
			if err != nil {
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			defer func() { _ = answer.Body.Close() }()
			for key, values := range answer.Header {
				w.Header()[key] = values
			}
			w.WriteHeader(answer.StatusCode)
			_, _ = io.Copy(w, answer.Body)
			return
		}
		there, err := net.Dial("tcp", address)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		w.WriteHeader(http.StatusOK)
		here, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		go func() { _, _ = io.Copy(there, here); _ = there.Close() }()
		_, _ = io.Copy(here, there)
		_ = here.Close()
	}))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(proxy.Close)
	return []string{"HTTP_PROXY=" + proxy.URL, "HTTPS_PROXY=" + proxy.URL, "NO_PROXY=", "no_proxy="}
}

// The registry has a certificate of a company's own authority.
func TestAuthorityOfOnesOwn(t *testing.T) {
	dist := built(t)
	file, certificate := authority(t, "registry.example")
	server := httptest.NewUnstartedServer(quiet())
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	server.StartTLS()
	defer server.Close()
	env := outside(t, server)

	r := start(t, "", env, "publish", "registry.example/x", "--from", dist)
	assert.Equal(t, 5, r.wait(t))
	assert.Contains(t, r.stderr.String(), "jobmesh: registry registry.example: its certificate is not accepted: x509: certificate signed by unknown authority")
	assert.Contains(t, r.stderr.String(), "\nhint: name the file of your certificate authority: SSL_CERT_FILE=ca.pem jobmesh ...\n")

	r = start(t, "", append(env, "SSL_CERT_FILE="+file), "publish", "registry.example/x", "--from", dist)
	assert.Equal(t, 0, r.wait(t), r.stderr.String())
	assert.Contains(t, r.stdout.String(), "registry.example/x/jobmesh-wrap@sha256:")

	r = start(t, "", append(env, "SSL_CERT_FILE="+file), "publish", "other.example/x", "--from", dist)
	assert.Equal(t, 5, r.wait(t))
	assert.Contains(t, r.stderr.String(), "certificate is valid for registry.example, not other.example")
	assert.Contains(t, r.stderr.String(), "\nhint: the certificate must be for the host in the reference\n")
}

// Plain HTTP to a registry on another machine needs a flag.
func TestPlainHTTPElsewhere(t *testing.T) {
	dist := built(t)
	for _, host := range []string{"registry.example:80", "10.1.2.3:5000"} {
		server := httptest.NewServer(quiet())
		defer server.Close()
		env := outside(t, server)
		r := start(t, "", env, "publish", host+"/x", "--from", dist)
		assert.Equal(t, 5, r.wait(t))
		assert.NotContains(t, r.stdout.String(), "sha256")
		assert.Contains(t, r.stderr.String(), "\nhint: allow it with --plain-http\n")
		r = start(t, "", env, "publish", host+"/x", "--from", dist, "--plain-http")
		assert.Equal(t, 0, r.wait(t), r.stderr.String())
	}
}

// After a build that was killed at any point, the next one makes a complete release.
func TestKilledBuild(t *testing.T) {
	dist := built(t)
	want := filesIn(t, dist)
	for i := range 10 {
		r := start(t, "../..", nil, "build", "--platform", "linux/amd64", "--compression", []string{"gzip", "zstd"}[i%2], "--output", dist)
		time.Sleep(time.Duration(i) * 50 * time.Millisecond)
		require.NoError(t, r.cmd.Process.Kill())
		r.wait(t)
		again := start(t, "../..", nil, "build", "--platform", "linux/amd64", "--output", dist)
		require.Equal(t, 0, again.wait(t), again.stderr.String())
		verify := start(t, "", nil, "verify", dist)
		require.Equal(t, 0, verify.wait(t), verify.stderr.String())
	}
	assert.Equal(t, want, filesIn(t, dist))
}

func filesIn(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, _ os.DirEntry, err error) error {
		names = append(names, path)
		return err
	}))
	return names
}
