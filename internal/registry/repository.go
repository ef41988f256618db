package registry

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// readLimit is the time for one request that reads, repetitions included.
const readLimit = 2 * time.Minute

// A Repository is what a registry keeps under one name, to read from.
type Repository struct {
	client *Client
	name   name.Repository
}

// Repository returns a repository to read from.
func (c *Client) Repository(repo name.Repository) Repository { return Repository{c, repo} }

// Resolve returns what a tag or a digest names.
func (r Repository) Resolve(ctx context.Context, ref name.Reference) (found v1.Descriptor, err error) {
	err = r.read(ctx, func(ctx context.Context) error {
		d, err := remote.Get(ref, r.client.Options(ctx)...)
		if IsMissing(err) {
			return fault.New(fault.Registry, fmt.Errorf("%s is not there", ref.Name()), "jobmesh publish prints the references of what it pushed")
		}
		if err == nil {
			found = d.Descriptor
		}
		return err
	})
	return found, err
}

// Content returns what is there under a digest, at most one byte more than it
// should be.
func (r Repository) Content(ctx context.Context, d v1.Descriptor) (content []byte, err error) {
	ref := r.name.Digest(d.Digest.String())
	err = r.read(ctx, func(ctx context.Context) (err error) {
		content, err = r.client.Fetch(ctx, ref, d.Size, d.MediaType.IsIndex() || d.MediaType.IsImage())
		if IsMissing(err) {
			return fault.New(fault.Verification, fmt.Errorf("%s is missing", ref.Name()))
		}
		return err
	})
	return content, err
}

// Fetch returns what a repository has under a digest, at most one byte more than it
// should. Manifests and blobs are kept apart. Nothing is compared with the digest.
func (c *Client) Fetch(ctx context.Context, ref name.Digest, size int64, isManifest bool) ([]byte, error) {
	if isManifest {
		manifest, err := remote.Get(ref, c.Options(ctx)...)
		if err != nil {
			return nil, err
		}
		return manifest.Manifest, nil
	}
	layer, err := remote.Layer(ref, c.Options(ctx)...)
	if err != nil {
		return nil, err
	}
	content, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer func() { _ = content.Close() }() // only read
	return io.ReadAll(io.LimitReader(content, size+1))
}

// Referrers lists what is about a manifest.
func (r Repository) Referrers(ctx context.Context, subject v1.Hash) (list []v1.Descriptor, err error) {
	err = r.read(ctx, func(ctx context.Context) (err error) {
		list, err = r.client.Referrers(ctx, r.name, subject)
		return err
	})
	return list, err
}

// read runs one request under its limit and explains what went wrong in it.
func (r Repository) read(ctx context.Context, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	if err := do(limited); err != nil {
		return r.client.Explain(r.name, "read", err)
	}
	return nil
}
