// Package plugin packs the post-renderer of Helm 4 as helm plugin install expects it: one
// archive for each platform, with the program in it. In a registry it is an artifact of a type
// of its own (https://helm.sh/docs/topics/plugins/, https://helm.sh/community/hips/hip-0026/).
package plugin

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/regular"
)

// Name is the name of the repository, and the first part of the archives' names. Helm accepts
// from a registry only an archive whose name begins with the last part of the repository. The
// plugin itself has the name of the command, jobmesh, but the library chart has that repository
// already.
const Name = "jobmesh-helm-plugin"

// ChecksumsFile is the file in which make release writes the checksums of its archives.
const ChecksumsFile = "checksums.txt"

const (
	suffix     = ".tgz"
	provenance = ".prov"
	// maxArchive is the largest size of a packed archive, in bytes: three times the largest
	// one.
	maxArchive = 64 << 20
	// maxProvenance is the largest size of its provenance, in bytes; it is a text of ten lines.
	maxProvenance = 64 << 10
)

// An Archive is the plugin for one platform.
type Archive struct {
	Version string
	// Platform is an operating system and an architecture, such as linux/amd64.
	Platform string
	Bytes    []byte
	// Provenance is what Helm calls by that name: the name and checksum of the archive with an
	// OpenPGP signature. It is nil where the archive was not signed.
	Provenance []byte
}

// FileName returns the name of the archive in a release, and in a registry.
func (a Archive) FileName() string { return Name + "-" + a.Tag() + suffix }

// ProvenanceName returns the name of its provenance there, which is the one that Helm looks
// for.
func (a Archive) ProvenanceName() string { return a.FileName() + provenance }

// Tag returns the version and the platform, as in 1.2.3-linux-amd64.
func (a Archive) Tag() string { return a.Version + "-" + strings.ReplaceAll(a.Platform, "/", "-") }

// A Source is what an archive is made of.
type Source struct {
	Version, Platform string
	// Metadata is the plugin.yaml of the sources, which runs the program in PATH.
	Metadata []byte
	Program  []byte
	License  []byte
	Modified time.Time
}

// Pack returns the archive. The same source gives the same bytes.
func Pack(s Source) (Archive, error) {
	a := Archive{Version: s.Version, Platform: s.Platform}
	program := "jobmesh"
	if strings.HasPrefix(s.Platform, "windows/") {
		program += ".exe"
	}
	metadata, err := runs(s.Metadata, program)
	if err != nil {
		return a, err
	}
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, f := range []struct {
		name string
		mode int64
		text []byte
	}{{"plugin.yaml", 0o644, metadata}, {"LICENSE", 0o644, s.License}, {program, 0o755, s.Program}} {
		header := &tar.Header{Name: Name + "/" + f.name, Mode: f.mode, Size: int64(len(f.text)), ModTime: s.Modified, Typeflag: tar.TypeReg, Format: tar.FormatPAX}
		if err := w.WriteHeader(header); err != nil {
			return a, err
		}
		if _, err := w.Write(f.text); err != nil {
			return a, err
		}
	}
	if err := w.Close(); err != nil {
		return a, err
	}
	a.Bytes, err = image.Compress(content.Bytes())
	return a, err
}

// runs returns a plugin.yaml that runs the program beside it.
func runs(metadata []byte, program string) ([]byte, error) {
	inPath, beside := []byte("- command: jobmesh\n"), []byte("- command: ${HELM_PLUGIN_DIR}/"+program+"\n")
	if bytes.Count(metadata, inPath) != 1 {
		return nil, fmt.Errorf("plugin.yaml has no line %q", inPath)
	}
	return bytes.Replace(metadata, inPath, beside, 1), nil
}

// Statement returns the text that is signed for Helm. It names the archive twice: as Helm does
// for an archive from a registry, and by the name of the file.
func (a Archive) Statement() []byte {
	sum := sha256.Sum256(a.Bytes)
	digest := hex.EncodeToString(sum[:])
	return fmt.Appendf(nil, "name: jobmesh\nversion: %s\n\n...\nfiles:\n  %s: sha256:%s\n  %s: sha256:%s\n",
		a.Version, "jobmesh-"+a.Version+suffix, digest, a.FileName(), digest)
}

// Read returns the archives in a folder that make release has written. All of them need to have
// one version, and the checksums in checksums.txt.
func Read(folder string) ([]Archive, error) {
	sums, err := regular.ReadFile(filepath.Join(folder, ChecksumsFile), 1<<20)
	if err != nil {
		return nil, fault.New(fault.LocalIO, err, "make release writes it")
	}
	entries, err := os.ReadDir(folder)
	if err != nil {
		return nil, err
	}
	var archives []Archive
	for _, e := range entries {
		a, ok := named(e.Name())
		if !ok {
			continue
		}
		if len(archives) > 0 && a.Version != archives[0].Version {
			return nil, fault.New(fault.Input, fmt.Errorf("%s has archives of two versions, %s and %s", folder, archives[0].Version, a.Version), "make release writes it again")
		}
		if a.Bytes, err = listed(folder, e.Name(), sums); err != nil {
			return nil, err
		}
		if slices.ContainsFunc(entries, func(other os.DirEntry) bool { return other.Name() == e.Name()+provenance }) {
			// Signatures are not in a list of checksums, because they are added to a finished
			// release.
			if a.Provenance, err = regular.ReadFile(filepath.Join(folder, e.Name()+provenance), maxProvenance); err != nil {
				return nil, err
			}
		}
		archives = append(archives, a)
	}
	if len(archives) == 0 {
		return nil, fault.New(fault.LocalIO, fmt.Errorf("%s has no archive of the plugin of Helm", folder), "make release writes it")
	}
	return archives, nil
}

// named parses the name of an archive: the version may contain dashes, and the platform
// contains one.
func named(file string) (Archive, bool) {
	rest, ours := strings.CutPrefix(file, Name+"-")
	rest, packed := strings.CutSuffix(rest, suffix)
	fields := strings.Split(rest, "-")
	if !ours || !packed || len(fields) < 3 {
		return Archive{}, false
	}
	last := len(fields) - 2
	return Archive{Version: strings.Join(fields[:last], "-"), Platform: strings.Join(fields[last:], "/")}, true
}

// listed reads a file of the release, and compares it with its line in checksums.txt.
func listed(folder, name string, sums []byte) ([]byte, error) {
	content, err := regular.ReadFile(filepath.Join(folder, name), maxArchive)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	if !strings.Contains("\n"+string(sums), "\n"+hex.EncodeToString(sum[:])+"  "+name+"\n") {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is not what %s says", filepath.Join(folder, name), ChecksumsFile), "make release writes both again")
	}
	return content, nil
}
