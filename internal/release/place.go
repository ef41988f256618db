package release

import (
	"archive/tar"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A Place keeps content under its digest: a layout, an archive, a repository.
type Place interface {
	// Content returns what the place has under the digest; whoever calls checks it.
	Content(ctx context.Context, d v1.Descriptor) ([]byte, error)
	// Referrers lists what is about a manifest.
	Referrers(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error)
}

// Read returns content of a place after it was compared with its digest.
func Read(ctx context.Context, p Place, d v1.Descriptor) (image.Blob, error) {
	data, err := p.Content(ctx, d)
	if err != nil {
		return image.Blob{}, err
	}
	b := image.NewBlob(d.MediaType, data)
	if b.Descriptor.Digest != d.Digest {
		return b, fault.New(fault.Verification, fmt.Errorf("%s is damaged: its content is %s", d.Digest, b.Descriptor.Digest))
	}
	return b, nil
}

// LoadImage reads an image and the documents about it. Its result lists what the
// image itself says.
func LoadImage(ctx context.Context, p Place, top v1.Descriptor) (Stored, error) {
	var s Stored
	var err error
	if s.Index, err = Read(ctx, p, top); err != nil {
		return s, err
	}
	var index v1.IndexManifest
	if err := json.Unmarshal(s.Index.Bytes, &index); err != nil {
		return s, fault.New(fault.Verification, fmt.Errorf("%s is not an image index: %w", top.Digest, err))
	}
	s.Result.Version = index.Annotations["org.opencontainers.image.version"]
	s.Result.Image = Image{Name: index.Annotations["org.opencontainers.image.title"], Content: described(s.Index)}
	if s.Attachments, err = LoadAttachments(ctx, p, top.Digest); err != nil {
		return s, err
	}
	for _, d := range index.Manifests {
		if d.Platform == nil {
			return s, fault.New(fault.Verification, fmt.Errorf("manifest %s has no platform", d.Digest))
		}
		child, platform, err := loadChild(ctx, p, d)
		if err != nil {
			return s, err
		}
		s.Children = append(s.Children, child)
		s.Result.Image.Platforms = append(s.Result.Image.Platforms, platform)
		attachments, err := LoadAttachments(ctx, p, d.Digest)
		if err != nil {
			return s, err
		}
		s.Attachments = append(s.Attachments, attachments...)
	}
	return s, nil
}

func loadChild(ctx context.Context, p Place, d v1.Descriptor) (c Child, platform Platform, err error) {
	if c.Manifest, err = Read(ctx, p, d); err != nil {
		return c, platform, err
	}
	name := d.Platform.String()
	var manifest v1.Manifest
	if err := json.Unmarshal(c.Manifest.Bytes, &manifest); err != nil || len(manifest.Layers) != 1 {
		return c, platform, fault.New(fault.Verification, fmt.Errorf("manifest of %s is not that of an image with one layer", name))
	}
	if c.Config, err = Read(ctx, p, manifest.Config); err != nil {
		return c, platform, err
	}
	if c.Layer, err = Read(ctx, p, manifest.Layers[0]); err != nil {
		return c, platform, err
	}
	platform = Platform{Platform: name, Content: described(c.Manifest), Config: described(c.Config), Layer: described(c.Layer)}
	var config v1.ConfigFile
	if err := json.Unmarshal(c.Config.Bytes, &config); err != nil || len(config.RootFS.DiffIDs) != 1 {
		return c, platform, fault.New(fault.Verification, fmt.Errorf("configuration of %s is not that of an image with one layer", name))
	}
	platform.DiffID = config.RootFS.DiffIDs[0].String()
	return c, platform, nil
}

// LoadAttachments reads the documents about a manifest. What is listed but is no
// such document is left to others.
func LoadAttachments(ctx context.Context, p Place, subject v1.Hash) ([]image.Attachment, error) {
	list, err := p.Referrers(ctx, subject)
	if err != nil {
		return nil, err
	}
	var all []image.Attachment
	for _, d := range list {
		manifest, err := Read(ctx, p, d)
		if err != nil {
			return nil, err
		}
		a, err := image.ReadAttachment(manifest.Bytes)
		if err != nil || a.Subject != subject {
			continue
		}
		if a.Content, err = Read(ctx, p, a.Content.Descriptor); err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	return all, nil
}

// A Layout is an OCI layout, in a folder or in an archive.
type Layout struct {
	// name is what errors call it.
	name  string
	read  func(path string) ([]byte, error)
	index v1.IndexManifest
}

// OpenLayout opens a folder that holds a layout.
func OpenLayout(dir string) (*Layout, error) {
	return openLayout(dir, func(path string) ([]byte, error) { return os.ReadFile(filepath.Join(dir, filepath.FromSlash(path))) })
}

// Limit of an archive, which is read into memory: a hundred times what is built.
const archiveLimit = 1 << 30

// OpenArchive opens a tar archive that holds a layout.
func OpenArchive(file string) (*Layout, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // only read
	files := map[string][]byte{}
	archive := tar.NewReader(io.LimitReader(f, archiveLimit))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, fault.New(fault.Verification, fmt.Errorf("%s is not a tar archive, or not whole: %w", file, err),
				"the archive is the .oci.tar that jobmesh build writes; charts are verified with the folder that they are in")
		}
		if header.Typeflag != tar.TypeReg {
			continue
		}
		content, err := io.ReadAll(archive)
		if err != nil {
			return nil, fault.New(fault.Verification, fmt.Errorf("%s is not whole: %w", file, err))
		}
		files[path.Clean(header.Name)] = content
	}
	return openLayout(file, func(path string) ([]byte, error) {
		content, ok := files[path]
		if !ok {
			return nil, fs.ErrNotExist
		}
		return content, nil
	})
}

func openLayout(name string, read func(string) ([]byte, error)) (*Layout, error) {
	l := &Layout{name: name, read: read}
	text, err := read("index.json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is no OCI layout: there is no index.json in it", name))
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &l.index); err != nil {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s: index.json: %w", name, err))
	}
	return l, nil
}

// Image returns the one named image of the layout.
func (l *Layout) Image() (v1.Descriptor, error) {
	var named []v1.Descriptor
	for _, d := range l.index.Manifests {
		if d.Annotations["org.opencontainers.image.ref.name"] != "" && d.MediaType == types.OCIImageIndex {
			named = append(named, d)
		}
	}
	switch len(named) {
	case 0:
		return v1.Descriptor{}, fault.New(fault.Verification, fmt.Errorf("%s has no image index with a name", l.name))
	case 1:
	default:
		return v1.Descriptor{}, fault.New(fault.Usage, fmt.Errorf("%s has %d images, and only one can be verified", l.name, len(named)),
			"name the folder that jobmesh build wrote, or the .oci.tar archive of one image")
	}
	return named[0], nil
}

// Content implements Place.
func (l *Layout) Content(_ context.Context, d v1.Descriptor) ([]byte, error) {
	content, err := l.read("blobs/" + d.Digest.Algorithm + "/" + d.Digest.Hex)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is not whole: %s is missing", l.name, d.Digest))
	}
	return content, err
}

// Referrers implements Place: a layout lists them among its manifests.
func (l *Layout) Referrers(ctx context.Context, subject v1.Hash) ([]v1.Descriptor, error) {
	var found []v1.Descriptor
	for _, d := range l.index.Manifests {
		if d.MediaType != types.OCIManifestSchema1 {
			continue
		}
		manifest, err := l.Content(ctx, d)
		if err != nil {
			return nil, err
		}
		if a, err := image.ReadAttachment(manifest); err == nil && a.Subject == subject {
			found = append(found, d)
		}
	}
	return found, nil
}

// IsLayout reports whether a folder holds a layout itself.
func IsLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}
