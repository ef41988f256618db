package release

import (
	"bytes"
	"context"
	"io/fs"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
)

// inMemory returns a layout whose files are in memory.
func inMemory(files map[string][]byte) (*Layout, error) {
	return openLayout(&Layout{name: "memory", separator: "/", read: func(name string, limit int64) ([]byte, error) {
		content, ok := files[name]
		if !ok || int64(len(content)) > limit {
			return nil, fs.ErrNotExist
		}
		return content, nil
	}, files: func() ([]string, error) { return slices.Sorted(maps.Keys(files)), nil }})
}

// filesOf returns the files of an image's layout.
func filesOf(x *image.Index, ref image.Reference) map[string][]byte {
	files := map[string][]byte{"oci-layout": []byte(image.LayoutFile), "index.json": x.Listing(ref)}
	for _, b := range x.Blobs() {
		files["blobs/sha256/"+b.Descriptor.Digest.Hex] = b.Bytes
	}
	return files
}

// Whatever a list, an index, a manifest or a configuration contains, the layout is read or
// refused. An image that is read is the one that its name says.
func FuzzLayout(f *testing.F) {
	r := made("one")
	files := filesOf(r.Index, r.Reference)
	f.Add(0, files["index.json"])
	f.Add(1, r.Index.Blob.Bytes)
	f.Add(2, r.Index.Children[0].Manifest.Bytes)
	f.Add(3, r.Index.Children[0].Config.Bytes)
	f.Fuzz(func(t *testing.T, which int, text []byte) {
		changed := filesOf(r.Index, r.Reference)
		target := []string{
			"index.json",
			"blobs/sha256/" + r.Index.Blob.Descriptor.Digest.Hex,
			"blobs/sha256/" + r.Index.Children[0].Manifest.Descriptor.Digest.Hex,
			"blobs/sha256/" + r.Index.Children[0].Config.Descriptor.Digest.Hex,
		}[((which%4)+4)%4]
		changed[target] = text
		layout, err := inMemory(changed)
		if err != nil {
			return
		}
		top, err := layout.Image()
		if err != nil {
			return
		}
		s, err := LoadImage(context.Background(), layout, top)
		if err == nil {
			assert.Equal(t, top.Digest, s.Index.Descriptor.Digest)
		}
	})
}

// A list that is accepted is one that jobmesh has written, and its paths stay in the folder.
func FuzzResult(f *testing.F) {
	r := made("one")
	archive, err := r.Index.Archive(r.Reference)
	require.NoError(f, err)
	text, err := r.result(archive).encode()
	require.NoError(f, err)
	f.Add(text)
	f.Add(bytes.Replace(text, []byte(`"oci"`), []byte(`"../oci"`), 1))
	f.Fuzz(func(t *testing.T, text []byte) {
		var got Result
		if got.parse(text) != nil {
			return
		}
		again, err := got.encode()
		require.NoError(t, err)
		assert.Equal(t, text, again)
		for _, p := range append([]string{got.Archive.Path, got.Image.Layout}, paths(got)...) {
			assert.True(t, fs.ValidPath(p), p)
		}
	})
}

func paths(r Result) (all []string) {
	for _, c := range r.Charts() {
		all = append(all, c.Path)
	}
	return all
}

// The files that are found in an archive are those that it contains.
func FuzzArchive(f *testing.F) {
	r := made("one")
	archive, err := r.Index.Archive(r.Reference)
	require.NoError(f, err)
	f.Add(archive)
	f.Fuzz(func(t *testing.T, archive []byte) {
		sections, err := sectionsOf(bytes.NewReader(archive))
		if err != nil {
			return
		}
		for name, at := range sections {
			assert.True(t, fs.ValidPath(name), name)
			assert.LessOrEqual(t, at.offset, int64(len(archive)))
			assert.GreaterOrEqual(t, at.size, int64(0))
		}
	})
}
