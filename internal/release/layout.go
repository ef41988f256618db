package release

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/foreign"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/regular"
)

// A Layout is an OCI layout, in a folder or in an archive.
type Layout struct {
	// name is the name of the layout in errors, and separator stands between it and the name of
	// a file.
	name, separator string
	read            func(path string, limit int64) ([]byte, error)
	// files returns the paths of the files in it; in a folder, only those at the top level.
	files func() ([]string, error)
	index v1.IndexManifest
	// text is the text of index.json.
	text []byte
	// about has the documents in the layout, keyed by the digest of their subject.
	about map[v1.Hash][]v1.Descriptor
	hints []string
}

// OpenLayout opens a folder that holds a layout.
func OpenLayout(dir string) (*Layout, error) {
	return openLayout(&Layout{name: dir, separator: "/", read: readIn(dir, ""), files: filesIn(dir)})
}

// filesIn lists the top of a folder.
func filesIn(dir string) func() ([]string, error) {
	return func() (names []string, err error) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names, err
	}
}

// readIn returns a function that reads files below a folder. It does not follow links out of
// the folder.
func readIn(dir, below string) func(string, int64) ([]byte, error) {
	return func(name string, limit int64) ([]byte, error) {
		root, err := openRoot(dir)
		if err != nil {
			return nil, err
		}
		defer func() { _ = root.Close() }() // nothing was written to it
		return regular.ReadIn(root, filepath.Join(below, filepath.FromSlash(name)), limit)
	}
}

// openRoot opens a folder. It does not open a FIFO, because that would wait for a writer.
func openRoot(dir string) (*os.Root, error) {
	if stat, err := os.Stat(dir); err == nil && !stat.IsDir() {
		return nil, &os.PathError{Op: "open", Path: dir, Err: syscall.ENOTDIR}
	}
	return os.OpenRoot(dir)
}

// A section is the place of a file in an archive.
type section struct{ offset, size int64 }

// OpenArchive opens a tar archive that holds a layout.
func OpenArchive(file string) (*Layout, error) {
	f, err := regular.Open(file)
	if err != nil {
		return nil, outside(file, err)
	}
	defer func() { _ = f.Close() }() // nothing was written to it
	sections, err := sectionsOf(f)
	if err != nil {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s %w", file, err),
			"the archive is the .oci.tar that jobmesh build writes; charts are verified with the folder that they are in")
	}
	return openLayout(&Layout{name: file, separator: ": ", read: func(name string, limit int64) ([]byte, error) {
		at, ok := sections[name]
		if !ok {
			return nil, fs.ErrNotExist
		}
		if at.size > limit {
			return nil, fmt.Errorf("%w: it has more than %d bytes", regular.ErrTooLarge, limit)
		}
		f, err := regular.Open(file)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }() // nothing was written to it
		content := make([]byte, at.size)
		_, err = io.ReadFull(io.NewSectionReader(f, at.offset, at.size), content)
		return content, err
	}, files: func() ([]string, error) { return slices.Sorted(maps.Keys(sections)), nil }})
}

// sectionsOf finds the files of an archive. Each has to be a regular file that occurs once, so
// that every program that unpacks the archive finds the same content.
func sectionsOf(f io.ReadSeeker) (map[string]section, error) {
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, err
	}
	if end > maxArchive {
		return nil, fmt.Errorf("has %d bytes, and %d are allowed", end, maxArchive)
	}
	sections := map[string]section{}
	for archive := tar.NewReader(f); ; {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			rest, err := io.ReadAll(io.LimitReader(f, maxPadding+1))
			if err == nil && (len(rest) > maxPadding || len(bytes.Trim(rest, "\x00")) > 0) {
				err = errors.New("has data behind its last entry")
			}
			return sections, err
		}
		if err != nil {
			return nil, fmt.Errorf("is not a tar archive, or not whole: %w", err)
		}
		name := path.Clean(header.Name)
		switch {
		case header.Typeflag == tar.TypeDir && !path.IsAbs(name) && !strings.HasPrefix(name, ".."):
			continue
		case header.Typeflag != tar.TypeReg || !fs.ValidPath(name):
			return nil, fmt.Errorf("has the entry %q, which is not a regular file of a layout", header.Name)
		case len(sections) == maxListed:
			return nil, fmt.Errorf("has more than %d files", maxListed)
		}
		for record := range header.PAXRecords {
			if strings.HasPrefix(record, "GNU.sparse") {
				return nil, fmt.Errorf("has the entry %q, which is a file with holes", header.Name)
			}
		}
		if _, twice := sections[name]; twice {
			return nil, fmt.Errorf("has %q twice", name)
		}
		offset, err := f.Seek(0, io.SeekCurrent)
		if err != nil {
			return nil, err
		}
		sections[name] = section{offset, header.Size}
	}
}

// maxPadding is the largest number of zeros behind the last entry of an archive: programs write
// whole records.
const maxPadding = 20 * 512

func openLayout(l *Layout) (*Layout, error) {
	var err error
	l.text, err = l.read("index.json", maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is not an OCI layout: it has no index.json", l.name), l.hints...)
	}
	if err != nil {
		return nil, outside(l.at("index.json"), err)
	}
	if err := decode(l.text, &l.index, l.at("index.json")); err != nil {
		return nil, err
	}
	if n := len(l.index.Manifests); n > maxListed {
		return nil, tooMuch("%s lists %d manifests, and %d are allowed", l.at("index.json"), n, maxListed)
	}
	return l, nil
}

// at returns the name of a file of the layout for errors.
func (l *Layout) at(name string) string { return l.name + l.separator + name }

// outside turns an error about a file that does not belong to a release into a failed check;
// without it, the error would be a failure of this machine.
func outside(name string, err error) error {
	cause := err
	var at *os.PathError
	if errors.As(err, &at) {
		cause = at.Err
	}
	if errors.Is(err, regular.ErrKind) || errors.Is(err, regular.ErrTooLarge) || cause.Error() == "path escapes from parent" {
		return fault.New(fault.Verification, fmt.Errorf("%s %w", name, cause))
	}
	if errors.As(err, &at) {
		return &os.PathError{Op: at.Op, Path: name, Err: at.Err}
	}
	return err
}

// Image returns the only named image of the layout.
func (l *Layout) Image() (v1.Descriptor, error) {
	var named []v1.Descriptor
	for _, d := range l.index.Manifests {
		if isNamed(d) && d.MediaType == types.OCIImageIndex {
			named = append(named, d)
		}
	}
	switch len(named) {
	case 0:
		return v1.Descriptor{}, fault.New(fault.Verification, fmt.Errorf("%s has no image index with a name", l.name), l.hints...)
	case 1:
		return named[0], nil
	}
	return v1.Descriptor{}, fault.New(fault.Verification, fmt.Errorf("%s has %d images, and a release has one", l.name, len(named)),
		"jobmesh build --output DIR writes each image into a folder of its own")
}

// containerdName is the annotation by which containerd finds an image in a layout. Other
// readers use that of OCI.
const containerdName = "io.containerd.image.name"

func isNamed(d v1.Descriptor) bool {
	return d.Annotations[ocispec.AnnotationRefName] != "" || d.Annotations[containerdName] != ""
}

// alone checks that the layout lists the image, its platforms and documents about them, each
// once, and nothing else. It returns notes that are not failures.
func (l *Layout) alone(top v1.Descriptor, index v1.IndexManifest) (notes []string, err error) {
	if err := l.onlyLayout(); err != nil {
		return nil, err
	}
	text, err := l.read("oci-layout", maxManifest)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is missing", l.at("oci-layout")), l.hints...)
	}
	if err != nil {
		return nil, outside(l.at("oci-layout"), err)
	}
	var version struct {
		Is string `json:"imageLayoutVersion"`
	}
	if err := decode(text, &version, l.at("oci-layout")); err != nil {
		return nil, err
	}
	if version.Is != "1.0.0" {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s has version %q, not 1.0.0", l.at("oci-layout"), version.Is))
	}
	own := map[v1.Hash]bool{top.Digest: true}
	for _, d := range index.Manifests {
		own[d.Digest] = true
	}
	l.about = map[v1.Hash][]v1.Descriptor{}
	seen := map[v1.Hash]bool{}
	for _, d := range l.index.Manifests {
		wrong := func(what string) error {
			return fault.New(fault.Verification, fmt.Errorf("%s lists %s, which %s", l.at("index.json"), d.Digest, what), l.hints...)
		}
		switch {
		case seen[d.Digest]:
			return nil, wrong("is listed already")
		case d.Digest == top.Digest:
		case isNamed(d):
			return nil, wrong(fmt.Sprintf("has the name %q and is not the image", d.Annotations[ocispec.AnnotationRefName]+d.Annotations[containerdName]))
		case own[d.Digest]: // oras lists the platforms, too
		default:
			a, err := l.document(d)
			if err != nil {
				return nil, wrong(err.Error())
			}
			if !own[a.Subject] {
				return nil, wrong("is about " + a.Subject.String() + ", not about this image")
			}
			if !slices.Contains(ArtifactTypes, a.Type) {
				notes = append(notes, fmt.Sprintf("%s lists %s, a %s that is not of the release", l.at("index.json"), d.Digest, a.Type))
			}
			d.ArtifactType = string(a.Type)
			l.about[a.Subject] = append(l.about[a.Subject], d)
		}
		seen[d.Digest] = true
	}
	return notes, nil
}

// onlyLayout refuses files that do not belong to a layout. Docker, for example, takes the image
// of an archive from manifest.json where there is one, whatever index.json lists.
func (l *Layout) onlyLayout() error {
	files, err := l.files()
	if err != nil {
		return outside(l.name, err)
	}
	for _, file := range files {
		top, _, _ := strings.Cut(file, "/")
		// Oras keeps a folder for the blobs that it is writing. Hidden files are allowed,
		// because no reader takes an image from one, and a killed build may have left one.
		if !slices.Contains([]string{"oci-layout", "index.json", "blobs", "ingest"}, top) && !strings.HasPrefix(top, ".") {
			return fault.New(fault.Verification, fmt.Errorf("%s is not a file of an OCI layout", l.at(file)), l.hints...)
		}
	}
	return nil
}

// document reads an entry that has to be a document about a manifest.
func (l *Layout) document(d v1.Descriptor) (a image.Attachment, err error) {
	if d.MediaType != types.OCIManifestSchema1 || checkSize(d, maxManifest) != nil {
		return a, fmt.Errorf("is a %q, which does not belong to this release", d.MediaType)
	}
	b, err := read(context.Background(), l, d)
	if err != nil {
		return a, fmt.Errorf("cannot be read: %w", err)
	}
	if err := foreign.Check(b.Bytes); err != nil {
		return a, err
	}
	var m v1.Manifest
	if err := decode(b.Bytes, &m, "manifest"); err != nil {
		return a, err
	}
	if m.Config.MediaType.IsConfig() {
		return a, errors.New("is another image")
	}
	if a, err = image.ReadAttachment(b.Bytes); err != nil {
		err = errors.New("is not a document about a manifest")
	}
	return a, err
}

// slack is how many bytes beyond the expected size of a damaged file are read, so that the
// error can give its digest.
const slack = 1 << 16

// Content implements Place.
func (l *Layout) Content(_ context.Context, d v1.Descriptor) ([]byte, error) {
	name := "blobs/" + d.Digest.Algorithm + "/" + d.Digest.Hex
	content, err := l.read(name, d.Size+slack)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is missing", l.at(name)), l.hints...)
	case errors.Is(err, regular.ErrTooLarge):
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is damaged: it has more than the %d bytes that it should have", l.at(name), d.Size), l.hints...)
	case err != nil:
		return nil, outside(l.at(name), err)
	}
	if got := contentOf(content); got.Digest != d.Digest.String() {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is damaged: it is %s, not %s", l.at(name), got.Digest, d.Digest), l.hints...)
	}
	return content, nil
}

// Referrers implements Place: a layout lists them among its manifests.
func (l *Layout) Referrers(_ context.Context, subject v1.Hash, of []types.MediaType, most int) (list []v1.Descriptor, left int, err error) {
	for _, d := range l.about[subject] {
		switch {
		case !slices.Contains(of, types.MediaType(d.ArtifactType)):
		case len(list) < most:
			list = append(list, d)
		default:
			left++
		}
	}
	return list, left, nil
}

// IsLayout reports whether a folder holds a layout itself.
func IsLayout(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "oci-layout"))
	return err == nil
}
