package upstream

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

func recipe() image.Recipe {
	return image.Recipe{
		Name: "tool", Path: "/jobmesh-wrap", Platforms: []string{"linux/amd64", "linux/arm64"},
		Download: &image.Download{
			Name: "tool", Path: "/tool", Tag: "release/v1", Version: "v1", Template: "https://example.com/{tag}/{arch}",
			Hosts: []string{"example.com"}, License: "MIT", Source: "https://example.com", MaxSize: 1000,
		},
	}
}

func lockOf(r image.Recipe) Lock {
	l := Lock{Recipe: stamp(r), Tag: r.Download.Tag, Version: r.Download.Version}
	for _, p := range r.Platforms {
		url, _ := r.Download.URL(p)
		l.Files = append(l.Files, Locked{Platform: p, URL: url, Size: 5, SHA256: strings.Repeat("0", 64)})
	}
	return l
}

func TestLoad(t *testing.T) {
	sources := t.TempDir()
	require.NoError(t, os.MkdirAll(filepath.Join(sources, "images", "tool"), 0o755))
	_, err := Load(sources, recipe())
	require.EqualError(t, err, "image tool: tool is not pinned: there is no images/tool/image.lock")
	assert.Equal(t, fault.Input, fault.Code(err))
	assert.Equal(t, []string{"jobmesh lock tool writes it, and needs to reach upstream"}, fault.Hints(err))

	changed, err := lockOf(recipe()).Write(sources, "tool")
	require.NoError(t, err)
	assert.True(t, changed)
	changed, err = lockOf(recipe()).Write(sources, "tool")
	require.NoError(t, err)
	assert.False(t, changed)
	l, err := Load(sources, recipe())
	require.NoError(t, err)
	assert.Equal(t, lockOf(recipe()), l)
	text, err := os.ReadFile(Path(sources, "tool"))
	require.NoError(t, err)
	assert.Contains(t, string(text), "https://example.com/release%2Fv1/amd64", "case 27")
	assert.Contains(t, string(text), "\ntag: release/v1\n", "as upstream names it")

	// These are mistakes that an edit by hand may make.
	for name, c := range map[string]struct {
		edit func(*Lock)
		want string
	}{
		"no hash":              {func(l *Lock) { l.Files[0].SHA256 = "" }, "linux/amd64: sha256 or size is not valid"},
		"a hash that is none":  {func(l *Lock) { l.Files[1].SHA256 = strings.Repeat("G", 64) }, "linux/arm64: sha256 or size is not valid"},
		"a size that is none":  {func(l *Lock) { l.Files[0].Size = 0 }, "linux/amd64: sha256 or size is not valid"},
		"larger than allowed":  {func(l *Lock) { l.Files[0].Size = 1001 }, "linux/amd64: sha256 or size is not valid"},
		"another URL":          {func(l *Lock) { l.Files[0].URL = "https://elsewhere/" }, "linux/amd64: url is https://elsewhere/, and image.yaml says https://example.com/release%2Fv1/amd64"},
		"a platform too few":   {func(l *Lock) { l.Files = l.Files[:1] }, "is for linux/amd64, and image.yaml for linux/amd64, linux/arm64"},
		"a platform twice":     {func(l *Lock) { l.Files[1] = l.Files[0] }, "is for linux/amd64, linux/amd64, and image.yaml"},
		"missing, not allowed": {func(l *Lock) { l.Files, l.Missing = l.Files[:1], []string{"linux/arm64"} }, "linux/arm64 is missing, and image.yaml does not allow that"},
		"of another recipe":    {func(l *Lock) { l.Recipe = "sha256:" }, "images/tool/image.lock is stale: image.yaml has changed since it was written"},
	} {
		t.Run(name, func(t *testing.T) {
			l := lockOf(recipe())
			c.edit(&l)
			_, err := l.Write(sources, "tool")
			require.NoError(t, err)
			_, err = Load(sources, recipe())
			require.ErrorContains(t, err, c.want)
			assert.Equal(t, fault.Input, fault.Code(err))
		})
	}
	require.NoError(t, os.WriteFile(Path(sources, "tool"), []byte("file: []\n"), 0o600))
	_, err = Load(sources, recipe())
	require.ErrorContains(t, err, `images/tool/image.lock: error unmarshaling JSON`)
	assert.Equal(t, fault.Input, fault.Code(err))
}

// Every part of the recipe that affects the download makes a lock stale, and no other part
// does.
func TestStamp(t *testing.T) {
	want := stamp(recipe())
	r := recipe()
	r.Labels, r.User, r.Version = map[string]string{"a": "b"}, "1:1", "9.9.9"
	assert.Equal(t, want, stamp(r))
	for _, edit := range []func(*image.Recipe){
		func(r *image.Recipe) { r.Platforms = r.Platforms[:1] },
		func(r *image.Recipe) { r.Download.Tag = "v2" },
		func(r *image.Recipe) { r.Download.Version = "v2" },
		func(r *image.Recipe) { r.Download.Template += "x" },
		func(r *image.Recipe) { r.Download.Hosts = nil },
		func(r *image.Recipe) { r.Download.Dynamic = true },
		func(r *image.Recipe) { r.Download.AllowMissing = []string{"linux/arm64"} },
		func(r *image.Recipe) { r.Download.Arch = map[string]string{"linux/arm64": "aarch64"} },
	} {
		r := recipe()
		edit(&r)
		assert.NotEqual(t, want, stamp(r))
	}
}

// A file that is missing for all platforms is a mistake, even where missing files are allowed.
func TestNothingAtAll(t *testing.T) {
	s := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(s.Close)
	r := recipe()
	r.Download.Template, r.Download.Hosts = s.URL+"/{arch}", []string{"127.0.0.1"}
	r.Download.AllowMissing = r.Platforms
	from := Fetcher(*r.Download, false, func(string) {})
	from.Cache = t.TempDir()
	_, err := Pin(context.Background(), r, from, func(string) {})
	require.EqualError(t, err, "image tool: upstream has no file for any platform")
	assert.Equal(t, fault.Input, fault.Code(err))
}
