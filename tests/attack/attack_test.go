package attack

import (
	"archive/tar"
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/cli"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/sbom"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// said is the result of one run of verify.
type said struct {
	code        int
	out, errors string
}

// verify runs the command line as a user does.
func verify(t *testing.T, arguments ...string) said {
	t.Helper()
	var out, errs bytes.Buffer
	code := cli.Run(context.Background(), append([]string{"verify"}, arguments...), jobmesh.Version, cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs})
	assert.NotContains(t, errs.String(), "goroutine ", "a trace")
	return said{code, out.String(), errs.String()}
}

// wants runs verify without and with the key.
func (m *maker) wants(t *testing.T, plain, keyed int, says string, arguments ...string) {
	t.Helper()
	for _, run := range []struct {
		code      int
		arguments []string
	}{{plain, arguments}, {keyed, append(slices.Clone(arguments), "--key", m.public)}} {
		got := verify(t, run.arguments...)
		assert.Equal(t, run.code, got.code, "%v\n%s%s", run.arguments, got.out, got.errors)
		if run.code != 0 {
			assert.Contains(t, got.out+got.errors, says, "%v", run.arguments)
			says = "" // the key alone may say enough
		}
	}
}

// reference returns the name and tag of the release.
func (m *maker) reference() image.Reference {
	return image.Reference{Repository: "registry.example/p/" + m.recipe.Name, Tag: m.recipe.Version}
}

// charts packs the charts of a release.
func (m *maker) charts(t *testing.T, x *image.Index) []chart.Archive {
	t.Helper()
	library, err := chart.Pack("../../library-chart", chart.Pin{Digest: x.Blob.Descriptor.Digest.String()}, m.recipe.Created)
	require.NoError(t, err)
	all := []chart.Archive{library}
	folders, err := filepath.Glob("../../charts/*/Chart.yaml")
	require.NoError(t, err)
	for _, folder := range folders {
		packed, err := chart.PackApplication(filepath.Dir(folder), chart.Library{Archive: library, Repository: "oci://registry.example/p"}, m.recipe.Created)
		require.NoError(t, err)
		all = append(all, packed)
	}
	return all
}

// folder writes a release as build does.
func (m *maker) folder(t *testing.T, x *image.Index, charts []chart.Archive) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, release.Folder(dir).Prepare())
	r := release.Release{Index: x, Reference: m.reference(), Toolchain: toolchainOf(x)}
	if len(charts) > 0 {
		r.Chart, r.Applications = &charts[0], charts[1:]
	}
	_, _, err := release.Folder(dir).Write(r)
	require.NoError(t, err)
	return dir
}

// targets are the places where an image may be.
var targets = []struct {
	name string
	put  func(t *testing.T, m *maker, x *image.Index) string
}{
	{"folder", func(t *testing.T, m *maker, x *image.Index) string { return m.folder(t, x, m.charts(t, x)) }},
	{"layout", func(t *testing.T, m *maker, x *image.Index) string {
		dir := filepath.Join(t.TempDir(), "oci")
		_, err := x.WriteLayout(dir, m.reference())
		require.NoError(t, err)
		return dir
	}},
	{"archive", func(t *testing.T, m *maker, x *image.Index) string {
		text, err := x.Archive(m.reference())
		require.NoError(t, err)
		file := filepath.Join(t.TempDir(), "image.oci.tar")
		require.NoError(t, os.WriteFile(file, text, 0o600))
		return file
	}},
	{"registry", func(t *testing.T, m *maker, x *image.Index) string {
		s := serve(t)
		s.push(x, "p/"+m.recipe.Name+":"+m.recipe.Version)
		return s.address + "/p/" + m.recipe.Name + ":" + m.recipe.Version
	}},
}

// Forgeries are consistent images: the attacker has described the image again, from the layer
// to the provenance. plain and keyed are the exit codes without and with the key.
var forgeries = []struct {
	name         string
	change       func(m *maker, x *image.Index)
	plain, keyed int
	says         string
}{
	{"as released", func(*maker, *image.Index) {}, 0, 0, ""},
	{"another program", func(m *maker, x *image.Index) {
		m.layer(x, func(program []byte) []entry {
			x.Children[0].Program = append(slices.Clone(program), "evil"...)
			return []entry{regular("jobmesh-wrap", x.Children[0].Program)}
		})
		m.seal(x)
	}, 0, 8, "not signed"},
	{"a second entry of the program's name", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), regular("jobmesh-wrap", []byte("evil"))}
	}), 8, 8, ""},
	{"a second entry before it", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", []byte("evil")), regular("jobmesh-wrap", p)}
	}), 8, 8, ""},
	{"a second spelling of its name", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), regular("./jobmesh-wrap", []byte("evil"))}
	}), 8, 8, ""},
	{"a link of the program's name", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), {Header: tar.Header{Name: "jobmesh-wrap", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink, Mode: 0o555}}}
	}), 8, 8, ""},
	{"a hard link to it", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), {Header: tar.Header{Name: "sh", Linkname: "jobmesh-wrap", Typeflag: tar.TypeLink, Mode: 0o555}}}
	}), 8, 8, ""},
	{"another file", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), regular("passwd", []byte("root::0:0"))}
	}), 8, 8, ""},
	{"another file in a folder", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), {Header: tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}}, regular("etc/passwd", nil)}
	}), 8, 8, ""},
	{"an empty folder", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), {Header: tar.Header{Name: "etc/", Typeflag: tar.TypeDir, Mode: 0o755}}}
	}), 8, 8, ""},
	{"a device", layered(func(p []byte) []entry {
		return []entry{regular("jobmesh-wrap", p), {Header: tar.Header{Name: "mem", Typeflag: tar.TypeChar, Mode: 0o555, Devmajor: 1, Devminor: 1}}}
	}), 8, 8, ""},
	{"a program that is setuid", layered(func(p []byte) []entry {
		e := regular("jobmesh-wrap", p)
		e.Mode = 0o4555
		return []entry{e}
	}), 8, 8, "has mode 04555"},
	{"a program that anybody may change", layered(func(p []byte) []entry {
		e := regular("jobmesh-wrap", p)
		e.Mode = 0o777
		return []entry{e}
	}), 8, 8, "has mode 0777"},
	{"a program with capabilities", layered(func(p []byte) []entry {
		e := regular("jobmesh-wrap", p)
		e.PAXRecords = map[string]string{"SCHILY.xattr.security.capability": "\x01\x00\x00\x02"}
		return []entry{e}
	}), 8, 8, "has attributes"},
	{"the program under another name", layered(func(p []byte) []entry { return []entry{regular("wrap", p)} }), 8, 8, ""},
	{"no file", layered(func([]byte) []entry { return nil }), 8, 8, ""},
	{"a program of another platform", func(m *maker, x *image.Index) {
		x.Children[0].Program = x.Children[1].Program
		m.layer(x, func([]byte) []entry { return []entry{regular("jobmesh-wrap", x.Children[1].Program)} })
		m.seal(x)
	}, 8, 8, ""},
	{"a script as the program", func(m *maker, x *image.Index) {
		x.Children[0].Program = []byte("#!/bin/sh\n")
		m.layer(x, func([]byte) []entry { return []entry{regular("jobmesh-wrap", []byte("#!/bin/sh\n"))} })
		m.seal(x)
	}, 8, 8, ""},
	{"a second archive in the layer", func(m *maker, x *image.Index) {
		content, err := image.Unpack(x.Children[0].Layer.Descriptor.MediaType, x.Children[0].Layer.Bytes)
		require.NoError(m.t, err)
		m.rawLayer(x, append(content, content...))
		m.seal(x)
	}, 8, 8, ""},
	{"a layer that unpacks to a hundred megabytes", func(m *maker, x *image.Index) {
		m.rawLayer(x, make([]byte, 100<<20))
		m.seal(x)
	}, 8, 8, ""},
	{"a layer that is text", func(m *maker, x *image.Index) { m.rawLayer(x, []byte("text")); m.seal(x) }, 8, 8, ""},
	{"a layer that is not packed", func(m *maker, x *image.Index) {
		x.Children[0].Layer = image.NewBlob(types.OCILayer, []byte("text"))
		m.seal(x)
	}, 8, 8, ""},
	{"a layer of another type", func(m *maker, x *image.Index) {
		x.Children[0].Layer.Descriptor.MediaType = types.OCIRestrictedLayer
		m.seal(x)
	}, 8, 8, ""},
	{"another diff ID", configured(func(c *v1.ConfigFile) { c.RootFS.DiffIDs[0].Hex = strings.Repeat("a", 64) }), 8, 8, ""},
	{"two diff IDs", configured(func(c *v1.ConfigFile) { c.RootFS.DiffIDs = append(c.RootFS.DiffIDs, c.RootFS.DiffIDs[0]) }), 8, 8, ""},
	{"a variable", configured(func(c *v1.ConfigFile) { c.Config.Env = []string{"JOBMESH_STOP_WHEN=never"} }), 8, 8, ""},
	{"a volume", configured(func(c *v1.ConfigFile) { c.Config.Volumes = map[string]struct{}{"/": {}} }), 8, 8, ""},
	{"the user root", configured(func(c *v1.ConfigFile) { c.Config.User = "0" }), 8, 8, ""},
	{"another user", configured(func(c *v1.ConfigFile) { c.Config.User = "1000:0" }), 8, 8, ""},
	{"an argument", configured(func(c *v1.ConfigFile) { c.Config.Cmd = []string{"--stop-when=never"} }), 8, 8, ""},
	{"an entrypoint with an argument", configured(func(c *v1.ConfigFile) { c.Config.Entrypoint = append(c.Config.Entrypoint, "--quiet") }), 8, 8, ""},
	{"no entrypoint", configured(func(c *v1.ConfigFile) { c.Config.Entrypoint = nil }), 8, 8, ""},
	{"a label", configured(func(c *v1.ConfigFile) { c.Config.Labels["a"] = "b" }), 8, 8, ""},
	{"another architecture", configured(func(c *v1.ConfigFile) { c.Architecture = "s390x" }), 8, 8, ""},
	{"two layers", func(m *maker, x *image.Index) {
		m.seal(x)
		m.manifest(x, 0, func(manifest *v1.Manifest) { manifest.Layers = append(manifest.Layers, manifest.Layers[0]) })
		m.index(x, func(*v1.IndexManifest) {})
		m.attest(x, nil)
	}, 8, 8, ""},
	{"a platform that is an index", func(m *maker, x *image.Index) {
		x.Children[0].Manifest = image.NewBlob(types.OCIImageIndex, x.Blob.Bytes)
		m.index(x, func(i *v1.IndexManifest) { i.Manifests[0].MediaType = types.OCIImageIndex })
		m.attest(x, nil)
	}, 8, 8, ""},
	{"a platform of no name", indexed(func(i *v1.IndexManifest) { i.Manifests[0].Platform = nil }), 8, 8, ""},
	{"a platform twice", indexed(func(i *v1.IndexManifest) { i.Manifests = append(i.Manifests, i.Manifests[0]) }), 8, 8, ""},
	{"platforms that are swapped", indexed(func(i *v1.IndexManifest) {
		i.Manifests[0].Platform, i.Manifests[1].Platform = i.Manifests[1].Platform, i.Manifests[0].Platform
	}), 8, 8, ""},
	{"no platform", indexed(func(i *v1.IndexManifest) { i.Manifests = nil }), 8, 8, ""},
	{"40 platforms", indexed(func(i *v1.IndexManifest) {
		for n := range 38 {
			d := i.Manifests[0]
			d.Platform = &v1.Platform{OS: "linux", Architecture: fmt.Sprint("a", n)}
			i.Manifests = append(i.Manifests, d)
		}
	}), 8, 8, ""},
	{"a platform that is not there", indexed(func(i *v1.IndexManifest) {
		d := i.Manifests[0]
		d.Digest.Hex, d.Platform = strings.Repeat("b", 64), &v1.Platform{OS: "linux", Architecture: "s390x"}
		i.Manifests = append(i.Manifests, d)
	}), 8, 8, ""},
	{"a platform of a terabyte", indexed(func(i *v1.IndexManifest) { i.Manifests[0].Size = 1 << 40 }), 8, 8, ""},
	{"a platform of less than nothing", indexed(func(i *v1.IndexManifest) { i.Manifests[0].Size = -1 }), 8, 8, ""},
	{"a platform of another size", indexed(func(i *v1.IndexManifest) { i.Manifests[0].Size++ }), 8, 8, ""},
	{"another name", indexed(func(i *v1.IndexManifest) { i.Annotations["org.opencontainers.image.title"] = "other" }), 8, 8, ""},
	{"another version", indexed(func(i *v1.IndexManifest) { i.Annotations["org.opencontainers.image.version"] = "9.9.9" }), 8, 8, ""},
	{"no name", indexed(func(i *v1.IndexManifest) { delete(i.Annotations, "org.opencontainers.image.title") }), 8, 8, ""},
	{"a million values in the index", indexed(func(i *v1.IndexManifest) {
		for n := range 70000 {
			i.Annotations[fmt.Sprint("a", n)] = ""
		}
	}), 8, 8, ""},

	{"no SPDX", without(sbom.SPDX), 8, 8, "SPDX is missing"},
	{"no CycloneDX", without(sbom.CycloneDX), 8, 8, "CycloneDX is missing"},
	{"no provenance", without(provenance.MediaType), 8, 8, "provenance is missing"},
	{"no signature", without(signature.MediaType), 0, 8, "signature is missing"},
	{"no signature of a platform", func(m *maker, x *image.Index) {
		x.Attachments = slices.DeleteFunc(x.Attachments, func(a image.Attachment) bool {
			return string(a.Type) == signature.MediaType && a.Subject == x.Children[1].Manifest.Descriptor.Digest
		})
	}, 0, 8, "linux/arm64: signature is missing"},
	{"signed by somebody else", func(m *maker, x *image.Index) { m.attest(x, m.stranger) }, 0, 8, "was signed with another key"},
	{"signatures of another image of the key", func(m *maker, x *image.Index) {
		r := m.recipe
		r.Version = "0.0.9"
		old := m.image(r, m.key)
		without(signature.MediaType)(m, x)
		for _, a := range old.Attachments {
			if string(a.Type) == signature.MediaType && a.Subject == old.Blob.Descriptor.Digest {
				again, err := image.Attach(x.Blob.Descriptor, a.Type, a.Content.Bytes, a.Annotations)
				require.NoError(m.t, err)
				x.Attachments = append(x.Attachments, again)
			}
		}
	}, 0, 8, "signature is of sha256:"},
	{"documents of another image", func(m *maker, x *image.Index) {
		other := m.image(m.recipe, nil)
		m.layer(other, func(p []byte) []entry { return []entry{regular("jobmesh-wrap", append(slices.Clone(p), 'x'))} })
		m.seal(other)
		x.Attachments = nil
		for _, a := range other.Attachments {
			if a.Subject == other.Blob.Descriptor.Digest {
				again, err := image.Attach(x.Blob.Descriptor, a.Type, a.Content.Bytes, a.Annotations)
				require.NoError(m.t, err)
				x.Attachments = append(x.Attachments, again)
			}
		}
	}, 8, 8, "is about sha256:"},
	{"documents that are no JSON", func(m *maker, x *image.Index) {
		for i, a := range x.Attachments {
			again, err := image.Attach(v1.Descriptor{MediaType: types.OCIImageIndex, Digest: a.Subject}, a.Type, []byte("{"), nil)
			require.NoError(m.t, err)
			x.Attachments[i] = again
		}
		x.Attachments = slices.CompactFunc(x.Attachments, func(a, b image.Attachment) bool {
			return a.Manifest.Descriptor.Digest == b.Manifest.Descriptor.Digest
		})
	}, 8, 8, ""},
}

// layered replaces the layer of the first platform.
func layered(entries func(program []byte) []entry) func(*maker, *image.Index) {
	return func(m *maker, x *image.Index) { m.layer(x, entries); m.seal(x) }
}

// configured changes the configuration of the first platform.
func configured(change func(*v1.ConfigFile)) func(*maker, *image.Index) {
	return func(m *maker, x *image.Index) { m.config(x, 0, change); m.seal(x) }
}

// indexed changes the index.
func indexed(change func(*v1.IndexManifest)) func(*maker, *image.Index) {
	return func(m *maker, x *image.Index) { m.index(x, change); m.attest(x, nil) }
}

// without removes the documents of one type.
func without(kind string) func(*maker, *image.Index) {
	return func(_ *maker, x *image.Index) {
		x.Attachments = slices.DeleteFunc(x.Attachments, func(a image.Attachment) bool { return string(a.Type) == kind })
	}
}

func TestForgeries(t *testing.T) {
	m := newMaker(t)
	for _, target := range targets {
		for _, f := range forgeries {
			t.Run(target.name+"/"+f.name, func(t *testing.T) {
				x := m.release()
				f.change(m, x)
				m.wants(t, f.plain, f.keyed, f.says, target.put(t, m, x))
			})
		}
	}
	t.Logf("%d forgeries in %d targets, each without and with a key", len(forgeries), len(targets))
}
