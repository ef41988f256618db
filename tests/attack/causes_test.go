package attack

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
)

// page answers like a proxy, or like a page at which one has to sign in.
func page(code int) func(w http.ResponseWriter, r *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(code)
		_, _ = w.Write([]byte("<!DOCTYPE html><html><body>Welcome to the guest network</body></html>"))
		return true
	}
}

// An intermediary between this machine and a registry is named as what it is, and no hint does
// harm.
func TestCauses(t *testing.T) {
	m := newMaker(t)
	x := m.release()
	dist := m.folder(t, x, m.charts(t, x))
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request) bool
		code   int
		says   string
		hint   string
	}{
		"a page with 200": {page(200), 5, "the answer is a web page (text/html), not that of a registry", "in a browser"},
		"a page with 403": {page(403), 5, "the answer is a web page (text/html)", "in a browser"},
		"a page with 404": {page(404), 5, "", ""},
		"a redirect to a private address": {func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/manifests/") {
				return false
			}
			http.Redirect(w, r, "http://169.254.169.254/latest/meta-data", http.StatusFound)
			return true
		}, 5, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			s.instead = c.answer
			code, said := run(t, "verify", s.address+"/p/jobmesh-wrap:"+jobmesh.Version)
			assert.Equal(t, c.code, code, said)
			assert.Contains(t, said, c.says)
			assert.Contains(t, said, c.hint)
			assert.NotContains(t, said, "upload")
			if c.says != "" {
				_, said = run(t, "publish", s.address+"/p", "--from", dist)
				assert.Contains(t, said, c.says)
				assert.NotContains(t, said, "raise")
			}
		})
	}
	t.Run("an account that may not", func(t *testing.T) {
		s := serve(t)
		login(t, s.address, "bob", "anything")
		s.instead = func(w http.ResponseWriter, r *http.Request) bool {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
			} else {
				refuse(w, http.StatusForbidden, "no")
			}
			return true
		}
		code, said := run(t, "verify", s.address+"/p/jobmesh-wrap:"+jobmesh.Version)
		assert.Equal(t, 6, code)
		assert.Contains(t, said, "hint: this account may not do that in p/jobmesh-wrap")
		assert.NotContains(t, said, "docker login")
	})
	t.Run("an RSA key", func(t *testing.T) {
		private, err := rsa.GenerateKey(rand.Reader, 2048)
		require.NoError(t, err)
		der, err := x509.MarshalPKCS8PrivateKey(private)
		require.NoError(t, err)
		for kind, der := range map[string][]byte{"PRIVATE KEY": der, "RSA PRIVATE KEY": x509.MarshalPKCS1PrivateKey(private)} {
			file := filepath.Join(t.TempDir(), "key")
			require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600))
			code, said := run(t, "publish", "127.0.0.1:1/p", "--from", dist, "--sign-key", file)
			assert.Equal(t, 2, code)
			assert.Contains(t, said, "is RSA, and signatures are made with ECDSA P-256")
		}
	})
	t.Run("a key that is a folder or without an end", func(t *testing.T) {
		for _, file := range []string{t.TempDir(), "/dev/zero"} {
			code, said := run(t, "publish", "127.0.0.1:1/p", "--from", dist, "--sign-key", file)
			assert.Equal(t, 7, code)
			assert.NotContains(t, said, "generate-key-pair")
			code, _ = run(t, "verify", dist, "--key", file)
			assert.Equal(t, 7, code)
		}
	})
}

// A proxy that does not work is not taken for the registry behind it.
func TestProxies(t *testing.T) {
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProxyAuthRequired)
	}))
	defer refusing.Close()
	for name, c := range map[string]struct{ proxy, says string }{
		"dead":    {"http://127.0.0.1:9", "the proxy 127.0.0.1:9, which HTTPS_PROXY names: nothing listens there"},
		"twice":   {"http://http://127.0.0.1:9", "which HTTPS_PROXY names"},
		"refuses": {"http://bob:pr0xy-s3cret@" + strings.TrimPrefix(refusing.URL, "http://"), "which HTTPS_PROXY names, answers 407"},
		"no URL":  {"http://bob:pr0xy-s3cret@[x", "which HTTPS_PROXY names"},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.CommandContext(context.Background(), os.Args[0], "registry.example/x/y:1")
			cmd.Env = append(os.Environ(), "JOBMESH_TEST_VERIFY="+filepath.Join(t.TempDir(), "status"), "HTTPS_PROXY="+c.proxy, "NO_PROXY=")
			var out bytes.Buffer
			cmd.Stdout, cmd.Stderr = &out, &out
			_ = cmd.Run() // the exit code is checked
			assert.Equal(t, 5, cmd.ProcessState.ExitCode(), out.String())
			assert.Contains(t, out.String(), c.says)
			assert.Contains(t, out.String(), "hint: set the variable to a proxy that runs, unset it, or list registry.example in NO_PROXY")
			assert.NotContains(t, out.String(), "pr0xy-s3cret")
		})
	}
}
