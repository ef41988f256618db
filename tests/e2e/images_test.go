package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/image"
)

// standIns are the images made for the tests.
type standIns struct {
	pause name.Tag // holds a pod's namespaces open, in a cluster of our own
	proxy name.Tag // stands in for the meshes' proxies
	shell name.Tag // what the Jobs run
}

// pushStandIns compiles the programs into dir, makes images of them and puts those into the registry.
func pushStandIns(ctx context.Context, registry, dir string) (standIns, error) {
	var pushed standIns
	for _, s := range []struct {
		name string
		make func() (v1.Image, error)
		to   *name.Tag
	}{
		{"pause", ofProgram(ctx, "pause", dir), &pushed.pause},
		{"proxy", ofProgram(ctx, "proxy", dir), &pushed.proxy},
		{"shell", func() (v1.Image, error) { return image.OfShell(programs.Busybox) }, &pushed.shell},
	} {
		made, err := s.make()
		if err != nil {
			return standIns{}, fmt.Errorf("image %s: %w", s.name, err)
		}
		if *s.to, err = image.Push(registry+"/jobmesh-e2e/"+s.name, made); err != nil {
			return standIns{}, fmt.Errorf("image %s: %w", s.name, err)
		}
	}
	return pushed, nil
}

// ofProgram makes an image of a program of this module.
func ofProgram(ctx context.Context, name, dir string) func() (v1.Image, error) {
	return func() (v1.Image, error) {
		file := filepath.Join(dir, name)
		build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", file, "./"+name)
		build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
		if output, err := build.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("go build: %w\n%s", err, output)
		}
		return image.OfProgram(file, name)
	}
}
