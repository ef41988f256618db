package publish

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/registry"
)

// attach pushes a document about a manifest that is there.
func (p *Publisher) attach(ctx context.Context, a Artifact, doc image.Attachment) error {
	for _, b := range []image.Blob{image.EmptyConfig, doc.Content} {
		if err := p.putBlob(ctx, a, b); err != nil {
			return err
		}
	}
	return remote.Put(a.Repository.Digest(doc.Manifest.Descriptor.Digest.String()), taggable{doc.Manifest}, p.client.Options(ctx)...)
}

// lacking returns for each artifact what the registry no longer has, or does not list. It
// leaves out the artifacts of which nothing is missing.
func (p *Publisher) lacking(ctx context.Context, artifacts []Artifact) ([]Artifact, error) {
	var found []Artifact
	for _, a := range artifacts {
		var missing []image.Attachment
		lost := map[v1.Hash]bool{}
		err := p.step(ctx, "check", a, func(ctx context.Context) (err error) {
			if missing, err = p.unlisted(ctx, a); err != nil {
				return err
			}
			var one sync.Mutex
			return atOnce(ctx, p.AtOnce, a.content(), func(ctx context.Context, b sent) error {
				there, err := p.has(ctx, a, b)
				one.Lock()
				defer one.Unlock()
				lost[b.Descriptor.Digest] = !there
				return err
			})
		})
		if err != nil {
			return nil, err
		}
		isLost := func(b image.Blob) bool { return lost[b.Descriptor.Digest] }
		again := Artifact{Repository: a.Repository, Attachments: missing}
		for _, b := range a.Blobs {
			if isLost(b) {
				again.Blobs = append(again.Blobs, b)
			}
		}
		for _, m := range a.Manifests {
			if isLost(m) {
				again.Manifests = append(again.Manifests, m)
			}
		}
		for _, doc := range a.Attachments {
			if slices.ContainsFunc(doc.Blobs(), isLost) && !slices.ContainsFunc(missing, func(m image.Attachment) bool {
				return m.Manifest.Descriptor.Digest == doc.Manifest.Descriptor.Digest
			}) {
				again.Attachments = append(again.Attachments, doc)
			}
		}
		if len(again.content()) > 0 {
			found = append(found, again)
		}
	}
	return found, nil
}

// has reports whether the registry has a blob or a manifest. A manifest that comes back with
// other bytes does not count, so that it is sent again.
func (p *Publisher) has(ctx context.Context, a Artifact, b sent) (bool, error) {
	ref := a.Repository.Digest(b.Descriptor.Digest.String())
	if b.manifest {
		_, err := remote.Get(ref, p.client.Options(ctx)...)
		if err != nil && !registry.IsTransport(err) {
			return false, nil
		}
		return err == nil, registry.IgnoreMissing(err)
	}
	layer, err := remote.Layer(ref, p.client.Options(ctx)...)
	if err == nil {
		_, err = layer.Size()
	}
	return err == nil, registry.IgnoreMissing(err)
}

// bySubject groups attachments by their subject.
func bySubject(all []image.Attachment) [][]image.Attachment {
	at := map[v1.Hash]int{}
	var lists [][]image.Attachment
	for _, doc := range all {
		i, known := at[doc.Subject]
		if !known {
			i = len(lists)
			at[doc.Subject] = i
			lists = append(lists, nil)
		}
		lists[i] = append(lists[i], doc)
	}
	return lists
}

// unlisted returns the attachments that the registry does not list.
func (p *Publisher) unlisted(ctx context.Context, a Artifact) ([]image.Attachment, error) {
	var one sync.Mutex
	var missing []image.Attachment
	err := atOnce(ctx, p.AtOnce, bySubject(a.Attachments), func(ctx context.Context, docs []image.Attachment) error {
		list, err := p.client.Referrers(ctx, a.Repository, docs[0].Subject)
		one.Lock()
		defer one.Unlock()
		for _, doc := range docs {
			if !slices.ContainsFunc(list, func(d v1.Descriptor) bool { return d.Digest == doc.Manifest.Descriptor.Digest }) {
				missing = append(missing, doc)
			}
		}
		return err
	})
	return missing, err
}

// Of a list under a tag the last writer wins, and drops what another wrote since
// it read. So it is read again until it has held everything for so many times in
// a row; whoever lost an entry puts it there again.
const (
	listRounds = 12
	listHeld   = 2
)

// confirm makes sure that the registry lists all attachments.
func (p *Publisher) confirm(ctx context.Context, a Artifact) error {
	for round, held := 0, 0; ; round++ {
		missing, err := p.unlisted(ctx, a)
		if err != nil {
			return err
		}
		if len(missing) == 0 {
			held++
			if held == listHeld || !p.client.ListsUnderTags() {
				return nil
			}
		} else {
			held = 0
			if round >= listRounds {
				return fault.New(fault.Registry, fmt.Errorf("%s does not list %s as a referrer of %s after it was pushed",
					a.Repository.Name(), missing[0].Manifest.Descriptor.Digest, missing[0].Subject),
					"the registry keeps no referrers; publish without them: --referrers none")
			}
			for _, doc := range missing {
				if err := p.attach(ctx, a, doc); err != nil {
					return err
				}
			}
		}
		// The wait is a random one: two publishers that wait equally long collide again.
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(50*time.Millisecond + rand.N(200*time.Millisecond)):
		}
	}
}
