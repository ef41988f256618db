package image

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/content/oci"
)

const kind types.MediaType = "application/vnd.example+json"

func attach(t *testing.T, x *Index, kind types.MediaType, content string) Attachment {
	t.Helper()
	a, err := Attach(x.Blob.Descriptor, kind, []byte(content), map[string]string{"note": content})
	require.NoError(t, err)
	return a
}

func listed(t *testing.T, dir string) []v1.Descriptor {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(dir, indexFile))
	require.NoError(t, err)
	var m v1.IndexManifest
	require.NoError(t, json.Unmarshal(text, &m))
	return m.Manifests
}

// referrers returns what oras, which is independent code, finds in a layout.
func referrers(t *testing.T, dir string, x *Index) []ocispec.Descriptor {
	t.Helper()
	ctx := context.Background()
	store, err := oci.NewFromFS(ctx, os.DirFS(dir))
	require.NoError(t, err)
	named, err := store.Resolve(ctx, ref.Tag)
	require.NoError(t, err)
	require.Equal(t, x.Blob.Descriptor.Digest.String(), named.Digest.String())
	found, err := store.Predecessors(ctx, ocispec.Descriptor{
		MediaType: string(types.OCIImageIndex), Digest: digest.Digest(x.Blob.Descriptor.Digest.String()), Size: x.Blob.Descriptor.Size,
	})
	require.NoError(t, err)
	return found
}

func TestAttachmentsInALayout(t *testing.T) {
	x := assembled(t, "one")
	x.Attachments = []Attachment{attach(t, x, kind, "first"), attach(t, x, kind, "second")}
	dir := t.TempDir()
	write(t, x, dir, ref)
	want := snapshot(t, dir)
	found := referrers(t, dir, x)
	require.Len(t, found, 2)
	all := listed(t, dir)
	require.Len(t, all, 3)
	assert.Equal(t, string(kind), all[1].ArtifactType)
	assert.Equal(t, types.OCIImageIndex, all[0].MediaType, "the image comes first")
	for _, d := range all[1:] {
		assert.NotContains(t, d.Annotations, ocispec.AnnotationRefName, "one named entry")
		assert.NotContains(t, d.Annotations, containerdName)
	}
	write(t, x, dir, ref)
	assert.Equal(t, want, snapshot(t, dir), "the same again is the same")

	read, err := ReadAttachment(x.Attachments[0].Manifest.Bytes)
	require.NoError(t, err)
	assert.Equal(t, x.Blob.Descriptor.Digest, read.Subject)
	assert.Equal(t, kind, read.Type)
	_, err = ReadAttachment(x.Children[0].Manifest.Bytes)
	assert.ErrorContains(t, err, "is not a document about a manifest")
}

// An attachment of others stays as long as its subject; those that a build makes are replaced.
func TestAttachmentsOfOthers(t *testing.T) {
	dir := t.TempDir()
	x := assembled(t, "one")
	foreign := attach(t, x, "application/vnd.somebody-else+json", "foreign")
	x.Attachments = []Attachment{attach(t, x, kind, "old"), foreign}
	write(t, x, dir, ref)
	other := assembled(t, "two")
	otherRef := Reference{Repository: ref.Repository, Tag: "other"}
	other.Attachments = []Attachment{attach(t, other, kind, "of the other")}
	write(t, other, dir, otherRef)
	assert.Len(t, referrers(t, dir, x), 2)

	x.Attachments = []Attachment{attach(t, x, kind, "new")}
	write(t, x, dir, ref)
	notes := func() (notes []string) {
		for _, d := range listed(t, dir) {
			if d.ArtifactType != "" {
				notes = append(notes, d.Annotations["note"])
			}
		}
		return notes
	}
	assert.ElementsMatch(t, []string{"foreign", "of the other", "new"}, notes())
	assert.Equal(t, ref.Tag, listed(t, dir)[0].Annotations[ocispec.AnnotationRefName], "the images keep their places")

	third := assembled(t, "three")
	write(t, third, dir, ref)
	assert.Equal(t, []string{"of the other"}, notes(), "what was about the old image went with it")
}
