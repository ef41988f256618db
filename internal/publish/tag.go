package publish

import (
	"context"
	"fmt"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// missingTags returns the tags that do not name their artifact yet. A fixed tag
// that names something else is an error, before anything is sent.
func (p *Publisher) missingTags(ctx context.Context, artifacts []Artifact) ([]string, error) {
	var missing []string
	for _, a := range artifacts {
		for _, tag := range a.Tags {
			ref := a.Repository.Tag(tag)
			var there *v1.Descriptor
			err := p.step(ctx, "check", a, func(ctx context.Context) (err error) {
				there, err = p.tagged(ctx, ref)
				return err
			})
			want := a.Top().Descriptor.Digest
			switch {
			case err != nil:
				return nil, err
			case there == nil:
				missing = append(missing, ref.Name())
			case there.Digest == want:
			case a.Fixed:
				return nil, fault.New(fault.Registry,
					fmt.Errorf("%s is there already with other content: %s, not %s", ref.Name(), there.Digest, want),
					"a published version does not change: raise it in the file VERSION, then make generate and make build")
			default:
				missing = append(missing, ref.Name())
			}
		}
	}
	return missing, nil
}

// tagged returns what a tag names, or nil where there is no such tag. It sends a GET, because
// the answer to a HEAD has no body that would give the reason of a refusal.
func (p *Publisher) tagged(ctx context.Context, ref name.Tag) (*v1.Descriptor, error) {
	there, err := remote.Get(ref, p.client.Options(ctx)...)
	if err != nil {
		return nil, registry.IgnoreMissing(err)
	}
	return &there.Descriptor, nil
}

// tag moves a tag and checks that it has moved. Where the registry does not let it move, the
// error says what the tag still names.
func (p *Publisher) tag(ctx context.Context, a Artifact, tag string) error {
	ref, want := a.Repository.Tag(tag), a.Top().Descriptor.Digest
	err := remote.Put(ref, taggable{a.Top()}, p.client.Options(ctx)...)
	if err != nil && !registry.IsRefusal(err) {
		return err
	}
	there, lookErr := p.tagged(ctx, ref)
	switch {
	case err == nil && lookErr != nil:
		return lookErr
	case err == nil && there == nil:
		return fault.New(fault.Verification, fmt.Errorf("%s was pushed but is not there", ref.Name()), "the registry is at fault")
	case err == nil && there.Digest != want:
		return fault.New(fault.Verification, fmt.Errorf("%s was pushed as %s but names %s", ref.Name(), want, there.Digest),
			"the registry is at fault, or somebody else moves the same tag")
	case err == nil:
		return nil
	case lookErr != nil || there == nil:
		return err
	}
	return fault.New(fault.Registry, fmt.Errorf("%s stays at %s, the registry does not let it move to %s: %w", ref.Name(), there.Digest, want, err),
		"publish under another tag or version, or allow tags to move in the registry")
}
