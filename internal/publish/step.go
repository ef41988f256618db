package publish

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

// DefaultLimits are the times that one step of each phase may take, with all of its
// repetitions and the waits between them. An upload is smaller than a megabyte. A tag may
// take a registry longer, because it runs its scanners then.
func DefaultLimits() map[string]time.Duration {
	return map[string]time.Duration{
		"check": 30 * time.Second, "blob": 5 * time.Minute, "manifest": time.Minute, "attachment": 2 * time.Minute,
		"read back": 2 * time.Minute, "referrers": 2 * time.Minute, "sign": 5 * time.Minute, "tag": 2 * time.Minute,
	}
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

// limitHint says how to give a phase more time.
func limitHint(phase string) string {
	return "--timeout " + strings.ReplaceAll(phase, " ", "-") + "=30m"
}

// manifestHint says what to try where a registry refuses a manifest.
func (a Artifact) manifestHint() string {
	if slices.ContainsFunc(a.Blobs, func(b image.Blob) bool { return b.Descriptor.MediaType == types.OCILayerZStd }) {
		return "a registry that does not know layers in zstd takes those of jobmesh build --compression gzip"
	}
	return "the registry has to accept OCI images and indexes (application/vnd.oci.image.index.v1+json)"
}
