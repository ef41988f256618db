package attack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/cli"
)

const password = `hunter2-of-"bob"`

// login keeps the credentials of a registry where docker keeps them.
func login(t *testing.T, address, user, word string) {
	t.Helper()
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	text, err := json.Marshal(map[string]any{"auths": map[string]any{address: map[string]string{"auth": base64.StdEncoding.EncodeToString([]byte(user + ":" + word))}}})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), text, 0o600))
}

// refuse answers with a code and a message in the words of registries.
func refuse(w http.ResponseWriter, code int, message string) {
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(map[string]any{"errors": []any{map[string]string{"code": "DENIED", "message": message}}})
}

// run runs any verb, and returns all that it printed.
func run(t *testing.T, arguments ...string) (int, string) {
	t.Helper()
	var out bytes.Buffer
	code := cli.Run(context.Background(), arguments, jobmesh.Version, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &out})
	return code, out.String()
}

// The messages of a registry, a token service or a credential helper never show a secret.
func TestSecrets(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("bob:" + password))
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter, r *http.Request, address string) bool
		code   int
	}{
		"echoed with 403": {func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			refuse(w, http.StatusForbidden, "you sent "+r.Header.Get("Authorization")+" which is "+password)
			return true
		}, 6},
		"echoed with 400": {func(w http.ResponseWriter, r *http.Request, _ string) bool {
			if r.Header.Get("Authorization") == "" {
				w.Header().Set("WWW-Authenticate", `Basic realm="x"`)
				w.WriteHeader(http.StatusUnauthorized)
				return true
			}
			refuse(w, http.StatusBadRequest, "you sent "+r.Header.Get("Authorization"))
			return true
		}, 5},
		"a token, echoed": {func(w http.ResponseWriter, r *http.Request, address string) bool {
			switch {
			case r.URL.Path == "/token":
				_, _ = fmt.Fprint(w, `{"token":"t0ken-of-bob"}`)
			case !strings.HasPrefix(r.Header.Get("Authorization"), "Bearer "):
				w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+address+`/token",service="s"`)
				w.WriteHeader(http.StatusUnauthorized)
			default:
				refuse(w, http.StatusForbidden, "your token is "+strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
			}
			return true
		}, 6},
		"echoed by the token service": {func(w http.ResponseWriter, r *http.Request, address string) bool {
			if r.URL.Path == "/token" {
				refuse(w, http.StatusForbidden, "no token for "+r.Header.Get("Authorization"))
				return true
			}
			w.Header().Set("WWW-Authenticate", `Bearer realm="http://`+address+`/token",service="s"`)
			w.WriteHeader(http.StatusUnauthorized)
			return true
		}, 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := serve(t)
			login(t, s.address, "bob", password)
			s.instead = func(w http.ResponseWriter, r *http.Request) bool { return c.answer(w, r, s.address) }
			code, said := run(t, "verify", s.address+"/p/jobmesh-wrap:"+jobmesh.Version)
			assert.Equal(t, c.code, code, said)
			for _, word := range []string{password, "hunter2", basic, "t0ken-of-bob"} {
				assert.NotContains(t, said, word)
			}
			assert.Contains(t, said, "***")
		})
	}
	for _, arguments := range [][]string{
		{"verify", "bob:typed-s3cret@127.0.0.1:1/p/x:1"},
		{"verify", "https://bob:typed-s3cret@127.0.0.1:1/p/x:1"},
		{"verify", "http://bob:typed-s3cret@127.0.0.1:1"},
		{"publish", "bob:typed-s3cret@127.0.0.1:1/p"},
		{"publish", "https://bob:typed-s3cret@127.0.0.1:1/p"},
		{"resolve", "--image", "bob:typed-s3cret@127.0.0.1:1/p/x:1"},
		{"build", "--registry", "bob:typed-s3cret@127.0.0.1:1/p"},
	} {
		t.Run(strings.Join(arguments, " "), func(t *testing.T) {
			code, said := run(t, arguments...)
			assert.NotZero(t, code)
			assert.NotContains(t, said, "typed-s3cret")
		})
	}
	t.Run("a helper that prints", func(t *testing.T) {
		s, dir := serve(t), t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-loud"), []byte("#!/bin/sh\necho helper-s3cret\necho helper-s3cret >&2\nexit 1\n"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(`{"credsStore":"loud"}`), 0o600))
		t.Setenv("DOCKER_CONFIG", dir)
		t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
		before := os.Stderr
		file, err := os.Create(filepath.Join(dir, "stderr"))
		require.NoError(t, err)
		os.Stderr = file
		code, said := run(t, "verify", s.address+"/p/jobmesh-wrap:"+jobmesh.Version)
		os.Stderr = before
		assert.Equal(t, 6, code, said)
		written, err := os.ReadFile(file.Name())
		require.NoError(t, err)
		assert.NotContains(t, said+string(written), "helper-s3cret")
	})
}

// No text of unknown origin controls a terminal, or is a command for a pipeline.
func TestTextOfOthers(t *testing.T) {
	const evil = "\x1b]0;title\a\x1b[2J\n::error::PWN\n##vso[task.complete]\u202e\u009b2J"
	harmless := func(t *testing.T, said string) {
		t.Helper()
		assert.NotContains(t, said, "\x1b")
		assert.NotContains(t, said, "\a")
		assert.NotContains(t, said, "\u202e")
		assert.NotContains(t, said, "\u009b")
		for line := range strings.Lines(said) {
			assert.False(t, strings.HasPrefix(line, "::") || strings.HasPrefix(line, "##"), "%q", line)
		}
		assert.Contains(t, said, "PWN")
	}
	t.Run("a registry", func(t *testing.T) {
		s := serve(t)
		s.instead = func(w http.ResponseWriter, _ *http.Request) bool {
			refuse(w, http.StatusBadRequest, evil)
			return true
		}
		_, said := run(t, "verify", s.address+"/p/jobmesh-wrap:"+jobmesh.Version)
		harmless(t, said)
	})
	t.Run("an image", func(t *testing.T) {
		m, s := newMaker(t), serve(t)
		r := m.recipe
		r.Name, r.Version, r.Labels = evil, evil, nil
		s.push(m.image(r, nil), "p/jobmesh-wrap:latest")
		code, said := run(t, "verify", s.address+"/p/jobmesh-wrap:latest")
		assert.Equal(t, 8, code)
		harmless(t, said)
	})
	name := strconv.QuoteToASCII("x" + evil) // as YAML has it too
	job := "apiVersion: batch/v1\nkind: Job\nmetadata: {name: " + name + "}\nspec: {template: {spec: {restartPolicy: Never, " +
		"containers: [{name: " + name + ", image: x}, {name: b, image: x}]}}}\n"
	for _, arguments := range [][]string{{"inject", "-"}, {"inject", "--report", "text", "-"}, {"lint", "--mesh", "istio", "-"}} {
		t.Run(strings.Join(arguments, " "), func(t *testing.T) {
			var out, errs bytes.Buffer
			cli.Run(context.Background(), arguments, jobmesh.Version, cli.Streams{In: strings.NewReader(job), Out: &out, Err: &errs})
			said := errs.String()
			if arguments[0] == "lint" {
				said += out.String()
			}
			harmless(t, said)
		})
	}
}
