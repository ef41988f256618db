package image

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// PushLayout pushes the only nested image index of an OCI layout to a repository, byte for byte, and returns its
// digest.
func PushLayout(repository, dir string) (string, error) {
	index, digest, err := nestedIndex(dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	reference, err := name.NewDigest(repository + "@" + digest.String())
	if err != nil {
		return "", err
	}
	if err := remote.WriteIndex(reference, index, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return "", fmt.Errorf("push to %s: %w", repository, err)
	}
	return digest.String(), nil
}

// FileInLayout returns the content of a file in the image of an OCI layout that is for this machine's architecture.
func FileInLayout(dir, file string) ([]byte, error) {
	index, _, err := nestedIndex(dir)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	img, err := ofThisMachine(index)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", dir, err)
	}
	files := mutate.Extract(img)
	defer files.Close()
	for reader := tar.NewReader(files); ; {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return nil, fmt.Errorf("%s: no %s in the image", dir, file)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", dir, err)
		}
		if header.Name == file {
			return io.ReadAll(reader)
		}
	}
}

func nestedIndex(dir string) (v1.ImageIndex, v1.Hash, error) {
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return nil, v1.Hash{}, err
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return nil, v1.Hash{}, err
	}
	indexes := slices.DeleteFunc(manifest.Manifests, func(d v1.Descriptor) bool { return !d.MediaType.IsIndex() })
	if len(indexes) != 1 {
		return nil, v1.Hash{}, fmt.Errorf("want one nested image index, there are %d", len(indexes))
	}
	index, err := root.ImageIndex(indexes[0].Digest)
	return index, indexes[0].Digest, err
}

func ofThisMachine(index v1.ImageIndex) (v1.Image, error) {
	manifest, err := index.IndexManifest()
	if err != nil {
		return nil, err
	}
	for _, d := range manifest.Manifests {
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == runtime.GOARCH {
			return index.Image(d.Digest)
		}
	}
	return nil, fmt.Errorf("no image for linux/%s", runtime.GOARCH)
}
