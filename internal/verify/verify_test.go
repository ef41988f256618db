package verify

import (
	"errors"
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
		Config: v1.Config{User: "65532:65532", Entrypoint: []string{"/program"}, WorkingDir: "/", Labels: map[string]string{"a": "b"}},
		RootFS: v1.RootFS{Type: "layers", DiffIDs: []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("a", 64)}}},
	}
	p := release.Platform{Platform: "linux/arm/v7", DiffID: "sha256:" + strings.Repeat("a", 64)}
	for want, change := range map[string]func(*v1.ConfigFile){
		"":                   func(*v1.ConfigFile) {},
		"is for linux/arm64": func(c *v1.ConfigFile) { c.Architecture, c.Variant = "arm64", "" },
		`user "root" is not`: func(c *v1.ConfigFile) { c.Config.User = "root" },
		`user "0:0" is not`:  func(c *v1.ConfigFile) { c.Config.User = "0:0" },
		"has no entrypoint":  func(c *v1.ConfigFile) { c.Config.Entrypoint = nil },
		`runs ["/program" "--stop-when=never"], and the recipe says ["/program"]`: func(c *v1.ConfigFile) { c.Config.Cmd = []string{"--stop-when=never"} },
		`has the user "1:1", and the recipe says "65532:65532"`:                   func(c *v1.ConfigFile) { c.Config.User = "1:1" },
		"has other labels than the index has annotations":                         func(c *v1.ConfigFile) { c.Config.Labels = nil },
		"has settings that no build writes, such as variables":                    func(c *v1.ConfigFile) { c.Config.Env = []string{"JOBMESH_STOP_WHEN=never"} },
		"names layers [sha256:bbb": func(c *v1.ConfigFile) {
			c.RootFS.DiffIDs = []v1.Hash{{Algorithm: "sha256", Hex: strings.Repeat("b", 64)}}
		},
	} {
		c := good
		change(&c)
		text, err := image.Encode(types.OCIConfigJSON, c)
		require.NoError(t, err)
		_, err = checkConfig(text, p, good.Config.Labels, &image.Recipe{Entrypoint: []string{"/program"}, User: "65532:65532"})
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

// The layer has to hold the files of the recipe, and no others.
func TestCheckLayer(t *testing.T) {
	file := func(path string) release.LayerFile {
		return release.LayerFile{Path: path, Content: release.Content{Digest: "sha256:" + path}}
	}
	config := v1.Config{Entrypoint: []string{"/p"}}
	recipe := &image.Recipe{Path: "/p", Download: &image.Download{Path: "/q"}}
	for name, c := range map[string]struct {
		child  release.Child
		recipe *image.Recipe
		want   string
	}{
		"as built":                {release.Child{Files: []release.LayerFile{file("/p"), file("/q")}}, recipe, ""},
		"one is missing":          {release.Child{Files: []release.LayerFile{file("/p")}}, recipe, "has no file /q"},
		"one is more":             {release.Child{Files: []release.LayerFile{file("/p"), file("/q"), file("/etc/passwd")}}, recipe, "has the file /etc/passwd, which is not in the recipe"},
		"of an unknown recipe":    {release.Child{Files: []release.LayerFile{file("/p"), file("/x")}}, nil, ""},
		"without its program":     {release.Child{Files: []release.LayerFile{file("/x")}}, nil, "has no file /p"},
		"another diff ID":         {release.Child{DiffID: "sha256:1"}, nil, "unpacks to sha256:1, not "},
		"that could not be read":  {release.Child{Wrong: errors.New("has \"p\" twice")}, nil, `has "p" twice`},
		"another than the listed": {release.Child{Files: []release.LayerFile{file("/p")}}, nil, "the list says other of 1"},
	} {
		t.Run(name, func(t *testing.T) {
			var p release.Platform
			if name == "another than the listed" {
				p.Program = release.Content{Digest: "other", Size: 1}
			}
			err := checkLayer(c.child, config, p, c.recipe)
			if c.want == "" {
				assert.NoError(t, err)
			} else {
				assert.ErrorContains(t, err, c.want)
			}
		})
	}
}

// A tag of a version has to be that of the version that was signed.
func TestSameVersion(t *testing.T) {
	for _, c := range []struct {
		version, tag string
		same         bool
	}{
		{"0.1.0", "0.1.0", true}, {"0.1.0", "v0.1.0", true}, {"0.1.0", "0.1", true}, {"0.1.0", "latest", true},
		{"0.1.0", "", true}, {"0.1.0", "main-20260101", true}, {"1.2.3+x", "1.2.3_x", true}, {"0.1.0", "7", true},
		{"0.1.0", "0.2.0", false}, {"0.1.0", "0.2", false}, {"0.10.0", "0.1", false}, {"0.1.0", "0.1.0-rc1", false},
		{"0.1.0-rc1", "0.1.0", false}, {"0.1.0", "0.1.00", false}, {"0.1.0", "v0.2.0", false}, {"0.1.0", "0.1.", false}, {"", "latest", false},
	} {
		assert.Equal(t, c.same, sameVersion(c.version, c.tag) == nil, "%s under %s", c.version, c.tag)
	}
	assert.NoError(t, sameName("a", "a"))
	assert.NoError(t, sameName("a", ""))
	assert.EqualError(t, sameName("a", "b"), `is "a", and "b" was asked for`)
	assert.EqualError(t, sameName("", "b"), "is missing")
}
