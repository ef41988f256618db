package registries

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/containerd/v2/core/images"
	"github.com/containerd/containerd/v2/core/images/archive"
	"github.com/containerd/containerd/v2/plugins/content/local"
	"github.com/containerd/platforms"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// containerd imports the archive with the code behind `ctr image import` and behind the loading of images in kind. The
// archive has the image under its name, complete for every platform.
func TestContainerdImportsEveryPlatform(t *testing.T) {
	dist := dist(t)
	built := resultOf(t, dist)
	file, err := os.Open(filepath.Join(dist, built.Archive.Path))
	require.NoError(t, err)
	defer file.Close()
	store, err := local.NewStore(t.TempDir())
	require.NoError(t, err)
	ctx := context.Background()
	root, err := archive.ImportIndex(ctx, store, file)
	require.NoError(t, err)

	all, err := images.Children(ctx, store, root)
	require.NoError(t, err)
	// Entries without a name are documents about the image, which an import ignores.
	listed := slices.DeleteFunc(slices.Clone(all), func(d ocispec.Descriptor) bool { return d.Annotations[images.AnnotationImageName] == "" })
	require.Len(t, listed, 1)
	for _, d := range all[1:] {
		assert.Contains(t, d.Annotations, images.AnnotationManifestSubject)
	}
	assert.Equal(t, built.Image.Digest, listed[0].Digest.String())
	assert.Equal(t, built.Image.Reference, listed[0].Annotations[images.AnnotationImageName])
	for _, p := range built.Image.Platforms {
		platform, err := platforms.Parse(p.Platform)
		require.NoError(t, err)
		only := platforms.OnlyStrict(platform)
		config, err := images.Config(ctx, store, listed[0], only)
		require.NoError(t, err)
		assert.Equal(t, p.Config.Digest, config.Digest.String())
		complete, _, _, missing, err := images.Check(ctx, store, listed[0], only)
		require.NoError(t, err)
		assert.True(t, complete, "%s: %v is missing", p.Platform, missing)
		layers, err := images.RootFS(ctx, store, config)
		require.NoError(t, err)
		assert.Len(t, layers, 1)
	}
}

func TestSkopeoReadsTheArchiveAndTheLayout(t *testing.T) {
	dist := dist(t)
	built := resultOf(t, dist)
	for _, from := range []string{"oci-archive:" + filepath.Join(dist, built.Archive.Path) + ":" + built.Version, "oci:" + filepath.Join(dist, "oci") + ":" + built.Version} {
		dir := t.TempDir()
		run(t, "", "skopeo", "--insecure-policy", "copy", "--all", from, "oci:"+dir+":copy")
		isWhole(t, dir, built)
	}
}

// crane pushes the layout to Debian's registry.
func TestCranePushesTheLayout(t *testing.T) {
	dist := dist(t)
	built := resultOf(t, dist)
	f := startFront(t, dockerRegistry(t))
	outer, err := layout.ImageIndexFromPath(filepath.Join(dist, "oci"))
	require.NoError(t, err)
	hash, err := v1.NewHash(built.Image.Digest)
	require.NoError(t, err)
	index, err := outer.ImageIndex(hash)
	require.NoError(t, err)
	tag, err := name.NewTag(f.host + "/crane/pushed:1")
	require.NoError(t, err)
	require.NoError(t, remote.WriteIndex(tag, index))
	there, err := remote.Get(tag)
	require.NoError(t, err)
	assert.Equal(t, built.Image.Digest, there.Digest.String())
}
