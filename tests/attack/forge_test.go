package attack

import (
	"archive/tar"
	"bytes"
	"context"
	"debug/buildinfo"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/signature"
	"github.com/jobmesh/jobmesh/internal/signature/signaturetest"
)

// A maker makes releases of a small program, as build does, and signs them.
type maker struct {
	t        testing.TB
	recipe   image.Recipe
	binaries []image.Binary
	key      *signature.Key
	// stranger is the key of an attacker, and public is the file of the right public key.
	stranger *signature.Key
	public   string
}

var platforms = []string{"linux/amd64", "linux/arm64"}

func newMaker(t testing.TB) *maker {
	t.Helper()
	version, err := build.Sources("../..").Version()
	require.NoError(t, err)
	m := &maker{t: t, public: filepath.Join(t.TempDir(), "cosign.pub")}
	m.recipe, err = image.LoadRecipe("../..", "jobmesh-wrap", version, "")
	require.NoError(t, err)
	m.recipe.Compression = image.Gzip
	m.key, m.stranger = newKey(t, m.public), newKey(t, m.public+".other")
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	selected, err := image.SelectPlatforms(platforms)
	require.NoError(t, err)
	for _, p := range selected {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-ldflags=-s -w", "-o", "program", "main.go")
		cmd.Dir, cmd.Env = dir, append(append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS="), p.Environment()...)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, string(out))
		program, err := os.ReadFile(filepath.Join(dir, "program"))
		require.NoError(t, err)
		m.binaries = append(m.binaries, image.Binary{Platform: p, Bytes: program})
	}
	return m
}

// newKey makes a key and writes its public half into a file.
func newKey(t testing.TB, file string) *signature.Key {
	t.Helper()
	key, public := signaturetest.Key(t)
	require.NoError(t, os.WriteFile(file, public, 0o600))
	return key
}

// image makes an image as build does, signed where there is a key.
func (m *maker) image(r image.Recipe, key *signature.Key) *image.Index {
	m.t.Helper()
	x, err := image.Assemble(r, m.binaries)
	require.NoError(m.t, err)
	m.attest(x, key)
	return x
}

// release is the image that was released.
func (m *maker) release() *image.Index { return m.image(m.recipe, m.key) }

// attest writes the documents about an image, all of which agree with it, and signs
// them where there is a key.
func (m *maker) attest(x *image.Index, key *signature.Key) {
	m.t.Helper()
	var err error
	x.Attachments, err = attest.Image(x, attest.Facts{Toolchain: "go1.26.8"})
	require.NoError(m.t, err)
	if key == nil {
		return
	}
	subjects := []v1.Descriptor{x.Blob.Descriptor}
	for _, c := range x.Children {
		subjects = append(subjects, c.Manifest.Descriptor)
	}
	signed, err := attest.Sign(key, subjects, x.Attachments)
	require.NoError(m.t, err)
	x.Attachments = append(x.Attachments, signed...)
}

// seal describes an image again from the inside out, as an attacker without a key does who has
// changed something and wants the image to be consistent.
func (m *maker) seal(x *image.Index) {
	m.t.Helper()
	for i := range x.Children {
		m.manifest(x, i, func(*v1.Manifest) {})
	}
	m.index(x, func(*v1.IndexManifest) {})
	m.attest(x, nil)
}

// config changes the configuration of a platform.
func (m *maker) config(x *image.Index, i int, change func(*v1.ConfigFile)) {
	m.t.Helper()
	var c v1.ConfigFile
	m.decode(x.Children[i].Config, &c)
	change(&c)
	x.Children[i].Config = m.encode(types.OCIConfigJSON, c)
}

// manifest changes the manifest of a platform.
func (m *maker) manifest(x *image.Index, i int, change func(*v1.Manifest)) {
	m.t.Helper()
	var manifest v1.Manifest
	m.decode(x.Children[i].Manifest, &manifest)
	manifest.Config = x.Children[i].Config.Descriptor
	manifest.Layers = []v1.Descriptor{x.Children[i].Layer.Descriptor}
	change(&manifest)
	x.Children[i].Manifest = m.encode(types.OCIManifestSchema1, manifest)
}

// index changes the index.
func (m *maker) index(x *image.Index, change func(*v1.IndexManifest)) {
	m.t.Helper()
	var index v1.IndexManifest
	m.decode(x.Blob, &index)
	for i, c := range x.Children {
		index.Manifests[i].Digest, index.Manifests[i].Size = c.Manifest.Descriptor.Digest, c.Manifest.Descriptor.Size
	}
	change(&index)
	x.Blob = m.encode(types.OCIImageIndex, index)
}

func (m *maker) decode(b image.Blob, into any) {
	m.t.Helper()
	require.NoError(m.t, json.Unmarshal(b.Bytes, into))
}

func (m *maker) encode(mediaType types.MediaType, value any) image.Blob {
	m.t.Helper()
	b, err := image.Encode(mediaType, value)
	require.NoError(m.t, err)
	return b
}

// An entry is a file of a layer.
type entry struct {
	tar.Header
	content []byte
}

func regular(name string, content []byte) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o555, Size: int64(len(content))}, content}
}

// layer writes the layer of the first platform anew, from its program, and what leads to
// it.
func (m *maker) layer(x *image.Index, entries func(program []byte) []entry) {
	m.t.Helper()
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, e := range entries(x.Children[0].Program) {
		require.NoError(m.t, w.WriteHeader(&e.Header))
		_, err := w.Write(e.content)
		require.NoError(m.t, err)
	}
	require.NoError(m.t, w.Close())
	m.rawLayer(x, content.Bytes())
}

// rawLayer puts any bytes into the layer of the first platform.
func (m *maker) rawLayer(x *image.Index, content []byte) {
	m.t.Helper()
	packed, err := image.Compress(content)
	require.NoError(m.t, err)
	x.Children[0].Layer = image.NewBlob(types.OCILayer, packed)
	x.Children[0].DiffID = image.NewBlob("", content).Descriptor.Digest
	m.config(x, 0, func(c *v1.ConfigFile) { c.RootFS.DiffIDs = []v1.Hash{x.Children[0].DiffID} })
}

// toolchainOf is the release of Go that the programs were compiled by.
func toolchainOf(x *image.Index) string {
	info, err := buildinfo.Read(bytes.NewReader(x.Children[1].Program))
	if err != nil {
		return ""
	}
	return info.GoVersion
}
