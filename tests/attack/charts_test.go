package attack

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	"github.com/klauspost/compress/gzip"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/attest"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
	"github.com/jobmesh/jobmesh/internal/publish"
	"github.com/jobmesh/jobmesh/internal/signature"
)

// A published is a chart in the form in which publish pushes it.
type published struct {
	config, archive, manifest image.Blob
	documents                 []image.Attachment
}

// publish makes what a registry has of a chart, from its archive; signed where there is a
// key.
func (m *maker) publish(t *testing.T, a chart.Archive, digest string, key *signature.Key) published {
	t.Helper()
	repo, err := name.NewRepository("registry.example/p/" + a.Metadata.Name)
	require.NoError(t, err)
	artifact, err := publish.Chart(repo, a.Metadata, a.Bytes, m.recipe.Created)
	require.NoError(t, err)
	p := published{config: artifact.Blobs[0], archive: artifact.Blobs[1], manifest: artifact.Top()}
	m.vouch(t, &p, a.Metadata.Name, digest, key)
	return p
}

// vouch writes the documents about a chart.
func (m *maker) vouch(t *testing.T, p *published, name, digest string, key *signature.Key) {
	t.Helper()
	made, err := attest.Chart{
		Name: name, Version: m.recipe.Version, Manifest: p.manifest.Descriptor, Archive: p.archive.Descriptor.Digest,
		Image: "registry.example/p/jobmesh-wrap", Digest: digest, Created: m.recipe.Created,
	}.Provenance()
	require.NoError(t, err)
	p.documents = []image.Attachment{made}
	if key == nil {
		return
	}
	signed, err := attest.Sign(key, []v1.Descriptor{p.manifest.Descriptor}, p.documents)
	require.NoError(t, err)
	p.documents = append(p.documents, signed...)
}

// reseal describes a chart again, without a key.
func (m *maker) reseal(t *testing.T, p *published, change func(*v1.Manifest)) {
	t.Helper()
	var manifest v1.Manifest
	m.decode(p.manifest, &manifest)
	manifest.Config, manifest.Layers = p.config.Descriptor, []v1.Descriptor{p.archive.Descriptor}
	change(&manifest)
	p.manifest = m.encode(types.OCIManifestSchema1, manifest)
	pin, err := chart.PinnedDigest(p.archive.Bytes)
	if err != nil || !strings.HasPrefix(pin, "sha256:") {
		pin = "sha256:" + strings.Repeat("0", 64)
	}
	m.vouch(t, p, "jobmesh", pin, nil)
}

// packed writes an archive of files.
func packed(t *testing.T, files ...entry) image.Blob {
	t.Helper()
	var out bytes.Buffer
	z := gzip.NewWriter(&out)
	w := tar.NewWriter(z)
	for _, f := range files {
		require.NoError(t, w.WriteHeader(&f.Header))
		_, err := w.Write(f.content)
		require.NoError(t, err)
	}
	require.NoError(t, w.Close())
	require.NoError(t, z.Close())
	return image.NewBlob(chart.ArchiveType, out.Bytes())
}

var chartYAML = "apiVersion: v2\nname: jobmesh\nversion: " + jobmesh.Version + "\ntype: library\n"

func pinned(t *testing.T, more ...entry) image.Blob {
	t.Helper()
	return packed(t, append([]entry{
		plain("jobmesh/Chart.yaml", []byte(chartYAML)),
		plain("jobmesh/values.yaml", []byte("image:\n  digest: sha256:"+strings.Repeat("0", 64)+"\n")),
	}, more...)...)
}

// These are attacks on the library chart in a registry. Each describes the chart again, so that
// it is consistent.
var onCharts = []struct {
	name         string
	change       func(t *testing.T, m *maker, p *published)
	tag          string
	plain, keyed int
	says         string
}{
	{"as released", func(*testing.T, *maker, *published) {}, "", 0, 0, ""},
	{"under a newer tag", func(*testing.T, *maker, *published) {}, "p/jobmesh:9.9.9", 8, 8, "was asked for"},
	{"under the name of the image", func(*testing.T, *maker, *published) {}, "p/jobmesh-wrap:" + jobmesh.Version, 8, 8, `is "jobmesh", and "jobmesh-wrap" was asked for`},
	{"under another tag", func(*testing.T, *maker, *published) {}, "p/jobmesh:latest", 0, 0, ""},
	{"not signed", func(t *testing.T, m *maker, p *published) { m.reseal(t, p, func(*v1.Manifest) {}) }, "", 0, 8, "signature is missing"},
	{"no documents", func(_ *testing.T, _ *maker, p *published) { p.documents = nil }, "", 8, 8, "provenance is missing"},
	{"no provenance but the signature", func(_ *testing.T, _ *maker, p *published) {
		p.documents = slices.DeleteFunc(p.documents, func(a image.Attachment) bool { return a.Type == provenance.MediaType })
	}, "", 8, 8, "provenance is missing"},
	{"another chart that says nothing new", archived(func(t *testing.T) image.Blob { return pinned(t) }), "", 0, 8, "signature is missing"},
	{"values twice", archived(func(t *testing.T) image.Blob {
		return pinned(t, plain("jobmesh/values.yaml", []byte("image: {digest: sha256:"+strings.Repeat("1", 64)+"}\n")))
	}), "", 8, 8, "twice"},
	{"values in a second folder", archived(func(t *testing.T) image.Blob {
		return pinned(t, plain("other/values.yaml", []byte("image: {}\n")))
	}), "", 8, 8, "not the plain path"},
	{"a path out of it", archived(func(t *testing.T) image.Blob { return pinned(t, plain("jobmesh/../../x", nil)) }), "", 8, 8, "not the plain path"},
	{"a link", archived(func(t *testing.T) image.Blob {
		return pinned(t, entry{Header: tar.Header{Name: "jobmesh/x", Linkname: "/etc/passwd", Typeflag: tar.TypeSymlink}})
	}), "", 8, 8, "not a regular file"},
	{"a bomb", archived(func(t *testing.T) image.Blob { return pinned(t, plain("jobmesh/x", make([]byte, 32<<20))) }), "", 8, 8, "unpacks to more than"},
	{"a bomb in a chart that it carries", archived(func(t *testing.T) image.Blob {
		return pinned(t, plain("jobmesh/charts/x.tgz", packed(t, plain("x/x", make([]byte, 32<<20))).Bytes))
	}), "", 8, 8, "unpacks to more than"},
	{"a chart in a chart in it", archived(func(t *testing.T) image.Blob {
		inner := pinned(t, plain("jobmesh/charts/x.tgz", pinned(t).Bytes))
		return pinned(t, plain("jobmesh/charts/y.tgz", inner.Bytes))
	}), "", 8, 8, "contains another chart"},
	{"a pin that is no digest", archived(func(t *testing.T) image.Blob {
		return packed(t, plain("jobmesh/Chart.yaml", []byte(chartYAML)), plain("jobmesh/values.yaml", []byte("image: {digest: latest}\n")))
	}), "", 8, 8, "which is no digest"},
	{"another version in the archive", archived(func(t *testing.T) image.Blob {
		return packed(t, plain("jobmesh/Chart.yaml", []byte(strings.Replace(chartYAML, jobmesh.Version, "0.0.9", 1))))
	}), "", 8, 8, "is not jobmesh " + jobmesh.Version},
	{"no archive", archived(func(*testing.T) image.Blob { return image.NewBlob(chart.ArchiveType, []byte("text")) }), "", 8, 8, "is not a packed chart"},
	{"an archive of 5 MB", archived(func(*testing.T) image.Blob { return image.NewBlob(chart.ArchiveType, make([]byte, 5<<20)) }), "", 8, 8, "are allowed"},
	{"another version in what is shown", func(t *testing.T, m *maker, p *published) {
		p.config = image.NewBlob(chart.ConfigType, []byte(`{"name":"jobmesh","version":"9.9.9"}`))
		m.reseal(t, p, func(*v1.Manifest) {})
	}, "", 8, 8, "is shown as jobmesh 9.9.9"},
	{"two archives", func(t *testing.T, m *maker, p *published) {
		m.reseal(t, p, func(manifest *v1.Manifest) { manifest.Layers = append(manifest.Layers, manifest.Layers[0]) })
	}, "", 8, 8, "does not have one archive alone"},
	{"another name", func(t *testing.T, m *maker, p *published) {
		m.reseal(t, p, func(manifest *v1.Manifest) { manifest.Annotations["org.opencontainers.image.title"] = "other" })
	}, "", 8, 8, "was asked for"},
	{"no name and no version", func(t *testing.T, m *maker, p *published) {
		m.reseal(t, p, func(manifest *v1.Manifest) { manifest.Annotations = nil })
	}, "", 8, 8, "is missing"},
}

// archived puts another archive into the chart.
func archived(archive func(*testing.T) image.Blob) func(*testing.T, *maker, *published) {
	return func(t *testing.T, m *maker, p *published) {
		p.archive = archive(t)
		m.reseal(t, p, func(*v1.Manifest) {})
	}
}

func TestCharts(t *testing.T) {
	m := newMaker(t)
	m.recipe.Version = jobmesh.Version
	x := m.release()
	library := m.charts(t, x)[0]
	require.Equal(t, jobmesh.Version, library.Metadata.Version, "the attacks name this version")
	for _, attack := range onCharts {
		t.Run(attack.name, func(t *testing.T) {
			p := m.publish(t, library, x.Blob.Descriptor.Digest.String(), m.key)
			attack.change(t, m, &p)
			s := serve(t)
			for _, b := range []image.Blob{p.config, p.archive, p.manifest} {
				s.blob(b)
			}
			for _, a := range p.documents {
				s.hang(a)
			}
			tag := attack.tag
			if tag == "" {
				tag = "p/jobmesh:" + jobmesh.Version
			}
			s.tags[tag] = p.manifest.Descriptor.Digest.String()
			m.wants(t, attack.plain, attack.keyed, attack.says, s.address+"/"+tag)
		})
	}
	text, err := json.Marshal(map[string]int{"attacks": len(onCharts)})
	require.NoError(t, err)
	t.Logf("charts in a registry, each without and with a key: %s", text)
}
