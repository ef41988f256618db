package image

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/google/go-containerregistry/pkg/v1/validate"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

func TestSelectPlatforms(t *testing.T) {
	selected, err := SelectPlatforms([]string{"linux/arm/v7", "linux/amd64"})
	require.NoError(t, err)
	assert.Equal(t, "linux/amd64", selected[0].Name, "in the order of the index, whatever the order asked for")
	assert.Equal(t, "linux/arm/v7", selected[1].Name)
	assert.Equal(t, "v7", selected[1].oci().Variant)

	for names, want := range map[string]string{
		"linux/amd46":                "platform linux/amd46 is unknown, linux/amd64?",
		"linux/arm":                  "platform linux/arm is unknown, linux/arm/v7?",
		"arm64":                      "platform arm64 is unknown, linux/arm64?",
		"linux/s390":                 "platform linux/s390 is unknown, linux/s390x?",
		"":                           "platform  is unknown",
		"linux/amd64 linux/amd64":    "platform linux/amd64 is given twice",
		"linux/arm64 linux/arm64/v8": "platforms linux/arm64 and linux/arm64/v8 are the same",
		"linux/amd64/v1 linux/amd64": "platforms linux/amd64/v1 and linux/amd64 are the same",
		"linux/arm/v8":               "platform linux/arm/v8 is unknown, linux/arm/v7?",
		"linux/mips64el":             "platform linux/mips64el is unknown, linux/mips64le?",
		"windows/amd64":              "platform windows/amd64 is unknown, linux/amd64?",
		"linux/x linux/amd46":        "platform linux/x is unknown, linux/386?; platform linux/amd46 is unknown, linux/amd64?",
	} {
		_, err := SelectPlatforms(strings.Split(names, " "))
		require.ErrorContains(t, err, want)
		assert.Equal(t, fault.Usage, fault.Code(err))
		assert.Contains(t, fault.Hints(err)[0], "linux/riscv64")
	}
}

// The digest of a layer must not change with the release of Go or of a library, because users
// compare it. This test fails when the compressor or the tar header has changed.
func TestLayerBytesAreGolden(t *testing.T) {
	r := sample()
	content, err := layerTar(r, bytes.Repeat([]byte("jobmesh "), 4096))
	require.NoError(t, err)
	diffID, _, err := v1.SHA256(bytes.NewReader(content))
	require.NoError(t, err)
	assert.Equal(t, "sha256:64e89d6b74e1f5679129e4c3ed197ecf08aa00ed8ed72589959c97fb38c5747e", diffID.String())
	packed, err := Compress(content)
	require.NoError(t, err)
	digest, _, err := v1.SHA256(bytes.NewReader(packed))
	require.NoError(t, err)
	assert.Equal(t, "sha256:7fc5ca9a13e1c8198564cabd797064d8a38978c1835eecb24c1a626bc78ca820", digest.String())
}

// varied returns a megabyte that compresses about as well as a program: new bytes, and copies
// of earlier ones, near and far. A few repeated words would look the same to any compressor.
func varied() []byte {
	state := uint32(1)
	next := func(n int) int {
		state = state*1664525 + 1013904223
		return int(state>>8) % n
	}
	content := []byte("varied")
	for len(content) < 1<<20 {
		if next(3) == 0 {
			for range next(24) {
				content = append(content, byte(next(256)))
			}
			continue
		}
		from := len(content) - 1 - next(min(len(content), 40_000))
		content = append(content, content[from:min(len(content), from+4+next(60))]...)
	}
	return content
}

// Go 1.27 has another compressor than Go 1.26, which has changed the layers of other tools;
// ci/toolchain runs this test with both.
func TestVariedLayersAreGolden(t *testing.T) {
	content, err := layerTar(sample(), varied())
	require.NoError(t, err)
	for compression, want := range map[Compression]string{
		Gzip: "sha256:07c8786d41202ea99d7e1d978a922ad05e22dae33ed79ff3e4c43fdf7cf69a92",
		Zstd: "sha256:e9572b5209e701d7c81d2faa479a837c582a113f1324c2bf9183aac2e0d31157",
	} {
		packed, err := compression.pack(content)
		require.NoError(t, err)
		assert.Equal(t, want, NewBlob(types.OCILayer, packed).Descriptor.Digest.String(), compression)
		t.Logf("%s: %d of %d bytes", compression, len(packed), len(content))
	}
}

// The bytes of zstd layers must not change either.
func TestZstdLayerBytesAreGolden(t *testing.T) {
	content, err := layerTar(sample(), bytes.Repeat([]byte("jobmesh "), 4096))
	require.NoError(t, err)
	for _, cores := range []int{1, 4} {
		before := runtime.GOMAXPROCS(cores)
		packed, err := Zstd.pack(content)
		runtime.GOMAXPROCS(before)
		require.NoError(t, err)
		assert.Equal(t, "sha256:c05d01884e41875ef46757dc7ff5f5840e3730a946e7f68901846f74c258d4a2", NewBlob(types.OCILayerZStd, packed).Descriptor.Digest.String())
		back, err := Unpack(types.OCILayerZStd, packed)
		require.NoError(t, err)
		assert.Equal(t, content, back)
	}
	_, err = ParseCompression("xz")
	assert.Equal(t, fault.Usage, fault.Code(err))
}

// Images can be built for every Linux platform that this Go compiles for.
func TestPlatformsAreThoseOfTheToolchain(t *testing.T) {
	out, err := exec.Command("go", "tool", "dist", "list").Output()
	require.NoError(t, err)
	ours := map[string]bool{}
	for _, p := range platforms {
		ours["linux/"+p.Architecture()] = true
	}
	for _, line := range strings.Fields(string(out)) {
		if strings.HasPrefix(line, "linux/") {
			assert.True(t, ours[line], "%s is missing", line)
			delete(ours, line)
		}
	}
	assert.Empty(t, ours, "not known to this Go")
	selected, err := SelectPlatforms([]string{"linux/arm64/v8", "linux/386", "linux/arm/v5"})
	require.NoError(t, err)
	assert.Equal(t, []string{"linux/arm64", "linux/arm/v5", "linux/386"}, []string{selected[0].Name, selected[1].Name, selected[2].Name})
}

func sample() Recipe {
	return Recipe{
		Name: "sample", Version: "1.2.3", Path: "/bin/program", Entrypoint: []string{"/bin/program"}, User: "65532:65532",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Labels:  map[string]string{"org.opencontainers.image.title": "sample"},
	}
}

func assembled(t *testing.T, programs ...string) *Index {
	t.Helper()
	selected, err := SelectPlatforms([]string{"linux/amd64", "linux/arm64", "linux/arm/v7"})
	require.NoError(t, err)
	var binaries []Binary
	for i, p := range programs {
		binaries = append(binaries, Binary{Platform: selected[i], Bytes: []byte(p)})
	}
	x, err := Assemble(sample(), binaries)
	require.NoError(t, err)
	return x
}

var ref = Reference{Repository: "registry.example/team/sample", Tag: "1.2.3"}

// The library that most registry clients use reads the layout.
func TestLayoutIsReadBySomebodyElse(t *testing.T) {
	x := assembled(t, "one", "two", "three")
	dir := t.TempDir()
	write(t, x, dir, ref)
	outer, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(outer))
	manifest, err := outer.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 1, "one nested index, not a flat list")
	assert.Equal(t, "1.2.3", manifest.Manifests[0].Annotations["org.opencontainers.image.ref.name"])
	assert.Equal(t, "registry.example/team/sample:1.2.3", manifest.Manifests[0].Annotations["io.containerd.image.name"])

	inner, err := outer.ImageIndex(manifest.Manifests[0].Digest)
	require.NoError(t, err)
	children, err := inner.IndexManifest()
	require.NoError(t, err)
	assert.Equal(t, types.OCIImageIndex, children.MediaType)
	require.Len(t, children.Manifests, 3)
	assert.Equal(t, "v7", children.Manifests[2].Platform.Variant)

	img, err := inner.Image(children.Manifests[1].Digest)
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "arm64", config.Architecture)
	assert.Equal(t, "65532:65532", config.Config.User)
	assert.Equal(t, []string{"/bin/program"}, config.Config.Entrypoint)
	one, err := img.Manifest()
	require.NoError(t, err)
	assert.Equal(t, one.Annotations, config.Config.Labels, "labels equal annotations")
	assert.Equal(t, "1.2.3", config.Config.Labels["org.opencontainers.image.version"])
	assert.Equal(t, types.OCILayer, one.Layers[0].MediaType)

	layers, err := img.Layers()
	require.NoError(t, err)
	require.Len(t, layers, 1)
	content, err := layers[0].Uncompressed()
	require.NoError(t, err)
	files := tar.NewReader(content)
	folder, err := files.Next()
	require.NoError(t, err)
	assert.Equal(t, "bin/", folder.Name)
	file, err := files.Next()
	require.NoError(t, err)
	assert.Equal(t, "bin/program", file.Name)
	assert.Equal(t, int64(0o555), file.Mode)
	text, err := io.ReadAll(files)
	require.NoError(t, err)
	assert.Equal(t, "two", string(text))
}

func TestArchiveHoldsTheLayout(t *testing.T) {
	x := assembled(t, "one", "two")
	dir := t.TempDir()
	write(t, x, dir, ref)
	archive, err := x.Archive(ref)
	require.NoError(t, err)
	files := tar.NewReader(bytes.NewReader(archive))
	seen := 0
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
		packed, err := io.ReadAll(files)
		require.NoError(t, err)
		written, err := os.ReadFile(filepath.Join(dir, header.Name))
		require.NoError(t, err)
		assert.Equal(t, written, packed, header.Name)
		assert.Equal(t, int64(0o644), header.Mode)
		seen++
	}
	assert.Equal(t, 2+3*2+1, seen)
}

func TestLayoutHealsItself(t *testing.T) {
	x := assembled(t, "one", "two")
	for name, damage := range map[string]func(path string) error{
		"truncated": func(path string) error { return os.Truncate(path, 3) },
		"emptied":   func(path string) error { return os.Truncate(path, 0) },
		"missing":   os.Remove,
		"flipped": func(path string) error {
			content, err := os.ReadFile(path)
			if err == nil {
				content[len(content)/2] ^= 1
				err = os.WriteFile(path, content, 0o600)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			write(t, x, dir, ref)
			want := snapshot(t, dir)
			for file := range want {
				require.NoError(t, damage(filepath.Join(dir, file)))
				assert.Equal(t, Changes{{Path: filepath.Join(dir, file), Damaged: name != "missing" && (file != indexFile || name == "truncated")}},
					write(t, x, dir, ref), name)
				assert.Equal(t, want, snapshot(t, dir), file)
			}
		})
	}
}

func TestLayoutReplacesItsOwnAndKeepsOthers(t *testing.T) {
	dir := t.TempDir()
	other := Reference{Repository: "registry.example/other", Tag: "9"}
	write(t, assembled(t, "other"), dir, other)
	write(t, assembled(t, "old"), dir, ref)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "blobs/sha256/.half-written"), []byte("x"), 0o600))
	// Of two images with the same name and tag one is left, whatever registry it was for.
	elsewhere := Reference{Repository: "elsewhere.example/team/" + path.Base(ref.Repository), Tag: ref.Tag}
	write(t, assembled(t, "elsewhere"), dir, elsewhere)
	write(t, assembled(t, "new"), dir, ref)

	both, err := layout.ImageIndexFromPath(dir)
	require.NoError(t, err)
	require.NoError(t, validate.Index(both))
	manifest, err := both.IndexManifest()
	require.NoError(t, err)
	require.Len(t, manifest.Manifests, 2)
	assert.Equal(t, other.String(), manifest.Manifests[0].Annotations[containerdName])
	assert.Equal(t, ref.String(), manifest.Manifests[1].Annotations[containerdName])
	blobs, err := os.ReadDir(filepath.Join(dir, "blobs/sha256"))
	require.NoError(t, err)
	assert.Len(t, blobs, 2*4, "what the old image had is gone, and so is the half-written file")
}

func TestFailedWriteLeavesTheOldLayoutWhole(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("none", dir, "tmpfs", 0, "size=64k"))
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	write(t, assembled(t, "old"), dir, ref)
	want := snapshot(t, dir)

	noise := make([]byte, 256<<10) // does not compress to less than the size of the disk
	state := uint32(1)
	for i := range noise {
		state = state*1664525 + 1013904223
		noise[i] = byte(state >> 24)
	}
	_, err := assembled(t, string(noise)).WriteLayout(dir, ref)
	require.ErrorIs(t, err, syscall.ENOSPC)
	got := snapshot(t, dir)
	for file, content := range want {
		assert.Equal(t, content, got[file], file)
	}
	write(t, assembled(t, "old"), dir, ref)
	assert.Equal(t, want, snapshot(t, dir), "and a later run cleans up")
}

func write(t *testing.T, x *Index, dir string, ref Reference) Changes {
	t.Helper()
	changes, err := x.WriteLayout(dir, ref)
	require.NoError(t, err)
	return changes
}

func snapshot(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		stat, statErr := os.Stat(path)
		if statErr == nil {
			files[strings.TrimPrefix(path, dir+"/")] = stat.Mode().String() + " " + string(content)
		}
		return err
	}))
	return files
}
