package verify

import (
	"encoding/base64"
	"runtime"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/sbom"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/signature/signaturetest"
)

func newKey(t *testing.T) (*signature.Key, *signature.PublicKey) {
	t.Helper()
	key, _ := signaturetest.Key(t)
	public := key.Public()
	return key, &public
}

// released is an image of one platform with all documents, signed.
func released(t *testing.T, key *signature.Key, program string) (*image.Index, []v1.Descriptor) {
	t.Helper()
	platforms, err := image.SelectPlatforms([]string{"linux/amd64"})
	require.NoError(t, err)
	x, err := image.Assemble(image.Recipe{
		Name: "sample", Version: "1.2.3", Path: "/p", Entrypoint: []string{"/p"}, User: "1:1", Created: time.Unix(0, 0), Compression: image.Gzip,
	}, []image.Binary{{Platform: platforms[0], Bytes: []byte(program)}})
	require.NoError(t, err)
	x.Attachments, err = attest.Image(x, attest.Facts{Toolchain: runtime.Version()})
	require.NoError(t, err)
	subjects := []v1.Descriptor{x.Blob.Descriptor, x.Children[0].Manifest.Descriptor}
	signed, err := attest.Sign(key, subjects, x.Attachments)
	require.NoError(t, err)
	x.Attachments = append(x.Attachments, signed...)
	return x, subjects
}

// Everything that can be wrong with a document about an image has a
// message of its own.
func TestAttestations(t *testing.T) {
	key, public := newKey(t)
	stranger, _ := newKey(t)
	x, subjects := released(t, key, "one")
	other, _ := released(t, key, "two")
	child := subjects[1]
	again := func(kind types.MediaType, content []byte) image.Attachment {
		a, err := image.Attach(child, kind, content, nil)
		require.NoError(t, err)
		return a
	}
	of := func(all []image.Attachment, kind string, n int) (found image.Attachment) {
		for _, a := range all {
			if a.Type == types.MediaType(kind) && strings.HasPrefix(a.Subject.String(), "sha256:") {
				if found = a; n == 0 {
					return found
				}
				n--
			}
		}
		t.Fatalf("no %s", kind)
		return found
	}
	sign := func(k *signature.Key, statement []byte) image.Attachment {
		text, err := k.Sign(statement)
		require.NoError(t, err)
		return again(signature.MediaType, text)
	}
	mine, err := signature.Statement(child.Digest.String())
	require.NoError(t, err)
	theirs, err := signature.Statement("sha256:" + strings.Repeat("b", 64))
	require.NoError(t, err)
	bundle, err := key.Sign(mine)
	require.NoError(t, err)
	altered := strings.Replace(string(bundle), base64.StdEncoding.EncodeToString(mine), base64.StdEncoding.EncodeToString(theirs), 1)
	lie, err := provenance.Write(provenance.Build{
		Type: provenance.ImageBuild, Subjects: []provenance.Subject{{Name: "sample", Digest: child.Digest.String()}},
		External: map[string]any{"image": "another"}, Version: "1",
	})
	require.NoError(t, err)

	for name, c := range map[string]struct {
		drop string
		add  []image.Attachment
		// want are the aspects that are wrong, with what is said of them.
		want map[string]string
	}{
		"as built":                               {},
		"something of a stranger's beside it":    {add: []image.Attachment{sign(stranger, mine), again("application/x", []byte("x"))}},
		"provenance of another commit beside it": {add: []image.Attachment{again(provenance.MediaType, lie)}},
		"no signature":                           {drop: signature.MediaType, want: map[string]string{"signature": "is missing", "provenance": "is not signed with this key"}},
		"another key":                            {drop: signature.MediaType, add: []image.Attachment{sign(stranger, mine)}, want: map[string]string{"signature": "was signed with another key", "provenance": "is not signed"}},
		"an altered statement":                   {drop: signature.MediaType, add: []image.Attachment{again(signature.MediaType, []byte(altered))}, want: map[string]string{"signature": "was altered after it was signed", "provenance": "is not signed"}},
		"of another digest":                      {drop: signature.MediaType, add: []image.Attachment{sign(key, theirs)}, want: map[string]string{"signature": "is of sha256:bbb", "provenance": "is not signed"}},
		"no bundle":                              {drop: signature.MediaType, add: []image.Attachment{again(signature.MediaType, []byte("{}"))}, want: map[string]string{"signature": "is a bundle of \"\"", "provenance": "is not signed"}},
		"other provenance":                       {drop: provenance.MediaType, add: []image.Attachment{again(provenance.MediaType, lie)}, want: map[string]string{"provenance": "is not the one that was signed", "SPDX": "is not one", "CycloneDX": "is not one"}},
		"provenance of another":                  {drop: provenance.MediaType, add: []image.Attachment{again(provenance.MediaType, of(other.Attachments, provenance.MediaType, 0).Content.Bytes)}, want: map[string]string{"provenance": "is about sha256:", "SPDX": "is not one", "CycloneDX": "is not one"}},
		"no provenance":                          {drop: provenance.MediaType, want: map[string]string{"provenance": "is missing", "SPDX": "is not one that the provenance names", "CycloneDX": "is not one that the provenance names"}},
		"broken provenance":                      {drop: provenance.MediaType, add: []image.Attachment{again(provenance.MediaType, []byte("{}"))}, want: map[string]string{"provenance": "is not a whole in-toto statement", "SPDX": "is not one", "CycloneDX": "is not one"}},
		"no bills":                               {drop: sbom.SPDX, want: map[string]string{"SPDX": "is missing"}},
		"a bill of another":                      {drop: sbom.CycloneDX, add: []image.Attachment{again(sbom.CycloneDX, of(other.Attachments, sbom.CycloneDX, 1).Content.Bytes)}, want: map[string]string{"CycloneDX": "is about sha256:"}},
		"a bill that was edited": {drop: sbom.SPDX, add: []image.Attachment{again(sbom.SPDX,
			[]byte(strings.Replace(string(of(x.Attachments, sbom.SPDX, 1).Content.Bytes), `"supplier": "NOASSERTION"`, `"supplier": "Person: X"`, 1)))},
			want: map[string]string{"SPDX": "is not one that the provenance names"}},
		"a bill of another version": {drop: sbom.SPDX, add: []image.Attachment{again(sbom.SPDX,
			[]byte(strings.Replace(string(of(x.Attachments, sbom.SPDX, 1).Content.Bytes), `"versionInfo": "1.2.3"`, `"versionInfo": "9"`, 1)))},
			want: map[string]string{"SPDX": "says version 9, the image 1.2.3"}},
		"a broken bill": {drop: sbom.SPDX, add: []image.Attachment{again(sbom.SPDX, []byte("{"))}, want: map[string]string{"SPDX": "is not SPDX"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := Subject{Name: "linux/amd64", Digest: child.Digest.String(), Version: "1.2.3", Attachments: c.add,
				Programs: map[string]string{"/p": image.NewBlob("", []byte("one")).Descriptor.Digest.String()}}
			for _, a := range x.Attachments {
				if a.Type != types.MediaType(c.drop) {
					s.Attachments = append(s.Attachments, a)
				}
			}
			found := Attestations(s, public)
			require.Len(t, found, 4)
			for _, f := range found {
				if want, ok := c.want[f.Aspect]; ok {
					assert.ErrorContains(t, f.Err, want, f.Aspect)
				} else {
					assert.NoError(t, f.Err, f.Aspect)
				}
			}
		})
	}

	// A program that is not the one of the bill.
	s := Subject{Name: "linux/amd64", Digest: child.Digest.String(), Version: "1.2.3", Attachments: x.Attachments, Programs: map[string]string{"/p": "sha256:00"}}
	assert.ErrorContains(t, Attestations(s, nil)[0].Err, "for /p, which is sha256:00")
	// Without a key a signature is only mentioned.
	s.Programs = nil
	found := Attestations(s, nil)
	assert.Equal(t, "there is one, not checked without --key", found[3].Note)
}
