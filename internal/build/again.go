package build

import (
	"context"
	"fmt"
	"path"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
)

// Rebuild builds the image of a release again: for the same platforms, with the same date and
// compression. The sources have to have the version of the release; otherwise the error has
// exit code 8.
func (s Sources) Rebuild(ctx context.Context, stored release.Stored, o Options) (*image.Index, error) {
	result := stored.Result
	created, err := stored.Created()
	if err != nil {
		return nil, err
	}
	version, err := s.Version()
	if err != nil {
		return nil, err
	}
	if version != result.Version {
		return nil, fault.New(fault.Verification, fmt.Errorf("sources have version %s, the release has version %s", version, result.Version),
			"git checkout v"+result.Version)
	}
	var names []string
	for _, p := range result.Image.Platforms {
		names = append(names, p.Platform)
	}
	recipe, platforms, err := s.recipe(result.Image.Name, version, names)
	if err != nil {
		return nil, err
	}
	recipe.Created = created
	if len(stored.Children) > 0 {
		recipe.Compression = image.CompressionOf(stored.Children[0].Layer.Descriptor.MediaType)
	}
	index, _, err := s.compile(ctx, recipe, platforms, o)
	return index, err
}

// Repack packs the charts of a release again, pinned to the image of the release. It returns
// nil for a release without charts.
func (s Sources) Repack(stored release.Stored) ([]chart.Archive, error) {
	if stored.Chart == nil {
		return nil, nil
	}
	created, err := stored.Created()
	if err != nil {
		return nil, err
	}
	wanted := stored.Result.Image
	prefix := path.Dir(image.ParseReference(wanted.Reference).Repository)
	pin, repository, err := s.repository(prefix, wanted.Name)
	if err != nil {
		return nil, err
	}
	pin.Digest = wanted.Digest
	return s.pack(pin, chart.URL(path.Dir(repository)), created)
}
