package publish

import (
	"context"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// kinds are the requests of a push, in order, with the phase that each belongs to.
var kinds = []struct {
	name  string
	phase string
	is    func(r *http.Request) bool
}{
	{"ping", "check", func(r *http.Request) bool { return r.URL.Path == "/v2/" }},
	{"GET tag", "check", func(r *http.Request) bool { return r.Method == "GET" && isManifest(r) && !byDigest(r) }},
	{"HEAD blob", "blob", func(r *http.Request) bool { return r.Method == "HEAD" && isBlob(r) }},
	{"POST upload", "blob", func(r *http.Request) bool { return r.Method == "POST" }},
	{"PATCH upload", "blob", func(r *http.Request) bool { return r.Method == "PATCH" }},
	{"PUT upload", "blob", func(r *http.Request) bool { return r.Method == "PUT" && !isManifest(r) }},
	{"PUT manifest", "manifest", func(r *http.Request) bool { return r.Method == "PUT" && isManifest(r) && byDigest(r) }},
	{"GET blob", "read back", func(r *http.Request) bool { return r.Method == "GET" && isBlob(r) }},
	{"GET manifest", "read back", func(r *http.Request) bool { return r.Method == "GET" && isManifest(r) && byDigest(r) }},
	{"PUT tag", "tag", func(r *http.Request) bool { return r.Method == "PUT" && isManifest(r) && !byDigest(r) }},
}

func isManifest(r *http.Request) bool { return strings.Contains(r.URL.Path, "/manifests/") }
func byDigest(r *http.Request) bool   { return strings.Contains(r.URL.Path, "/sha256:") }
func isBlob(r *http.Request) bool     { return strings.Contains(r.URL.Path, "/blobs/sha256:") }

// always answers requests of a kind with something else.
func always(is func(*http.Request) bool, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request, int) bool {
	return func(w http.ResponseWriter, r *http.Request, _ int) bool {
		if !is(r) {
			return false
		}
		answer(w, r)
		return true
	}
}

// once does so with the first of them.
func once(is func(*http.Request) bool, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request, int) bool {
	var seen atomic.Bool
	return always(func(r *http.Request) bool { return is(r) && seen.CompareAndSwap(false, true) }, answer)
}

func status(code int, body string, header ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(header); i += 2 {
			w.Header().Set(header[i], header[i+1])
		}
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

// reset takes half of the body and breaks the connection off.
func reset(w http.ResponseWriter, r *http.Request) {
	_, _ = io.CopyN(io.Discard, r.Body, r.ContentLength/2)
	conn, _, err := w.(http.Hijacker).Hijack()
	if err == nil {
		_ = conn.(*net.TCPConn).SetLinger(0) // RST in the place of FIN
		_ = conn.Close()
	}
}

// silent takes the request and never answers.
func silent(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // a server notices that its client is gone after the body only
	<-r.Context().Done()
}

// quick is a publisher that does not wait long where nobody asks it to.
func quick() *Publisher { return quickWith(authn.DefaultKeychain) }

func quickWith(keys authn.Keychain) *Publisher {
	client := registry.NewWith(keys, false)
	client.Backoff = retry.ExponentialBackoff(time.Millisecond, 2, 0)
	return New(client)
}

// patient is a publisher that has the time to wait for minutes.
func patient() *Publisher {
	p := New(registry.New(false))
	for phase := range p.Limits {
		p.Limits[phase] = time.Hour
	}
	return p
}

func well(http.ResponseWriter, *http.Request, int) bool { return false }

// A fault that passes is waited out, whichever request it hits.
func TestEveryRequestMayFailOnce(t *testing.T) {
	for _, kind := range kinds {
		for name, answer := range map[string]http.HandlerFunc{
			"500": status(500, ""), "503": status(503, ""), "429": status(429, ""), "reset": reset,
			"429 with seconds": status(429, "", "Retry-After", "1"),
			"503 with a date":  func(w http.ResponseWriter, r *http.Request) { status(503, "", "Retry-After", inASecond())(w, r) },
		} {
			t.Run(kind.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := startServer(t)
				artifacts := s.artifacts(t, "one")
				s.fail(once(kind.is, answer))
				_, err := quick().Publish(context.Background(), artifacts)
				require.NoError(t, err)
				assert.Equal(t, artifacts[0].Top().Descriptor.Digest.String(), tagged(t, artifacts[0], "latest"))
			})
		}
	}
}

func inASecond() string { return time.Now().Add(1500 * time.Millisecond).UTC().Format(http.TimeFormat) }

// A layer too large for the buffers of the connection: the client may notice the
// break while it writes, while it reads, or in between.
func TestLongUploadBreaksOff(t *testing.T) {
	s := startServer(t)
	noise := make([]byte, 8<<20)
	_, err := rand.NewChaCha8([32]byte{}).Read(noise)
	require.NoError(t, err)
	for i := range 20 {
		layer := image.NewBlob(types.OCILayer, append(noise, byte(i)))
		s.fail(once(func(r *http.Request) bool { return r.Method == http.MethodPatch }, reset))
		a := s.artifacts(t, "one")[0]
		p := quick()
		require.NoError(t, p.step(context.Background(), "blob", a, func(ctx context.Context) error { return p.putBlob(ctx, a, layer) }))
		require.NoError(t, p.step(context.Background(), "read back", a, func(ctx context.Context) error { return p.readBack(ctx, a, layer, false) }))
	}
}

// One that does not pass ends the run with its exit code and the phase, the tags
// where they were, after so many tries; the next run goes on.
func TestEveryRequestMayFailForEver(t *testing.T) {
	denied := `{"errors":[{"code":"DENIED","message":"not for you"}]}`
	for _, kind := range kinds {
		for name, c := range map[string]struct {
			answer http.HandlerFunc
			code   int
			words  string
			tries  int
		}{
			"401":    {status(401, denied), fault.Auth, "401, no credentials were found", 1},
			"403":    {status(403, denied), fault.Auth, "403", 1},
			"429":    {status(429, denied), fault.Registry, "429, 5 times", 5},
			"500":    {status(500, denied), fault.Registry, "500, 5 times", 5},
			"reset":  {reset, fault.Registry, "", 5},
			"silent": {silent, fault.Registry, "no answer within 2s (" + kind.phase + ")", 1},
			"busy for long": {status(429, "", "Retry-After", "3600"), fault.Registry,
				"answered 429 once and asks to wait 1h0m0s (" + kind.phase + ")", 1},
		} {
			if kind.name == "ping" && name == "401" {
				continue // that only asks for credentials
			}
			t.Run(kind.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := startServer(t)
				before := s.artifacts(t, "zero")[:1]
				_, err := quick().Publish(context.Background(), before)
				require.NoError(t, err)

				artifacts := s.artifacts(t, "one")[:1]
				var tried atomic.Int32
				s.fail(always(kind.is, func(w http.ResponseWriter, r *http.Request) { tried.Add(1); c.answer(w, r) }))
				p := quick()
				p.AtOnce = 1 // so that tries can be counted
				if name == "silent" {
					p.Limits[kind.phase] = 2 * time.Second
				}
				_, err = p.Publish(context.Background(), artifacts)
				require.ErrorContains(t, err, c.words)
				assert.Equal(t, c.code, fault.Code(err), err)
				assert.NotEmpty(t, fault.Hints(err))
				if name == "reset" { // net/http repeats some itself, on another connection
					assert.GreaterOrEqual(t, int(tried.Load()), c.tries)
				} else {
					assert.EqualValues(t, c.tries, tried.Load(), err)
				}
				if name == "403" && !strings.HasPrefix(kind.name, "HEAD") { // the answer to a HEAD has no text
					assert.ErrorContains(t, err, "DENIED not for you")
				}

				s.fail(well)
				for _, tag := range artifacts[0].Tags {
					assert.Equal(t, before[0].Top().Descriptor.Digest.String(), tagged(t, before[0], tag), "the tag has moved")
				}
				_, err = quick().Publish(context.Background(), artifacts)
				require.NoError(t, err)
				assert.Equal(t, artifacts[0].Top().Descriptor.Digest.String(), tagged(t, artifacts[0], "latest"))
			})
		}
	}
}

// Ctrl-C at any request, or while waiting to send it again: nothing is waited for, the
// tag is where it was, and the next run finishes.
func TestInterruptionAtEveryRequest(t *testing.T) {
	for _, kind := range kinds {
		for name, answer := range map[string]http.HandlerFunc{"silent": silent, "backoff": status(429, "", "Retry-After", "300"), "500": status(500, "")} {
			t.Run(kind.name+" "+name, func(t *testing.T) {
				t.Parallel()
				s := startServer(t)
				before := s.artifacts(t, "zero")[:1]
				_, err := quick().Publish(context.Background(), before)
				require.NoError(t, err)
				artifacts := s.artifacts(t, "one")[:1]
				ctx, cancel := context.WithCancel(context.Background())
				defer cancel()
				var interrupted atomic.Int64
				s.fail(always(kind.is, func(w http.ResponseWriter, r *http.Request) {
					if interrupted.CompareAndSwap(0, time.Now().Add(50*time.Millisecond).UnixNano()) {
						time.AfterFunc(50*time.Millisecond, cancel)
					}
					answer(w, r)
				}))
				_, err = patient().Publish(ctx, artifacts)
				require.ErrorIs(t, err, context.Canceled)
				assert.Less(t, time.Since(time.Unix(0, interrupted.Load())), time.Minute)
				s.fail(well)
				assert.Equal(t, before[0].Top().Descriptor.Digest.String(), tagged(t, before[0], "latest"))
				_, err = quick().Publish(context.Background(), artifacts)
				require.NoError(t, err)
			})
		}
	}
}

// A registry that says yes and does something else is found out, before a tag
// moves where that can be.
func TestLies(t *testing.T) {
	is := map[string]func(*http.Request) bool{}
	for _, kind := range kinds {
		is[kind.name] = kind.is
	}
	created := status(201, "")
	for name, c := range map[string]struct {
		wrong func(http.ResponseWriter, *http.Request, int) bool
		words string
	}{
		"blob taken, not stored":     {always(is["PUT upload"], created), "was pushed but does not come back"},
		"manifest taken, not stored": {always(is["PUT manifest"], created), "was pushed but does not come back"},
		"tag taken, not moved":       {always(is["PUT tag"], created), "was pushed but is not there"},
		"blob lost":                  {always(is["GET blob"], status(404, "")), "was pushed but does not come back"},
		"manifest lost":              {always(is["GET manifest"], status(404, "")), "was pushed but does not come back"},
		"blob of other bytes":        {always(is["GET blob"], status(200, "other")), "was pushed but does not come back"},
		"manifest of other bytes":    {always(is["GET manifest"], status(200, "{}")), "was pushed but does not come back"},
		"blob without an end": {always(is["GET blob"], func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(make([]byte, 1<<16)); err != nil {
					return
				}
			}
		}), "was pushed but does not come back"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			artifacts := s.artifacts(t, "one")
			s.fail(c.wrong)
			_, err := quick().Publish(context.Background(), artifacts)
			require.ErrorContains(t, err, c.words)
			assert.Equal(t, fault.Verification, fault.Code(err))
			s.fail(well)
			assert.Empty(t, tagged(t, artifacts[0], "latest"))
		})
	}
}

// What is no passing trouble is said so that somebody can do something about it.
func TestRefusals(t *testing.T) {
	invalid := `{"errors":[{"code":"MANIFEST_INVALID","message":"media type"}]}`
	isIndex := func(r *http.Request) bool {
		return r.Method == "PUT" && r.Header.Get("Content-Type") == "application/vnd.oci.image.index.v1+json"
	}
	tags := func(r *http.Request) bool { return r.Method == "PUT" && isManifest(r) && !byDigest(r) }
	for name, c := range map[string]struct {
		wrong       func(http.ResponseWriter, *http.Request, int) bool
		words, hint string
	}{
		"no OCI index": {always(isIndex, status(400, invalid)), "refused the manifest with 400: MANIFEST_INVALID media type", "has to accept OCI images and indexes"},
		"upload to a private address": {always(func(r *http.Request) bool { return r.Method == "POST" }, status(202, "", "Location", "http://10.1.2.3/upload")),
			`private/link-local host "10.1.2.3"`, "http.relativeurls: true"},
		"no zstd":       {always(func(r *http.Request) bool { return r.Method == "PUT" && isManifest(r) }, status(400, invalid)), "refused the manifest with 400: MANIFEST_INVALID media type", "jobmesh build --compression gzip"},
		"immutable tag": {always(tags, status(409, `{"errors":[{"code":"TAG_IMMUTABLE","message":"no"}]}`)), "TAG_IMMUTABLE: no", "under another tag"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			before := s.artifacts(t, "zero")[:1]
			_, err := quick().Publish(context.Background(), before)
			require.NoError(t, err)
			s.fail(c.wrong)
			artifacts := s.artifacts(t, "one")[:1]
			if name == "no zstd" {
				artifacts[0].Blobs[0].Descriptor.MediaType = types.OCILayerZStd
			}
			_, err = quick().Publish(context.Background(), artifacts)
			require.ErrorContains(t, err, c.words)
			require.NotEmpty(t, fault.Hints(err))
			assert.Contains(t, fault.Hints(err)[0], c.hint)
			assert.Equal(t, fault.Registry, fault.Code(err))
			if name == "immutable tag" {
				assert.ErrorContains(t, err, before[0].Top().Descriptor.Digest.String())
				assert.ErrorContains(t, err, artifacts[0].Top().Descriptor.Digest.String())
			}
			s.fail(well)
			assert.Equal(t, before[0].Top().Descriptor.Digest.String(), tagged(t, before[0], "latest"))
		})
	}
}

// A token service that is in trouble is named; so is one that knows the password
// to be wrong, which is asked once.
func TestTokenService(t *testing.T) {
	for name, c := range map[string]struct {
		answer http.HandlerFunc
		code   int
		words  string
		tries  int32
	}{
		"in trouble":     {status(500, "oops"), fault.Registry, "refused the check with 500, 5 times", 5},
		"wrong password": {status(401, `{"errors":[{"code":"UNAUTHORIZED","message":"unknown user"}]}`), fault.Auth, "UNAUTHORIZED unknown user", 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var tried atomic.Int32
			tokens := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				tried.Add(1)
				c.answer(w, r)
			}))
			defer tokens.Close()
			// By its name, since a private address of another server is not followed.
			host := strings.Replace(strings.TrimPrefix(tokens.URL, "http://"), "127.0.0.1", "localhost", 1)
			s := startServer(t)
			artifacts := s.artifacts(t, "one")
			s.fail(always(func(*http.Request) bool { return true },
				status(401, "", "WWW-Authenticate", `Bearer realm="http://`+host+`/token",service="x"`)))
			_, err := quickWith(fixed{}).Publish(context.Background(), artifacts)
			require.ErrorContains(t, err, c.words)
			assert.ErrorContains(t, err, host+", where "+s.host+" sends its clients,")
			assert.Equal(t, c.code, fault.Code(err))
			assert.NotContains(t, err.Error(), "hunter2")
			assert.Equal(t, c.tries, tried.Load())
		})
	}
}

// A certificate of nobody we know.
func TestUnknownAuthority(t *testing.T) {
	behind := httptest.NewTLSServer(http.NotFoundHandler())
	defer behind.Close()
	behind.Config.ErrorLog = log.New(io.Discard, "", 0)
	s := &server{host: strings.TrimPrefix(behind.URL, "https://")}
	_, err := quick().Publish(context.Background(), s.artifacts(t, "one"))
	require.ErrorContains(t, err, "its certificate is not accepted: x509: certificate signed by unknown authority")
	assert.Equal(t, fault.Registry, fault.Code(err))
	assert.Contains(t, fault.Hints(err)[0], "SSL_CERT_FILE=")
}
