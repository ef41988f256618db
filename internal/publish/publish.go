// Package publish pushes a release to a registry, all or nothing: content first,
// then the manifests by their digest, then everything is read back, and only then
// do the tags move. A run that ends anywhere in between leaves the tags where they
// were; the next one sends what is missing.
package publish

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"golang.org/x/sync/errgroup"
	helm "helm.sh/helm/v3/pkg/chart"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// An Artifact is something that a registry keeps under a tag.
type Artifact struct {
	Repository name.Repository
	// Blobs are layers and configurations.
	Blobs []image.Blob
	// Manifests come after what they point to; the last one is what is tagged.
	Manifests []image.Blob
	// Attachments are documents about the manifests, which come before them.
	Attachments []image.Attachment
	Tags        []string
	// Fixed says that a tag which is there already may not move.
	Fixed bool
}

// Top is the manifest that the tags name.
func (a Artifact) Top() image.Blob { return a.Manifests[len(a.Manifests)-1] }

// Reference is the artifact by its digest.
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

// Steps are what Publish does with the artifacts, in order.
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

// A stored is content as it is read back.
type stored struct {
	image.Blob
	manifest bool
}

// content is all that a registry has to have, each once.
func (a Artifact) content() []stored {
	var all []stored
	for _, b := range a.Blobs {
		all = append(all, stored{b, false})
	}
	for _, m := range a.Manifests {
		all = append(all, stored{m, true})
	}
	for _, doc := range a.Attachments {
		all = append(all, stored{doc.Content, false}, stored{doc.Manifest, true})
	}
	seen := map[v1.Hash]bool{}
	return slices.DeleteFunc(all, func(s stored) bool {
		again := seen[s.Descriptor.Digest]
		seen[s.Descriptor.Digest] = true
		return again
	})
}

// DefaultLimits are the times that one step of each phase may take, repetitions
// and waits between them included. Uploads are under a megabyte; a registry may
// take its time over a tag, on which it runs its scanners.
func DefaultLimits() map[string]time.Duration {
	return map[string]time.Duration{
		"check": 30 * time.Second, "blob": 5 * time.Minute, "manifest": time.Minute, "attachment": 2 * time.Minute,
		"read back": 2 * time.Minute, "referrers": 2 * time.Minute, "sign": 5 * time.Minute, "tag": 2 * time.Minute,
	}
}

// A Publisher pushes artifacts.
type Publisher struct {
	// Limits are those of DefaultLimits, or others.
	Limits map[string]time.Duration
	// AtOnce is how many things of a phase are under way at the same time.
	AtOnce int
	// Progress is called before each step, once at a time.
	Progress func(done, total int, s Step)
	// Sign, where it is set, is called for each artifact that was read back, before
	// a tag moves. It returns whether it added anything.
	Sign func(context.Context, Artifact) (bool, error)

	client *registry.Client
}

// New returns a publisher to the registries of a client.
func New(client *registry.Client) *Publisher {
	return &Publisher{client: client, Limits: DefaultLimits(), AtOnce: 4, Progress: func(int, int, Step) {}}
}

// Publish pushes the artifacts and returns whether anything was new.
func (p *Publisher) Publish(ctx context.Context, artifacts []Artifact) (changed bool, err error) {
	missing, err := p.missingTags(ctx, artifacts)
	if err != nil {
		return false, err
	}
	all := artifacts
	if len(missing) == 0 {
		// The content is there; documents about it may have been added since.
		if artifacts, err = p.lacking(ctx, artifacts); err != nil {
			return false, err
		}
	}
	changed = len(artifacts) > 0
	next := p.counted(len(Steps(artifacts)))
	for _, a := range artifacts {
		if err := p.send(ctx, a, next); err != nil {
			return changed, err
		}
	}
	if p.Sign != nil {
		for _, a := range all {
			err := p.step(ctx, "sign", a, func(ctx context.Context) error {
				added, err := p.Sign(ctx, a)
				changed = changed || added
				return err
			})
			if err != nil {
				return changed, err
			}
		}
	}
	for _, a := range artifacts {
		for _, tag := range a.Tags {
			if err := next(ctx, a, a.tag(tag), func(ctx context.Context) error { return p.tag(ctx, a, tag) }); err != nil {
				return changed, err
			}
		}
	}
	return changed, nil
}

// A runner does one step.
type runner func(ctx context.Context, a Artifact, s Step, do func(context.Context) error) error

// counted shows the progress of so many steps.
func (p *Publisher) counted(total int) runner {
	var one sync.Mutex
	done := 0
	return func(ctx context.Context, a Artifact, s Step, do func(context.Context) error) error {
		one.Lock()
		p.Progress(done, total, s)
		done++
		one.Unlock()
		return p.step(ctx, s.Phase, a, do)
	}
}

// send pushes an artifact but for its tags, and reads it back. A phase begins when all
// of the one before it is there.
func (p *Publisher) send(ctx context.Context, a Artifact, next runner) error {
	manifest := func(ctx context.Context, m image.Blob) error {
		return next(ctx, a, a.step("manifest", m), func(ctx context.Context) error {
			return remote.Put(a.Repository.Digest(m.Descriptor.Digest.String()), taggable{m}, p.client.Options(ctx)...)
		})
	}
	err := atOnce(ctx, p.AtOnce, a.Blobs, func(ctx context.Context, b image.Blob) error {
		return next(ctx, a, a.step("blob", b), func(ctx context.Context) error { return p.putBlob(ctx, a, b) })
	})
	if err != nil {
		return err
	}
	top := max(0, len(a.Manifests)-1)
	if err := atOnce(ctx, p.AtOnce, a.Manifests[:top], manifest); err != nil {
		return err
	}
	if err := atOnce(ctx, 1, a.Manifests[top:], manifest); err != nil {
		return err
	}
	// Those of one subject one after the other: where their list is kept under a tag,
	// each of them is read, added to and written.
	err = atOnce(ctx, p.AtOnce, bySubject(a.Attachments), func(ctx context.Context, docs []image.Attachment) error {
		for _, doc := range docs {
			if err := next(ctx, a, a.attachment(doc), func(ctx context.Context) error { return p.attach(ctx, a, doc) }); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = atOnce(ctx, p.AtOnce, a.content(), func(ctx context.Context, b stored) error {
		return next(ctx, a, a.step("read back", b.Blob), func(ctx context.Context) error { return p.readBack(ctx, a, b.Blob, b.manifest) })
	})
	if err != nil || len(a.Attachments) == 0 {
		return err
	}
	return next(ctx, a, a.referrers(), func(ctx context.Context) error { return p.confirm(ctx, a) })
}

// atOnce does something with all of a list, so many at the same time. The first
// failure ends the others.
func atOnce[T any](ctx context.Context, limit int, all []T, do func(context.Context, T) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	for _, one := range all {
		group.Go(func() error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return do(ctx, one)
		})
	}
	return group.Wait()
}

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
					"a published version does not change: raise version in library-chart/Chart.yaml")
			default:
				missing = append(missing, ref.Name())
			}
		}
	}
	return missing, nil
}

// tagged returns what a tag names, nil where there is no such tag. It is a GET:
// the answer to a HEAD has no text that says why it is a refusal.
func (p *Publisher) tagged(ctx context.Context, ref name.Tag) (*v1.Descriptor, error) {
	there, err := remote.Get(ref, p.client.Options(ctx)...)
	if err != nil {
		return nil, registry.IgnoreMissing(err)
	}
	return &there.Descriptor, nil
}

// tag moves a tag and looks whether it has moved. Of one that the registry does
// not let move the error says what it names.
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

// step runs one step under its limit and explains what went wrong in it.
func (p *Publisher) step(ctx context.Context, phase string, a Artifact, do func(context.Context) error) error {
	limited, cancel := context.WithTimeout(ctx, p.Limits[phase])
	defer cancel()
	err := do(limited)
	if err == nil || ctx.Err() != nil {
		return errors.Join(ctx.Err())
	}
	if limited.Err() != nil {
		return fault.New(fault.Registry, fmt.Errorf("%s: no answer within %s (%s)", a.Repository.Name(), p.Limits[phase], phase),
			"run the command again: it goes on where it stopped", "a slower registry: "+limitHint(phase))
	}
	var hints []string
	if phase == "manifest" {
		hints = append(hints, a.manifestHint())
	}
	return p.client.Explain(a.Repository, phase, err, hints...)
}

// limitHint is how to give a phase more time.
func limitHint(phase string) string {
	return "--timeout " + strings.ReplaceAll(phase, " ", "-") + "=30m"
}

// manifestHint is what to try where a registry does not take a manifest.
func (a Artifact) manifestHint() string {
	if slices.ContainsFunc(a.Blobs, func(b image.Blob) bool { return b.Descriptor.MediaType == types.OCILayerZStd }) {
		return "a registry that does not know layers in zstd takes those of jobmesh build --compression gzip"
	}
	return "the registry has to accept OCI images and indexes (application/vnd.oci.image.index.v1+json)"
}

func (p *Publisher) putBlob(ctx context.Context, a Artifact, b image.Blob) error {
	return remote.WriteLayer(a.Repository, static.NewLayer(b.Bytes, b.Descriptor.MediaType), p.client.Options(ctx)...)
}

// readBack fetches what was pushed: a registry that says 201 and stores nothing,
// or something else, has been seen.
func (p *Publisher) readBack(ctx context.Context, a Artifact, b image.Blob, isManifest bool) error {
	ref := a.Repository.Digest(b.Descriptor.Digest.String())
	got, err := p.client.Fetch(ctx, ref, b.Descriptor.Size, isManifest)
	if err != nil && !registry.IsMissing(err) && registry.IsTransport(err) {
		return err // nobody knows what the registry has
	}
	if err != nil || !bytes.Equal(got, b.Bytes) {
		reason := "other content"
		if err != nil {
			reason = err.Error()
		}
		return fault.New(fault.Verification, fmt.Errorf("%s was pushed but does not come back: %s", ref.Name(), reason),
			"the tags were not moved; the registry is at fault")
	}
	return nil
}

// taggable is a manifest as go-containerregistry wants it.
type taggable struct{ image.Blob }

func (t taggable) RawManifest() ([]byte, error)        { return t.Bytes, nil }
func (t taggable) MediaType() (types.MediaType, error) { return t.Descriptor.MediaType, nil }
func (t taggable) Digest() (v1.Hash, error)            { return t.Descriptor.Digest, nil }
func (t taggable) Size() (int64, error)                { return t.Descriptor.Size, nil }

// Media types of a Helm chart in a registry.
const (
	HelmConfig  types.MediaType = "application/vnd.cncf.helm.config.v1+json"
	helmContent types.MediaType = "application/vnd.cncf.helm.chart.content.v1.tar+gzip"
)

// Tag is the tag of a version. It cannot have a +; Helm has agreed on _.
func Tag(version string) string { return strings.ReplaceAll(version, "+", "_") }

// Chart is a packed chart as an artifact. metadata is its Chart.yaml, created the
// date of its annotations.
func Chart(repo name.Repository, metadata *helm.Metadata, archive []byte, created time.Time) (Artifact, error) {
	config, err := json.Marshal(metadata)
	if err != nil {
		return Artifact{}, err
	}
	blobs := []image.Blob{image.NewBlob(HelmConfig, config), image.NewBlob(helmContent, archive)}
	manifest, err := json.Marshal(v1.Manifest{
		SchemaVersion: 2,
		MediaType:     types.OCIManifestSchema1,
		Config:        blobs[0].Descriptor,
		Layers:        []v1.Descriptor{blobs[1].Descriptor},
		Annotations: map[string]string{
			"org.opencontainers.image.title":       metadata.Name,
			"org.opencontainers.image.version":     metadata.Version,
			"org.opencontainers.image.description": metadata.Description,
			"org.opencontainers.image.created":     created.UTC().Format(time.RFC3339),
		},
	})
	if err != nil {
		return Artifact{}, err
	}
	return Artifact{
		Repository: repo,
		Blobs:      blobs,
		Manifests:  []image.Blob{image.NewBlob(types.OCIManifestSchema1, manifest)},
		Tags:       []string{Tag(metadata.Version)},
		Fixed:      true,
	}, nil
}
