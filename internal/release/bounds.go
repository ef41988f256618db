package release

import (
	"fmt"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/foreign"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/sbom"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// These are limits for what is read of a release before anything in it can be trusted. Whoever
// can write to a registry or a folder decides what is in it, so content beyond a limit is an
// error.
const (
	// maxManifest is the limit for an index, a manifest or a configuration, in bytes. Those of
	// jobmesh have a few thousand.
	maxManifest = 1 << 20
	// maxDocument is the limit for a document about a manifest, in bytes. The largest one of
	// jobmesh, a bill of materials, has some hundred thousand.
	maxDocument = 2 << 20
	// maxPlatforms is more than the number of Linux platforms that Go knows.
	maxPlatforms = 32
	// maxLayer is the limit for one compressed layer, in bytes: more than twice the largest one
	// that is built here. One layer at a time is held in memory.
	maxLayer = 48 << 20
	// maxBytes is the limit for everything that is read of one image, in compressed bytes,
	// without the documents about it, whose limit is maxDocuments.
	maxBytes     = 512 << 20
	maxDocuments = 16 << 20
	// maxChart is the limit for one packed chart, in bytes. Those of jobmesh have 30 thousand.
	maxChart = 4 << 20
	// maxArchive is the limit for the archive of an image, in bytes.
	maxArchive = 1 << 30
	// MaxOpened is the largest number of documents about an image that are opened.
	MaxOpened = 256
	// maxListed is the largest number of entries in the list of a layout.
	maxListed = 1024
	// MaxTime is the time limit for reading an image.
	MaxTime = 5 * time.Minute
)

// tooMuch is the error for content beyond a limit.
func tooMuch(format string, values ...any) error {
	return fault.New(fault.Verification, fmt.Errorf(format, values...))
}

// ArtifactTypes are the artifact types of the documents in a release.
var ArtifactTypes = []types.MediaType{sbom.SPDX, sbom.CycloneDX, provenance.MediaType, signature.MediaType}

// decode decodes JSON from a place that anybody may have written to. The parameter what names
// it in errors.
func decode(text []byte, into any, what string) error {
	if err := foreign.Decode(text, into); err != nil {
		return fault.New(fault.Verification, fmt.Errorf("%s is not what it should be: %w", what, err))
	}
	return nil
}

// checkSize checks a descriptor before its content is read.
func checkSize(d v1.Descriptor, most int64) error {
	switch {
	case d.Digest.Algorithm != "sha256":
		return tooMuch("%q is not a digest of sha256", d.Digest)
	case d.Size < 0 || d.Size > most:
		return tooMuch("%s has %d bytes according to its descriptor, and %d are allowed", d.Digest, d.Size, most)
	}
	return nil
}
