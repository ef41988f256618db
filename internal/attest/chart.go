package attest

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
)

// A Chart is a chart as a registry keeps it.
type Chart struct {
	Name, Version string
	// Manifest is what the registry tags; Archive the digest of what Helm unpacks.
	Manifest v1.Descriptor
	Archive  v1.Hash
	// Image is the repository that it names, Digest what it is pinned to.
	Image, Digest string
	Created       time.Time
	// Sources are those of the image, as its provenance has them.
	Sources []provenance.Material
	// Builder is the version of jobmesh that made the image.
	Builder string
}

// Provenance returns how the chart was made: it is pinned where it is published,
// so its digest is another in each registry.
func (c Chart) Provenance() (image.Attachment, error) {
	statement, err := provenance.Write(provenance.Build{
		Type:     provenance.ChartBuild,
		Version:  c.Builder,
		Subjects: []provenance.Subject{{Name: c.Name, Digest: c.Manifest.Digest.String()}, {Name: c.Name + "-" + c.Version + ".tgz", Digest: c.Archive.String()}},
		External: map[string]any{"chart": c.Name, "version": c.Version, "image": c.Image},
		Materials: append([]provenance.Material{
			{Name: "image", URI: "pkg:oci/" + c.Image, Digest: map[string]string{"sha256": c.Digest[len("sha256:"):]}},
		}, c.Sources...),
	})
	if err != nil {
		return image.Attachment{}, err
	}
	return image.Attach(c.Manifest, provenance.MediaType, statement, withPredicate(Annotations(c.Name, c.Created)))
}

// Sources returns what provenance says that the image was made of, and by which
// version of jobmesh.
func Sources(attachments []image.Attachment) (sources []provenance.Material, builder string) {
	for _, a := range attachments {
		if a.Type != provenance.MediaType {
			continue
		}
		s, err := provenance.Read(a.Content.Bytes)
		if err != nil {
			continue // verify says so
		}
		for _, d := range s.Dependencies {
			if d.Name == "sources" {
				sources = append(sources, d)
			}
		}
		return sources, s.Version
	}
	return nil, ""
}
