package release

import (
	"context"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
)

// TestMain also serves as a program that writes releases until it is killed.
func TestMain(m *testing.M) {
	dir := os.Getenv("JOBMESH_TEST_WRITE")
	if dir == "" {
		os.Exit(m.Run())
	}
	both := []Release{made("old"), made("new")}
	fmt.Println("ready")
	for i := 0; ; i++ {
		if _, err := write(dir, both[i%2]); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
}

// made returns a release whose programs are a page or two of text each.
func made(content string) Release {
	check := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	platforms, err := image.SelectPlatforms([]string{"linux/amd64", "linux/arm64"})
	check(err)
	recipe := image.Recipe{
		Name: "sample", Version: jobmesh.Version, Path: "/program", Entrypoint: []string{"/program"}, User: "65532:65532",
		Created: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Labels:  map[string]string{"org.opencontainers.image.title": content},
	}
	var binaries []image.Binary
	for i, p := range platforms {
		noise := make([]byte, 6000)
		_, err := rand.NewChaCha8([32]byte([]byte(fmt.Sprintf("%-32s", content+p.Name)))).Read(noise)
		check(err)
		binaries = append(binaries, image.Binary{Platform: platforms[i], Bytes: noise})
	}
	index, err := image.Assemble(recipe, binaries)
	check(err)
	packed, err := chart.Pack("../../library-chart", chart.Pin{Digest: index.Blob.Descriptor.Digest.String()}, recipe.Created)
	check(err)
	return Release{
		Index: index, Chart: &packed, Toolchain: runtime.Version(),
		Reference: image.Reference{Repository: "registry.example/sample", Tag: jobmesh.Version},
	}
}

// write writes a release as a build does.
func write(dir string, r Release) (image.Changes, error) {
	if err := Folder(dir).Prepare(); err != nil {
		return nil, err
	}
	_, changes, err := Folder(dir).Write(r)
	return changes, err
}

// files returns the names of all files of a folder, sorted.
func files(t *testing.T, dir string) []string {
	t.Helper()
	var names []string
	require.NoError(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, dir+"/"))
		}
		return err
	}))
	return names
}

// kindOf says what kind of file of a release a name is.
func kindOf(r Release, name string) string {
	for _, b := range r.Index.Blobs() {
		if strings.HasSuffix(name, b.Descriptor.Digest.Hex) {
			return string(b.Descriptor.MediaType)
		}
	}
	return filepath.Ext("x" + filepath.Base(name))
}

// A disk that is full at any of the files leaves the old release intact; with space, the next
// run succeeds and cleans up.
func TestFullDisk(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	dir := t.TempDir()
	require.NoError(t, syscall.Mount("none", dir, "tmpfs", 0, "size=16m"))
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	before, after := made("old"), made("new")
	_, err := write(dir, before)
	require.NoError(t, err)
	want := files(t, dir)

	hit := map[string]bool{}
	for free := 0; ; free++ {
		require.Less(t, free, 200, "it never fits")
		var disk syscall.Statfs_t
		require.NoError(t, syscall.Statfs(dir, &disk))
		used := int64(disk.Blocks-disk.Bfree) * disk.Bsize
		size := fmt.Sprintf("size=%d", used+int64(free)*int64(os.Getpagesize()))
		require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, size))
		_, err := write(dir, after)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		var at *os.PathError
		require.ErrorAs(t, err, &at)
		hit[kindOf(after, at.Path)] = true
		_, err = Folder(dir).Load()
		require.NoError(t, err, "the old release, after %s", at.Path)
		for _, name := range files(t, dir) {
			stat, err := os.Stat(filepath.Join(dir, name))
			require.NoError(t, err)
			assert.NotZero(t, stat.Size(), "%s, after %s", name, at.Path)
			assert.False(t, strings.HasPrefix(filepath.Base(name), "."), "%s, after %s", name, at.Path)
		}
		// With space the old release is restored, without files of the new one.
		require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"))
		_, err = write(dir, before)
		require.NoError(t, err)
		require.Equal(t, want, files(t, dir), "after %s", at.Path)
	}
	_, err = Folder(dir).Load()
	require.NoError(t, err)
	for _, kind := range []string{
		"application/vnd.oci.image.layer.v1.tar+gzip", "application/vnd.oci.image.config.v1+json",
		"application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.index.v1+json", ".tar", ".tgz", ".json",
	} {
		assert.True(t, hit[kind], "the disk was never full at %s, only at %v", kind, hit)
	}
}

// The same holds for an empty folder. A full disk may leave some files in it, but none that a
// reader could take for a release.
func TestFullDiskAtTheFirstRun(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root to mount a small file system")
	}
	r := made("new")
	hit := map[string]bool{}
	for pages := 1; ; pages++ {
		require.Less(t, pages, 200, "it never fits")
		dir := t.TempDir()
		require.NoError(t, syscall.Mount("none", dir, "tmpfs", 0, fmt.Sprintf("size=%d", pages*os.Getpagesize())))
		t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
		_, err := write(dir, r)
		if err == nil {
			break
		}
		require.ErrorIs(t, err, syscall.ENOSPC)
		var at *os.PathError
		require.ErrorAs(t, err, &at)
		hit[filepath.Base(at.Path)] = true
		_, err = Folder(dir).Load()
		assert.ErrorContains(t, err, "has no release in it")
		require.NoError(t, syscall.Mount("none", dir, "tmpfs", syscall.MS_REMOUNT, "size=16m"))
		_, err = write(dir, r)
		assert.NoError(t, err)
		_, err = Folder(dir).Load()
		assert.NoError(t, err)
	}
	for _, name := range []string{"oci-layout", "index.json", "sample-" + jobmesh.Version + ".oci.tar", "jobmesh-" + jobmesh.Version + ".tgz", "result.json"} {
		assert.True(t, hit[name], "the disk was never full at %s", name)
	}
}

// After a run that was killed at any point, the next run writes a complete release, and leaves
// nothing of the killed one.
func TestKilledAtRandomPoints(t *testing.T) {
	dir := t.TempDir()
	last := made("new")
	_, err := write(dir, last)
	require.NoError(t, err)
	want := files(t, dir)
	between := 0
	for range 50 {
		writer := exec.CommandContext(context.Background(), os.Args[0])
		writer.Env = append(os.Environ(), "JOBMESH_TEST_WRITE="+dir)
		out, err := writer.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, writer.Start())
		_, err = out.Read(make([]byte, 16)) // the program is writing now
		require.NoError(t, err)
		time.Sleep(time.Duration(rand.IntN(int(30 * time.Millisecond))))
		require.NoError(t, writer.Process.Kill())
		require.EqualError(t, writer.Wait(), "signal: killed")
		if !slices.Equal(want, files(t, dir)) {
			between++
		}
		_, err = write(dir, last)
		require.NoError(t, err)
		_, err = Folder(dir).Load()
		require.NoError(t, err)
		require.Equal(t, want, files(t, dir))
	}
	assert.NotZero(t, between, "no kill has hit a write")
	t.Logf("%d of 50 hit the folder between the two releases", between)
}

// Archives of other versions do not stay beside those of this one. An archive with another name
// belongs to somebody else, and stays.
func TestOtherVersions(t *testing.T) {
	dir := t.TempDir()
	r := made("one")
	_, err := write(dir, r)
	require.NoError(t, err)
	want := files(t, dir)
	kept := []string{"charts/jobmesh-alerts-0.0.9.tgz", "charts/jobmesh-mine.tgz", "other-0.0.9.oci.tar", "sample-0.0.9.oci.tar.sig"}
	for _, name := range append([]string{"charts/jobmesh-0.0.9.tgz", "charts/jobmesh-1.0.0-rc.1+x.tgz", "sample-0.0.9.oci.tar"}, kept...) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("x"), 0o600))
	}
	_, err = write(dir, r)
	require.NoError(t, err)
	assert.ElementsMatch(t, append(want, kept...), files(t, dir))
}

// A flipped bit anywhere is found, and the next build repairs it.
func TestFlippedBits(t *testing.T) {
	dir := t.TempDir()
	r := made("one")
	_, err := write(dir, r)
	require.NoError(t, err)
	for _, name := range files(t, dir) {
		path := filepath.Join(dir, name)
		good, err := os.ReadFile(path)
		require.NoError(t, err)
		// Bytes that a digest protects are flipped at some places, all others at every place.
		step := max(1, len(good)/16)
		if strings.HasSuffix(name, ".json") || strings.HasSuffix(name, "oci-layout") {
			step = 1
		}
		for at := 0; at < len(good); at += step {
			bad := slices.Clone(good)
			bad[at] ^= 1
			require.NoError(t, os.WriteFile(path, bad, 0o600))
			_, err := Folder(dir).Load()
			if name == ResultFile && err == nil && strings.Contains(line(good, at), `"toolchain"`) {
				continue // verify compares it with the programs themselves
			}
			if name == ResultFile && err == nil && (strings.Contains(line(good, at), `"platform"`) || strings.Contains(line(good, at), `"diffID"`) || program(good, at)) {
				continue // verify compares these, too
			}
			require.Error(t, err, "%s, byte %d: %s", name, at, line(bad, at))
		}
		changes, err := write(dir, r)
		require.NoError(t, err)
		healed, err := os.ReadFile(path)
		require.NoError(t, err)
		assert.Equal(t, good, healed, name)
		require.Len(t, changes, 1)
		assert.Equal(t, path, changes[0].Path)
		if strings.HasPrefix(name, "oci/blobs/") || name == "oci/oci-layout" {
			assert.True(t, changes[0].Damaged, "%s was mended", name)
		}
	}
	changes, err := write(dir, r)
	require.NoError(t, err)
	assert.Empty(t, changes, "nothing is written where all is as it should be")
}

// line returns the line of a text that contains a byte.
func line(text []byte, at int) string {
	from := strings.LastIndexByte(string(text[:at]), '\n') + 1
	to := strings.IndexByte(string(text[at:]), '\n')
	if to < 0 {
		return string(text[from:])
	}
	return string(text[from : at+to])
}

// program tells whether a byte belongs to the digest or size of a program.
func program(text []byte, at int) bool {
	before := string(text[:at])
	open := strings.LastIndexByte(before, '{')
	return open > 0 && strings.HasSuffix(strings.TrimSpace(before[:open]), `"program":`)
}

func TestPrepare(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	dangling := filepath.Join(dir, "dangling")
	require.NoError(t, os.Symlink("nowhere", dangling))
	for path, want := range map[string]string{
		file:                          "file: not a directory",
		filepath.Join(file, "below"):  "file: not a directory",
		dangling:                      "dangling: is a symbolic link to nowhere, which does not exist",
		filepath.Join(dangling, "in"): "dangling: is a symbolic link to nowhere, which does not exist",
	} {
		err := Folder(path).Prepare()
		require.ErrorContains(t, err, want)
		assert.Equal(t, fault.LocalIO, fault.Code(err))
	}
	if os.Geteuid() != 0 && runtime.GOOS == "linux" {
		closed := filepath.Join(dir, "closed")
		require.NoError(t, os.Mkdir(closed, 0o500))
		assert.ErrorContains(t, Folder(closed).Prepare(), "closed: permission denied")
	}
	require.NoError(t, Folder(filepath.Join(dir, "a", "b")).Prepare())
}
