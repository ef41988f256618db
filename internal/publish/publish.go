// Package publish pushes a release to a registry, all or nothing: content first,
// then the manifests by their digest, then everything is read back, and only then
// do the tags move. A run that ends anywhere in between leaves the tags where they
// were; the next one sends what is missing.
package publish

import (
	"context"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/remote"
	"golang.org/x/sync/errgroup"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// A Publisher pushes artifacts.
type Publisher struct {
	// Limits are the times that the steps may take, usually DefaultLimits.
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
		// The tags are right, but documents may have been added to the release since, and the
		// registry may have lost some of the content behind its tags.
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

// counted returns a runner that reports its progress through this number of steps.
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

// send pushes all of an artifact but its tags, and reads it back. Each phase begins when
// everything of the phase before it is in the registry.
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
	// The attachments of one subject are pushed one after the other. Where the registry
	// keeps their list under a tag, each push reads the list and writes it again.
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
	err = atOnce(ctx, p.AtOnce, a.content(), func(ctx context.Context, b sent) error {
		return next(ctx, a, a.step("read back", b.Blob), func(ctx context.Context) error { return p.readBack(ctx, a, b.Blob, b.manifest) })
	})
	if err != nil || len(a.Attachments) == 0 {
		return err
	}
	return next(ctx, a, a.referrers(), func(ctx context.Context) error { return p.confirm(ctx, a) })
}

// atOnce calls a function for every item of a list, for a number of items at the same time.
// The first failure ends the other calls.
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
