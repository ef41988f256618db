package registry

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
)

func entryOf(kind string, n int) string {
	return fmt.Sprintf(`{"mediaType":"m","size":1,"digest":"sha256:%064x","artifactType":%q}`, n, kind)
}

func TestKeep(t *testing.T) {
	for name, c := range map[string]struct {
		text       string
		kept, left int
		err        string
	}{
		"of one type":      {`{"schemaVersion":2,"manifests":[` + entryOf("a", 1) + "," + entryOf("x", 2) + "," + entryOf("a", 3) + `]}`, 2, 0, ""},
		"more than wanted": {`{"manifests":[` + entryOf("a", 1) + "," + entryOf("a", 2) + "," + entryOf("a", 3) + `]}`, 2, 1, ""},
		"of no type":       {`{"manifests":[` + entryOf("", 1) + "," + entryOf("application/vnd.oci.empty.v1+json", 2) + `]}`, 2, 0, ""},
		"nothing":          {`{"manifests":null,"more":[{"manifests":[]}]}`, 0, 0, ""},
		"entries of empty": {`{"manifests":[{},null,1,` + entryOf("a", 1) + `]}`, 1, 0, ""},
		"a bad digest":     {`{"manifests":[{"digest":"sha256:x"},` + entryOf("a", 1) + `]}`, 1, 0, ""},
		"no list":          {`[]`, 0, 0, "is not a list of referrers"},
		"a text as a list": {`{"manifests":"x"}`, 0, 0, "is not a list of referrers"},
		"broken off":       {`{"manifests":[` + entryOf("a", 1), 1, 0, "EOF"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &reading{of: []types.MediaType{"a"}, most: 2}
			var kept []v1.Descriptor
			err := b.keep(strings.NewReader(c.text), &kept)
			if c.err != "" {
				assert.ErrorContains(t, err, c.err)
			} else {
				assert.NoError(t, err)
			}
			assert.Len(t, kept, c.kept)
			assert.Equal(t, c.left, b.left)
		})
	}
}

// The request for the next page stays at the same host, and the page is a list.
func TestNextPage(t *testing.T) {
	digest := strings.Repeat("a", 64)
	at := "https://registry.example/v2/x/referrers/sha256:" + digest
	for link, want := range map[string]string{
		`</v2/x/referrers/sha256:` + digest + `?n=2>; rel="next"`: at + "?n=2",
		`<?n=2>; rel=next`:                                at + "?n=2",
		`<https://evil.example/v2/x>; rel="next"`:         "",
		`<http://registry.example/v2/x>; rel="next"`:      "",
		`</v2/x/blobs/sha256:` + digest + `>; rel="next"`: "",
		`<?n=2>; rel="prev"`:                              "",
		`?n=2`:                                            "",
		``:                                                "",
	} {
		u, err := url.Parse(at)
		assert.NoError(t, err)
		next := nextPage(&http.Request{URL: u, Header: http.Header{}}, &http.Response{Header: http.Header{"Link": {link}}})
		if want == "" {
			assert.Nil(t, next, link)
		} else if assert.NotNil(t, next, link) {
			assert.Equal(t, want, next.URL.String())
		}
	}
}

// Whatever a list contains, only the wanted number of entries is kept.
func FuzzKeep(f *testing.F) {
	f.Add([]byte(`{"manifests":[` + entryOf("a", 1) + `]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		b := &reading{of: []types.MediaType{"a"}, most: 3}
		var kept []v1.Descriptor
		_ = b.keep(bytes.NewReader(text), &kept)
		assert.LessOrEqual(t, len(kept), 3)
		for _, d := range kept {
			assert.NotEmpty(t, d.Digest.Hex)
		}
	})
}
