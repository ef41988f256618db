// Package build makes a release of the sources: it compiles the program of an image for every
// platform, assembles the image, packs the charts that are pinned to it, and writes the
// documents about it. The same sources give the same bytes each time; Rebuild and Repack show
// that.
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

// A Request says what a caller wants to be built.
type Request struct {
	// Program is the version of the running program. It has to be the version of the sources.
	Program string
	// Image is the name of a folder in images/.
	Image string
	// Platforms are names such as linux/amd64; none means all platforms of the image.
	Platforms []string
	// Compression is gzip or zstd.
	Compression string
	// Registry is REGISTRY[/PREFIX] of the image's name; "" means the one in the chart.
	Registry string
}

// A Plan is a request that has passed every check which is possible before the compilation.
type Plan struct {
	Sources   Sources
	Recipe    image.Recipe
	Platforms []image.Platform
	// Repository is the repository of the image, with its registry.
	Repository string
	// pin is what is written into the chart beside the digest.
	pin chart.Pin
}

// Plan checks a request against the sources, and returns all mistakes in it.
func (s Sources) Plan(r Request) (Plan, error) {
	p := Plan{Sources: s}
	version, err := s.Version()
	if err != nil {
		return p, err
	}
	if version != r.Program {
		return p, fault.New(fault.Build, fmt.Errorf("sources in %s have version %s, but this jobmesh has version %s", s, version, r.Program),
			"make build builds the jobmesh of these sources")
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

// recipe returns the recipe of an image, and its platforms: the named ones, or all of them.
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

// checkPinned checks, before any work is done, that the third-party binaries of an image are
// pinned.
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

// repository returns the repository of an image under a registry and prefix, "" meaning those
// of the chart. It also returns what has to be written into the chart for it, which is nothing
// where the chart says the same already.
func (s Sources) repository(prefix, name string) (pin chart.Pin, repository string, err error) {
	own, err := chart.ImageRepository(s.LibraryChart())
	if err != nil {
		return pin, "", err
	}
	if prefix == "" {
		// Another image is put beside the image of the chart.
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

// Release compiles and assembles everything. With a key it signs the image.
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

// attachments makes the documents about an image, and signs them where there is a key.
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
