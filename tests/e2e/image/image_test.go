package image_test

import (
	"archive/tar"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
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

// lister builds a static program that lists the names of itself, a shell and true, as busybox does.
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

// The image has files with new names and with their own names, a program with its shared libraries, and links.
func TestImageOfContents(t *testing.T) {
	dir := t.TempDir()
	plain := filepath.Join(dir, "plain.json")
	require.NoError(t, os.WriteFile(plain, []byte("{}"), 0o644))
	matching, err := image.Matching(filepath.Join(dir, "*.json"))
	require.NoError(t, err)
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	img, err := image.Of(image.Contents{
		Programs: map[string]string{"bin/program": lister(t), "bin/sh": shell},
		Files:    matching,
		Links:    map[string]string{"bin/other": "program"},
	}, v1.Config{User: "1337:1337"})
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, "1337:1337", config.Config.User)

	found := files(t, img)
	assert.Equal(t, "{}", found[strings.TrimPrefix(plain, "/")])
	assert.Equal(t, "-> program", found["bin/other"])
	assert.Contains(t, found, "bin/program")
	libraries := slices.DeleteFunc(slices.Collect(maps.Keys(found)), func(name string) bool { return !strings.Contains(name, ".so") })
	assert.NotEmpty(t, libraries, "the shell of this machine is linked with something")

	_, err = image.Of(image.Contents{Files: map[string]string{"lost": filepath.Join(dir, "lost")}}, v1.Config{})
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestImageOfAShell(t *testing.T) {
	img, err := image.OfShell(lister(t))
	require.NoError(t, err)
	found := files(t, img)
	delete(found, "bin/busybox")
	assert.Equal(t, map[string]string{"bin/sh": "-> busybox", "bin/true": "-> busybox"}, found)
}

// A program that needs a dynamic linker would fail in its image with a misleading "no such file".
func TestDynamicProgramIsRefused(t *testing.T) {
	_, err := image.OfProgram("/bin/sh", "sh")
	assert.EqualError(t, err, "/bin/sh: it is linked dynamically and would not start in an image of its own")
}

// The libraries are where the dynamic linker looks for them, so that the program runs without other files. Only root
// may change the root folder.
func TestImageOfADynamicProgram(t *testing.T) {
	img, err := image.OfDynamicProgram("/bin/sh", "bin/shell", map[string]string{"etc/motd": "hello"})
	require.NoError(t, err)
	config, err := img.ConfigFile()
	require.NoError(t, err)
	assert.Equal(t, []string{"/bin/shell"}, config.Config.Entrypoint)

	root := t.TempDir()
	for name, content := range files(t, img) {
		require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(name)), 0o755))
		require.NoError(t, os.WriteFile(filepath.Join(root, name), []byte(content), 0o755))
	}
	shell := exec.Command("/bin/shell", "-c", `read -r line < /etc/motd || echo "$line"`)
	shell.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	shell.Dir = "/"
	output, err := shell.CombinedOutput()
	require.NoError(t, err, string(output))
	assert.Equal(t, "hello\n", string(output))
}

func TestImageWithAProgram(t *testing.T) {
	shell, err := image.OfShell(lister(t))
	require.NoError(t, err)
	img, err := image.WithProgram(shell, "linkerd-await", []byte("a program"))
	require.NoError(t, err)
	found := files(t, img)
	assert.Equal(t, "a program", found["linkerd-await"])
	assert.Equal(t, "-> busybox", found["bin/sh"])
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

// The pushed image has the digest of the built one.
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

// An index has one image for the architecture of this machine.
func TestFileInLayout(t *testing.T) {
	var index v1.ImageIndex = empty.Index
	for _, architecture := range []string{"another", runtime.GOARCH} {
		img, err := image.WithProgram(empty.Image, "program", []byte("for "+architecture))
		require.NoError(t, err)
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}},
		})
	}
	dir := t.TempDir()
	path, err := layout.Write(dir, empty.Index)
	require.NoError(t, err)
	require.NoError(t, path.AppendIndex(index))

	content, err := image.FileInLayout(dir, "program")
	require.NoError(t, err)
	assert.Equal(t, "for "+runtime.GOARCH, string(content))
	_, err = image.FileInLayout(dir, "missing")
	assert.EqualError(t, err, dir+": no missing in the image")
}

func digest(t *testing.T, img v1.Image) v1.Hash {
	t.Helper()
	hash, err := img.Digest()
	require.NoError(t, err)
	return hash
}
