package image_test

import (
	"archive/tar"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/random"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/tests/e2e/image"
)

// lister is a static program that lists itself, a shell and true, as busybox would.
func lister(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	source, program := filepath.Join(dir, "main.go"), filepath.Join(dir, "busybox")
	require.NoError(t, os.WriteFile(source, []byte(`package main

import "os"

func main() { os.Stdout.WriteString("busybox\nsh\ntrue\n") }
`), 0o644))
	output, err := exec.Command("go", "build", "-o", program, source).CombinedOutput()
	require.NoError(t, err, string(output))
	return program
}

func TestImageOfAProgram(t *testing.T) {
	program := lister(t)
	img, err := image.OfProgram(program, "pause")
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, []string{"/pause"}, config.Config.Entrypoint)
	assert.Equal(t, "65532:65532", config.Config.User, "Pod Security wants a number that is not 0")

	content, err := os.ReadFile(program)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{"pause": string(content)}, files(t, img))
}

func TestImageOfAShell(t *testing.T) {
	img, err := image.OfShell(lister(t))
	require.NoError(t, err)
	found := files(t, img)
	delete(found, "bin/busybox")
	assert.Equal(t, map[string]string{"bin/sh": "-> busybox", "bin/true": "-> busybox"}, found)
}

// A program that needs a dynamic linker would fail in its image with "no such file", of all things.
func TestDynamicProgramIsRefused(t *testing.T) {
	_, err := image.OfProgram("/bin/sh", "sh")
	assert.EqualError(t, err, "/bin/sh: it is linked dynamically and would not start in an image of its own")
}

func files(t *testing.T, img v1.Image) map[string]string {
	t.Helper()
	found := map[string]string{}
	reader := tar.NewReader(mutate.Extract(img))
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return found
		}
		require.NoError(t, err)
		content, err := io.ReadAll(reader)
		require.NoError(t, err)
		found[header.Name] = string(content)
		if header.Typeflag == tar.TypeSymlink {
			found[header.Name] = "-> " + header.Linkname
		}
	}
}

func TestPush(t *testing.T) {
	registry, err := image.Serve()
	require.NoError(t, err)
	img, err := random.Image(100, 1)
	require.NoError(t, err)
	tag, err := image.Push(registry+"/tests/random", img)
	require.NoError(t, err)

	pulled, err := remote.Image(tag)
	require.NoError(t, err)
	assert.Equal(t, digest(t, img), digest(t, pulled))
	assert.Equal(t, digest(t, img).Hex[:12], tag.TagStr())
}

// What is built is what is pushed: the digest does not change on the way.
func TestPushLayout(t *testing.T) {
	registry, err := image.Serve()
	require.NoError(t, err)
	index, err := random.Index(100, 1, 2)
	require.NoError(t, err)
	want, err := index.Digest()
	require.NoError(t, err)
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendIndex(index))

	got, err := image.PushLayout(registry+"/tests/index", dir)
	require.NoError(t, err)
	assert.Equal(t, want.String(), got)
	reference, err := name.NewDigest(registry + "/tests/index@" + got)
	require.NoError(t, err)
	_, err = remote.Index(reference)
	require.NoError(t, err)

	require.NoError(t, path.AppendIndex(empty.Index))
	_, err = image.PushLayout(registry+"/tests/index", dir)
	assert.ErrorContains(t, err, "want one nested image index, there are 2")
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	hash, err := img.Digest()
	require.NoError(t, err)
	return hash
}
