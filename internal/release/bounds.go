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

// Bounds of what is read of a release before anything of it can be trusted. Whoever
// can write to a registry or to a folder decides on what is in it, so what is beyond
// them is not as it should be, whatever it is.
const (
	// maxManifest is for an index, a manifest or a configuration, in bytes. Ours
	// have a few thousand.
	maxManifest = 1 << 20
	// maxDocument is for a document about a manifest, in bytes. The largest of ours,
	// a bill of materials, has some hundred thousand.
	maxDocument = 2 << 20
	// maxPlatforms is more than Go knows for Linux.
	maxPlatforms = 32
	// maxLayer is for one packed layer, in bytes, more than twice the largest that is built
	// here. One layer is held at a time.
	maxLayer = 48 << 20
	// maxBytes is for all that is read of one image, in bytes and packed, but for the
	// documents about it, for which maxDocuments is.
	maxBytes     = 512 << 20
	maxDocuments = 16 << 20
	// maxChart is for one packed chart, in bytes. Ours have 30 thousand.
	maxChart = 4 << 20
	// maxArchive is for the archive of an image.
	maxArchive = 1 << 30
	// MaxOpened is how many documents about an image are opened.
	MaxOpened = 256
	// maxListed is how many entries the list of a layout may have.
	maxListed = 1024
	// MaxTime is for reading all of an image.
	MaxTime = 5 * time.Minute
)

// tooMuch is what is beyond a bound.
func tooMuch(format string, values ...any) error {
	return fault.New(fault.Verification, fmt.Errorf(format, values...))
}

// ArtifactTypes are those of the documents that belong to a release.
var ArtifactTypes = []types.MediaType{sbom.SPDX, sbom.CycloneDX, provenance.MediaType, signature.MediaType}

// decode reads a text in JSON from a place that anybody may have written to. what is
// how errors call it.
func decode(text []byte, into any, what string) error {
	if err := foreign.Decode(text, into); err != nil {
		return fault.New(fault.Verification, fmt.Errorf("%s is not what it should be: %w", what, err))
	}
	return nil
}

// checkSize looks at a descriptor before what it describes is read.
func checkSize(d v1.Descriptor, most int64) error {
	switch {
	case d.Digest.Algorithm != "sha256":
		return tooMuch("%q is not a digest of sha256", d.Digest)
	case d.Size < 0 || d.Size > most:
		return tooMuch("%s is said to have %d bytes, and may have %d at most", d.Digest, d.Size, most)
	}
	return nil
}
