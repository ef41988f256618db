// Package archives tests the files that `make release` writes to release/.
package archives

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"io/fs"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const root = "../../.."

// TestRelease packs what is in dist/ twice, the second time with a key and with other settings of Go. The archives must
// be the same bytes, and only signatures are added. Then the release is installed in every documented way, from a file
// server on this machine.
func TestRelease(t *testing.T) {
	version := strings.TrimSpace(string(read(t, root, "VERSION")))
	var built struct{ Image struct{ Digest string } }
	require.NoError(t, json.Unmarshal(read(t, root, "dist", "result.json"), &built), "hint: make build")

	server := httptest.NewServer(http.FileServer(http.Dir(filepath.Join(root, "release"))))
	t.Cleanup(server.Close)
	t.Setenv("DOWNLOADS", server.URL)
	first := pack(t)
	key := filepath.Join(t.TempDir(), "release.key")
	newKey(t, key)
	second := pack(t, "SIGN_KEY="+key, "GOFLAGS=-ldflags=-w", "GOAMD64=v3", "TZ=Asia/Tokyo")
	signatures := []string{"checksums.txt.sig", "checksums.txt.sigstore.json", "provenance.intoto.json.sigstore.json", "jobmesh.gpg"}
	for name := range first {
		if strings.HasPrefix(name, "jobmesh-helm-plugin-") {
			signatures = append(signatures, name+".prov")
		}
	}
	for _, name := range signatures {
		require.Contains(t, second, name)
		require.NotContains(t, first, name)
	}
	for _, name := range signatures {
		delete(second, name)
	}
	require.Equal(t, slices.Sorted(maps.Keys(first)), slices.Sorted(maps.Keys(second)))
	for name, content := range first {
		require.True(t, bytes.Equal(content, second[name]), "%s has other bytes the second time", name)
	}

	var want []string
	for _, platform := range []string{"darwin_amd64.tar.gz", "darwin_arm64.tar.gz", "linux_amd64.tar.gz", "linux_arm64.tar.gz", "windows_amd64.zip", "windows_arm64.zip"} {
		archive := "jobmesh_" + version + "_" + platform
		system, _, _ := strings.Cut(strings.ReplaceAll(platform, "_", "-"), ".")
		want = append(want, archive, archive+".cdx.json", archive+".spdx.json", "jobmesh-helm-plugin-"+version+"-"+system+".tgz")
	}
	want = append(want, "checksums.txt", "provenance.intoto.json", "krew/jobmesh.yaml", "homebrew/Formula/jobmesh.rb")
	require.ElementsMatch(t, want, slices.Collect(maps.Keys(first)))

	// Check the sums as a user does after the download.
	check := exec.Command("sha256sum", "--check", "--strict", "checksums.txt")
	check.Dir = filepath.Join(root, "release")
	output, err := check.CombinedOutput()
	require.NoError(t, err, string(output))
	require.Equal(t, 25, strings.Count(string(output), ": OK\n"), "six archives, twelve bills, six plugins and the provenance")

	jobmesh := unpack(t, first["jobmesh_"+version+"_linux_"+runtime.GOARCH+".tar.gz"])
	said, err := exec.Command(jobmesh, "version", "-o", "json").Output()
	require.NoError(t, err)
	var says struct {
		Version string
		Image   struct{ Digest string }
	}
	require.NoError(t, json.Unmarshal(said, &says))
	require.Equal(t, version, says.Version)
	require.Equal(t, built.Image.Digest, says.Image.Digest)

	sums := checksums(t, first["checksums.txt"])
	requireStatement(t, first["provenance.intoto.json"], sums)
	cosign(t, key, "https://sigstore.dev/cosign/sign/v1", "checksums.txt", "checksums.txt")
	cosign(t, key, "slsaprovenance1", "provenance.intoto.json", "jobmesh_"+version+"_linux_amd64.tar.gz")

	var plugin struct {
		Spec struct {
			Version   string
			Platforms []struct {
				URI, SHA256, Bin string
				Selector         struct{ MatchLabels map[string]string }
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(first["krew/jobmesh.yaml"], &plugin))
	require.Equal(t, "v"+version, plugin.Spec.Version)
	require.Len(t, plugin.Spec.Platforms, 6)
	for _, p := range plugin.Spec.Platforms {
		require.Equal(t, sums[p.URI[strings.LastIndex(p.URI, "/")+1:]], p.SHA256)
		require.Contains(t, p.URI, p.Selector.MatchLabels["os"]+"_"+p.Selector.MatchLabels["arch"])
	}
	formula := string(first["homebrew/Formula/jobmesh.rb"])
	for name, sum := range sums {
		if strings.HasSuffix(name, ".tar.gz") {
			require.Contains(t, formula, server.URL+"/"+name)
			require.Contains(t, formula, `sha256 "`+sum+`"`)
		}
	}
	tryWays(t, version, built.Image.Digest, key)
}

// pack does what `make release` does after `make build`, and returns the files by name.
func pack(t *testing.T, env ...string) map[string][]byte {
	t.Helper()
	cmd := exec.Command("go", "build", "-o", filepath.Join(t.TempDir(), "pack"), "./ci/pack")
	cmd.Dir = root
	output, err := cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	cmd = exec.Command(cmd.Args[3])
	cmd.Dir, cmd.Env = root, append(append(os.Environ(), "JOBMESH_COMMIT=0123456"), env...)
	output, err = cmd.CombinedOutput()
	require.NoError(t, err, string(output))
	files := map[string][]byte{}
	released := os.DirFS(filepath.Join(root, "release"))
	require.NoError(t, fs.WalkDir(released, ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			files[path], err = fs.ReadFile(released, path)
		}
		return err
	}))
	return files
}

func read(t *testing.T, elements ...string) []byte {
	t.Helper()
	content, err := os.ReadFile(filepath.Join(elements...))
	require.NoError(t, err)
	return content
}

// newKey writes a private key to a file, and the public key next to it with the suffix .pub.
func newKey(t *testing.T, file string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	require.NoError(t, os.WriteFile(file+".pub", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public}), 0o600))
}

// cosign verifies a bundle of the release for one of its files, as a user does who has downloaded both, and checks that
// the bundle is refused for another file.
func cosign(t *testing.T, key, predicate, bundle, file string) {
	t.Helper()
	for name, good := range map[string]bool{file: true, "jobmesh.yaml": false} {
		if !good {
			name = filepath.Join("krew", name)
		}
		cmd := exec.Command(program(t, "cosign"), "verify-blob-attestation", "--key", key+".pub", "--insecure-ignore-tlog",
			"--type", predicate, "--bundle", bundle+".sigstore.json", name)
		cmd.Dir = filepath.Join(root, "release")
		output, err := cmd.CombinedOutput()
		require.Equal(t, good, err == nil, "%s: %s", name, output)
	}
}

// program returns the path of a tool that ci/packed has built.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs(filepath.Join(root, "bin", name))
	require.NoError(t, err)
	require.FileExists(t, path, "hint: ci/packed")
	return path
}

// unpack writes the program of an archive to a file, and checks the other files in the archive.
func unpack(t *testing.T, archive []byte) string {
	t.Helper()
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	require.NoError(t, err)
	program := filepath.Join(t.TempDir(), "jobmesh")
	var names []string
	for r := tar.NewReader(unpacked); ; {
		header, err := r.Next()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		names = append(names, header.Name)
		require.Equal(t, "root", header.Uname)
		require.Zero(t, header.ModTime.Unix()%(24*60*60), "the date of the release, not the clock")
		if header.Name == "jobmesh" {
			content, err := io.ReadAll(r)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(program, content, 0o755))
		}
	}
	require.ElementsMatch(t, []string{"LICENSE", "README.md", "CHANGELOG.md", "jobmesh"}, names)
	return program
}

func checksums(t *testing.T, text []byte) map[string]string {
	t.Helper()
	sums := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, found := strings.Cut(strings.TrimSpace(line), "  ")
		require.True(t, found, line)
		sums[name] = sum
	}
	return sums
}

// requireStatement checks that the subjects of an in-toto statement are the archives and plugins.
func requireStatement(t *testing.T, text []byte, sums map[string]string) {
	t.Helper()
	var statement struct {
		Subject []struct {
			Name   string
			Digest map[string]string
		}
	}
	require.NoError(t, json.Unmarshal(text, &statement))
	require.Len(t, statement.Subject, 12)
	for _, s := range statement.Subject {
		require.Equal(t, sums[s.Name], s.Digest["sha256"], s.Name)
	}
}
