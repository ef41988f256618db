package registry

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// maxAtOnce is the most memory that is allocated for content that has not been received yet, in
// bytes.
const maxAtOnce = 64 << 20

// readLimit is the time limit for one reading request, retries included.
const readLimit = 2 * time.Minute

// A Repository is a repository of a registry, to read from.
type Repository struct {
	client *Client
	name   name.Repository
}

// Repository returns a repository to read from.
func (c *Client) Repository(repo name.Repository) Repository { return Repository{c, repo} }

// Resolve returns the manifest that a tag or a digest names.
func (r Repository) Resolve(ctx context.Context, ref name.Reference) (found v1.Descriptor, err error) {
	err = r.read(bounded(ctx, &reading{}), func(ctx context.Context) error {
		d, err := remote.Get(ref, r.client.Options(ctx)...)
		if IsMissing(err) {
			return fault.New(fault.Registry, fmt.Errorf("%s does not exist", ref.Name()), "jobmesh publish prints the references of what it pushed")
		}
		if isAltered(err) {
			return fault.New(fault.Verification, fmt.Errorf("%s is damaged: the registry has other content under this digest", ref.Name()))
		}
		if err == nil {
			found = d.Descriptor
		}
		return err
	})
	return found, err
}

// Content returns the content with that digest, at most one byte more than the descriptor says.
func (r Repository) Content(ctx context.Context, d v1.Descriptor) (content []byte, err error) {
	ref := r.name.Digest(d.Digest.String())
	isManifest := d.MediaType.IsIndex() || d.MediaType.IsImage()
	if isManifest {
		ctx = bounded(ctx, &reading{})
	}
	err = r.read(ctx, func(ctx context.Context) (err error) {
		content, err = r.client.Fetch(ctx, ref, d.Size, isManifest)
		switch {
		case IsMissing(err):
			return fault.New(fault.Verification, fmt.Errorf("%s is missing", ref.Name()))
		case isAltered(err):
			return fault.New(fault.Verification, fmt.Errorf("%s is damaged: the registry has other content under this digest", ref.Name()))
		case errors.Is(err, errTooMuch):
			return fault.New(fault.Verification, fmt.Errorf("%s %w", ref.Name(), err))
		}
		return err
	})
	return content, err
}

// Fetch returns the content with that digest in a repository, at most one byte more than size.
// Manifests and blobs are requested in different ways. The content is not compared with the
// digest.
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
	defer func() { _ = content.Close() }() // nothing was written to it
	// The buffer starts with the expected size, because growing it step by step takes twice the
	// memory.
	var all bytes.Buffer
	all.Grow(int(min(size, maxAtOnce)) + bytes.MinRead)
	_, err = io.Copy(&all, io.LimitReader(content, size+1))
	return all.Bytes(), err
}

// Referrers lists the referrers of a manifest with certain artifact types, up to a number of
// entries, and counts the further ones of these types.
func (r Repository) Referrers(ctx context.Context, subject v1.Hash, of []types.MediaType, most int) (list []v1.Descriptor, left int, err error) {
	b := &reading{of: of, most: most}
	err = r.read(bounded(ctx, b), func(ctx context.Context) (err error) {
		list, err = r.client.Referrers(ctx, r.name, subject)
		return err
	})
	return list, b.left, err
}

// isAltered tells whether an error says that content does not have its digest.
// go-containerregistry has no type for this error.
func isAltered(err error) bool {
	if err == nil {
		return false
	}
	text := err.Error()
	return strings.Contains(text, "does not match requested digest") || strings.Contains(text, "error verifying")
}

// read runs one request within its time limit, and explains its failure.
func (r Repository) read(ctx context.Context, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	if err := do(limited); err != nil {
		return r.client.Explain(r.name, "read", err)
	}
	return nil
}
