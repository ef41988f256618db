package registry

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// RequireReferrers makes a registry without the referrers API an error. Otherwise the list is
// kept under a tag, as OCI 1.1 specifies it for such registries.
func (c *Client) RequireReferrers() { c.referrers.required = true }

// ListsUnderTags reports whether a registry without the referrers API was met.
func (c *Client) ListsUnderTags() bool { return c.referrers.underTag.Load() }

// Referrers returns the referrers of a digest that a registry lists.
func (c *Client) Referrers(ctx context.Context, repo name.Repository, subject v1.Hash) ([]v1.Descriptor, error) {
	index, err := remote.Referrers(repo.Digest(subject.String()), c.Options(ctx)...)
	if err != nil {
		return nil, err
	}
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	return manifest.Manifests, nil
}

// errNoReferrers says that a registry lacks the API although the user requires it.
var errNoReferrers = errors.New("has no referrers API")

// A referrersTransport turns the many answers of registries without a referrers API into one.
// go-containerregistry expects 404; some registries answer 405, or a web page with status 200.
type referrersTransport struct {
	next     http.RoundTripper
	required bool
	// underTag is set once a list was kept under a tag.
	underTag atomic.Bool
}

var (
	referrersPath = regexp.MustCompile(`^/v2/.+/referrers/sha256:[0-9a-f]{64}$`)
	listTagPath   = regexp.MustCompile(`^/v2/.+/manifests/sha256-([0-9a-f]{64})$`)
)

func (t *referrersTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.next.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet {
		return answer, err
	}
	if page := pageAs(r, answer); page != nil && !listTagPath.MatchString(r.URL.Path) {
		_ = answer.Body.Close() // its content is not needed
		return nil, page
	}
	if referrersPath.MatchString(r.URL.Path) && !answersReferrers(answer) {
		_ = answer.Body.Close() // its content is not needed
		if t.required {
			return nil, errNoReferrers
		}
		t.underTag.Store(true)
		return notFound(r), nil
	}
	// GitLab answers a request for the tag of the list with the subject itself.
	if tag := listTagPath.FindStringSubmatch(r.URL.Path); tag != nil && answer.Header.Get("Docker-Content-Digest") == "sha256:"+tag[1] {
		_ = answer.Body.Close() // it is not a list
		return notFound(r), nil
	}
	return t.bound(r, answer)
}

// answersReferrers reports whether an answer is a list, or an error to report.
func answersReferrers(answer *http.Response) bool {
	switch answer.StatusCode {
	case http.StatusOK:
		mediaType, _, _ := strings.Cut(answer.Header.Get("Content-Type"), ";")
		return types.MediaType(mediaType) == types.OCIImageIndex
	case http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusNotAcceptable, http.StatusNotImplemented:
		return false
	}
	return true
}

func notFound(r *http.Request) *http.Response {
	return &http.Response{
		StatusCode: http.StatusNotFound, Status: "404 Not Found", Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Body: http.NoBody, Request: r,
	}
}
