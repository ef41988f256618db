package attest

import (
	"os"
	"os/user"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/provenance"
)

func assembled(t *testing.T) *image.Index {
	t.Helper()
	platforms, err := image.SelectPlatforms([]string{"linux/amd64", "linux/arm/v7"})
	require.NoError(t, err)
	x, err := image.Assemble(image.Recipe{
		Name: "sample", Version: "1.2.3", Package: "./cmd/sample", Path: "/p", Entrypoint: []string{"/p"}, User: "1:1",
		Created: time.Unix(1700000000, 0),
	}, []image.Binary{{Platform: platforms[0], Bytes: []byte("one")}, {Platform: platforms[1], Bytes: []byte("two")}})
	require.NoError(t, err)
	return x
}

// The statement is about the index and every platform, covers the bills
// by their digest, and names what the bytes depend on.
func TestImage(t *testing.T) {
	modules, err := Modules("../..")
	require.NoError(t, err)
	x := assembled(t)
	all, err := Image(x, Facts{
		Toolchain: runtime.Version(), Environment: []string{"CGO_ENABLED=0"}, Modules: modules,
		Revision: provenance.Revision{Commit: strings.Repeat("1", 40)},
	})
	require.NoError(t, err)
	require.Len(t, all, 3*3, "two bills and provenance, for the index and each of two platforms")
	bills := map[string]bool{}
	for _, a := range all[:6] {
		bills[a.Content.Descriptor.Digest.String()] = true
	}
	for _, a := range all[6:] {
		s, err := provenance.Read(a.Content.Bytes)
		require.NoError(t, err)
		assert.True(t, s.Names(a.Subject.String()))
		assert.Len(t, s.Subjects, 3)
		require.Len(t, s.Byproducts, 6)
		for _, b := range s.Byproducts {
			assert.True(t, bills[b.Digest], b.Name)
		}
		assert.Equal(t, "sources", s.Dependencies[0].Name)
		assert.Equal(t, "pkg:generic/go@"+strings.TrimPrefix(runtime.Version(), "go"), s.Dependencies[1].URI)
		assert.Regexp(t, `^pkg:golang/github.com/klauspost/compress@v`, s.Dependencies[2].URI)
		assert.Regexp(t, `^h1:`, s.Dependencies[2].Notes["go.sum"])
		assert.Equal(t, "2023-11-14T22:13:20Z", s.Parameters["created"])
		assert.Equal(t, []any{"CGO_ENABLED=0"}, s.Internal["environment"])
		text := string(a.Content.Bytes)
		host, err := os.Hostname()
		require.NoError(t, err)
		here, err := os.Getwd()
		require.NoError(t, err)
		for _, private := range []string{here, os.TempDir(), `"` + host} {
			assert.NotContains(t, text, private)
		}
		if me, err := user.Current(); err == nil {
			assert.NotContains(t, text, me.HomeDir)
		}
	}
	// The commit is in the provenance, and nowhere in the image.
	again, err := Image(x, Facts{Toolchain: runtime.Version(), Environment: []string{"CGO_ENABLED=0"}, Modules: modules})
	require.NoError(t, err)
	for i, a := range again {
		assert.Equal(t, i < 6, a.Content.Descriptor.Digest == all[i].Content.Descriptor.Digest, "only the provenance changes with the commit")
	}
}
