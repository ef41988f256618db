package publish

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/plugin"
	"github.com/jobmesh/jobmesh/internal/release"
)

const (
	pluginType string = "application/vnd.helm.plugin.v1+json"
	// pluginLayer is the media type of both files of a plugin. Helm 4 takes one of a tar
	// archive for either, and no other.
	pluginLayer types.MediaType = "application/vnd.oci.image.layer.v1.tar"
)

// Plugin returns the plugin of Helm as a registry will have it, one tag for each platform:
// Helm chooses none from an index.
func (p Plan) Plugin(archives []plugin.Archive) ([]Artifact, error) {
	repo, err := p.repository(plugin.Name)
	if err != nil {
		return nil, err
	}
	var artifacts []Artifact
	for _, a := range archives {
		packed := Artifact{Kind: PluginKind, Repository: repo, Tags: []string{release.Tag(a.Tag())}, Fixed: true}
		manifest := v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1, ArtifactType: pluginType,
			Config:      image.EmptyConfig.Descriptor,
			Annotations: map[string]string{ocispec.AnnotationVersion: a.Version, ocispec.AnnotationTitle: plugin.Name},
		}
		packed.Blobs = []image.Blob{image.EmptyConfig}
		add := func(name string, content []byte) {
			b := image.NewBlob(pluginLayer, content)
			packed.Blobs = append(packed.Blobs, b)
			described := b.Descriptor
			described.Annotations = map[string]string{ocispec.AnnotationTitle: name}
			manifest.Layers = append(manifest.Layers, described)
		}
		add(a.FileName(), a.Bytes)
		if a.Provenance != nil {
			add(a.ProvenanceName(), a.Provenance)
		}
		top, err := image.Encode(types.OCIManifestSchema1, manifest)
		if err != nil {
			return nil, err
		}
		packed.Manifests = []image.Blob{top}
		artifacts = append(artifacts, packed)
	}
	if p.Bare {
		return artifacts, nil
	}
	return artifacts, sign(artifacts, p.Key)
}
