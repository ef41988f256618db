package plugin

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var metadata = []byte("name: jobmesh\nruntimeConfig:\n  platformCommand:\n    - command: jobmesh\n")

func packed(t *testing.T, platform string) Archive {
	t.Helper()
	a, err := Pack(Source{Version: "1.2.3-rc.1", Platform: platform, Metadata: metadata, Program: []byte("program"),
		License: []byte("licence"), Modified: time.Date(2026, time.November, 23, 0, 0, 0, 0, time.UTC)})
	require.NoError(t, err)
	return a
}

func TestPack(t *testing.T) {
	for platform, program := range map[string]string{"linux/amd64": "jobmesh", "windows/arm64": "jobmesh.exe"} {
		a := packed(t, platform)
		require.Equal(t, a, packed(t, platform), "the same source gives the same bytes")
		unpacked, err := gzip.NewReader(bytes.NewReader(a.Bytes))
		require.NoError(t, err)
		files, modes := map[string]string{}, map[string]int64{}
		for r := tar.NewReader(unpacked); ; {
			header, err := r.Next()
			if err == io.EOF {
				break
			}
			require.NoError(t, err)
			text, err := io.ReadAll(r)
			require.NoError(t, err)
			files[header.Name], modes[header.Name] = string(text), header.Mode
		}
		require.Len(t, files, 3)
		require.Contains(t, files[Name+"/plugin.yaml"], "    - command: ${HELM_PLUGIN_DIR}/"+program+"\n")
		require.Equal(t, "program", files[Name+"/"+program])
		require.Equal(t, int64(0o755), modes[Name+"/"+program])
	}
	_, err := Pack(Source{Metadata: []byte("name: jobmesh\n")})
	require.ErrorContains(t, err, "plugin.yaml has no line")
}

func TestRead(t *testing.T) {
	folder := t.TempDir()
	write := func(name string, text []byte) {
		require.NoError(t, os.WriteFile(filepath.Join(folder, name), text, 0o600))
	}
	_, err := Read(folder)
	require.ErrorContains(t, err, "checksums.txt")

	linux, mac := packed(t, "linux/amd64"), packed(t, "darwin/arm64")
	linux.Provenance = []byte("signed")
	write("checksums.txt", fmt.Appendf(nil, "%x  %s\n%x  %s\n", sha256.Sum256(linux.Bytes), linux.FileName(), sha256.Sum256(mac.Bytes), mac.FileName()))
	_, err = Read(folder)
	require.ErrorContains(t, err, "has no archive of the plugin of Helm")

	write(linux.FileName(), linux.Bytes)
	write(linux.FileName()+".prov", linux.Provenance)
	write(mac.FileName(), mac.Bytes)
	write("jobmesh_1.2.3-rc.1_linux_amd64.tar.gz", []byte("the command line"))
	read, err := Read(folder)
	require.NoError(t, err)
	require.Equal(t, []Archive{mac, linux}, read)

	write(Name+"-1.2.2-linux-amd64.tgz", linux.Bytes)
	_, err = Read(folder)
	require.ErrorContains(t, err, "is not what checksums.txt says")
	older := Archive{Version: "1.2.2", Platform: linux.Platform, Bytes: linux.Bytes}
	write("checksums.txt", fmt.Appendf(nil, "%x  %s\n%x  %s\n", sha256.Sum256(older.Bytes), older.FileName(), sha256.Sum256(mac.Bytes), mac.FileName()))
	_, err = Read(folder)
	require.ErrorContains(t, err, "has archives of two versions, 1.2.2 and 1.2.3-rc.1")
}

func TestNamed(t *testing.T) {
	for file, want := range map[string]Archive{
		"jobmesh-helm-plugin-1.2.3-linux-amd64.tgz":          {Version: "1.2.3", Platform: "linux/amd64"},
		"jobmesh-helm-plugin-1.2.3-rc.1-linux-amd64.tgz":     {Version: "1.2.3-rc.1", Platform: "linux/amd64"},
		"jobmesh-helm-plugin-1.2.3-linux-amd64.tgz.prov":     {},
		"jobmesh-helm-plugin-1.2.3.tgz":                      {},
		"jobmesh-helm-plugin-linux-amd64.tgz":                {},
		"jobmesh_1.2.3_linux_amd64.tar.gz":                   {},
		"jobmesh-helm-plugin-1.2.3-linux-amd64.tar.gz":       {},
		"other-jobmesh-helm-plugin-1.2.3-linux-amd64.tgz":    {},
		"jobmesh-helm-plugin-1.2.3+build.1-darwin-arm64.tgz": {Version: "1.2.3+build.1", Platform: "darwin/arm64"},
	} {
		got, ok := named(file)
		require.Equal(t, want.Version != "", ok, file)
		require.Equal(t, want, got, file)
	}
}
