package publish

import (
	"context"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// A server is a real registry behind something that can go wrong.
type server struct {
	host string

	mu       sync.Mutex
	requests []string
	// wrong handles a request in the registry's place, where it returns true.
	wrong func(w http.ResponseWriter, r *http.Request, n int) bool
}

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{wrong: func(http.ResponseWriter, *http.Request, int) bool { return false }}
	behind := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.URL.Path)
		wrong, n := s.wrong, len(s.requests)
		s.mu.Unlock()
		if !wrong(w, r, n) {
			behind.ServeHTTP(w, r)
		}
	}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(server.Close)
	s.host = strings.TrimPrefix(server.URL, "http://")
	return s
}

// fail sets what goes wrong from now on and forgets the requests.
func (s *server) fail(wrong func(w http.ResponseWriter, r *http.Request, n int) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.wrong, s.requests = wrong, nil
}

func (s *server) sent(method string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, r := range s.requests {
		if strings.HasPrefix(r, method+" ") {
			n++
		}
	}
	return n
}

// artifacts are an image of two platforms and a chart.
func (s *server) artifacts(t *testing.T, content string) []Artifact {
	t.Helper()
	recipe := image.Recipe{
		Name: "sample", Version: "1.2.3+4", Path: "/program", Entrypoint: []string{"/program"}, User: "65532:65532",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	platforms, err := image.SelectPlatforms([]string{"linux/amd64", "linux/arm64"})
	require.NoError(t, err)
	x, err := image.Assemble(recipe, []image.Binary{
		{Platform: platforms[0], Bytes: []byte("amd64 " + content)}, {Platform: platforms[1], Bytes: []byte("arm64 " + content)},
	})
	require.NoError(t, err)
	repo, err := name.NewRepository(s.host + "/team/sample")
	require.NoError(t, err)
	img := Artifact{Repository: repo, Tags: []string{"1.2.3_4", "latest"}}
	for _, c := range x.Children {
		img.Blobs = append(img.Blobs, c.Layer, c.Config)
		img.Manifests = append(img.Manifests, c.Manifest)
	}
	img.Manifests = append(img.Manifests, x.Blob)
	chartRepo, err := name.NewRepository(s.host + "/team/chart")
	require.NoError(t, err)
	chart, err := Chart(chartRepo, &helm.Metadata{Name: "chart", Version: "1.2.3+4", Description: "a chart"}, []byte("archive "+content), recipe.Created)
	require.NoError(t, err)
	return []Artifact{img, chart}
}

// tagged is the digest that a tag names, "" where there is no such tag.
func tagged(t *testing.T, a Artifact, tag string) string {
	t.Helper()
	d, err := remote.Head(a.Repository.Tag(tag))
	require.NoError(t, registry.IgnoreMissing(err))
	if d == nil {
		return ""
	}
	return d.Digest.String()
}

func TestPublish(t *testing.T) {
	s := startServer(t)
	artifacts := s.artifacts(t, "one")
	changed, err := New(registry.New(false)).Publish(context.Background(), artifacts)
	require.NoError(t, err)
	assert.True(t, changed)
	for _, a := range artifacts {
		for _, tag := range a.Tags {
			assert.Equal(t, a.Top().Descriptor.Digest.String(), tagged(t, a, tag))
		}
	}
	index, err := remote.Index(artifacts[0].Repository.Tag("latest"))
	require.NoError(t, err)
	require.NoError(t, validate.Index(index))
	assert.Equal(t, []string{"1.2.3_4"}, artifacts[1].Tags, "a tag cannot have a +")

	// Again: nothing is sent.
	s.fail(s.wrong)
	changed, err = New(registry.New(false)).Publish(context.Background(), artifacts)
	require.NoError(t, err)
	assert.False(t, changed)
	assert.Zero(t, s.sent("PUT")+s.sent("POST")+s.sent("PATCH"))

	// Another image may take over its tags; another chart of that version may
	// not, and is refused before anything is sent.
	s.fail(s.wrong)
	_, err = New(registry.New(false)).Publish(context.Background(), s.artifacts(t, "two"))
	assert.ErrorContains(t, err, "is there already with other content")
	assert.Equal(t, fault.Registry, fault.Code(err))
	assert.Zero(t, s.sent("PUT")+s.sent("POST")+s.sent("PATCH"))
	_, err = New(registry.New(false)).Publish(context.Background(), s.artifacts(t, "two")[:1])
	assert.NoError(t, err)
}

// What a phase has to do is done several things at a time, and not more than that;
// no phase begins before the one before it is over. Which credentials a repository
// wants is asked once to read and once to write.
func TestPhases(t *testing.T) {
	phaseOf := func(r *http.Request) int {
		switch {
		case r.URL.Path == "/v2/" || r.Method == http.MethodGet && isManifest(r) && !byDigest(r):
			return 0 // a look at the tag, now and at the end
		case !isManifest(r) && r.Method != http.MethodGet:
			return 1 // blobs
		case r.Method == http.MethodPut && r.Header.Get("Content-Type") == string(types.OCIManifestSchema1):
			return 2 // children
		case r.Method == http.MethodPut && byDigest(r):
			return 3 // the index
		case r.Method == http.MethodGet:
			return 4 // read back
		}
		return 5 // tags
	}
	s := startServer(t)
	const atOnce = 3
	var mu sync.Mutex
	last, pings, now, most := 0, 0, 0, 0
	met := make(chan struct{}) // closed once that many blobs are under way
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		phase := phaseOf(r)
		mu.Lock()
		now++
		if most = max(most, now); most == atOnce && phase == 1 {
			select {
			case <-met:
			default:
				close(met)
			}
		}
		if r.URL.Path == "/v2/" {
			pings++
		}
		if phase > 0 {
			assert.GreaterOrEqual(t, phase, last, "%s %s", r.Method, r.URL.Path)
			last = phase
		}
		mu.Unlock()
		if phase == 1 {
			select {
			case <-met:
			case <-time.After(time.Minute): // they are never as many
			}
		}
		time.Sleep(5 * time.Millisecond) // for one more than there may be
		mu.Lock()
		now--
		mu.Unlock()
		return false
	})
	p := New(registry.New(false))
	p.AtOnce = atOnce
	_, err := p.Publish(context.Background(), s.artifacts(t, "one")[:1])
	require.NoError(t, err)
	assert.Equal(t, 5, last)
	assert.Equal(t, atOnce, most)
	assert.Equal(t, 2, pings)
}

// The tags move after everything is there and was read back, whatever fails.
func TestFaultsLeaveTheTagsAlone(t *testing.T) {
	answer := func(code int, header, value, body string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			if header != "" {
				w.Header().Set(header, value)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		}
	}
	isUpload := func(r *http.Request) bool { return r.Method == http.MethodPatch || r.Method == http.MethodPut }
	for name, c := range map[string]struct {
		wrong func(w http.ResponseWriter, r *http.Request, n int) bool
		code  int
		words string
	}{
		"401": {
			wrong: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				w.Header().Set("WWW-Authenticate", "Basic realm=x")
				answer(401, "", "", `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`)(w)
				return true
			}, code: fault.Auth, words: "with the credentials for it from the caller",
		},
		"403 on an upload": {
			wrong: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Method != http.MethodPost {
					return false
				}
				answer(403, "", "", `{"errors":[{"code":"DENIED","message":"read only"}]}`)(w)
				return true
			}, code: fault.Auth, words: "DENIED read only",
		},
		"500 for ever": {
			wrong: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/sha256:") {
					return false
				}
				answer(500, "", "", "")(w)
				return true
			}, code: fault.Registry, words: "refused the manifest with 500",
		},
		"201 and nothing stored": {
			wrong: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Method != http.MethodPut || !strings.Contains(r.URL.Path, "/manifests/sha256:") {
					return false
				}
				answer(201, "", "", "")(w)
				return true
			}, code: fault.Verification, words: "was pushed but does not come back",
		},
		"other bytes": {
			wrong: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/blobs/sha256:") {
					return false
				}
				answer(200, "Content-Length", "5", "bytes")(w)
				return true
			}, code: fault.Verification, words: "was pushed but does not come back",
		},
		"reset for ever": {
			wrong: func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if isUpload(r) {
					panic(http.ErrAbortHandler)
				}
				return false
			}, code: fault.Registry, words: "EOF",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			artifacts := s.artifacts(t, "one")
			s.fail(c.wrong)
			p := New(registry.NewWith(fixed{}, false))
			_, err := p.Publish(context.Background(), artifacts)
			require.ErrorContains(t, err, c.words)
			assert.Equal(t, c.code, fault.Code(err), err)
			assert.NotContains(t, err.Error(), "hunter2")
			s.fail(func(http.ResponseWriter, *http.Request, int) bool { return false })
			for _, a := range artifacts {
				assert.Empty(t, tagged(t, a, a.Tags[0]))
			}
			_, err = New(registry.New(false)).Publish(context.Background(), artifacts)
			require.NoError(t, err, "and a later run goes on")
			for _, a := range artifacts {
				assert.NotEmpty(t, tagged(t, a, a.Tags[0]))
			}
		})
	}
}

// A fault that passes is waited out.
func TestPassingFaults(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(w http.ResponseWriter)
		least  time.Duration
	}{
		"500":               {answer: func(w http.ResponseWriter) { w.WriteHeader(500) }},
		"429 with its wait": {answer: func(w http.ResponseWriter) { w.Header().Set("Retry-After", "2"); w.WriteHeader(429) }, least: 2 * time.Second},
		"a reset":           {answer: func(http.ResponseWriter) { panic(http.ErrAbortHandler) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			once := false
			s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
				s.mu.Lock()
				first := !once && r.Method == http.MethodPut && strings.Contains(r.URL.Path, "/manifests/")
				once = once || first
				s.mu.Unlock()
				if first {
					c.answer(w)
				}
				return first
			})
			start := time.Now()
			_, err := New(registry.New(false)).Publish(context.Background(), s.artifacts(t, "one"))
			require.NoError(t, err)
			assert.GreaterOrEqual(t, time.Since(start), c.least)
		})
	}
}

func TestInterruptionEndsAtOnce(t *testing.T) {
	for name, wrong := range map[string]func(w http.ResponseWriter, r *http.Request) bool{
		"while the registry is silent": func(_ http.ResponseWriter, r *http.Request) bool { <-r.Context().Done(); return true },
		"while waiting to try again": func(w http.ResponseWriter, _ *http.Request) bool {
			w.Header().Set("Retry-After", "300")
			w.WriteHeader(429)
			return true
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			artifacts := s.artifacts(t, "one")
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if r.Method != http.MethodPost {
					return false
				}
				time.AfterFunc(100*time.Millisecond, cancel) // it waits by then
				return wrong(w, r)
			})
			start := time.Now()
			_, err := patient().Publish(ctx, artifacts)
			assert.ErrorIs(t, err, context.Canceled)
			assert.Less(t, time.Since(start), time.Minute)
			s.fail(func(http.ResponseWriter, *http.Request, int) bool { return false })
			assert.Empty(t, tagged(t, artifacts[0], "latest"))
		})
	}
}

// The files of docker, as a user has them.
func TestCredentialsOfDocker(t *testing.T) {
	s := startServer(t)
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if user, password, ok := r.BasicAuth(); ok && user == "team" && password == "hunter2" {
			return false
		}
		w.Header().Set("WWW-Authenticate", "Basic realm=x")
		w.WriteHeader(401)
		return true
	})
	dir := t.TempDir()
	t.Setenv("DOCKER_CONFIG", dir)
	artifacts := s.artifacts(t, "one")
	_, err := New(registry.New(false)).Publish(context.Background(), artifacts)
	require.ErrorContains(t, err, "no credentials were found for it")
	assert.Equal(t, fault.Auth, fault.Code(err))
	assert.Contains(t, fault.Hints(err)[0], "docker login "+s.host)

	// A wrong password is tried once, and a helper that fails not at all; what was
	// tried is named, what it said is not.
	refused := func(config, words string, requests int) {
		t.Helper()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600))
		s.fail(s.wrong)
		_, err := New(registry.New(false)).Publish(context.Background(), artifacts)
		require.ErrorContains(t, err, words)
		assert.Equal(t, fault.Auth, fault.Code(err))
		assert.NotContains(t, err.Error(), "secret")
		assert.Equal(t, requests, s.sent("GET"))
	}
	file := filepath.Join(dir, "config.json")
	refused(`{"auths":{"`+s.host+`":{"username":"team","password":"secret"}}}`, "401, with the credentials for it from "+file, 2)
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for name, script := range map[string]string{"wrong": `echo '{"Username":"team","Secret":"secret"}'`, "broken": "echo secret; exit 1"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "docker-credential-"+name), []byte("#!/bin/sh\n"+script+"\n"), 0o700))
	}
	refused(`{"credHelpers":{"`+s.host+`":"wrong"}}`, "401, with the credentials for it from docker-credential-wrong, which "+file+" names", 2)
	refused(`{"credsStore":"broken"}`, "its credentials cannot be read from docker-credential-broken, which "+file+" names: error getting credentials - err: exit status 1", 0)
	refused(`{"credsStore":"missing"}`, "docker-credential-missing\": executable file not found in $PATH", 0)

	config := `{"auths":{"` + s.host + `":{"username":"team","password":"hunter2"}}}`
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), []byte(config), 0o600))
	_, err = New(registry.New(false)).Publish(context.Background(), artifacts)
	require.NoError(t, err)
}

func TestStepsEndWithTheTags(t *testing.T) {
	s := startServer(t)
	steps := Steps(s.artifacts(t, "one"))
	tags := 0
	for i, step := range steps {
		if step.Phase == "tag" {
			tags++
			assert.GreaterOrEqual(t, i, len(steps)-3)
		}
	}
	assert.Equal(t, 3, tags)
	assert.Equal(t, types.OCIImageIndex, s.artifacts(t, "one")[0].Top().Descriptor.MediaType)
}

// fixed is a keychain with a wrong password.
type fixed struct{}

func (fixed) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "team", Password: "hunter2"}, nil
}
