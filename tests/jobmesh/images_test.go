package jobmesh

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/rogpeppe/go-internal/testscript"
)

// images is a real registry that counts requests and can be told to refuse them.
type images struct {
	mu     sync.Mutex
	hits   int
	status int // 0: the registry answers
}

// ofScript holds the registry of each scenario, by its host.
var ofScript sync.Map

func (i *images) ServeHTTP(w http.ResponseWriter, r *http.Request, next http.Handler) {
	i.mu.Lock()
	i.hits++
	status := i.status
	i.mu.Unlock()
	if status == 0 {
		next.ServeHTTP(w, r)
		return
	}
	if status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="images"`)
	}
	w.WriteHeader(status)
	_, _ = io.WriteString(w, `{"errors":[{"code":"TEST","message":"as told"}]}`)
}

// startImages starts such a registry for this scenario, at $IMAGES.
func startImages(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 0 {
		ts.Fatalf("usage: images")
	}
	i := &images{}
	behind := registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { i.ServeHTTP(w, r, behind) }))
	host := strings.TrimPrefix(server.URL, "http://")
	ofScript.Store(host, i)
	ts.Defer(func() {
		server.Close()
		ofScript.Delete(host)
	})
	ts.Setenv("IMAGES", host)
}

func imagesOf(ts *testscript.TestScript) *images {
	found, ok := ofScript.Load(ts.Getenv("IMAGES"))
	if !ok {
		ts.Fatalf("images first")
	}
	return found.(*images)
}

// answer STATUS makes the registry refuse every request with a status; answer ok ends that.
func answerWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: answer STATUS|ok")
	}
	status := 0
	if args[0] != "ok" {
		var err error
		status, err = strconv.Atoi(args[0])
		ts.Check(err)
	}
	i := imagesOf(ts)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.status = status
}

// hits N asserts N requests to images or releases since the last call; ! hits N asserts another
// number.
func countHits(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] hits N")
	}
	i := imagesOf(ts)
	i.mu.Lock()
	got := i.hits
	i.hits = 0
	i.mu.Unlock()
	if (strconv.Itoa(got) == args[0]) == neg {
		ts.Fatalf("the registry was asked %d times", got)
	}
}

// push IMAGE [PLATFORM ENTRYPOINT CMD]... pushes an index; the commands are JSON. It sets
// $DIGEST to the digest of the index.
func pushImage(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 || len(args)%3 != 1 {
		ts.Fatalf("usage: push IMAGE [PLATFORM ENTRYPOINT CMD]...")
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for rest := args[1:]; len(rest) > 0; rest = rest[3:] {
		platform, err := v1.ParsePlatform(rest[0])
		ts.Check(err)
		config := &v1.ConfigFile{OS: platform.OS, Architecture: platform.Architecture, Variant: platform.Variant, RootFS: v1.RootFS{Type: "layers"}}
		ts.Check(json.Unmarshal([]byte(rest[1]), &config.Config.Entrypoint))
		ts.Check(json.Unmarshal([]byte(rest[2]), &config.Config.Cmd))
		image, err := mutate.ConfigFile(mutate.MediaType(empty.Image, types.OCIManifestSchema1), config)
		ts.Check(err)
		image = mutate.ConfigMediaType(image, types.OCIConfigJSON)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{Add: image, Descriptor: v1.Descriptor{Platform: platform}})
	}
	ref, err := name.ParseReference(ts.Getenv("IMAGES") + "/" + args[0])
	ts.Check(err)
	ts.Check(remote.WriteIndex(ref, index))
	digest, err := index.Digest()
	ts.Check(err)
	ts.Setenv("DIGEST", digest.String())
	i := imagesOf(ts)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.hits = 0
}
