package cli

import (
	"fmt"
	"path"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/verify"
)

// repacked packs the charts of a release again from the sources here, pinned to the
// image of the release. It returns none for a release without charts.
func repacked(stored release.Stored) ([]chart.Archive, error) {
	if stored.Chart == nil {
		return nil, nil
	}
	created, err := verify.Created(stored)
	if err != nil {
		return nil, fault.New(fault.Verification, fmt.Errorf("image index: %w", err))
	}
	sources, err := findSources()
	if err != nil {
		return nil, err
	}
	wanted := stored.Result.Image
	registry := path.Dir(image.ParseReference(wanted.Reference).Repository)
	pin, repository, err := nameOf(registry, image.Recipe{Name: wanted.Name}, chartFolder(sources))
	if err != nil {
		return nil, err
	}
	pin.Digest = wanted.Digest
	var made release.Release
	if err := packCharts(&made, sources, pin, chartRepository(path.Dir(repository)), created); err != nil {
		return nil, err
	}
	return append([]chart.Archive{*made.Chart}, made.Applications...), nil
}
