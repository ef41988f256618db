package release

import (
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// A release has one image. Where a layout has several, nothing says which one is meant.
func TestTheImageOfALayout(t *testing.T) {
	entry := func(tag string, mediaType types.MediaType) v1.Descriptor {
		return v1.Descriptor{MediaType: mediaType, Size: int64(len(tag)), Annotations: map[string]string{"org.opencontainers.image.ref.name": tag}}
	}
	one, two := entry("1", types.OCIImageIndex), entry("two", types.OCIImageIndex)
	for name, c := range map[string]struct {
		listed []v1.Descriptor
		code   int
		text   string
	}{
		"one":     {listed: []v1.Descriptor{{MediaType: types.OCIImageIndex}, entry("x", types.OCIManifestSchema1), one}},
		"none":    {listed: []v1.Descriptor{{MediaType: types.OCIImageIndex}}, code: fault.Verification, text: "dir has no image index with a name"},
		"several": {listed: []v1.Descriptor{one, two}, code: fault.Verification, text: "dir has 2 images, and a release has one"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := (&Layout{name: "dir", index: v1.IndexManifest{Manifests: c.listed}}).Image()
			if c.text == "" {
				require.NoError(t, err)
				assert.Equal(t, one, got)
				return
			}
			assert.EqualError(t, err, c.text)
			assert.Equal(t, c.code, fault.Code(err))
		})
	}
}
