package attack

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/sbom"
)

// replace changes the text of a file.
func replace(t *testing.T, file string, change func([]byte) []byte) {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, change(text), 0o600))
}

// list changes the list of a layout.
func list(t *testing.T, layout string, change func(*v1.IndexManifest)) {
	t.Helper()
	replace(t, filepath.Join(layout, "index.json"), func(text []byte) []byte {
		var index v1.IndexManifest
		require.NoError(t, json.Unmarshal(text, &index))
		change(&index)
		text, err := json.MarshalIndent(index, "", "  ")
		require.NoError(t, err)
		return append(text, '\n')
	})
}

// blobIn is the file of some content in a layout.
func blobIn(layout string, b image.Blob) string {
	return filepath.Join(layout, "blobs", "sha256", b.Descriptor.Digest.Hex)
}

// store puts content into a layout.
func store(t *testing.T, layout string, b image.Blob) {
	t.Helper()
	require.NoError(t, os.WriteFile(blobIn(layout, b), b.Bytes, 0o600))
}

// These are attacks on the files of a layout, alone and in a folder. In a folder, result.json
// is not adapted: a digest protects all of these files but index.json.
var onLayouts = []struct {
	name   string
	change func(t *testing.T, m *maker, x *image.Index, layout string)
	code   int
}{
	{"as released", func(*testing.T, *maker, *image.Index, string) {}, 0},
	{"a layer with other bytes", onFile(func(x *image.Index) image.Blob { return x.Children[0].Layer }, func(b []byte) []byte { b[100] ^= 1; return b }), 8},
	{"a layer with more bytes", onFile(func(x *image.Index) image.Blob { return x.Children[0].Layer }, func(b []byte) []byte { return append(b, 'x') }), 8},
	{"a layer with far more bytes", onFile(func(x *image.Index) image.Blob { return x.Children[0].Layer }, func(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }), 8},
	{"half a layer", onFile(func(x *image.Index) image.Blob { return x.Children[0].Layer }, func(b []byte) []byte { return b[:len(b)/2] }), 8},
	{"an empty configuration", onFile(func(x *image.Index) image.Blob { return x.Children[0].Config }, func([]byte) []byte { return nil }), 8},
	{"an index with other bytes", onFile(func(x *image.Index) image.Blob { return x.Blob }, func(b []byte) []byte { b[10] ^= 1; return b }), 8},
	{"a document with other bytes", onFile(func(x *image.Index) image.Blob { return x.Attachments[0].Content }, func(b []byte) []byte { b[10] ^= 1; return b }), 8},
	{"no layer", func(t *testing.T, _ *maker, x *image.Index, layout string) {
		require.NoError(t, os.Remove(blobIn(layout, x.Children[0].Layer)))
	}, 8},
	{"no document", func(t *testing.T, _ *maker, x *image.Index, layout string) {
		require.NoError(t, os.Remove(blobIn(layout, x.Attachments[0].Content)))
	}, 8},
	{"a layer that is a link to a device", instead("/dev/zero"), 8},
	{"a layer that is a link out of the folder", func(t *testing.T, m *maker, x *image.Index, layout string) {
		outside := filepath.Join(t.TempDir(), "layer")
		require.NoError(t, os.WriteFile(outside, x.Children[0].Layer.Bytes, 0o600))
		instead(outside)(t, m, x, layout)
	}, 8},
	{"a layer that is a named pipe", func(t *testing.T, _ *maker, x *image.Index, layout string) {
		require.NoError(t, os.Remove(blobIn(layout, x.Children[0].Layer)))
		require.NoError(t, syscall.Mkfifo(blobIn(layout, x.Children[0].Layer), 0o600))
	}, 8},
	{"a layer that is a folder", func(t *testing.T, _ *maker, x *image.Index, layout string) {
		require.NoError(t, os.Remove(blobIn(layout, x.Children[0].Layer)))
		require.NoError(t, os.Mkdir(blobIn(layout, x.Children[0].Layer), 0o700))
	}, 7},
	{"a list that is a named pipe", func(t *testing.T, _ *maker, _ *image.Index, layout string) {
		require.NoError(t, os.Remove(filepath.Join(layout, "index.json")))
		require.NoError(t, syscall.Mkfifo(filepath.Join(layout, "index.json"), 0o600))
	}, 8},
	{"the list of docker load", func(t *testing.T, _ *maker, _ *image.Index, layout string) {
		require.NoError(t, os.WriteFile(filepath.Join(layout, "manifest.json"), []byte("[]"), 0o600))
	}, 8},
	{"what oras and a killed build leave", func(t *testing.T, _ *maker, _ *image.Index, layout string) {
		require.NoError(t, os.Mkdir(filepath.Join(layout, "ingest"), 0o700))
		require.NoError(t, os.WriteFile(filepath.Join(layout, ".index.json123"), []byte("{"), 0o600))
	}, 0},
	{"another version of layouts", func(t *testing.T, _ *maker, _ *image.Index, layout string) {
		require.NoError(t, os.WriteFile(filepath.Join(layout, "oci-layout"), []byte(`{"imageLayoutVersion":"2.0.0"}`), 0o600))
	}, 8},
	{"an empty list", onList(func(i *v1.IndexManifest) { i.Manifests = nil }), 8},
	{"the image twice", onList(func(i *v1.IndexManifest) { i.Manifests = append(i.Manifests, i.Manifests[0]) }), 8},
	{"a document twice", onList(func(i *v1.IndexManifest) { i.Manifests = append(i.Manifests, i.Manifests[1]) }), 8},
	{"a name of another version", onList(func(i *v1.IndexManifest) {
		i.Manifests[0].Annotations["org.opencontainers.image.ref.name"] = "9.9.9"
	}), 8},
	{"a name of another image", onList(func(i *v1.IndexManifest) {
		i.Manifests[0].Annotations["io.containerd.image.name"] = "registry.example/p/other:" + jobmesh.Version
	}), 8},
	{"a document with a name", onList(func(i *v1.IndexManifest) {
		i.Manifests[1].Annotations["io.containerd.image.name"] = "registry.example/p/jobmesh-wrap:" + jobmesh.Version
	}), 8},
	{"an entry of a terabyte", onList(func(i *v1.IndexManifest) { i.Manifests[1].Size = 1 << 40 }), 8},
	{"five thousand entries", onList(func(i *v1.IndexManifest) {
		for range 5000 {
			i.Manifests = append(i.Manifests, i.Manifests[1])
		}
	}), 8},
	{"another image first, of the same name", beside(func(evil, own v1.Descriptor) v1.Descriptor {
		evil.Annotations = own.Annotations
		return evil
	}), 8},
	{"another image first, of another name", beside(func(evil, _ v1.Descriptor) v1.Descriptor {
		evil.Annotations = map[string]string{"org.opencontainers.image.ref.name": "latest"}
		return evil
	}), 8},
	{"another image first, of no name", beside(func(evil, _ v1.Descriptor) v1.Descriptor { return evil }), 8},
	{"the image of one platform", func(t *testing.T, m *maker, _ *image.Index, layout string) {
		evil := m.image(m.recipe, nil)
		m.layer(evil, func(p []byte) []entry { return []entry{regular("jobmesh-wrap", append(slices.Clone(p), 'x'))} })
		m.seal(evil)
		for _, b := range evil.Blobs() {
			store(t, layout, b)
		}
		list(t, layout, func(i *v1.IndexManifest) {
			i.Manifests = append(i.Manifests, evil.Children[0].Manifest.Descriptor)
		})
	}, 8},
	{"an image that says it is a document", func(t *testing.T, m *maker, x *image.Index, layout string) {
		var manifest v1.Manifest
		m.decode(x.Children[0].Manifest, &manifest)
		manifest.Subject = &v1.Descriptor{MediaType: types.OCIImageIndex, Digest: x.Blob.Descriptor.Digest, Size: x.Blob.Descriptor.Size}
		evil := m.encode(types.OCIManifestSchema1, manifest)
		store(t, layout, evil)
		list(t, layout, func(i *v1.IndexManifest) { i.Manifests = append(i.Manifests, evil.Descriptor) })
	}, 8},
	{"a document about another image", func(t *testing.T, m *maker, x *image.Index, layout string) {
		hangIn(t, layout, image.NewBlob(types.OCIImageIndex, []byte("other")), sbom.SPDX, x.Attachments[0].Content.Bytes)
	}, 8},
	{"a document of somebody else's", func(t *testing.T, _ *maker, x *image.Index, layout string) {
		hangIn(t, layout, x.Blob, "application/x-scan", []byte("clean"))
	}, 0},
}

// onFile changes a file of a layout.
func onFile(which func(*image.Index) image.Blob, change func([]byte) []byte) func(*testing.T, *maker, *image.Index, string) {
	return func(t *testing.T, _ *maker, x *image.Index, layout string) {
		replace(t, blobIn(layout, which(x)), change)
	}
}

func onList(change func(*v1.IndexManifest)) func(*testing.T, *maker, *image.Index, string) {
	return func(t *testing.T, _ *maker, _ *image.Index, layout string) { list(t, layout, change) }
}

// instead replaces a layer by a link.
func instead(target string) func(*testing.T, *maker, *image.Index, string) {
	return func(t *testing.T, _ *maker, x *image.Index, layout string) {
		t.Helper()
		require.NoError(t, os.Remove(blobIn(layout, x.Children[0].Layer)))
		require.NoError(t, os.Symlink(target, blobIn(layout, x.Children[0].Layer)))
	}
}

// beside puts another image first into the list.
func beside(entryOf func(evil, own v1.Descriptor) v1.Descriptor) func(*testing.T, *maker, *image.Index, string) {
	return func(t *testing.T, m *maker, _ *image.Index, layout string) {
		evil := m.image(m.recipe, nil)
		m.layer(evil, func(p []byte) []entry { return []entry{regular("jobmesh-wrap", append(slices.Clone(p), 'x'))} })
		m.seal(evil)
		for _, b := range evil.Blobs() {
			store(t, layout, b)
		}
		list(t, layout, func(i *v1.IndexManifest) {
			i.Manifests = append([]v1.Descriptor{entryOf(evil.Blob.Descriptor, i.Manifests[0])}, i.Manifests...)
		})
	}
}

// hangIn adds a document to a layout.
func hangIn(t *testing.T, layout string, subject image.Blob, kind types.MediaType, content []byte) {
	t.Helper()
	a, err := image.Attach(subject.Descriptor, kind, content, nil)
	require.NoError(t, err)
	for _, b := range a.Blobs() {
		store(t, layout, b)
	}
	list(t, layout, func(i *v1.IndexManifest) { i.Manifests = append(i.Manifests, a.Listed()) })
}

func TestLayouts(t *testing.T) {
	m := newMaker(t)
	for _, attack := range onLayouts {
		t.Run("layout/"+attack.name, func(t *testing.T) {
			x := m.release()
			dir := targets[1].put(t, m, x)
			attack.change(t, m, x, dir)
			m.wants(t, attack.code, attack.code, "", dir)
		})
		t.Run("folder/"+attack.name, func(t *testing.T) {
			x := m.release()
			dir := m.folder(t, x, m.charts(t, x))
			attack.change(t, m, x, filepath.Join(dir, "oci"))
			m.wants(t, attack.code, attack.code, "", dir)
		})
	}
	t.Logf("%d attacks on the files of layouts, alone and in a folder, each without and with a key", len(onLayouts))
}

// These are attacks on an archive, whose entries are written again. In a folder, result.json
// has the digest and the size of the new archive.
var onArchives = []struct {
	name   string
	change func(entries []entry) []entry
	behind string
	// alone and inFolder are the exit codes for the archive alone and in its folder.
	alone, inFolder int
}{
	{"as released", func(e []entry) []entry { return e }, "", 0, 0},
	{"in another order", func(e []entry) []entry { slices.Reverse(e); return e }, "", 0, 0},
	{"bytes of a layer", func(e []entry) []entry {
		for i := range e {
			if e[i].Size > 100_000 {
				e[i].content[5000] ^= 0xff
			}
		}
		return e
	}, "", 8, 8},
	{"a list twice", func(e []entry) []entry { return append(e, plain("index.json", []byte(`{"manifests":[]}`))) }, "", 8, 8},
	{"a list twice, spelt differently", func(e []entry) []entry { return append(e, plain("./index.json", []byte(`{"manifests":[]}`))) }, "", 8, 8},
	{"a link", func(e []entry) []entry {
		return append(e, entry{Header: tar.Header{Name: "index.json.link", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}})
	}, "", 8, 8},
	{"a path out of it", func(e []entry) []entry { return append(e, plain("../../etc/cron.d/x", []byte("x"))) }, "", 8, 8},
	{"an absolute path", func(e []entry) []entry { return append(e, plain("/etc/cron.d/x", []byte("x"))) }, "", 8, 8},
	{"another blob", func(e []entry) []entry { return append(e, plain("blobs/sha256/"+strings.Repeat("a", 64), []byte("x"))) }, "", 0, 8},
	{"the list of docker load", func(e []entry) []entry { return append(e, plain("manifest.json", []byte("[]"))) }, "", 8, 8},
	{"another file", func(e []entry) []entry { return append(e, plain("x/y", []byte("x"))) }, "", 8, 8},
	{"a blob less", func(e []entry) []entry { return slices.Delete(e, 2, 3) }, "", 8, 8},
	{"no list", func(e []entry) []entry {
		return slices.DeleteFunc(e, func(e entry) bool { return e.Name == "index.json" })
	}, "", 8, 8},
	{"another list", func(e []entry) []entry {
		for i := range e {
			if e[i].Name == "index.json" {
				e[i].content = bytes.Replace(e[i].content, []byte(`"schemaVersion": 2`), []byte(`"schemaVersion": 2  `), 1)
				e[i].Size = int64(len(e[i].content))
			}
		}
		return e
	}, "", 0, 8},
	{"zeros behind it", func(e []entry) []entry { return e }, strings.Repeat("\x00", 1024), 0, 0},
	{"few bytes behind it", func(e []entry) []entry { return e }, "x", 8, 8},
	{"another archive behind it", func(e []entry) []entry { return e }, strings.Repeat("x", 1<<20), 8, 8},
}

func plain(name string, content []byte) entry {
	return entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, content}
}

// rewrite writes an archive anew.
func rewrite(t *testing.T, file string, change func([]entry) []entry, behind string) []byte {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	var entries []entry
	in := tar.NewReader(bytes.NewReader(text))
	for {
		h, err := in.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		content, err := io.ReadAll(in)
		require.NoError(t, err)
		entries = append(entries, entry{tar.Header{Name: h.Name, Typeflag: h.Typeflag, Mode: h.Mode, Size: h.Size, ModTime: h.ModTime}, content})
	}
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range change(entries) {
		require.NoError(t, w.WriteHeader(&e.Header))
		_, err := w.Write(e.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	out.WriteString(behind)
	require.NoError(t, os.WriteFile(file, out.Bytes(), 0o600))
	return out.Bytes()
}

func TestArchives(t *testing.T) {
	m := newMaker(t)
	for _, attack := range onArchives {
		t.Run("archive/"+attack.name, func(t *testing.T) {
			file := targets[2].put(t, m, m.release())
			rewrite(t, file, attack.change, attack.behind)
			m.wants(t, attack.alone, attack.alone, "", file)
		})
		t.Run("folder/"+attack.name, func(t *testing.T) {
			x := m.release()
			dir := m.folder(t, x, m.charts(t, x))
			relist(t, dir, func(r *release.Result) {
				text := rewrite(t, filepath.Join(dir, r.Archive.Path), attack.change, attack.behind)
				b := image.NewBlob("", text)
				r.Archive.Content = release.Content{Digest: b.Descriptor.Digest.String(), Size: b.Descriptor.Size}
			})
			m.wants(t, attack.inFolder, attack.inFolder, "", dir)
		})
	}
	t.Logf("%d attacks on archives, alone and in a folder, each without and with a key", len(onArchives))
}

// relist changes result.json, and writes it as build does.
func relist(t *testing.T, dir string, change func(*release.Result)) {
	t.Helper()
	replace(t, filepath.Join(dir, release.ResultFile), func(text []byte) []byte {
		var r release.Result
		require.NoError(t, json.Unmarshal(text, &r))
		change(&r)
		text, err := json.MarshalIndent(r, "", "  ")
		require.NoError(t, err)
		return append(text, '\n')
	})
}

// These are attacks on a folder.
var onFolders = []struct {
	name   string
	change func(t *testing.T, m *maker, x *image.Index, dir string)
	code   int
}{
	{"charts that are not listed", listed(func(r *release.Result) { r.Chart, r.Applications = nil, []release.Packed{} }), 8},
	{"an application that is not listed", listed(func(r *release.Result) { r.Applications = []release.Packed{} }), 8},
	{"the library that is not listed", listed(func(r *release.Result) { r.Chart = nil }), 8},
	{"a chart that is not there", func(t *testing.T, _ *maker, _ *image.Index, dir string) {
		charts, err := filepath.Glob(filepath.Join(dir, "charts", "*.tgz"))
		require.NoError(t, err)
		require.NoError(t, os.Remove(charts[0]))
	}, 8},
	{"a layout without its version", func(t *testing.T, _ *maker, _ *image.Index, dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, "oci", "oci-layout")))
	}, 8},
	{"a layout outside", listed(func(r *release.Result) { r.Image.Layout = "../d/oci" }), 8},
	{"an archive outside", listed(func(r *release.Result) { r.Archive.Path = "../" + r.Archive.Path }), 8},
	{"a chart outside", listed(func(r *release.Result) { r.Chart.Path = "../" + r.Chart.Path }), 8},
	{"a name that leads outside", listed(func(r *release.Result) {
		r.Image.Name = "../x"
		r.Image.Reference = "registry.example/../x:" + r.Version
		r.Archive.Path = "../x-" + r.Version + ".oci.tar"
	}), 8},
	{"another reference", listed(func(r *release.Result) { r.Image.Reference = "registry.example/evil:" + r.Version }), 8},
	{"another version", listed(func(r *release.Result) { r.Version = "9.9.9" }), 8},
	{"a platform that is not listed", listed(func(r *release.Result) { r.Image.Platforms = r.Image.Platforms[:1] }), 8},
	{"a platform twice", listed(func(r *release.Result) { r.Image.Platforms = append(r.Image.Platforms, r.Image.Platforms[0]) }), 8},
	{"a document that is not listed", listed(func(r *release.Result) { r.Image.Referrers = r.Image.Referrers[1:] }), 8},
	{"a document twice", listed(func(r *release.Result) { r.Image.Referrers = append(r.Image.Referrers, r.Image.Referrers[0]) }), 8},
	{"another toolchain", listed(func(r *release.Result) { r.Toolchain = "go1.1" }), 8},
	{"a chart of the same name twice", listed(func(r *release.Result) { r.Applications = append(r.Applications, r.Applications[0]) }), 8},
	{"a list with more in it", func(t *testing.T, _ *maker, _ *image.Index, dir string) {
		replace(t, filepath.Join(dir, release.ResultFile), func(text []byte) []byte { return append(text, ' ') })
	}, 8},
	{"a list that is a named pipe", func(t *testing.T, _ *maker, _ *image.Index, dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, release.ResultFile)))
		require.NoError(t, syscall.Mkfifo(filepath.Join(dir, release.ResultFile), 0o600))
	}, 8},
	{"a list that is a device", func(t *testing.T, _ *maker, _ *image.Index, dir string) {
		require.NoError(t, os.Remove(filepath.Join(dir, release.ResultFile)))
		require.NoError(t, os.Symlink("/dev/zero", filepath.Join(dir, release.ResultFile)))
	}, 8},
	{"an archive that is a named pipe", func(t *testing.T, m *maker, _ *image.Index, dir string) {
		file := filepath.Join(dir, m.recipe.Name+"-"+m.recipe.Version+".oci.tar")
		require.NoError(t, os.Remove(file))
		require.NoError(t, syscall.Mkfifo(file, 0o600))
	}, 8},
}

func listed(change func(*release.Result)) func(*testing.T, *maker, *image.Index, string) {
	return func(t *testing.T, _ *maker, _ *image.Index, dir string) { relist(t, dir, change) }
}

func TestFolders(t *testing.T) {
	m := newMaker(t)
	for _, attack := range onFolders {
		t.Run(attack.name, func(t *testing.T) {
			x := m.release()
			dir := m.folder(t, x, m.charts(t, x))
			attack.change(t, m, x, dir)
			m.wants(t, attack.code, attack.code, "", dir)
		})
	}
	t.Logf("%d attacks on folders, each without and with a key", len(onFolders))
}

// These are attacks by somebody who can write to the registry, or may only push new content.
var onRegistries = []struct {
	name string
	by   string
	// change returns the reference, without its address; "" is that of the release.
	change       func(t *testing.T, m *maker, x *image.Index, s *server) string
	plain, keyed int
	says         string
}{
	{"an older image under this tag", "writer", func(_ *testing.T, m *maker, _ *image.Index, s *server) string {
		r := m.recipe
		r.Version = "0.0.9"
		s.push(m.image(r, m.key), "p/jobmesh-wrap:"+m.recipe.Version)
		return ""
	}, 8, 8, "is 0.0.9, and the tag"},
	{"this image under a newer tag", "writer", tagged("p/jobmesh-wrap:9.9.9"), 8, 8, "and the tag 9.9.9 was asked for"},
	{"this image under a newer tag, with a v", "writer", tagged("p/jobmesh-wrap:v9.9.9"), 8, 8, "was asked for"},
	{"this image under a newer tag of two parts", "writer", tagged("p/jobmesh-wrap:9.9"), 8, 8, "was asked for"},
	{"this image under another name", "writer", tagged("p/other:" + jobmesh.Version), 8, 8, `is "jobmesh-wrap", and "other" was asked for`},
	{"this image under its tag in a mirror", "nobody", tagged("mirror/of/p/jobmesh-wrap:latest"), 0, 0, ""},
	{"a newer tag before the digest", "writer", func(_ *testing.T, _ *maker, x *image.Index, _ *server) string {
		return "p/jobmesh-wrap:9.9.9@" + x.Blob.Descriptor.Digest.String()
	}, 8, 8, "was asked for"},
	{"the digest alone", "nobody", func(_ *testing.T, _ *maker, x *image.Index, _ *server) string {
		return "p/jobmesh-wrap@" + x.Blob.Descriptor.Digest.String()
	}, 0, 0, ""},
	{"another image of the key under this name", "writer", func(_ *testing.T, m *maker, _ *image.Index, s *server) string {
		r := m.recipe
		r.Name, r.Labels = "linkerd-await", nil
		s.push(m.image(r, m.key), "p/jobmesh-wrap:"+m.recipe.Version)
		return ""
	}, 8, 8, `is "linkerd-await"`},
	{"a layer with other bytes", "writer", altered(func(x *image.Index) image.Blob { return x.Children[0].Layer }, flip), 8, 8, "is damaged"},
	{"a layer with more bytes", "writer", altered(func(x *image.Index) image.Blob { return x.Children[0].Layer }, longer), 8, 8, ""},
	{"half a layer", "writer", altered(func(x *image.Index) image.Blob { return x.Children[0].Layer }, half), 8, 8, ""},
	{"a configuration with other bytes", "writer", altered(func(x *image.Index) image.Blob { return x.Children[0].Config }, flip), 8, 8, ""},
	{"a manifest with other bytes", "writer", altered(func(x *image.Index) image.Blob { return x.Children[0].Manifest }, flip), 8, 8, ""},
	{"a manifest with more bytes", "writer", altered(func(x *image.Index) image.Blob { return x.Children[0].Manifest }, longer), 8, 8, ""},
	{"a document with other bytes", "writer", altered(func(x *image.Index) image.Blob { return x.Attachments[0].Content }, flip), 8, 8, "is missing"},
	{"no layer", "writer", func(_ *testing.T, _ *maker, x *image.Index, s *server) string {
		delete(s.content, x.Children[0].Layer.Descriptor.Digest.String())
		return ""
	}, 8, 8, "is missing"},
	{"no list of referrers", "writer", func(_ *testing.T, _ *maker, _ *image.Index, s *server) string {
		clear(s.listed)
		return ""
	}, 8, 8, "is missing"},
	{"a layer without an end", "writer", endless("/blobs/"), 8, 8, ""},
	{"a manifest without an end", "writer", endless("/manifests/"), 8, 8, ""},
	{"a list without an end", "writer", endless("/referrers/"), 8, 8, ""},
	{"an error without an end", "writer", func(_ *testing.T, _ *maker, _ *image.Index, s *server) string {
		s.instead = func(w http.ResponseWriter, r *http.Request) bool {
			if strings.Contains(r.URL.Path, "/manifests/") {
				w.WriteHeader(http.StatusForbidden)
				stream(w)
				return true
			}
			return false
		}
		return ""
	}, 5, 5, ""},
	{"a list of empty values", "writer", func(_ *testing.T, _ *maker, _ *image.Index, s *server) string {
		s.instead = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, "/referrers/") {
				return false
			}
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			_, _ = io.WriteString(w, `{"schemaVersion":2,"manifests":[`+strings.Repeat("{},", 1_300_000)+"{}]}")
			return true
		}
		return ""
	}, 8, 8, ""},
	{"an index of two million empty values", "writer", func(_ *testing.T, m *maker, _ *image.Index, s *server) string {
		evil := image.NewBlob(types.OCIImageIndex, []byte(`{"schemaVersion":2,"manifests":[`+strings.Repeat("{},", 300_000)+"{}]}"))
		s.blob(evil)
		s.tags["p/jobmesh-wrap:"+m.recipe.Version] = evil.Descriptor.Digest.String()
		return ""
	}, 8, 8, ""},
	{"a tag of a text", "writer", func(_ *testing.T, m *maker, _ *image.Index, s *server) string {
		evil := image.NewBlob(types.OCIImageIndex, []byte("text"))
		s.blob(evil)
		s.tags["p/jobmesh-wrap:"+m.recipe.Version] = evil.Descriptor.Digest.String()
		return ""
	}, 8, 8, ""},
	{"pages of one referrer", "nobody", func(_ *testing.T, _ *maker, _ *image.Index, s *server) string {
		s.page = 1
		return ""
	}, 0, 0, ""},
	{"3,000 documents of other types", "stranger", hung(3000, "application/x-scan"), 0, 0, ""},
	{"3,000 documents of our types behind ours", "stranger", hung(3000, sbom.SPDX), 0, 0, ""},
	{"400 different documents of our types behind ours", "stranger", func(t *testing.T, _ *maker, x *image.Index, s *server) string {
		for n := range 400 {
			a, err := image.Attach(x.Blob.Descriptor, sbom.SPDX, fmt.Append(nil, n), nil)
			require.NoError(t, err)
			s.hang(a)
		}
		return ""
	}, 0, 0, ""},
	{"20,000 documents of our types before ours", "stranger", func(t *testing.T, m *maker, x *image.Index, s *server) string {
		digest := x.Blob.Descriptor.Digest.String()
		own := s.listed[digest]
		s.listed[digest] = nil
		for n := range 20_000 {
			s.listed[digest] = append(s.listed[digest], v1.Descriptor{MediaType: types.OCIManifestSchema1, Digest: image.NewBlob("", fmt.Append(nil, n)).Descriptor.Digest, Size: 9, ArtifactType: provenance.MediaType})
		}
		s.listed[digest] = append(s.listed[digest], own...)
		return ""
	}, 8, 8, "is missing"},
	{"a document whose manifest is not there", "stranger", broken(func(_ *server, d *v1.Descriptor) { d.Digest.Hex = strings.Repeat("c", 64) }), 0, 0, ""},
	{"a document whose content is not there", "stranger", broken(func(s *server, d *v1.Descriptor) {
		var manifest v1.Manifest
		_ = json.Unmarshal(s.content[d.Digest.String()], &manifest)
		delete(s.content, manifest.Layers[0].Digest.String())
	}), 0, 0, ""},
	{"a document with other bytes than its digest", "stranger", broken(func(s *server, d *v1.Descriptor) { s.content[d.Digest.String()] = []byte("{}") }), 0, 0, ""},
	{"a document of a terabyte", "stranger", broken(func(_ *server, d *v1.Descriptor) { d.Size = 1 << 40 }), 0, 0, ""},
	{"a document of another size", "stranger", broken(func(_ *server, d *v1.Descriptor) { d.Size++ }), 0, 0, ""},
	{"a document of less than nothing", "stranger", broken(func(_ *server, d *v1.Descriptor) { d.Size = -1 }), 0, 0, ""},
	{"a document that is an image", "stranger", func(_ *testing.T, _ *maker, x *image.Index, s *server) string {
		d := x.Children[0].Manifest.Descriptor
		d.ArtifactType = provenance.MediaType
		s.listed[x.Blob.Descriptor.Digest.String()] = append(s.listed[x.Blob.Descriptor.Digest.String()], d)
		return ""
	}, 0, 0, ""},
	{"documents of a stranger's key", "stranger", func(_ *testing.T, m *maker, x *image.Index, s *server) string {
		again := *x
		m.attest(&again, m.stranger)
		for _, a := range again.Attachments {
			s.hang(a)
		}
		return ""
	}, 0, 0, ""},
}

func tagged(as string) func(*testing.T, *maker, *image.Index, *server) string {
	return func(_ *testing.T, _ *maker, x *image.Index, s *server) string {
		s.tags[as] = x.Blob.Descriptor.Digest.String()
		return as
	}
}

func flip(b []byte) []byte   { b[len(b)/2] ^= 1; return b }
func longer(b []byte) []byte { return append(b, make([]byte, 1<<20)...) }
func half(b []byte) []byte   { return b[:len(b)/2] }

// altered puts other content under a digest.
func altered(which func(*image.Index) image.Blob, change func([]byte) []byte) func(*testing.T, *maker, *image.Index, *server) string {
	return func(_ *testing.T, _ *maker, x *image.Index, s *server) string {
		b := which(x)
		s.content[b.Descriptor.Digest.String()] = change(slices.Clone(b.Bytes))
		return ""
	}
}

// stream writes until nobody listens any more.
func stream(w http.ResponseWriter) {
	block := make([]byte, 1<<16)
	for range 1 << 16 {
		if _, err := w.Write(block); err != nil {
			return
		}
	}
}

// endless answers one kind of request without an end.
func endless(kind string) func(*testing.T, *maker, *image.Index, *server) string {
	return func(_ *testing.T, _ *maker, x *image.Index, s *server) string {
		s.instead = func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.Contains(r.URL.Path, kind) {
				return false
			}
			w.Header().Set("Content-Type", string(types.OCIImageIndex))
			stream(w)
			return true
		}
		return ""
	}
}

// hung attaches a number of equal documents to the index.
func hung(n int, kind types.MediaType) func(*testing.T, *maker, *image.Index, *server) string {
	return func(t *testing.T, _ *maker, x *image.Index, s *server) string {
		a, err := image.Attach(x.Blob.Descriptor, kind, []byte("{}"), nil)
		require.NoError(t, err)
		s.hang(a)
		digest := x.Blob.Descriptor.Digest.String()
		for range n - 1 {
			s.listed[digest] = append(s.listed[digest], a.Descriptor())
		}
		return ""
	}
}

// broken attaches a wrong document to the index, in front of the right ones.
func broken(change func(s *server, d *v1.Descriptor)) func(*testing.T, *maker, *image.Index, *server) string {
	return func(t *testing.T, _ *maker, x *image.Index, s *server) string {
		a, err := image.Attach(x.Blob.Descriptor, sbom.SPDX, []byte("{\"strange\": true}"), nil)
		require.NoError(t, err)
		s.hang(a)
		all := s.listed[x.Blob.Descriptor.Digest.String()]
		change(s, &all[len(all)-1])
		slices.Reverse(all)
		return ""
	}
}

func TestRegistries(t *testing.T) {
	m := newMaker(t)
	by := map[string]int{}
	for _, attack := range onRegistries {
		by[attack.by]++
		t.Run(attack.name, func(t *testing.T) {
			s, x := serve(t), m.release()
			s.push(x, "p/jobmesh-wrap:"+m.recipe.Version)
			reference := attack.change(t, m, x, s)
			if reference == "" {
				reference = "p/jobmesh-wrap:" + m.recipe.Version
			}
			m.wants(t, attack.plain, attack.keyed, attack.says, s.address+"/"+reference)
		})
	}
	t.Run("a mirror under another name", func(t *testing.T) {
		s, x := serve(t), m.release()
		s.push(x, "mirror/wrapper:"+m.recipe.Version)
		m.wants(t, 8, 8, "", s.address+"/mirror/wrapper:"+m.recipe.Version)
		m.wants(t, 0, 0, "", s.address+"/mirror/wrapper:"+m.recipe.Version, "--name", "jobmesh-wrap")
	})
	t.Log(fmt.Sprint(len(onRegistries), " attacks on registries, each without and with a key, by ", by))
}
