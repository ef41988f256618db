package verify

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
)

// built is a program that does nothing, as a build compiles it, and the release of
// Go that did.
func built(t *testing.T, platforms ...string) (image.Recipe, []image.Binary, string) {
	t.Helper()
	dir := t.TempDir()
	module, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	toolchain := regexp.MustCompile(`(?m)^toolchain .*$`).FindString(string(module))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module sample\n\ngo 1.26.0\n\n"+toolchain+"\n"), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o600))
	compiler, err := image.NewCompiler(context.Background(), dir)
	require.NoError(t, err)
	selected, err := image.SelectPlatforms(platforms)
	require.NoError(t, err)
	recipe := image.Recipe{
		Name: "sample", Version: "1.2.3", Package: ".", Path: "/p", Entrypoint: []string{"/p"}, User: "1:1",
		Created: time.Unix(0, 0).UTC(), Compression: image.Gzip,
	}
	binaries, err := compiler.CompileAll(context.Background(), recipe, selected, func(image.Platform) {})
	require.NoError(t, err)
	return recipe, binaries, compiler.Toolchain
}

func TestToolchain(t *testing.T) {
	config := v1.Config{Entrypoint: []string{"/p"}}
	child := func(toolchain string) release.Child {
		return release.Child{Files: []release.LayerFile{{Path: "/p", Toolchain: toolchain}}}
	}
	assert.NoError(t, checkPrograms(child("go1.26.8"), config, "go1.26.8", nil))
	assert.NoError(t, checkPrograms(child("go1.26.8"), config, "", nil), "an image in a registry has no list beside it")
	assert.EqualError(t, checkPrograms(child("go1.26.8"), config, "go1.2.3", nil), "was compiled by go1.26.8, the list says go1.2.3")
	assert.EqualError(t, checkPrograms(child(""), config, "", nil), "was not compiled by Go")
}

// No digest guards result.json. What Load cannot find wrong in it, because only the
// image can tell, is found here: every byte of the toolchain, the platforms, the diff
// IDs and the programs.
func TestFlippedBitsInTheList(t *testing.T) {
	recipe, binaries, toolchain := built(t, "linux/s390x")
	index, err := image.Assemble(recipe, binaries)
	require.NoError(t, err)
	packed, err := chart.Pack("../../library-chart", chart.Pin{Digest: index.Blob.Descriptor.Digest.String()}, recipe.Created)
	require.NoError(t, err)
	folder := release.Folder(t.TempDir())
	require.NoError(t, folder.Prepare())
	_, _, err = folder.Write(release.Release{
		Index: index, Chart: &packed, Toolchain: toolchain, Reference: image.Reference{Repository: "registry.example/sample", Tag: "1.2.3"},
	})
	require.NoError(t, err)
	wrong := func() []string {
		stored, err := folder.Load()
		if err != nil {
			return []string{err.Error()}
		}
		var all []string
		for _, f := range Release(stored, Wanted{}) {
			// The image has no documents, which is said of it and of its platform.
			if f.Err != nil && !strings.HasSuffix(f.Err.Error(), "is missing") {
				all = append(all, f.Err.Error())
			}
		}
		return all
	}
	require.Empty(t, wrong())

	path := filepath.Join(string(folder), release.ResultFile)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	guarded := regexp.MustCompile(`"toolchain": "[^"]*"|"platform": "[^"]*"|"diffID": "[^"]*"|"program": \{[^}]*\}`)
	places := guarded.FindAllIndex(good, -1)
	require.Len(t, places, 1+3)
	for _, place := range places {
		for at := place[0]; at < place[1]; at++ {
			bad := slices.Clone(good)
			bad[at] ^= 1
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			require.NotEmpty(t, wrong(), "byte %d: %s", at, bytes.TrimSpace(bad[place[0]:place[1]]))
		}
	}
}
