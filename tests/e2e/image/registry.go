package image

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"slices"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Serve starts a registry in this process, on loopback and in memory, and returns its address. It ends with the process.
func Serve() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("registry: %w", err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	go server.Serve(listener)
	return listener.Addr().String(), nil
}

// Push puts an image into a repository, under a tag that is made of its digest: the same tag is always the same image,
// so that no node ever runs an older one that it has kept.
func Push(repository string, img v1.Image) (name.Tag, error) {
	digest, err := img.Digest()
	if err != nil {
		return name.Tag{}, err
	}
	tag, err := name.NewTag(repository + ":" + digest.Hex[:12])
	if err != nil {
		return name.Tag{}, err
	}
	if err := remote.Write(tag, img, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
		return name.Tag{}, fmt.Errorf("push to %s: %w", repository, err)
	}
	return tag, nil
}

// PushLayout puts the one nested image index of an OCI layout into a repository, byte for byte, and returns its digest.
func PushLayout(repository, dir string) (string, error) {
	root, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return "", fmt.Errorf("%s: %w", dir, err)
	}
	indexes := slices.DeleteFunc(manifest.Manifests, func(d v1.Descriptor) bool { return !d.MediaType.IsIndex() })
	if len(indexes) != 1 {
		return "", fmt.Errorf("%s: want one nested image index, there are %d", dir, len(indexes))
	}
	digest := indexes[0].Digest
	index, err := root.ImageIndex(digest)
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
