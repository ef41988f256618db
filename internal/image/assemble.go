package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"path"
	"runtime"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
)

// A Blob is content with its descriptor.
type Blob struct {
	Descriptor v1.Descriptor
	Bytes      []byte
}

// A Child is the image of one platform.
type Child struct {
	Platform Platform
	// Program and DiffID describe the uncompressed layer.
	Program []byte
	DiffID  v1.Hash
	// Files are the other files in the layer.
	Files  []File
	Layer  Blob
	Config Blob
	// Manifest is the manifest that the index lists.
	Manifest Blob
}

// An Index is a multi-arch image in memory; the wrapper's has some 5 MB.
type Index struct {
	Recipe   Recipe
	Children []Child
	Blob     Blob
	// Attachments are documents about the index and its children. They do not change the image.
	Attachments []Attachment
}

// Assemble makes the image. It works on all children at the same time, because packing them
// takes most of the time. It is a pure function: nothing of the machine or of the clock gets
// into the image.
func Assemble(r Recipe, binaries []Binary) (*Index, error) {
	index := &Index{Recipe: r}
	manifest := v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Annotations:   r.annotations(),
	}
	index.Children = make([]Child, len(binaries))
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, b := range binaries {
		group.Go(func() (err error) {
			index.Children[i], err = assembleChild(r, b)
			return err
		})
	}
	err := group.Wait()
	if err != nil {
		return nil, err
	}
	for _, child := range index.Children {
		descriptor := child.Manifest.Descriptor
		descriptor.Platform = child.Platform.oci()
		manifest.Manifests = append(manifest.Manifests, descriptor)
	}
	index.Blob, err = Encode(types.OCIImageIndex, manifest)
	return index, err
}

func assembleChild(r Recipe, b Binary) (Child, error) {
	child := Child{Platform: b.Platform, Program: b.Bytes, Files: b.Files}
	content, err := layerTar(r, b.Bytes, b.Files...)
	if err != nil {
		return child, err
	}
	if child.DiffID, _, err = v1.SHA256(bytes.NewReader(content)); err != nil {
		return child, err
	}
	packed, err := r.Compression.pack(content)
	if err != nil {
		return child, err
	}
	child.Layer = NewBlob(r.Compression.mediaType(), packed)
	platform := b.Platform.oci()
	child.Config, err = Encode(types.OCIConfigJSON, v1.ConfigFile{
		Architecture: platform.Architecture,
		OS:           platform.OS,
		Variant:      platform.Variant,
		Created:      v1.Time{Time: r.Created},
		Config: v1.Config{
			Entrypoint: r.Entrypoint,
			Cmd:        r.Command,
			User:       r.User,
			WorkingDir: "/",
			Labels:     r.annotations(),
		},
		History: []v1.History{{
			Created:   v1.Time{Time: r.Created},
			CreatedBy: "jobmesh build --image " + r.Name,
		}},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{child.DiffID}},
	})
	if err != nil {
		return child, err
	}
	child.Manifest, err = Encode(types.OCIManifestSchema1, v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        child.Config.Descriptor,
		Layers:        []v1.Descriptor{child.Layer.Descriptor},
		Annotations:   r.annotations(),
	})
	return child, err
}

// layerTar writes the only layer of an image: the program, the files beside it, and their
// folders.
func layerTar(r Recipe, program []byte, files ...File) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	made := map[string]bool{}
	for _, f := range append([]File{{Path: r.Path, Bytes: program}}, files...) {
		name := strings.TrimPrefix(path.Clean(f.Path), "/")
		for i, c := range name {
			if folder := name[:i+1]; c == '/' && !made[folder] {
				made[folder] = true
				if err := w.WriteHeader(header(folder, folderMode, 0, r.Created)); err != nil {
					return nil, err
				}
			}
		}
		if err := w.WriteHeader(header(name, FileMode, len(f.Bytes), r.Created)); err != nil {
			return nil, err
		}
		if _, err := w.Write(f.Bytes); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// header returns a tar header without an owner. A name that ends in a slash is that of a
// folder.
func header(name string, mode int64, size int, modified time.Time) *tar.Header {
	h := &tar.Header{Name: name, Mode: mode, Size: int64(size), ModTime: modified, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
	if strings.HasSuffix(name, "/") {
		h.Typeflag = tar.TypeDir
	}
	return h
}

// Encode encodes a value as JSON.
func Encode(mediaType types.MediaType, value any) (Blob, error) {
	text, err := json.Marshal(value)
	if err != nil {
		return Blob{}, err
	}
	return NewBlob(mediaType, text), nil
}

// NewBlob returns content with its descriptor.
func NewBlob(mediaType types.MediaType, content []byte) Blob {
	digest, size, _ := v1.SHA256(bytes.NewReader(content)) // reading from memory does not fail
	return Blob{Descriptor: v1.Descriptor{MediaType: mediaType, Size: size, Digest: digest}, Bytes: content}
}

// Blobs returns the content of the image, the index last, and that of its attachments, each
// once. Stored in this order, no manifest ever names a blob that is not there yet.
func (x *Index) Blobs() []Blob {
	var all []Blob
	for _, c := range x.Children {
		all = append(all, c.Layer, c.Config, c.Manifest)
	}
	all = append(all, x.Blob)
	for _, a := range x.Attachments {
		all = append(all, a.Blobs()...)
	}
	seen := map[v1.Hash]bool{}
	return slices.DeleteFunc(all, func(b Blob) bool {
		again := seen[b.Descriptor.Digest]
		seen[b.Descriptor.Digest] = true
		return again
	})
}
