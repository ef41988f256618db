package publish

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// withAttachments gives every manifest documents of two types.
func withAttachments(t *testing.T, artifacts []Artifact, content string) []Artifact {
	t.Helper()
	for i, a := range artifacts {
		artifacts[i].Attachments = nil
		for _, m := range a.Manifests {
			for _, kind := range []types.MediaType{"application/spdx+json", "application/vnd.in-toto+json"} {
				doc, err := image.Attach(m.Descriptor, kind, []byte(content), map[string]string{"note": content})
				require.NoError(t, err)
				artifacts[i].Attachments = append(artifacts[i].Attachments, doc)
			}
		}
	}
	return artifacts
}

// withReferrers turns the server into one that has the API.
func (s *server) withReferrers() {
	behind := memory.New(memory.Logger(log.New(io.Discard, "", 0)), memory.WithReferrersSupport(true))
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		behind.ServeHTTP(w, r)
		return true
	})
}

// forget starts counting requests anew.
func (s *server) forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests = nil
}

func isReferrers(r *http.Request) bool { return strings.Contains(r.URL.Path, "/referrers/") }

func isListTag(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/sha256-") }

// assertListed asks a registry for every attachment, with a client of its own.
func assertListed(t *testing.T, artifacts []Artifact) {
	t.Helper()
	for _, a := range artifacts {
		missing, err := New(registry.New(false)).unlisted(context.Background(), a)
		require.NoError(t, err)
		assert.Empty(t, missing)
	}
}

// Attachments are pushed, listed and read back, whatever a
// registry without the API answers; again sends nothing.
func TestAttachments(t *testing.T) {
	answer := func(code int, contentType, body string) func(*server) {
		return func(s *server) {
			s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
				if !isReferrers(r) {
					return false
				}
				w.Header().Set("Content-Type", contentType)
				w.WriteHeader(code)
				_, _ = io.WriteString(w, body)
				return true
			})
		}
	}
	for name, prepare := range map[string]func(*server){
		"with the API":          (*server).withReferrers,
		"404":                   func(*server) {},
		"405":                   answer(http.StatusMethodNotAllowed, "application/json", `{"errors":[{"code":"UNSUPPORTED"}]}`),
		"400":                   answer(http.StatusBadRequest, "text/plain", "bad"),
		"501":                   answer(http.StatusNotImplemented, "text/plain", "no"),
		"200 with a page":       answer(http.StatusOK, "text/html", "<html>"),
		"the subject as a list": mapsListToSubject,
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			prepare(s)
			artifacts := withAttachments(t, s.artifacts(t, "one"), "about one")
			changed, err := New(registry.New(false)).Publish(context.Background(), artifacts)
			require.NoError(t, err)
			assert.True(t, changed)
			assertListed(t, artifacts)

			s.forget()
			changed, err = New(registry.New(false)).Publish(context.Background(), artifacts)
			require.NoError(t, err)
			assert.False(t, changed)
			assert.Zero(t, s.sent("PUT")+s.sent("POST")+s.sent("PATCH"), "only questions are asked")
		})
	}
}

// mapsListToSubject answers the tag of a list with the subject, as GitLab was seen
// to do, until a list is put there.
func mapsListToSubject(s *server) {
	var mu sync.Mutex
	put := map[string]bool{}
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if !isListTag(r) {
			return false
		}
		mu.Lock()
		defer mu.Unlock()
		if r.Method == http.MethodPut {
			put[r.URL.Path] = true
		}
		if !put[r.URL.Path] {
			r.URL.Path = strings.Replace(r.URL.Path, "/sha256-", "/sha256:", 1)
		}
		return false
	})
}

// A registry that keeps no list at all, and one without the API where it
// is required, are told so; no tag moves.
func TestNoReferrers(t *testing.T) {
	s := startServer(t)
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPut && isListTag(r) { // 201, and nothing kept
			w.WriteHeader(http.StatusCreated)
			return true
		}
		return false
	})
	artifacts := withAttachments(t, s.artifacts(t, "one"), "about one")
	_, err := New(registry.New(false)).Publish(context.Background(), artifacts)
	assert.Equal(t, fault.Registry, fault.Code(err))
	assert.ErrorContains(t, err, "as a referrer of sha256:")
	assert.Contains(t, fault.Hints(err)[0], "--referrers none")
	assert.Empty(t, tagged(t, artifacts[0], "latest"))

	s = startServer(t)
	artifacts = withAttachments(t, s.artifacts(t, "one"), "about one")
	client := registry.New(false)
	client.RequireReferrers()
	_, err = New(client).Publish(context.Background(), artifacts)
	assert.Equal(t, fault.Registry, fault.Code(err))
	assert.ErrorContains(t, err, "has no referrers API")
	assert.Empty(t, tagged(t, artifacts[0], "latest"))
	s.withReferrers()
	client = registry.New(false) // one run of jobmesh does not send a blob twice
	client.RequireReferrers()
	_, err = New(client).Publish(context.Background(), artifacts)
	require.NoError(t, err)
}

// What is missing is added alone: neither content nor tags are sent again.
func TestMissingAttachmentsAreAdded(t *testing.T) {
	s := startServer(t)
	plain := s.artifacts(t, "one")
	_, err := New(registry.New(false)).Publish(context.Background(), plain)
	require.NoError(t, err)
	artifacts := withAttachments(t, s.artifacts(t, "one"), "about one")
	artifacts[0].Attachments = artifacts[0].Attachments[:1]
	artifacts[1].Attachments = nil
	s.forget()
	changed, err := New(registry.New(false)).Publish(context.Background(), artifacts)
	require.NoError(t, err)
	assert.True(t, changed)
	assertListed(t, artifacts)
	s.mu.Lock()
	var manifests []string
	for _, r := range s.requests {
		if strings.HasPrefix(r, "PUT ") && strings.Contains(r, "/manifests/") {
			manifests = append(manifests, r[strings.LastIndex(r, "/")+1:])
		}
	}
	s.mu.Unlock()
	assert.Equal(t, []string{
		artifacts[0].Attachments[0].Manifest.Descriptor.Digest.String(),
		"sha256-" + artifacts[0].Attachments[0].Subject.Hex,
	}, manifests, "the document and the list")
	assert.Equal(t, 2+2, s.sent("PUT"), "and the content of the document with its empty configuration")
}

// Two runs attach to one subject at once, where the list is under a tag.
// Both read it before either writes; nothing is lost.
func TestTwoAttachAtOnce(t *testing.T) {
	s := startServer(t)
	base := s.artifacts(t, "one")
	_, err := New(registry.New(false)).Publish(context.Background(), base)
	require.NoError(t, err)
	var both sync.WaitGroup // the first two that write wait for each other
	both.Add(2)
	var mu sync.Mutex
	waiting := 0
	s.fail(func(_ http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPut && isListTag(r) {
			mu.Lock()
			waiting++
			first := waiting <= 2
			mu.Unlock()
			if first {
				both.Done()
				both.Wait()
			}
		}
		return false
	})
	var sets [2][]Artifact
	for i := range sets {
		sets[i] = withAttachments(t, s.artifacts(t, "one"), fmt.Sprint("from run ", i))[:1]
		sets[i][0].Attachments = sets[i][0].Attachments[:1]
	}
	var runs sync.WaitGroup
	for _, set := range sets {
		runs.Go(func() {
			_, err := New(registry.New(false)).Publish(context.Background(), set)
			assert.NoError(t, err)
		})
	}
	runs.Wait()
	for _, set := range sets {
		assertListed(t, set)
	}
}

// Attachments come after the index and before every tag; a run that fails
// at one leaves the tags, and the next goes on.
func TestAttachmentFails(t *testing.T) {
	s := startServer(t)
	artifacts := withAttachments(t, s.artifacts(t, "one"), "about one")
	last := artifacts[1].Attachments[1].Manifest.Descriptor.Digest.String()
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, last) {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	})
	_, err := New(registry.New(false)).Publish(context.Background(), artifacts)
	assert.Equal(t, fault.Auth, fault.Code(err))
	assert.ErrorContains(t, err, "refused the attachment with 403")
	for _, a := range artifacts {
		assert.Empty(t, tagged(t, a, a.Tags[0]))
	}
	s.fail(func(http.ResponseWriter, *http.Request, int) bool { return false })
	_, err = New(registry.New(false)).Publish(context.Background(), artifacts)
	require.NoError(t, err)
	assertListed(t, artifacts)

	phases := map[string]int{}
	for i, step := range Steps(artifacts) {
		phases[step.Phase] = i
	}
	assert.Less(t, phases["manifest"], phases["attachment"])
	assert.Less(t, phases["attachment"], phases["referrers"])
	assert.Less(t, phases["referrers"], phases["tag"])
}

// An attachment that is not read back as it was sent keeps the tags from moving.
func TestAttachmentIsReadBack(t *testing.T) {
	s := startServer(t)
	artifacts := withAttachments(t, s.artifacts(t, "one"), "about one")
	content := artifacts[0].Attachments[0].Content.Descriptor.Digest.String()
	s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, content) {
			w.WriteHeader(http.StatusNotFound)
			return true
		}
		return false
	})
	_, err := New(registry.New(false)).Publish(context.Background(), artifacts)
	assert.Equal(t, fault.Verification, fault.Code(err))
	assert.Empty(t, tagged(t, artifacts[0], "latest"))
}

// Signatures by another program are made once everything is there, and no tag
// moves where that fails.
func TestSignBeforeTags(t *testing.T) {
	s := startServer(t)
	artifacts := s.artifacts(t, "one")
	client := registry.New(false)
	p := New(client)
	var signed []string
	p.Sign = func(ctx context.Context, a Artifact) (bool, error) {
		signed = append(signed, a.Reference())
		_, err := client.Repository(a.Repository).Content(ctx, v1.Descriptor{MediaType: types.OCIImageIndex, Digest: a.Top().Descriptor.Digest})
		require.NoError(t, err)
		if len(signed) == 2 {
			return false, fault.New(fault.Registry, fmt.Errorf("no identity"))
		}
		return true, nil
	}
	_, err := p.Publish(context.Background(), artifacts)
	assert.ErrorContains(t, err, "no identity")
	assert.Equal(t, []string{artifacts[0].Reference(), artifacts[1].Reference()}, signed)
	assert.Empty(t, tagged(t, artifacts[0], "latest"))
}

// What a registry has lost of a release whose tags are there is sent again, and nothing
// else.
func TestLostContentIsSentAgain(t *testing.T) {
	for name, which := range map[string]func(a Artifact) image.Blob{
		"a layer":                func(a Artifact) image.Blob { return a.Blobs[0] },
		"a platform":             func(a Artifact) image.Blob { return a.Manifests[0] },
		"the index":              Artifact.Top,
		"the text of a document": func(a Artifact) image.Blob { return a.Attachments[0].Content },
		"a document":             func(a Artifact) image.Blob { return a.Attachments[0].Manifest },
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			artifacts := withAttachments(t, s.artifacts(t, "one"), "one")
			_, err := New(registry.New(false)).Publish(context.Background(), artifacts)
			require.NoError(t, err)
			lost := which(artifacts[0]).Descriptor.Digest.String()
			var mu sync.Mutex
			back := false
			s.fail(func(w http.ResponseWriter, r *http.Request, _ int) bool {
				mu.Lock()
				defer mu.Unlock()
				named := strings.HasSuffix(r.URL.Path, "/"+lost)
				// A blob is put where it was posted, with its digest in the query.
				if r.Method == http.MethodPut && (named || r.URL.Query().Get("digest") == lost) {
					back = true
				}
				if back || !named || r.Method != http.MethodGet && r.Method != http.MethodHead {
					return false
				}
				http.Error(w, "{}", http.StatusNotFound)
				return true
			})
			changed, err := New(registry.New(false)).Publish(context.Background(), artifacts)
			require.NoError(t, err)
			assert.True(t, changed)
			assert.True(t, back)
			s.forget()
			changed, err = New(registry.New(false)).Publish(context.Background(), artifacts)
			require.NoError(t, err)
			assert.False(t, changed)
			assert.Zero(t, s.sent("PUT")+s.sent("POST"))
		})
	}
}

// Bundles of others beside an image are no reason not to sign it.
func TestKeylessSignsWhateverIsThere(t *testing.T) {
	s := startServer(t)
	artifacts := s.artifacts(t, "one")[:1]
	for _, m := range artifacts[0].Manifests {
		doc, err := image.Attach(m.Descriptor, signature.MediaType, []byte("{}"), nil)
		require.NoError(t, err)
		artifacts[0].Attachments = append(artifacts[0].Attachments, doc)
	}
	dir := t.TempDir()
	called := filepath.Join(dir, "called")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "cosign"), []byte("#!/bin/sh\necho \"$*\" >>"+called+"\n"), 0o700))
	t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
	for run := 1; run <= 2; run++ {
		p := New(registry.New(false))
		require.NoError(t, p.SignKeyless(io.Discard))
		changed, err := p.Publish(context.Background(), artifacts)
		require.NoError(t, err)
		assert.True(t, changed)
		text, err := os.ReadFile(called)
		require.NoError(t, err)
		assert.Equal(t, run*len(artifacts[0].Manifests), strings.Count(string(text), "\n"))
		for _, m := range artifacts[0].Manifests {
			assert.Equal(t, run, strings.Count(string(text), m.Descriptor.Digest.String()))
		}
	}
}
