package publish

import (
	"slices"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/image"
)

// A Kind says what an artifact is.
type Kind string

// The kinds of artifacts.
const (
	ImageKind  Kind = "image"
	ChartKind  Kind = "chart"
	PluginKind Kind = "plugin"
)

// An Artifact is something that a registry keeps under a tag.
type Artifact struct {
	Kind       Kind
	Repository name.Repository
	// Blobs are layers and configurations.
	Blobs []image.Blob
	// Manifests are in an order in which each comes after those that it refers to. The last
	// one gets the tags.
	Manifests []image.Blob
	// Attachments are documents about the manifests. They are pushed after the manifests.
	Attachments []image.Attachment
	Tags        []string
	// Fixed says that a tag which exists already must not move.
	Fixed bool
}

// Top is the manifest that the tags name.
func (a Artifact) Top() image.Blob { return a.Manifests[len(a.Manifests)-1] }

// Reference returns the reference of the artifact by its digest.
func (a Artifact) Reference() string {
	return a.Repository.Name() + "@" + a.Top().Descriptor.Digest.String()
}

// A Step is one thing that Publish does, for progress and dry runs.
type Step struct {
	// Phase is check, blob, manifest, attachment, read back, referrers, sign or tag.
	Phase string
	// Object is a digest or a reference.
	Object string
	// Size in bytes; 0 for a tag.
	Size int64
}

// Steps returns what Publish does with the artifacts, in this order.
func Steps(artifacts []Artifact) []Step {
	var steps []Step
	for _, a := range artifacts {
		for _, b := range a.Blobs {
			steps = append(steps, a.step("blob", b))
		}
		for _, m := range a.Manifests {
			steps = append(steps, a.step("manifest", m))
		}
		for _, doc := range a.Attachments {
			steps = append(steps, a.attachment(doc))
		}
		for _, b := range a.content() {
			steps = append(steps, a.step("read back", b.Blob))
		}
		if len(a.Attachments) > 0 {
			steps = append(steps, a.referrers())
		}
	}
	for _, a := range artifacts {
		for _, tag := range a.Tags {
			steps = append(steps, a.tag(tag))
		}
	}
	return steps
}

func (a Artifact) step(phase string, b image.Blob) Step {
	return Step{phase, a.Repository.Name() + "@" + b.Descriptor.Digest.String(), b.Descriptor.Size}
}

func (a Artifact) attachment(doc image.Attachment) Step {
	s := a.step("attachment", doc.Manifest)
	s.Size = doc.Content.Descriptor.Size
	return s
}

func (a Artifact) referrers() Step { return Step{"referrers", a.Repository.Name(), 0} }

func (a Artifact) tag(tag string) Step { return Step{"tag", a.Repository.Tag(tag).Name(), 0} }

// A sent is a blob or a manifest that has to come back as it was sent.
type sent struct {
	image.Blob
	manifest bool
}

// content returns every blob and manifest that the registry has to have, each once.
func (a Artifact) content() []sent {
	var all []sent
	for _, b := range a.Blobs {
		all = append(all, sent{b, false})
	}
	for _, m := range a.Manifests {
		all = append(all, sent{m, true})
	}
	for _, doc := range a.Attachments {
		all = append(all, sent{doc.Content, false}, sent{doc.Manifest, true})
	}
	seen := map[v1.Hash]bool{}
	return slices.DeleteFunc(all, func(s sent) bool {
		again := seen[s.Descriptor.Digest]
		seen[s.Descriptor.Digest] = true
		return again
	})
}
