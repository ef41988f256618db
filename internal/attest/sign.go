package attest

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// Sign returns the signatures of manifests: for each manifest a bundle that says that it is
// signed, and for each provenance among the attachments a bundle with that provenance. It
// covers the bills of materials too, because the provenance has their digests.
func Sign(key *signature.Key, subjects []v1.Descriptor, attachments []image.Attachment) ([]image.Attachment, error) {
	var all []image.Attachment
	add := func(subject v1.Descriptor, predicateType string, statement []byte, from map[string]string) error {
		bundle, err := key.Sign(statement)
		if err != nil {
			return err
		}
		annotations := signature.Annotations(predicateType)
		// The date is that of the image; cosign writes the current time there.
		if created := from[ocispec.AnnotationCreated]; created != "" {
			annotations[ocispec.AnnotationCreated] = created
		}
		a, err := image.Attach(subject, signature.MediaType, bundle, annotations)
		all = append(all, a)
		return err
	}
	for _, subject := range subjects {
		statement, err := signature.Statement(subject.Digest.String())
		if err != nil {
			return nil, err
		}
		about := provenanceOf(subject, attachments)
		if err := add(subject, signature.PredicateType, statement, about.Annotations); err != nil {
			return nil, err
		}
		if about.Content.Bytes == nil {
			continue
		}
		if err := add(subject, provenance.PredicateType, about.Content.Bytes, about.Annotations); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func provenanceOf(subject v1.Descriptor, attachments []image.Attachment) image.Attachment {
	for _, a := range attachments {
		if a.Subject == subject.Digest && a.Type == provenance.MediaType {
			return a
		}
	}
	return image.Attachment{}
}

// Missing returns the wanted attachments that are not there.
func Missing(wanted, there []image.Attachment) []image.Attachment {
	known := map[v1.Hash]bool{}
	for _, a := range there {
		known[a.Manifest.Descriptor.Digest] = true
	}
	var missing []image.Attachment
	for _, a := range wanted {
		if !known[a.Manifest.Descriptor.Digest] {
			missing = append(missing, a)
		}
	}
	return missing
}
