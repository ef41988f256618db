package chart

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
)

var (
	modified = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	digest   = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
)

const values = `# top
image:
  # where from
  registry: ghcr.io
  repository: jobmesh/jobmesh-wrap # the wrapper
  tag: ""
  # pinned
  digest: ""

other:
  digest: ""
`

const listed = `annotations:
  artifacthub.io/images: |
    - name: w
      image: not.pinned/yet
`

func writeChart(t *testing.T, values string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "any-name")
	for name, text := range map[string]string{
		"Chart.yaml":         "apiVersion: v2\nname: sample\nversion: 1.2.3\ntype: library\n" + listed,
		"values.yaml":        values,
		"templates/_a.tpl":   `{{- define "a" }}{{ end }}`,
		"templates/_b.tpl":   `{{- define "b" }}{{ end }}`,
		".helmignore":        "*.tmp\n",
		"scratch.tmp":        "not for users",
		"templates/notes.md": "kept",
	} {
		path := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
		require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	}
	return dir
}

func files(t *testing.T, archive []byte) map[string]string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	r := tar.NewReader(unpacked)
	found := map[string]string{}
	for {
		h, err := r.Next()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		assert.Equal(t, int64(0o644), h.Mode, h.Name)
		assert.True(t, h.ModTime.Equal(modified), h.Name)
		text, err := io.ReadAll(r)
		require.NoError(t, err)
		found[h.Name] = string(text)
	}
}

func TestPackPinsAndKeepsTheRest(t *testing.T) {
	a, err := Pack(writeChart(t, values), Pin{Digest: digest}, modified)
	require.NoError(t, err)
	assert.Equal(t, "sample-1.2.3.tgz", a.FileName())
	found := files(t, a.Bytes)
	assert.NotContains(t, found, "sample/scratch.tmp")
	assert.Contains(t, found, "sample/templates/_a.tpl")
	assert.Equal(t, `# top
image:
  # where from
  registry: ghcr.io
  repository: jobmesh/jobmesh-wrap # the wrapper
  tag: ""
  # pinned
  digest: "`+digest+`"

other:
  digest: ""
`, found["sample/values.yaml"])

	a, err = Pack(writeChart(t, values), Pin{Digest: digest, Registry: "127.0.0.1:5000", Repository: "team/w"}, modified)
	require.NoError(t, err)
	text := files(t, a.Bytes)["sample/values.yaml"]
	assert.Contains(t, text, "  registry: \"127.0.0.1:5000\"\n")
	assert.Contains(t, text, "  repository: \"team/w\"\n")
}

// TestPackListsTheImage: the packed chart lists the image that it uses for Artifact Hub.
func TestPackListsTheImage(t *testing.T) {
	a, err := Pack(writeChart(t, values), Pin{Digest: digest}, modified)
	require.NoError(t, err)
	want := "- name: w\n  image: ghcr.io/jobmesh/jobmesh-wrap@" + digest + "\n"
	assert.Equal(t, want, a.Metadata.Annotations["artifacthub.io/images"])
	a, err = Repack(a.Bytes, Pin{Digest: digest, Registry: "127.0.0.1:5000", Repository: "team/w"})
	require.NoError(t, err)
	want = "- name: w\n  image: 127.0.0.1:5000/team/w@" + digest + "\n"
	assert.Equal(t, want, a.Metadata.Annotations["artifacthub.io/images"])

	application, err := PackApplication(writeApplication(t, applicationChart+listed), Library{Archive: a}, modified)
	require.NoError(t, err)
	assert.Equal(t, want, application.Metadata.Annotations["artifacthub.io/images"])
}

func TestPackIsTheSameAnywhereAndAnytime(t *testing.T) {
	first, err := Pack(writeChart(t, values), Pin{Digest: digest}, modified)
	require.NoError(t, err)
	dir := writeChart(t, values)
	require.NoError(t, os.Chtimes(filepath.Join(dir, "values.yaml"), time.Unix(1, 0), time.Unix(1, 0)))
	require.NoError(t, os.Chmod(filepath.Join(dir, "values.yaml"), 0o644))
	second, err := Pack(dir, Pin{Digest: digest}, modified)
	require.NoError(t, err)
	assert.Equal(t, first.Bytes, second.Bytes)
}

func TestPackThatCannotPin(t *testing.T) {
	for text, want := range map[string]string{
		"other:\n  digest: \"\"\n":             "values.yaml has no line for image.digest",
		"image: {digest: \"\"}\n":              "values.yaml has no line for image.digest",
		"image:\n  digest: &d \"\"\n  x: *d\n": "does not load",
	} {
		_, err := Pack(writeChart(t, text), Pin{Digest: digest}, modified)
		require.ErrorContains(t, err, want)
		assert.Equal(t, fault.Build, fault.Code(err))
	}
	_, err := Pack(t.TempDir(), Pin{Digest: digest}, modified)
	assert.ErrorContains(t, err, "Chart.yaml file is missing")
}
