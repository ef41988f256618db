package publish

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/verify"
)

// A Plan says where a release is published, and what is published beside it.
type Plan struct {
	// Prefix is REGISTRY or REGISTRY/PREFIX.
	Prefix string
	// Tags are further tags of the image, beside that of its version.
	Tags []string
	// PlainHTTP allows plain HTTP to registries that are not on this machine.
	PlainHTTP bool
	// Bare publishes neither documents nor signatures.
	Bare bool
	// Key signs everything, nil for no signatures.
	Key *signature.Key
}

// Artifacts returns the image and the charts of a release as a registry will have them:
// the charts name the image where it is going to be, by the same digest. from is the
// folder that the release was read from.
func (p Plan) Artifacts(stored release.Stored, from string) ([]Artifact, error) {
	// The charts are pinned anew below. A chart that names another image than that of this
	// release must not get its pin.
	if stored.Chart != nil {
		if err := verify.Pin(stored); err != nil {
			return nil, fault.New(fault.Input, fmt.Errorf("%s: pin %w", filepath.Join(from, stored.Result.Chart.Path), err), "jobmesh build packs the chart again")
		}
	}
	img, err := p.image(stored)
	if err != nil {
		return nil, err
	}
	pin := chart.PinTo(img.Repository)
	pin.Digest = stored.Result.Image.Digest
	archives, err := repinned(stored, pin, chart.URL(p.Prefix))
	if err != nil {
		return nil, err
	}
	created, err := stored.Created()
	if err != nil {
		return nil, err
	}
	artifacts := []Artifact{img}
	for _, a := range archives {
		packed, err := p.chart(a, pin, created, stored.Attachments)
		if err != nil {
			return nil, err
		}
		artifacts = append(artifacts, packed)
	}
	if p.Bare {
		for i := range artifacts {
			artifacts[i].Attachments = nil
		}
	}
	return artifacts, sign(artifacts, p.Key)
}

func (p Plan) repository(last string) (name.Repository, error) {
	if p.PlainHTTP {
		// Without this flag the client uses plain HTTP with private addresses only.
		return registry.Under(p.Prefix, last, name.Insecure)
	}
	return registry.Under(p.Prefix, last)
}

// listTag matches tags under which registries keep lists of referrers or signatures. An image
// must not have such a tag, because whoever adds to the list next would replace the image.
var listTag = regexp.MustCompile(`^sha256-[0-9a-f]{64}`)

func (p Plan) image(stored release.Stored) (Artifact, error) {
	img := Artifact{Kind: ImageKind}
	var err error
	if img.Repository, err = p.repository(stored.Result.Image.Name); err != nil {
		return img, err
	}
	img.Tags = append([]string{release.Tag(stored.Result.Version)}, p.Tags...)
	for _, tag := range img.Tags {
		if _, err := name.NewTag(img.Repository.Name() + ":" + tag); err != nil {
			return img, fault.New(fault.Usage, fmt.Errorf("tag %q is not a tag: letters, digits, dots, dashes and underscores, 128 at most", tag), "as in --tag latest")
		}
		if listTag.MatchString(tag) {
			return img, fault.New(fault.Usage, fmt.Errorf("tag %q is one under which registries list what refers to a digest", tag), "as in --tag latest")
		}
	}
	for _, c := range stored.Children {
		img.Blobs = append(img.Blobs, c.Layer, c.Config)
		img.Manifests = append(img.Manifests, c.Manifest)
	}
	img.Manifests = append(img.Manifests, stored.Index)
	img.Attachments = stored.Attachments
	return img, nil
}

// repinned returns the charts of a release with another pin and another repository.
func repinned(stored release.Stored, pin chart.Pin, repository string) ([]chart.Archive, error) {
	if stored.Chart == nil {
		return nil, nil
	}
	archive, err := chart.Repack(stored.Chart, pin)
	if err != nil {
		return nil, err
	}
	library := chart.Library{Archive: archive, Repository: repository}
	archives := []chart.Archive{archive}
	for _, a := range stored.Applications {
		packed, err := chart.RepackApplication(a, library)
		if err != nil {
			return nil, err
		}
		archives = append(archives, packed)
	}
	return archives, nil
}

// chart returns a chart as an artifact, with provenance that is derived from that of the
// image.
func (p Plan) chart(a chart.Archive, pin chart.Pin, created time.Time, ofImage []image.Attachment) (Artifact, error) {
	repo, err := p.repository(a.Metadata.Name)
	if err != nil {
		return Artifact{}, err
	}
	packed, err := Chart(repo, a.Metadata, a.Bytes, created)
	if err != nil {
		return packed, err
	}
	sources, builder := attest.Sources(ofImage)
	made, err := attest.Chart{
		Name: a.Metadata.Name, Version: a.Metadata.Version,
		Manifest: packed.Top().Descriptor, Archive: image.NewBlob("", a.Bytes).Descriptor.Digest,
		Image: pin.Name(), Digest: pin.Digest,
		Created: created, Sources: sources, Builder: builder,
	}.Provenance()
	packed.Attachments = []image.Attachment{made}
	return packed, err
}

// sign adds the signatures that the artifacts do not have yet.
func sign(artifacts []Artifact, key *signature.Key) error {
	if key == nil {
		return nil
	}
	for i, a := range artifacts {
		var subjects []v1.Descriptor
		for _, m := range a.Manifests {
			subjects = append(subjects, m.Descriptor)
		}
		signed, err := attest.Sign(key, subjects, a.Attachments)
		if err != nil {
			return err
		}
		artifacts[i].Attachments = slices.Concat(a.Attachments, attest.Missing(signed, a.Attachments))
	}
	return nil
}
