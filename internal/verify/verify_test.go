package verify

import (
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
)

func TestCheckConfig(t *testing.T) {
	good := v1.ConfigFile{
		OS: "linux", Architecture: "arm", Variant: "v7",
		Config: v1.Config{User: "65532:65532", Entrypoint: []string{"/program"}},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}},
	}
	p := release.Platform{Platform: "linux/arm/v7", DiffID: "sha256:" + strings.Repeat("a", 64)}
	for want, change := range map[string]func(*v1.ConfigFile){
		"":                   func(*v1.ConfigFile) {},
		"is for linux/arm64": func(c *v1.ConfigFile) { c.Architecture, c.Variant = "arm64", "" },
		`user "root" is not`: func(c *v1.ConfigFile) { c.Config.User = "root" },
		`user "0:0" is not`:  func(c *v1.ConfigFile) { c.Config.User = "0:0" },
		"has no entrypoint":  func(c *v1.ConfigFile) { c.Config.Entrypoint = nil },
		"names layers [sha256:bbb": func(c *v1.ConfigFile) {
			c.RootFS.DiffIDs = []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}}
		},
	} {
		c := good
		change(&c)
		text, err := image.Encode(types.OCIConfigJSON, c)
		require.NoError(t, err)
		err = checkConfig(text, p)
		if want == "" {
			assert.NoError(t, err)
		} else {
			assert.ErrorContains(t, err, want)
		}
	}
}

// What of a rebuild differs is said as deep as it goes.
func TestRebuilt(t *testing.T) {
	recipe := image.Recipe{
		Name: "sample", Version: "1", Path: "/p", Entrypoint: []string{"/p"}, User: "1:1", Created: time.Unix(0, 0),
	}
	platforms, err := image.SelectPlatforms([]string{"linux/amd64"})
	require.NoError(t, err)
	build := func(program string, change func(*image.Recipe)) *image.Index {
		r := recipe
		change(&r)
		x, err := image.Assemble(r, []image.Binary{{Platform: platforms[0], Bytes: []byte(program)}})
		require.NoError(t, err)
		return x
	}
	x := build("one", func(*image.Recipe) {})
	child := x.Children[0]
	stored := release.Stored{Children: []release.Child{{Manifest: child.Manifest, Config: child.Config, Layer: child.Layer}}, Index: x.Blob}
	stored.Result.Image.Digest = x.Blob.Descriptor.Digest.String()
	stored.Result.Image.Platforms = []release.Platform{{
		Platform: "linux/amd64",
		DiffID:   child.DiffID.String(),
		Config:   release.Content{Digest: child.Config.Descriptor.Digest.String()},
		Program:  release.Content{Digest: image.NewBlob("", child.Program).Descriptor.Digest.String()},
	}}
	for want, again := range map[string]*image.Index{
		"":                    x,
		"the program differs": build("two", func(*image.Recipe) {}),
		"the program is the same, the layer around it differs": build("one", func(r *image.Recipe) { r.Path = "/q" }),
		"the layer is the same, the configuration differs":     build("one", func(r *image.Recipe) { r.User = "2:2" }),
	} {
		found := Rebuilt(stored, again)
		require.Len(t, found, 2)
		if want == "" {
			assert.NoError(t, found[0].Err)
			assert.NoError(t, found[1].Err)
			continue
		}
		assert.ErrorContains(t, found[0].Err, want)
		assert.ErrorContains(t, found[1].Err, "rebuilt is sha256:")
	}
}
