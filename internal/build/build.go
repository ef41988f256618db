// Package build makes a release of the sources: it compiles the program of an image for
// every platform, assembles the image, packs the charts that are pinned to it and
// writes the documents about it. The same sources give the same bytes again, which
// Rebuild and Repack prove.
package build

import (
	"context"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/upstream"
)

// A Request is what a caller wants built.
type Request struct {
	// Program is the version of the program that builds, which has to be that of the
	// sources.
	Program string
	// Image is a folder of images/.
	Image string
	// Platforms are names such as linux/amd64; none are all of the image.
	Platforms []string
	// Compression is gzip or zstd.
	Compression string
	// Registry is REGISTRY[/PREFIX] of the image's name; "" is that of the chart.
	Registry string
}

// A Plan is a request of which everything was checked that can be before a compile.
type Plan struct {
	Sources   Sources
	Recipe    image.Recipe
	Platforms []image.Platform
	// Repository is the image's, its registry included.
	Repository string
	// pin is what to write into the chart beside the digest.
	pin chart.Pin
}

// Plan checks a request against the sources.
func (s Sources) Plan(r Request) (Plan, error) {
	p := Plan{Sources: s}
	version, err := s.Version()
	if err != nil {
		return p, err
	}
	if version != r.Program {
		return p, fault.New(fault.Build, fmt.Errorf("sources in %s are of version %s, but this jobmesh is of version %s", s, version, r.Program),
			"make build makes the jobmesh that goes with the sources")
	}
	if p.Recipe, p.Platforms, err = s.recipe(r.Image, version, r.Platforms); err != nil {
		return p, err
	}
	if p.Recipe.Compression, err = image.ParseCompression(r.Compression); err != nil {
		return p, err
	}
	p.pin, p.Repository, err = s.repository(r.Registry, p.Recipe.Name)
	return p, err
}

// recipe returns what an image is made of, and for which platforms: those named, or
// all of the image's.
func (s Sources) recipe(name, version string, platforms []string) (image.Recipe, []image.Platform, error) {
	recipe, err := image.LoadRecipe(string(s), name, version, os.Getenv("SOURCE_DATE_EPOCH"))
	if err != nil {
		return recipe, nil, err
	}
	if len(platforms) == 0 {
		platforms = recipe.Platforms
	}
	selected, err := image.SelectPlatforms(platforms)
	if err == nil {
		err = s.checkPinned(recipe, selected)
	}
	return recipe, selected, err
}

// checkPinned finds out before any work whether the binaries of others that an
// image needs are pinned.
func (s Sources) checkPinned(recipe image.Recipe, platforms []image.Platform) error {
	if recipe.Download == nil {
		return nil
	}
	for _, p := range platforms {
		if !slices.Contains(recipe.Platforms, p.Name) {
			return fault.New(fault.Usage, fmt.Errorf("image %s is not for %s: its platforms are %s", recipe.Name, p.Name, strings.Join(recipe.Platforms, ", ")))
		}
	}
	_, err := upstream.Load(string(s), recipe)
	return err
}

// repository returns an image's repository under a registry and prefix, "" for that of
// the chart, and what to write into the chart for it: nothing where the chart says so
// already.
func (s Sources) repository(prefix, name string) (pin chart.Pin, repository string, err error) {
	own, err := chart.ImageRepository(s.LibraryChart())
	if err != nil {
		return pin, "", err
	}
	if prefix == "" {
		// Another image stands beside that of the chart.
		prefix = path.Dir(own)
	}
	repo, err := registry.Under(prefix, name)
	if err != nil {
		return pin, "", err
	}
	pin = chart.PinTo(repo)
	repository = pin.Name()
	if repository == own {
		pin = chart.Pin{}
	}
	return pin, repository, nil
}

// Release compiles and assembles everything. The image is signed where there is a key.
func (p Plan) Release(ctx context.Context, o Options, key *signature.Key) (release.Release, error) {
	index, compiler, err := p.Sources.compile(ctx, p.Recipe, p.Platforms, o)
	if err != nil {
		return release.Release{}, err
	}
	if index.Attachments, err = p.Sources.attachments(ctx, index, compiler, key); err != nil {
		return release.Release{}, err
	}
	made := release.Release{
		Index:     index,
		Reference: image.Reference{Repository: p.Repository, Tag: release.Tag(p.Recipe.Version)},
		Toolchain: compiler.Toolchain,
	}
	if !p.Recipe.InCharts {
		return made, nil
	}
	pin := p.pin
	pin.Digest = index.Blob.Descriptor.Digest.String()
	charts, err := p.Sources.pack(pin, chart.URL(path.Dir(p.Repository)), p.Recipe.Created)
	if err != nil {
		return made, err
	}
	made.Chart, made.Applications = &charts[0], charts[1:]
	return made, nil
}

// attachments makes the documents about an image, and signs them if there is a key.
func (s Sources) attachments(ctx context.Context, index *image.Index, compiler *image.Compiler, key *signature.Key) ([]image.Attachment, error) {
	modules, err := attest.Modules(string(s))
	if err != nil {
		return nil, fault.New(fault.Build, err)
	}
	all, err := attest.Image(index, attest.Facts{
		Toolchain:   compiler.Toolchain,
		Environment: compiler.Environment(),
		Revision:    provenance.RevisionOf(ctx, string(s)),
		Modules:     modules,
	})
	if err != nil || key == nil {
		return all, err
	}
	subjects := []v1.Descriptor{index.Blob.Descriptor}
	for _, c := range index.Children {
		subjects = append(subjects, c.Manifest.Descriptor)
	}
	signed, err := attest.Sign(key, subjects, all)
	return append(all, signed...), err
}
