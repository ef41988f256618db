package entrypoint

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	memory "github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// TestMain unsets the proxy variables of this machine, because the servers of the tests are
// local.
func TestMain(m *testing.M) {
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"} {
		_ = os.Unsetenv(name)
	}
	os.Exit(m.Run())
}

func entry(image, digest string, entrypoint []string, cmd ...string) lockfile.Entry {
	return lockfile.Entry{Image: image, Digest: digest, Command: lockfile.Command{Entrypoint: entrypoint, Cmd: cmd}}
}

// A server is a real registry behind a handler that may answer in its place.
type server struct {
	host  string
	wrong atomic.Value // holds a func(http.ResponseWriter, *http.Request) bool
}

type answering func(w http.ResponseWriter, r *http.Request) bool

func startServer(t *testing.T) *server {
	t.Helper()
	s := &server{}
	s.wrong.Store(answering(func(http.ResponseWriter, *http.Request) bool { return false }))
	behind := memory.New(memory.Logger(log.New(io.Discard, "", 0)))
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.wrong.Load().(answering)(w, r) {
			behind.ServeHTTP(w, r)
		}
	}))
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	t.Cleanup(web.Close)
	s.host = strings.TrimPrefix(web.URL, "http://")
	return s
}

func (s *server) ref(t *testing.T, image string) name.Reference {
	t.Helper()
	ref, err := name.ParseReference(s.host + "/" + image)
	require.NoError(t, err)
	return ref
}

// imageOf returns a real image with an entrypoint and a command.
func imageOf(t *testing.T, platform string, entrypoint, cmd []string) v1.Image {
	t.Helper()
	p, err := v1.ParsePlatform(platform)
	require.NoError(t, err)
	image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), &v1.ConfigFile{
		OS: p.OS, Architecture: p.Architecture, Variant: p.Variant, RootFS: v1.RootFS{Type: "layers"},
		Config: v1.Config{Entrypoint: entrypoint, Cmd: cmd},
	})
	require.NoError(t, err)
	return mutate.ConfigMediaType(image, types.OCIConfigJSON)
}

// listed returns an entry of an index for a platform; "" means an entry without a platform.
func listed(t *testing.T, image mutate.Appendable, platform string) mutate.IndexAddendum {
	t.Helper()
	add := mutate.IndexAddendum{Add: image}
	if platform != "" {
		p, err := v1.ParsePlatform(platform)
		require.NoError(t, err)
		add.Platform = p
	}
	return add
}

func indexOf(adds ...mutate.IndexAddendum) v1.ImageIndex {
	return mutate.IndexMediaType(mutate.AppendManifests(empty.Index, adds...), types.OCIImageIndex)
}

// attestation returns what buildkit lists beside each image.
func attestation(t *testing.T) mutate.IndexAddendum {
	t.Helper()
	add := listed(t, imageOf(t, "unknown/unknown", nil, nil), "unknown/unknown")
	add.Annotations = map[string]string{"vnd.docker.reference.type": "attestation-manifest"}
	return add
}

func lookup(t *testing.T) *Lookup {
	t.Helper()
	l, err := NewLookup(registry.New(false))
	require.NoError(t, err)
	return l
}

var (
	redis   = []string{"docker-entrypoint.sh"}
	serving = []string{"redis-server"}
)

func TestImage(t *testing.T) {
	s := startServer(t)
	image := imageOf(t, "linux/amd64", redis, serving)
	require.NoError(t, remote.Write(s.ref(t, "redis:7"), image))
	digest, err := image.Digest()
	require.NoError(t, err)
	for _, ref := range []string{"redis:7", "redis@" + digest.String(), "redis:7@" + digest.String()} {
		got, err := lookup(t).Image(context.Background(), s.host+"/"+ref)
		require.NoError(t, err)
		assert.Equal(t, entry(s.host+"/"+ref, digest.String(), redis, serving...), got)
	}
}

// The index is that of a real build: two platforms, an attestation for each, an entry without
// an architecture, one for Windows, a signature, and a nested index.
func TestIndexWithEverythingInIt(t *testing.T) {
	s := startServer(t)
	signature := listed(t, mutate.ConfigMediaType(imageOf(t, "linux/amd64", []string{"signature"}, nil), "application/vnd.dev.sigstore.bundle.v0.3+json"), "")
	referring := listed(t, imageOf(t, "linux/amd64", []string{"sbom"}, nil), "")
	referring.Annotations = map[string]string{"vnd.docker.reference.type": "sbom"}
	index := indexOf(
		listed(t, imageOf(t, "linux/amd64", redis, serving), "linux/amd64"),
		listed(t, imageOf(t, "linux/arm64", redis, serving), "linux/arm64"),
		attestation(t), attestation(t), signature, referring,
		mutate.IndexAddendum{Add: imageOf(t, "linux/mips", []string{"none"}, nil), Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux"}}},
		listed(t, imageOf(t, "windows/amd64", []string{"redis.exe"}, nil), "windows/amd64"),
		listed(t, indexOf(listed(t, imageOf(t, "linux/arm/v7", redis, serving), "linux/arm/v7")), ""),
		listed(t, imageOf(t, "linux/s390x", redis, serving), ""),
	)
	require.NoError(t, remote.WriteIndex(s.ref(t, "redis:7"), index))
	digest, err := index.Digest()
	require.NoError(t, err)
	got, err := lookup(t).Image(context.Background(), s.host+"/redis:7")
	require.NoError(t, err)
	assert.Equal(t, entry(s.host+"/redis:7", digest.String(), redis, serving...), got, "the digest is that of the index")
}

func TestPlatformsThatDisagree(t *testing.T) {
	s := startServer(t)
	require.NoError(t, remote.WriteIndex(s.ref(t, "app:1"), indexOf(
		listed(t, imageOf(t, "linux/amd64", []string{"/app"}, nil), "linux/amd64"),
		listed(t, imageOf(t, "linux/arm64", []string{"/app"}, []string{"--slow"}), "linux/arm64"),
		listed(t, imageOf(t, "linux/arm/v7", []string{"/app"}, nil), "linux/arm/v7"),
		listed(t, indexOf(listed(t, imageOf(t, "linux/s390x", nil, nil), "linux/s390x")), ""),
	)))
	_, err := lookup(t).Image(context.Background(), s.host+"/app:1")
	require.EqualError(t, err, `the platforms disagree: linux/amd64, linux/arm/v7 run ENTRYPOINT ["/app"]; `+
		`linux/arm64 runs ENTRYPOINT ["/app"] CMD ["--slow"]; linux/s390x runs nothing`)
	assert.Equal(t, fault.Input, fault.Code(err))
}

func TestWhatIsNoImageForLinux(t *testing.T) {
	s := startServer(t)
	chart := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json")
	require.NoError(t, remote.Write(s.ref(t, "chart:1"), chart))
	require.NoError(t, remote.WriteIndex(s.ref(t, "windows:1"), indexOf(listed(t, imageOf(t, "windows/amd64", []string{"app.exe"}, nil), "windows/amd64"))))
	require.NoError(t, remote.WriteIndex(s.ref(t, "empty:1"), indexOf()))
	deep := indexOf(listed(t, imageOf(t, "linux/amd64", redis, nil), "linux/amd64"))
	for range maxDepth {
		deep = indexOf(listed(t, deep, ""))
	}
	require.NoError(t, remote.WriteIndex(s.ref(t, "deep:1"), deep))
	for image, want := range map[string]string{
		"chart:1": "has no image for Linux", "windows:1": "has no image for Linux", "empty:1": "has no image for Linux",
		"deep:1": "is an index of more than 256 images, or 4 indexes deep",
	} {
		_, err := lookup(t).Image(context.Background(), s.host+"/"+image)
		require.EqualError(t, err, want)
		assert.Equal(t, fault.Input, fault.Code(err))
	}
	_, err := lookup(t).Image(context.Background(), "Not An Image")
	require.EqualError(t, err, "is not an image reference")
	assert.Equal(t, fault.Usage, fault.Code(err))
}

func TestDigest(t *testing.T) {
	s := startServer(t)
	image := imageOf(t, "linux/amd64", redis, serving)
	require.NoError(t, remote.Write(s.ref(t, "redis:7"), image))
	want, err := image.Digest()
	require.NoError(t, err)
	got, err := lookup(t).Digest(context.Background(), s.host+"/redis:7")
	require.NoError(t, err)
	assert.Equal(t, want.String(), got)

	s.wrong.Store(answering(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodHead {
			w.WriteHeader(http.StatusMethodNotAllowed)
		}
		return r.Method == http.MethodHead
	}))
	got, err = lookup(t).Digest(context.Background(), s.host+"/redis:7")
	require.NoError(t, err, "a registry that knows no HEAD is asked with GET")
	assert.Equal(t, want.String(), got)

	s.wrong.Store(answering(func(_ http.ResponseWriter, r *http.Request) bool {
		t.Errorf("asked for %s, although a digest does not move", r.URL)
		return false
	}))
	pinned := "sha256:" + strings.Repeat("a", 64)
	got, err = lookup(t).Digest(context.Background(), s.host+"/redis@"+pinned)
	require.NoError(t, err)
	assert.Equal(t, pinned, got)
}

func TestRegistriesThatFail(t *testing.T) {
	status := func(code int, body string) answering {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if code == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", "Basic realm=x")
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
			return true
		}
	}
	for name, c := range map[string]struct {
		wrong answering
		code  int
		want  string
	}{
		"401": {status(401, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`), fault.Auth,
			"HOST/app refused the look-up with 401, with the credentials for it from the caller: UNAUTHORIZED who are you"},
		"403": {status(403, `{"errors":[{"code":"DENIED","message":"not yours"}]}`), fault.Auth,
			"HOST/app refused the look-up with 403, with the credentials for it from the caller: DENIED not yours"},
		"404": {status(404, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"no such tag"}]}`), fault.Registry,
			"HOST/app refused the look-up with 404: MANIFEST_UNKNOWN no such tag"},
		"429": {status(429, `{"errors":[{"code":"TOOMANYREQUESTS","message":"slow down"}]}`), fault.Registry,
			"HOST/app limits requests: 429, 5 times (look-up): TOOMANYREQUESTS slow down"},
		"500":               {status(500, ""), fault.Registry, "HOST/app refused the look-up with 500"},
		"a page of a proxy": {status(200, "<html>"), fault.Registry, `the answer is a web page (text/html), not that of a registry`},
		"reset": {func(_ http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				panic(http.ErrAbortHandler)
			}
			return false
		}, fault.Registry, "HOST/app: look-up: EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := startServer(t)
			s.wrong.Store(c.wrong)
			client := registry.NewWith(wrongPassword{}, false)
			client.Backoff = func(int, *http.Response) time.Duration { return time.Millisecond }
			l, err := NewLookup(client)
			require.NoError(t, err)
			for i, ask := range []func() error{
				func() error { _, err := l.Image(context.Background(), s.host+"/app:1"); return err },
				func() error { _, err := l.Digest(context.Background(), s.host+"/app:1"); return err },
			} {
				err := ask()
				want := strings.ReplaceAll(c.want, "HOST", s.host)
				if name == "429" && i == 1 {
					want, _, _ = strings.Cut(want, ": TOO") // an answer to HEAD has no body, so no message
				}
				require.ErrorContains(t, err, want)
				assert.Equal(t, c.code, fault.Code(err))
				assert.NotContains(t, err.Error(), "hunter2")
				assert.NotContains(t, err.Error(), "\n")
			}
		})
	}
}

// After a 429 the client waits as long as the registry asks.
func TestRetryAfter(t *testing.T) {
	s := startServer(t)
	require.NoError(t, remote.Write(s.ref(t, "app:1"), imageOf(t, "linux/amd64", redis, nil)))
	var asked atomic.Int32
	s.wrong.Store(answering(func(w http.ResponseWriter, r *http.Request) bool {
		if !strings.Contains(r.URL.Path, "/manifests/") || asked.Add(1) > 1 {
			return false
		}
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}))
	start := time.Now()
	_, err := lookup(t).Image(context.Background(), s.host+"/app:1")
	require.NoError(t, err)
	assert.GreaterOrEqual(t, time.Since(start), time.Second)
}

func TestHostsThatCannotBeReached(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	// A label of a DNS name has at most 63 letters, so no server is asked for this name.
	unknown := strings.Repeat("x", 64) + ".invalid"
	for image, want := range map[string]string{
		unknown + "/app:1": unknown + "/app: look-up: host " + unknown + " is not known to the DNS",
		strings.TrimPrefix(gone.URL, "http://") + "/team/app:1.2.3": "nothing listens there (connection refused)",
	} {
		_, err := lookup(t).Image(context.Background(), image)
		require.ErrorContains(t, err, want)
		assert.Equal(t, fault.Registry, fault.Code(err))
		assert.NotContains(t, err.Error(), "\n")
	}
}

func TestInterruption(t *testing.T) {
	s := startServer(t)
	ctx, cancel := context.WithCancel(context.Background())
	s.wrong.Store(answering(func(_ http.ResponseWriter, r *http.Request) bool {
		cancel()
		<-r.Context().Done()
		return true
	}))
	_, err := lookup(t).Image(ctx, s.host+"/app:1")
	assert.ErrorIs(t, err, context.Canceled)
}

func TestHugeConfigurationIsNotRead(t *testing.T) {
	image := huge{imageOf(t, "linux/amd64", redis, nil)}
	_, _, err := imageVariant(image)
	require.EqualError(t, err, fmt.Sprintf("has a configuration of %d bytes, more than %d", maxConfig+1, maxConfig))
}

// huge is an image whose descriptor claims a huge configuration.
type huge struct{ v1.Image }

func (h huge) Manifest() (*v1.Manifest, error) {
	m, err := h.Image.Manifest()
	if err != nil {
		return nil, err
	}
	m = m.DeepCopy()
	m.Config.Size = maxConfig + 1
	return m, nil
}

type wrongPassword struct{}

func (wrongPassword) Resolve(authn.Resource) (authn.Authenticator, error) {
	return &authn.Basic{Username: "team", Password: "hunter2"}, nil
}
