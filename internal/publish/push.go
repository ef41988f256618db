package publish

import (
	"bytes"
	"context"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
)

func (p *Publisher) putBlob(ctx context.Context, a Artifact, b image.Blob) error {
	return remote.WriteLayer(a.Repository, static.NewLayer(b.Bytes, b.Descriptor.MediaType), p.client.Options(ctx)...)
}

// readBack fetches what was pushed: a registry that says 201 and stores nothing,
// or something else, has been seen.
func (p *Publisher) readBack(ctx context.Context, a Artifact, b image.Blob, isManifest bool) error {
	ref := a.Repository.Digest(b.Descriptor.Digest.String())
	got, err := p.client.Fetch(ctx, ref, b.Descriptor.Size, isManifest)
	if err != nil && !registry.IsMissing(err) && registry.IsTransport(err) {
		return err // nobody knows what the registry has
	}
	if err != nil || !bytes.Equal(got, b.Bytes) {
		reason := "other content"
		if err != nil {
			reason = err.Error()
		}
		return fault.New(fault.Verification, fmt.Errorf("%s was pushed but does not come back: %s", ref.Name(), reason),
			"the tags were not moved; the registry is at fault")
	}
	return nil
}

// taggable is a manifest in the form that go-containerregistry pushes.
type taggable struct{ image.Blob }

func (t taggable) RawManifest() ([]byte, error)        { return t.Bytes, nil }
func (t taggable) MediaType() (types.MediaType, error) { return t.Descriptor.MediaType, nil }
func (t taggable) Digest() (v1.Hash, error)            { return t.Descriptor.Digest, nil }
func (t taggable) Size() (int64, error)                { return t.Descriptor.Size, nil }
