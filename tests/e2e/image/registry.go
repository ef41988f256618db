package image

import (
	"fmt"
	"io"
	"log"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// Serve starts a registry in this process, on the loopback interface and in memory, and returns its address. It ends
// with the process.
func Serve() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("registry: %w", err)
	}
	server := &http.Server{Handler: registry.New(registry.Logger(log.New(io.Discard, "", 0)))}
	go server.Serve(listener)
	return listener.Addr().String(), nil
}

// Push pushes an image to a repository, under a tag that is made of its digest. The same tag is therefore always the
// same image, and a node never runs an older image that it has kept.
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
