package release

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/foreign"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A Place stores content under its digest: a layout, an archive, a repository.
type Place interface {
	// Content returns the content with the descriptor's digest, at most d.Size bytes and one
	// more. The caller checks it.
	Content(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// Referrers lists the referrers of a manifest with certain artifact types, or with none, up
	// to a number of entries, and counts the further ones.
	Referrers(ctx context.Context, subject v1.Hash, of []types.MediaType, most int) (list []v1.Descriptor, left int, err error)
}

// A Reading is an image that is read in two steps. First the index and its signatures are read;
// the children, which are many and large, follow only when those are accepted.
type Reading struct {
	Stored
	place Place
	index v1.IndexManifest
	// keep says that the layers stay in memory, for a caller that sends them on.
	keep bool
	// image and documents are the numbers of bytes that have been read.
	image, documents int64
	opened           int
}

// Begin reads an index and the documents about it.
func Begin(ctx context.Context, p Place, top v1.Descriptor) (*Reading, error) {
	r := &Reading{place: p}
	var err error
	if r.Index, err = r.blob(ctx, top, maxManifest); err != nil {
		return r, err
	}
	if err := decode(r.Index.Bytes, &r.index, "image index "+top.Digest.String()); err != nil {
		return r, err
	}
	if r.index.MediaType != "" && !r.index.MediaType.IsIndex() {
		return r, fault.New(fault.Verification, fmt.Errorf("%s is %q, not an image index", top.Digest, r.index.MediaType))
	}
	switch n := len(r.index.Manifests); {
	case n == 0:
		return r, tooMuch("image index %s lists no platform", top.Digest)
	case n > maxPlatforms:
		return r, tooMuch("image index %s lists %d platforms, and %d are allowed", top.Digest, n, maxPlatforms)
	}
	if l, ok := p.(*Layout); ok {
		if r.Notes, err = l.alone(top, r.index); err != nil {
			return r, err
		}
		r.Named = image.Reference{Repository: image.ParseReference(top.Annotations[containerdName]).Repository, Tag: top.Annotations[ocispec.AnnotationRefName]}
	}
	r.Result.Version = r.index.Annotations[ocispec.AnnotationVersion]
	r.Result.Image = Image{Name: r.index.Annotations[ocispec.AnnotationTitle], Content: described(r.Index)}
	return r, r.attachments(ctx, top.Digest)
}

// Finish reads the children, and the documents about them.
func (r *Reading) Finish(ctx context.Context) error {
	seen := map[string]bool{}
	for _, d := range r.index.Manifests {
		if d.Platform == nil {
			return fault.New(fault.Verification, fmt.Errorf("manifest %s has no platform", d.Digest))
		}
		if name := d.Platform.String(); seen[name] {
			return fault.New(fault.Verification, fmt.Errorf("image index lists %s twice", name))
		} else {
			seen[name] = true
		}
		child, platform, err := r.child(ctx, d)
		if err != nil {
			return err
		}
		r.Children = append(r.Children, child)
		r.Result.Image.Platforms = append(r.Result.Image.Platforms, platform)
		if err := r.attachments(ctx, d.Digest); err != nil {
			return err
		}
	}
	return nil
}

// LoadImage reads an image and the documents about it. Its Result is made of what the image
// itself contains.
func LoadImage(ctx context.Context, p Place, top v1.Descriptor) (Stored, error) {
	r, err := Begin(ctx, p, top)
	if err == nil {
		err = r.Finish(ctx)
	}
	return r.Stored, err
}

// LoadArtifact reads a manifest with one layer of a certain type, such as that of a chart, and
// the documents about it.
func LoadArtifact(ctx context.Context, p Place, top v1.Descriptor) (Artifact, error) {
	r := &Reading{place: p}
	manifest, err := r.blob(ctx, top, maxManifest)
	if err != nil {
		return Artifact{}, err
	}
	var a Artifact
	if err := decode(manifest.Bytes, &a.Manifest, "manifest "+top.Digest.String()); err != nil || len(a.Manifest.Layers) != 1 {
		return a, err
	}
	if a.Layer, err = r.blob(ctx, a.Manifest.Layers[0], maxChart); err != nil {
		return a, err
	}
	if a.Config, err = r.blob(ctx, a.Manifest.Config, maxManifest); err != nil {
		return a, err
	}
	err = r.attachments(ctx, top.Digest)
	a.Attachments, a.Notes, a.Unread = r.Attachments, r.Notes, r.Unread
	return a, err
}

// An Artifact is a manifest with its content. Layer is empty where the manifest has no layer,
// or several.
type Artifact struct {
	Manifest      v1.Manifest
	Config, Layer image.Blob
	Attachments   []image.Attachment
	Notes         []string
	Unread        error
}

// blob reads content of the image.
func (r *Reading) blob(ctx context.Context, d v1.Descriptor, most int64) (image.Blob, error) {
	if err := checkSize(d, most); err != nil {
		return image.Blob{}, err
	}
	if r.image += d.Size; r.image > maxBytes {
		return image.Blob{}, tooMuch("the image has more than %d bytes, the most that is read", maxBytes)
	}
	return read(ctx, r.place, d)
}

// document reads content of a document about the image. The documents have a limit of their
// own, so that referrers of others do not use up that of the image.
func (r *Reading) document(ctx context.Context, d v1.Descriptor, most int64) (b image.Blob, err error) {
	if err := checkSize(d, most); err != nil {
		return b, err
	}
	if r.documents+d.Size > maxDocuments {
		return b, tooMuch("the documents have more than %d bytes, the most that is read", maxDocuments)
	}
	r.documents += d.Size
	if b, err = read(ctx, r.place, d); err != nil {
		return b, err
	}
	if err := foreign.Check(b.Bytes); err != nil {
		return b, fault.New(fault.Verification, err)
	}
	return b, nil
}

// read reads content and compares it with its digest.
func read(ctx context.Context, p Place, d v1.Descriptor) (image.Blob, error) {
	data, err := p.Content(ctx, d)
	if err != nil {
		return image.Blob{}, err
	}
	b := image.NewBlob(d.MediaType, data)
	switch {
	case b.Descriptor.Size > d.Size:
		return image.Blob{}, fault.New(fault.Verification, fmt.Errorf("%s is damaged: it has more than the %d bytes that it should have", d.Digest, d.Size))
	case b.Descriptor.Digest != d.Digest:
		return image.Blob{}, fault.New(fault.Verification, fmt.Errorf("%s is damaged: its content is %s", d.Digest, b.Descriptor.Digest))
	case b.Descriptor.Size != d.Size:
		return image.Blob{}, fault.New(fault.Verification, fmt.Errorf("%s has %d bytes, and %d according to its descriptor", d.Digest, b.Descriptor.Size, d.Size))
	}
	return b, nil
}

func (r *Reading) child(ctx context.Context, d v1.Descriptor) (c Child, platform Platform, err error) {
	if c.Manifest, err = r.blob(ctx, d, maxManifest); err != nil {
		return c, platform, err
	}
	name := d.Platform.String()
	var manifest v1.Manifest
	if err := decode(c.Manifest.Bytes, &manifest, "manifest of "+name); err != nil {
		return c, platform, err
	}
	if len(manifest.Layers) != 1 || manifest.MediaType != types.OCIManifestSchema1 || manifest.Subject != nil {
		return c, platform, fault.New(fault.Verification, fmt.Errorf("manifest of %s is not that of an image with one layer", name))
	}
	if c.Config, err = r.blob(ctx, manifest.Config, maxManifest); err != nil {
		return c, platform, err
	}
	if c.Layer, err = r.blob(ctx, manifest.Layers[0], maxLayer); err != nil {
		return c, platform, err
	}
	c.unpack(name)
	if !r.keep {
		c.Layer.Bytes = nil
		// Without this the runtime would collect this layer only while the next one is read,
		// and hold both.
		runtime.GC()
	}
	platform = Platform{Platform: name, Content: described(c.Manifest), Config: described(c.Config), Layer: described(c.Layer)}
	var config v1.ConfigFile
	if err := decode(c.Config.Bytes, &config, "configuration of "+name); err != nil {
		return c, platform, err
	}
	if len(config.RootFS.DiffIDs) != 1 {
		return c, platform, fault.New(fault.Verification, fmt.Errorf("configuration of %s is not that of an image with one layer", name))
	}
	platform.DiffID = config.RootFS.DiffIDs[0].String()
	return c, platform, nil
}

// attachments reads the documents about a manifest. Anybody may attach a referrer to an image.
// So a listed entry that is not such a document, or cannot be read, is noted and fails nothing.
// If it was a required document, verify finds that it is missing.
func (r *Reading) attachments(ctx context.Context, subject v1.Hash) error {
	// Each manifest has its share of the limit, so that the referrers of one do not use up that
	// of the others.
	subjects := max(1, 1+len(r.index.Manifests)-len(r.Result.Image.Platforms))
	share := (MaxOpened - r.opened) / subjects
	list, left, err := r.place.Referrers(ctx, subject, ArtifactTypes, maxListed)
	if err != nil {
		return err
	}
	seen := map[v1.Hash]bool{}
	for _, d := range list {
		switch {
		case seen[d.Digest]:
			continue
		case len(seen) == share:
			left++
			continue
		}
		seen[d.Digest] = true
		r.opened++
		a, err := r.attachment(ctx, d, subject)
		_, local := r.place.(*Layout)
		switch {
		case err != nil && (local || ctx.Err() != nil): // a layout has to be complete
			return err
		case err != nil:
			r.Notes = append(r.Notes, fmt.Sprintf("%s, which is listed beside %s, is left out: %s", d.Digest, subject, err))
			if r.Unread == nil && fault.Code(err) != fault.Verification {
				r.Unread = err
			}
		case slices.Contains(ArtifactTypes, a.Type):
			r.Attachments = append(r.Attachments, a)
		}
	}
	if left > 0 {
		r.Notes = append(r.Notes, fmt.Sprintf("%d more entries are listed beside %s than are opened", left, subject))
	}
	return nil
}

func (r *Reading) attachment(ctx context.Context, d v1.Descriptor, subject v1.Hash) (a image.Attachment, err error) {
	manifest, err := r.document(ctx, d, maxManifest)
	if err != nil {
		return a, err
	}
	if a, err = image.ReadAttachment(manifest.Bytes); err != nil {
		return a, fault.New(fault.Verification, err)
	}
	if a.Subject != subject {
		return a, fault.New(fault.Verification, fmt.Errorf("it is about %s", a.Subject))
	}
	if slices.Contains(ArtifactTypes, a.Type) { // the content of other types is not needed
		a.Content, err = r.document(ctx, a.Content.Descriptor, maxDocument)
	}
	return a, err
}

// Bounded runs read with a time limit. The error says so where the time was over.
func Bounded(ctx context.Context, read func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, MaxTime)
	defer cancel()
	err := read(limited)
	if err != nil && ctx.Err() == nil && errors.Is(limited.Err(), context.DeadlineExceeded) {
		return tooMuch("it was not read within %s, the most that it may take", MaxTime)
	}
	return err
}
