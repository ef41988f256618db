package attest

import (
	"bytes"
	"encoding/json"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/sbom"
)

// Third-party files in an image are in the bills of materials, with their own version, licence
// and address, and in the provenance as a material, with their hash.
func TestFilesOfOthers(t *testing.T) {
	platforms, err := image.SelectPlatforms([]string{"linux/amd64"})
	require.NoError(t, err)
	const from = "https://example.com/release%2Fv0.3.3/tool-amd64"
	x, err := image.Assemble(image.Recipe{
		Name: "sample", Version: "1.2.3", Path: "/p", Entrypoint: []string{"/p"}, User: "1:1", Created: time.Unix(1700000000, 0),
		Labels: map[string]string{"org.opencontainers.image.licenses": "Apache-2.0"},
	}, []image.Binary{{
		Platform: platforms[0], Bytes: []byte("ours"),
		Files: []image.File{{Path: "/tool", Bytes: []byte("theirs"), URL: from, Version: "v0.3.3", License: "MIT"}},
	}})
	require.NoError(t, err)
	all, err := Image(x, Facts{Toolchain: runtime.Version()})
	require.NoError(t, err)
	digest := image.NewBlob("", []byte("theirs")).Descriptor.Digest
	seen := map[types.MediaType]int{}
	for _, a := range all {
		seen[a.Type]++
		text := string(a.Content.Bytes)
		assert.Contains(t, text, from)
		assert.Contains(t, text, digest.Hex)
		switch a.Type {
		case sbom.SPDX:
			assert.Contains(t, text, "version v0.3.3, downloaded from "+from)
			assert.Contains(t, text, `"licenseConcluded": "MIT"`)
		case sbom.CycloneDX:
			assert.Contains(t, text, `"expression": "MIT"`)
		default:
			s, err := provenance.Read(a.Content.Bytes)
			require.NoError(t, err)
			last := s.Dependencies[len(s.Dependencies)-1]
			assert.Equal(t, provenance.Material{Name: "tool linux/amd64", URI: from, Digest: map[string]string{"sha256": digest.Hex}, Notes: last.Notes}, last)
			assert.True(t, json.Valid(bytes.TrimSpace(a.Content.Bytes)))
		}
	}
	assert.Len(t, seen, 3)
}
