package attack

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/image"
)

// A server is a registry that stores whatever it is sent, without checks.
type server struct {
	address string
	// content is keyed by digest; types has the media types of manifests; tags is keyed by
	// NAME:TAG.
	content map[string][]byte
	types   map[string]types.MediaType
	tags    map[string]string
	// listed are the referrers by subject.
	listed map[string][]v1.Descriptor
	// instead answers in place of the server where it returns true.
	instead func(w http.ResponseWriter, r *http.Request) bool
	// page is how many referrers are on a page; 0 is all of them.
	page int
}

func serve(t *testing.T) *server {
	t.Helper()
	s := &server{content: map[string][]byte{}, types: map[string]types.MediaType{}, tags: map[string]string{}, listed: map[string][]v1.Descriptor{}}
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	s.address = strings.TrimPrefix(web.URL, "http://")
	return s
}

func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path := strings.TrimPrefix(r.URL.Path, "/v2/")
	if s.instead != nil && s.instead(w, r) || path == "" {
		return
	}
	parts := strings.Split(path, "/")
	if len(parts) < 3 {
		http.NotFound(w, r)
		return
	}
	name, kind, id := strings.Join(parts[:len(parts)-2], "/"), parts[len(parts)-2], parts[len(parts)-1]
	if kind == "referrers" {
		s.list(w, r, id)
		return
	}
	if digest, ok := s.tags[name+":"+id]; ok {
		id = digest
	}
	content, ok := s.content[id]
	if !ok {
		http.Error(w, `{"errors":[{"code":"MANIFEST_UNKNOWN","message":"nothing there"}]}`, http.StatusNotFound)
		return
	}
	if kind == "manifests" {
		w.Header().Set("Content-Type", string(s.types[id]))
		w.Header().Set("Docker-Content-Digest", id)
	}
	w.Header().Set("Content-Length", fmt.Sprint(len(content)))
	_, _ = w.Write(content)
}

func (s *server) list(w http.ResponseWriter, r *http.Request, subject string) {
	all := s.listed[subject]
	if s.page > 0 {
		from := 0
		_, _ = fmt.Sscan(r.URL.Query().Get("from"), &from)
		if next := from + s.page; next < len(all) {
			w.Header().Set("Link", fmt.Sprintf(`<%s?from=%d>; rel="next"`, r.URL.Path, next))
			all = all[:next]
		}
		all = all[from:]
	}
	w.Header().Set("Content-Type", string(types.OCIImageIndex))
	_ = json.NewEncoder(w).Encode(v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: all})
}

// blob stores content.
func (s *server) blob(b image.Blob) {
	digest := b.Descriptor.Digest.String()
	s.content[digest], s.types[digest] = b.Bytes, b.Descriptor.MediaType
}

// push stores an image with its documents under a name.
func (s *server) push(x *image.Index, tagged string) {
	for _, b := range x.Blobs() {
		s.blob(b)
	}
	for _, a := range x.Attachments {
		s.hang(a)
	}
	s.tags[tagged] = x.Blob.Descriptor.Digest.String()
}

// hang attaches a document to its subject.
func (s *server) hang(a image.Attachment) {
	for _, b := range a.Blobs() {
		s.blob(b)
	}
	s.listed[a.Subject.String()] = append(s.listed[a.Subject.String()], a.Descriptor())
}
