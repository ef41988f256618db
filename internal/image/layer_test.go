package image

import (
	"archive/tar"
	"bytes"
	"fmt"
	"testing"

	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// entries writes a layer with these entries.
func entries(t testing.TB, behind string, headers ...tar.Header) Blob {
	t.Helper()
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, h := range headers {
		h.Size = 0
		if h.Typeflag == tar.TypeReg {
			h.Size = int64(len(h.Name))
		}
		require.NoError(t, w.WriteHeader(&h))
		_, err := w.Write([]byte(h.Name)[:h.Size])
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	content.WriteString(behind)
	packed, err := Compress(content.Bytes())
	require.NoError(t, err)
	return NewBlob(types.OCILayer, packed)
}

// Each kind of layer in which two readers may see different files is refused.
func TestReadLayer(t *testing.T) {
	file := func(name string) tar.Header { return tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o555} }
	with := func(change func(*tar.Header)) tar.Header {
		h := file("p")
		change(&h)
		return h
	}
	folder := tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o755}
	for name, c := range map[string]struct {
		layer Blob
		want  string
	}{
		"one file":           {layer: entries(t, "", file("p"))},
		"a file in a folder": {layer: entries(t, "", folder, file("bin/p"))},
		"padded to a record": {layer: entries(t, string(make([]byte, 4096)), file("p"))},
		"twice":              {entries(t, "", file("p"), file("p")), `has "p" twice`},
		"a folder over it":   {entries(t, "", file("p"), tar.Header{Name: "p/", Typeflag: tar.TypeDir, Mode: 0o755}), `has "p" twice`},
		"spelt differently":  {entries(t, "", file("p"), file("./p")), `has "./p", which is not the plain path`},
		"absolute":           {entries(t, "", file("/p")), `which is not the plain path`},
		"out of the image":   {entries(t, "", file("../p")), `which is not the plain path`},
		"a symbolic link":    {entries(t, "", tar.Header{Name: "p", Linkname: "/q", Typeflag: tar.TypeSymlink, Mode: 0o555}), "is neither a regular file nor a folder"},
		"a hard link":        {entries(t, "", file("q"), tar.Header{Name: "p", Linkname: "q", Typeflag: tar.TypeLink, Mode: 0o555}), "is neither a regular file nor a folder"},
		"a device":           {entries(t, "", tar.Header{Name: "p", Typeflag: tar.TypeChar, Mode: 0o555}), "is neither a regular file nor a folder"},
		"a FIFO":             {entries(t, "", tar.Header{Name: "p", Typeflag: tar.TypeFifo, Mode: 0o555}), "is neither a regular file nor a folder"},
		"setuid":             {entries(t, "", with(func(h *tar.Header) { h.Mode = 0o4555 })), "has mode 04555, not 0555"},
		"writable":           {entries(t, "", with(func(h *tar.Header) { h.Mode = 0o755 })), "has mode 0755, not 0555"},
		"an open folder":     {entries(t, "", tar.Header{Name: "bin/", Typeflag: tar.TypeDir, Mode: 0o777}, file("bin/p")), "has mode 0777, not 0755"},
		"an owner":           {entries(t, "", with(func(h *tar.Header) { h.Uid = 1000 })), "belongs to somebody"},
		"an owner by name":   {entries(t, "", with(func(h *tar.Header) { h.Uname = "me" })), "belongs to somebody"},
		"a capability":       {entries(t, "", with(func(h *tar.Header) { h.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "x"} })), "has attributes"},
		"attributes for all": {entries(t, "", tar.Header{Typeflag: tar.TypeXGlobalHeader, PAXRecords: map[string]string{"path": "q"}}, file("p")), "is neither a regular file nor a folder"},
		"a whiteout":         {entries(t, "", file(".wh.p")), "removes a file of another layer"},
		"an empty folder":    {entries(t, "", folder, file("p")), `has the folder "bin/" without a file in it`},
		"too many":           {entries(t, "", many(file)...), "has more than 64 entries"},
		"a second archive":   {entries(t, "x", file("p")), "has data behind its last entry"},
		"endless padding":    {entries(t, string(make([]byte, maxPadding+1)), file("p")), "has data behind its last entry"},
		"not packed":         {NewBlob(types.OCILayer, []byte("text")), "unexpected EOF"},
		"of another type":    {NewBlob(types.DockerLayer, []byte("text")), `is of the type "application/vnd.docker.image.rootfs.diff.tar.gzip"`},
		"a bomb":             {bomb(t), "unpacks to more than 83886080 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := ReadLayer(c.layer)
			if c.want != "" {
				require.ErrorContains(t, err, c.want)
				return
			}
			require.NoError(t, err)
			content, err := Unpack(c.layer.Descriptor.MediaType, c.layer.Bytes)
			require.NoError(t, err)
			assert.Equal(t, NewBlob("", content).Descriptor.Digest, got.DiffID)
			assert.NotEmpty(t, got.Files)
		})
	}
}

func many(file func(string) tar.Header) []tar.Header {
	var all []tar.Header
	for i := range maxEntries + 1 {
		all = append(all, file(fmt.Sprint("p", i)))
	}
	return all
}

// bomb is a file of zeros that is larger than any layer may be.
func bomb(t *testing.T) Blob {
	t.Helper()
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	require.NoError(t, err)
	w := tar.NewWriter(z)
	require.NoError(t, w.WriteHeader(&tar.Header{Name: "p", Typeflag: tar.TypeReg, Mode: 0o555, Size: maxUnpacked + 1}))
	_, err = w.Write(make([]byte, maxUnpacked+1))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return NewBlob(types.OCILayer, packed.Bytes())
}

// What ReadLayer accepts, archive/tar reads as the same files.
func FuzzReadLayer(f *testing.F) {
	content, err := layerTar(sample(), []byte("program"))
	require.NoError(f, err)
	f.Add(content)
	f.Fuzz(func(t *testing.T, content []byte) {
		packed, err := Compress(content)
		require.NoError(t, err)
		got, err := ReadLayer(NewBlob(types.OCILayer, packed))
		if err != nil {
			return
		}
		files := tar.NewReader(bytes.NewReader(content))
		for range got.Files {
			h, err := files.Next()
			for err == nil && h.Typeflag == tar.TypeDir {
				h, err = files.Next()
			}
			require.NoError(t, err)
			assert.Equal(t, "/", ("/" + h.Name)[:1])
			assert.EqualValues(t, FileMode, h.Mode)
		}
	})
}
