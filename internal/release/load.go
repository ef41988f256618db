package release

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A Stored is a release read back from its folder, every digest checked.
type Stored struct {
	Result Result
	// Blobs are the layers and configurations of the image.
	Blobs []image.Blob
	// Manifests are those of the platforms and, last, the index.
	Manifests []image.Blob
	// Chart is the archive of the library chart.
	Chart []byte
}

const rebuild = "jobmesh build writes it again"

// Load reads the release of a folder. Content that is not what its digest says
// is an error that names the file.
func (f Folder) Load() (Stored, error) {
	var s Stored
	path := filepath.Join(string(f), resultFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return s, fault.New(fault.LocalIO, fmt.Errorf("%s has no release in it: there is no %s", f, resultFile), "jobmesh build makes one")
	}
	if err != nil {
		return s, err
	}
	if err := json.Unmarshal(text, &s.Result); err != nil || s.Result.SchemaVersion != schemaVersion {
		return s, fault.New(fault.Verification, fmt.Errorf("%s is not a result of this version of jobmesh", path), rebuild)
	}
	if s.Chart, err = f.file(s.Result.Chart.Path, s.Result.Chart.Content); err != nil {
		return s, err
	}
	layout := s.Result.Image.Layout
	for _, p := range s.Result.Image.Platforms {
		var manifest v1.Manifest
		m, err := f.blob(layout, p.Content, types.OCIManifestSchema1)
		if err != nil {
			return s, err
		}
		if err := json.Unmarshal(m.Bytes, &manifest); err != nil {
			return s, fault.New(fault.Verification, fmt.Errorf("manifest of %s: %w", p.Platform, err), rebuild)
		}
		s.Manifests = append(s.Manifests, m)
		for _, d := range append(manifest.Layers, manifest.Config) {
			b, err := f.blob(layout, Content{Digest: d.Digest.String(), Size: d.Size}, d.MediaType)
			if err != nil {
				return s, err
			}
			s.Blobs = append(s.Blobs, b)
		}
	}
	index, err := f.blob(layout, s.Result.Image.Content, types.OCIImageIndex)
	s.Manifests = append(s.Manifests, index)
	return s, err
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
