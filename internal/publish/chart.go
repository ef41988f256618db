package publish

import (
	"encoding/json"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
)

// Chart returns a packed chart as an artifact. metadata is its Chart.yaml, and created is
// the date that its annotations get.
func Chart(repo name.Repository, metadata *helm.Metadata, archive []byte, created time.Time) (Artifact, error) {
	config, err := json.Marshal(metadata)
	if err != nil {
		return Artifact{}, err
	}
	blobs := []image.Blob{image.NewBlob(chart.ConfigType, config), image.NewBlob(chart.ArchiveType, archive)}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        blobs[0].Descriptor,
		Layers:        []v1.Descriptor{blobs[1].Descriptor},
		Annotations: map[string]string{
			ocispec.AnnotationTitle:       metadata.Name,
			ocispec.AnnotationVersion:     metadata.Version,
			ocispec.AnnotationDescription: metadata.Description,
			ocispec.AnnotationCreated:     created.UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{
		Kind:       ChartKind,
		Repository: repo,
		Blobs:      blobs,
		Manifests:  []image.Blob{image.NewBlob(types.OCIManifestSchema1, manifest)},
		Tags:       []string{release.Tag(metadata.Version)},
		Fixed:      true,
	}, nil
}
