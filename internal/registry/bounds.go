package registry

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/foreign"
	"github.com/jobmesh/jobmesh/internal/image"
)

const (
	// maxManifest is the largest size of an index or a manifest, in bytes. Those of jobmesh
	// have a few thousand.
	maxManifest = 1 << 20
	// maxListing is the most that is read of a list of referrers, in bytes and over all its
	// pages.
	maxListing = 4 << 20
	// maxPages is the largest number of pages that are requested of such a list.
	maxPages = 64
)

// A reading is a request whose answer is not trusted yet. The answer is bounded before
// go-containerregistry reads it.
type reading struct {
	// of are the artifact types that the caller wants from a list, and most is the number of
	// entries that are kept. left counts the further entries of these types.
	of   []types.MediaType
	most int
	left int
}

type readingKey struct{}

// bounded marks requests for a manifest or a list with a reading.
func bounded(ctx context.Context, r *reading) context.Context {
	return context.WithValue(ctx, readingKey{}, r)
}

// These errors mean that an answer is wrong, whoever has caused that.
var (
	errTooMuch = errors.New("is more than is read")
	errNoList  = errors.New("is not a list of referrers")
)

// bound reads the answer to a bounded request up to its limit.
func (t *referrersTransport) bound(r *http.Request, answer *http.Response) (*http.Response, error) {
	b, ok := r.Context().Value(readingKey{}).(*reading)
	if !ok || answer.StatusCode != http.StatusOK || r.Method != http.MethodGet {
		return answer, nil
	}
	var text []byte
	var err error
	if referrersPath.MatchString(r.URL.Path) || listTagPath.MatchString(r.URL.Path) {
		text, err = t.list(r, answer, b)
		answer.Header.Set("Content-Type", string(types.OCIImageIndex))
	} else {
		text, err = io.ReadAll(io.LimitReader(answer.Body, maxManifest+1))
		switch {
		case err != nil:
		case len(text) > maxManifest:
			err = fmt.Errorf("%w: it has more than %d bytes", errTooMuch, maxManifest)
		case foreign.Check(text) != nil:
			err = fmt.Errorf("%w: it %w", errTooMuch, foreign.Check(text))
		}
	}
	_ = answer.Body.Close() // it has been read up to its limit
	if err != nil {
		return nil, err
	}
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	answer.Header.Del("Content-Length")
	return answer, nil
}

// list reads a list of referrers, with all its pages, and returns one list of the wanted
// entries.
func (t *referrersTransport) list(r *http.Request, answer *http.Response, b *reading) ([]byte, error) {
	kept := v1.IndexManifest{SchemaVersion: 2, MediaType: types.OCIImageIndex, Manifests: []v1.Descriptor{}}
	left := int64(maxListing)
	for page := 1; ; page++ {
		in := &io.LimitedReader{R: answer.Body, N: left}
		err := b.keep(in, &kept.Manifests)
		left = in.N
		if left <= 0 { // the rest is ignored
			b.left++
			break
		}
		if err != nil {
			return nil, err
		}
		next := nextPage(r, answer)
		if next == nil {
			break
		}
		if page == maxPages {
			b.left++
			break
		}
		if page > 1 {
			_ = answer.Body.Close() // the caller closes the body of the first page
		}
		if answer, err = t.next.RoundTrip(next); err != nil {
			return nil, err
		}
		if answer.StatusCode != http.StatusOK {
			_ = answer.Body.Close() // its content is not needed
			b.left++
			break
		}
	}
	return json.Marshal(kept)
}

// keep adds the wanted entries of a list, one after the other. To decode them all at once may
// take far more memory than their text.
func (b *reading) keep(text io.Reader, kept *[]v1.Descriptor) error {
	in := json.NewDecoder(text)
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return notAList(err)
	}
	for in.More() {
		key, err := in.Token()
		if err != nil {
			return notAList(err)
		}
		if key != "manifests" {
			var skipped json.RawMessage
			if err := in.Decode(&skipped); err != nil {
				return notAList(err)
			}
			continue
		}
		if open, err := in.Token(); err != nil || open != json.Delim('[') {
			if err == nil && open == nil {
				continue // null is an empty list
			}
			return notAList(err)
		}
		for in.More() {
			var entry json.RawMessage
			if err := in.Decode(&entry); err != nil {
				return notAList(err)
			}
			var d v1.Descriptor
			switch err := json.Unmarshal(entry, &d); {
			case err != nil || d.Digest.Hex == "": // the entry has no digest
			case isOther(d.ArtifactType, b.of):
			case len(*kept) < b.most:
				*kept = append(*kept, d)
			default:
				b.left++
			}
		}
		if _, err := in.Token(); err != nil {
			return notAList(err)
		}
	}
	if _, err := in.Token(); err != nil {
		return notAList(err)
	}
	return nil
}

// notAList distinguishes a text that is not a list from a broken connection.
func notAList(err error) error {
	var syntax *json.SyntaxError
	if err == nil || errors.As(err, &syntax) {
		return errNoList
	}
	return err
}

// isOther tells whether an artifact type is none of those. Some registries give no type, or
// that of the empty configuration; such an entry may be one of those.
func isOther(artifactType string, of []types.MediaType) bool {
	return artifactType != "" && artifactType != string(image.EmptyConfig.Descriptor.MediaType) && !slices.Contains(of, types.MediaType(artifactType))
}

// nextPage returns the request for the next page, and nil where there is none. It stays at the
// same host, because it carries the credentials for that host.
func nextPage(r *http.Request, answer *http.Response) *http.Request {
	for _, link := range answer.Header.Values("Link") {
		target, rest, ok := strings.Cut(strings.TrimPrefix(strings.TrimSpace(link), "<"), ">")
		if !ok || !strings.Contains(rest, `rel="next"`) && !strings.Contains(rest, "rel=next") {
			continue
		}
		u, err := r.URL.Parse(target)
		if err != nil || u.Scheme != r.URL.Scheme || u.Host != r.URL.Host || !referrersPath.MatchString(u.Path) {
			return nil
		}
		next := r.Clone(r.Context())
		next.URL = u
		return next
	}
	return nil
}
