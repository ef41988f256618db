package image

import (
	"encoding/json"
	"fmt"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// An Attachment is a document about a manifest, such as a bill of materials: a referrer in the
// terms of OCI 1.1.
type Attachment struct {
	// Subject is the digest of the manifest that the document is about.
	Subject v1.Hash
	// Type is the artifact type of the attachment, and the media type of its content.
	Type     types.MediaType
	Content  Blob
	Manifest Blob
	// Annotations are the annotations of its manifest.
	Annotations map[string]string
}

// EmptyConfig is the configuration of an artifact without one.
var EmptyConfig = NewBlob("application/vnd.oci.empty.v1+json", []byte("{}"))

// Attach makes an attachment. The same content for the same subject gives the same attachment.
func Attach(subject v1.Descriptor, kind types.MediaType, content []byte, annotations map[string]string) (Attachment, error) {
	a := Attachment{Subject: subject.Digest, Type: kind, Content: NewBlob(kind, content), Annotations: annotations}
	var err error
	a.Manifest, err = Encode(types.OCIManifestSchema1, v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		ArtifactType:  string(kind),
		Config:        EmptyConfig.Descriptor,
		Layers:        []v1.Descriptor{a.Content.Descriptor},
		Subject:       &v1.Descriptor{MediaType: subject.MediaType, Size: subject.Size, Digest: subject.Digest},
		Annotations:   annotations,
	})
	return a, err
}

// ReadAttachment reads the manifest of an attachment. The result has only the descriptor of the
// content.
func ReadAttachment(manifest []byte) (a Attachment, err error) {
	var m v1.Manifest
	if err := json.Unmarshal(manifest, &m); err != nil {
		return a, err
	}
	a.Manifest = NewBlob(types.OCIManifestSchema1, manifest)
	if m.Subject == nil || len(m.Layers) != 1 {
		return a, fmt.Errorf("%s is not a document about a manifest", a.Manifest.Descriptor.Digest)
	}
	a.Subject, a.Type, a.Annotations = m.Subject.Digest, types.MediaType(m.ArtifactType), m.Annotations
	if a.Type == "" {
		a.Type = m.Config.MediaType
	}
	a.Content.Descriptor = m.Layers[0]
	return a, nil
}

// Descriptor returns the attachment as a list of referrers has it.
func (a Attachment) Descriptor() v1.Descriptor {
	d := a.Manifest.Descriptor
	d.ArtifactType = string(a.Type)
	d.Annotations = a.Annotations
	return d
}

// Blobs returns the content and the manifest, in the order in which they are stored.
func (a Attachment) Blobs() []Blob { return []Blob{EmptyConfig, a.Content, a.Manifest} }
