package attest

import (
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
)

// A Chart is a chart in a registry.
type Chart struct {
	Name, Version string
	// Manifest is the manifest that has the tag. Archive is the digest of the archive that Helm
	// unpacks.
	Manifest v1.Descriptor
	Archive  v1.Hash
	// Image is the repository that the chart names, and Digest is the digest to which it is
	// pinned.
	Image, Digest string
	Created       time.Time
	// Sources are the sources of the image, as its provenance lists them.
	Sources []provenance.Material
	// Builder is the version of jobmesh that made the image.
	Builder string
}

// Provenance says how the chart was made. A chart is pinned at the place where it is published,
// so it has another digest in each registry.
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

// Sources returns the sources of the image that its provenance lists, and the version of
// jobmesh that built it.
func Sources(attachments []image.Attachment) (sources []provenance.Material, builder string) {
	for _, a := range attachments {
		if a.Type != provenance.MediaType {
			continue
		}
		s, err := provenance.Read(a.Content.Bytes)
		if err != nil {
			continue // verify reports it
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
