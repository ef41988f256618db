package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A Stored is a release read back from its folder, every digest checked.
type Stored struct {
	Result Result
	// Children are the images of the platforms, in the order of Result.
	Children []Child
	// Index is what they are listed in.
	Index image.Blob
	// Attachments are documents about the index and its children, in the order of
	// Result.
	Attachments []image.Attachment
	// Chart is the archive of the library chart, nil where Result has none.
	Chart []byte
	// Applications are the archives of the charts that carry it, in the order of
	// Result.
	Applications [][]byte
}

// A Child is the image of one platform.
type Child struct {
	Manifest, Config, Layer image.Blob
}

// Created is the date on the image, which a rebuild has to use again.
func (s Stored) Created() (time.Time, error) {
	var index v1.IndexManifest
	err := json.Unmarshal(s.Index.Bytes, &index)
	var created time.Time
	if err == nil {
		created, err = time.Parse(time.RFC3339, index.Annotations["org.opencontainers.image.created"])
	}
	if err != nil {
		return created, fault.New(fault.Verification, fmt.Errorf("image index: %w", err))
	}
	return created, nil
}

const rebuild = "jobmesh build writes it again"

// Load reads the release of a folder. Content that is not what its digest says
// is an error that names the file.
func (f Folder) Load() (Stored, error) {
	var s Stored
	path := filepath.Join(string(f), ResultFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, fault.New(fault.LocalIO, fmt.Errorf("%s has no release in it: there is no %s", f, ResultFile), "jobmesh build makes one")
	}
	if err != nil {
		return s, err
	}
	if err := s.Result.parse(text); err != nil {
		return s, fault.New(fault.Verification, fmt.Errorf("%s %w", path, err), rebuild)
	}
	if c := s.Result.Chart; c != nil {
		if s.Chart, err = f.file(c.Path, c.Content); err != nil {
			return s, err
		}
	}
	for _, a := range s.Result.Applications {
		archive, err := f.file(a.Path, a.Content)
		if err != nil {
			return s, err
		}
		s.Applications = append(s.Applications, archive)
	}
	if _, err := f.file(s.Result.Archive.Path, s.Result.Archive.Content); err != nil {
		return s, err
	}
	layout := s.Result.Image.Layout
	for _, p := range s.Result.Image.Platforms {
		child, err := f.child(layout, p)
		if err != nil {
			return s, err
		}
		s.Children = append(s.Children, child)
	}
	if s.Index, err = f.blob(layout, s.Result.Image.Content, types.OCIImageIndex); err != nil {
		return s, err
	}
	for _, r := range s.Result.Image.Referrers {
		a, err := f.attachment(layout, r)
		if err != nil {
			return s, err
		}
		s.Attachments = append(s.Attachments, a)
	}
	return s, f.named(layout, s.Result.Image)
}

// attachment reads a document about a manifest.
func (f Folder) attachment(layout string, r Referrer) (image.Attachment, error) {
	manifest, err := f.blob(layout, r.Content, types.OCIManifestSchema1)
	if err != nil {
		return image.Attachment{}, err
	}
	a, err := image.ReadAttachment(manifest.Bytes)
	if err == nil && (a.Subject.String() != r.Subject || string(a.Type) != r.ArtifactType) {
		err = fmt.Errorf("%s is %s about %s, and is listed as %s about %s", manifest.Descriptor.Digest, a.Type, a.Subject, r.ArtifactType, r.Subject)
	}
	if err != nil {
		return a, fault.New(fault.Verification, err, rebuild)
	}
	a.Content, err = f.described(layout, a.Content.Descriptor)
	return a, err
}

// child reads the image of a platform.
func (f Folder) child(layout string, p Platform) (c Child, err error) {
	if c.Manifest, err = f.blob(layout, p.Content, types.OCIManifestSchema1); err != nil {
		return c, err
	}
	var manifest v1.Manifest
	if err := json.Unmarshal(c.Manifest.Bytes, &manifest); err != nil {
		return c, fault.New(fault.Verification, fmt.Errorf("manifest of %s: %w", p.Platform, err), rebuild)
	}
	if len(manifest.Layers) != 1 {
		return c, fault.New(fault.Verification, fmt.Errorf("manifest of %s has %d layers, not one", p.Platform, len(manifest.Layers)), rebuild)
	}
	if c.Layer, err = f.described(layout, manifest.Layers[0]); err != nil {
		return c, err
	}
	if c.Config, err = f.described(layout, manifest.Config); err != nil {
		return c, err
	}
	if described(c.Layer) != p.Layer || described(c.Config) != p.Config {
		return c, fault.New(fault.Verification, fmt.Errorf("manifest of %s has layer %s and configuration %s, the list %s and %s",
			p.Platform, c.Layer.Descriptor.Digest, c.Config.Descriptor.Digest, p.Layer.Digest, p.Config.Digest), rebuild)
	}
	return c, nil
}

// Charts are the library chart, where there is one, and those that carry it.
func (r *Result) Charts() []Packed {
	if r.Chart == nil {
		return r.Applications
	}
	return append([]Packed{*r.Chart}, r.Applications...)
}

// parse reads the text of a result, in which nothing is guarded by a digest: it
// has to be, byte for byte, what is written for what it says.
func (r *Result) parse(text []byte) error {
	if err := json.Unmarshal(text, r); err != nil || r.SchemaVersion != schemaVersion {
		return errors.New("is not a result of this version of jobmesh")
	}
	if again, err := r.encode(); err != nil || !bytes.Equal(again, text) {
		return errors.New("is damaged: it has more than jobmesh wrote")
	}
	agree := r.Archive.Path == archivePath(r.Image.Name, r.Version)
	for _, p := range r.Charts() {
		agree = agree && p.Path == chartFolder+"/"+p.Name+"-"+p.Version+".tgz"
	}
	if !agree {
		return errors.New("is damaged: names and versions do not agree")
	}
	return nil
}

func (f Folder) described(layout string, d v1.Descriptor) (image.Blob, error) {
	return f.blob(layout, Content{Digest: d.Digest.String(), Size: d.Size}, d.MediaType)
}

// named checks that the layout lists the image, without which no reader finds it.
func (f Folder) named(layout string, want Image) error {
	path := filepath.Join(string(f), layout, "index.json")
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var index v1.IndexManifest
	if err == nil {
		err = json.Unmarshal(text, &index)
	}
	_, hex, _ := strings.Cut(want.Digest, ":")
	entry := image.ParseReference(want.Reference).Listed(v1.Descriptor{
		MediaType: types.OCIImageIndex, Size: want.Size, Digest: v1.Hash{Algorithm: "sha256", Hex: hex},
	})
	if err != nil || index.SchemaVersion != 2 || index.MediaType != types.OCIImageIndex ||
		!slices.ContainsFunc(index.Manifests, func(d v1.Descriptor) bool { return reflect.DeepEqual(d, entry) }) {
		return fault.New(fault.Verification, fmt.Errorf("%s does not list the image %s as %s", path, want.Digest, want.Reference), rebuild)
	}
	_, err = f.file(filepath.Join(layout, "oci-layout"), content([]byte(image.LayoutFile)))
	return err
}

func (f Folder) blob(layout string, c Content, mediaType types.MediaType) (image.Blob, error) {
	_, hex, _ := strings.Cut(c.Digest, ":")
	content, err := f.file(filepath.Join(layout, "blobs", "sha256", hex), c)
	if err != nil {
		return image.Blob{}, err
	}
	return image.NewBlob(mediaType, content), nil
}

// file reads a file of the folder and checks it.
func (f Folder) file(path string, want Content) ([]byte, error) {
	path = filepath.Join(string(f), path)
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is missing", path), rebuild)
	}
	if err != nil {
		return nil, err
	}
	if got := content(data); got != want {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is damaged: it is %s, not %s", path, got.Digest, want.Digest), rebuild)
	}
	return data, nil
}
