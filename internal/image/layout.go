package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"sort"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/regular"
	"github.com/jobmesh/jobmesh/internal/replace"
)

// These are the annotations by which readers find an image in a layout: the first is that of
// OCI; the second is that of containerd, whose import shows no image without it.
const (
	containerdName = "io.containerd.image.name"
	// containerdSubject says that an entry is a document about another entry.
	containerdSubject = "io.containerd.manifest.subject"
)

const (
	// LayoutFile is the content of oci-layout.
	LayoutFile    = `{"imageLayoutVersion":"1.0.0"}`
	layoutFileIs  = "oci-layout"
	indexFile     = "index.json"
	blobFolder    = "blobs/sha256"
	fileMode      = 0o644
	folderMode    = 0o755
	indexIndented = "  "
	// maxNode is the largest size of an index or manifest that is read from a layout, in bytes.
	maxNode = 16 << 20
)

// WriteLayout puts the image into an OCI layout under its reference, and replaces an image of
// the same name and tag. Other images in the layout stay.
//
// A file that is there already is checked by its digest, and is rewritten where it is damaged.
// Each file is replaced in one step, index.json last, so a run that fails half-way leaves the
// old image complete.
func (x *Index) WriteLayout(dir string, ref Reference) (Changes, error) {
	changes, err := x.WriteBlobs(dir)
	if err != nil {
		return changes, err
	}
	listed, err := x.List(dir, ref)
	return append(changes, listed...), err
}

// Changes are the files that were missing or wrong and have been written.
type Changes []Change

// A Change is one of them.
type Change struct {
	Path string
	// Damaged says that the file was there, with a wrong content.
	Damaged bool
}

// WriteBlobs is the first half of WriteLayout. It writes the content, which no reader sees
// before it is listed.
func (x *Index) WriteBlobs(dir string) (changes Changes, err error) {
	if err := makeFolder(filepath.Join(dir, blobFolder)); err != nil {
		return nil, err
	}
	for _, b := range x.Blobs() {
		// A file with another content than that of its digest is damaged.
		if err := changes.write(filepath.Join(dir, blobFolder, b.Descriptor.Digest.Hex), b.Bytes, true); err != nil {
			return changes, err
		}
	}
	path := filepath.Join(dir, layoutFileIs)
	if err := RemoveLeftovers(path); err != nil {
		return changes, err
	}
	return changes, changes.write(path, []byte(LayoutFile), true)
}

// List is the second half of WriteLayout: it lists the image in the layout, and removes the
// blobs that no image needs any more.
func (x *Index) List(dir string, ref Reference) (changes Changes, err error) {
	text, err := regular.ReadFile(filepath.Join(dir, indexFile), maxNode)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var manifest v1.IndexManifest
	damaged := json.Unmarshal(text, &manifest) != nil && len(text) > 0
	if damaged {
		manifest = v1.IndexManifest{}
	}
	if err := RemoveLeftovers(filepath.Join(dir, indexFile)); err != nil {
		return nil, err
	}
	if err := changes.write(filepath.Join(dir, indexFile), x.layoutIndex(dir, ref, manifest.Manifests), damaged); err != nil {
		return changes, err
	}
	if damaged {
		return changes, nil // the old list may have named images of others, so their content stays
	}
	return changes, sweep(dir)
}

// layoutIndex returns the content of index.json: one nested, named index, and the other entries
// of the layout. Skopeo refuses a flat index.json, and containerd imports nothing from an
// unnamed one. Attachments follow the images, without a name: oras and similar tools find
// referrers in a layout by this list.
func (x *Index) layoutIndex(dir string, ref Reference, listed []v1.Descriptor) []byte {
	descriptor := ref.Listed(x.Blob.Descriptor)
	images, attachments := x.others(dir, ref, listed, descriptor)
	for _, a := range x.Attachments {
		attachments = append(attachments, a.Listed())
	}
	text, err := json.MarshalIndent(v1.IndexManifest{
		SchemaVersion: 2,
		MediaType:     types.OCIImageIndex,
		Manifests:     append(images, attachments...),
	}, "", indexIndented)
	if err != nil {
		panic(err) // cannot happen: strings and numbers can always be encoded
	}
	return append(text, '\n')
}

// Listing returns the content of index.json in a layout with this image alone.
func (x *Index) Listing(ref Reference) []byte { return x.layoutIndex("", ref, nil) }

// Archive returns, as a tar archive, a layout with this image alone.
func (x *Index) Archive(ref Reference) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	add := func(name string, content []byte) error {
		if err := w.WriteHeader(header(name, fileMode, len(content), x.Recipe.Created)); err != nil {
			return err
		}
		_, err := w.Write(content)
		return err
	}
	if err := add(layoutFileIs, []byte(LayoutFile)); err != nil {
		return nil, err
	}
	if err := add(indexFile, x.Listing(ref)); err != nil {
		return nil, err
	}
	blobs := x.Blobs()
	sort.Slice(blobs, func(i, j int) bool { return blobs[i].Descriptor.Digest.Hex < blobs[j].Descriptor.Digest.Hex })
	for _, b := range blobs {
		if err := add(blobFolder+"/"+b.Descriptor.Digest.Hex, b.Bytes); err != nil {
			return nil, err
		}
	}
	err := w.Close()
	return out.Bytes(), err
}

// A Reference is the name of an image: REPOSITORY:TAG.
type Reference struct {
	Repository, Tag string
}

func (r Reference) String() string { return r.Repository + ":" + r.Tag }

// write replaces a file in one step, unless it has that content already. The parameter damaged
// says that an existing file with another content is a damaged one.
func (c *Changes) write(path string, content []byte, damaged bool) error {
	same, err := Same(path, content)
	if err != nil || same {
		return err
	}
	_, statErr := os.Lstat(path)
	*c = append(*c, Change{Path: path, Damaged: damaged && statErr == nil})
	return ErrorAt(path, replace.Exactly(path, content, fileMode))
}

// Same reports whether a file has that content already. If so, it makes the file readable for
// everybody.
func Same(path string, content []byte) (bool, error) {
	old, err := regular.ReadFile(path, int64(len(content)))
	if err != nil || !bytes.Equal(old, content) {
		return false, nil // the following write reports what is wrong
	}
	if stat, err := os.Stat(path); err == nil && stat.Mode().Perm() == fileMode {
		return true, nil
	}
	return true, os.Chmod(path, fileMode)
}

// RemoveLeftovers removes the temporary files that killed runs have left beside a file: those
// of replace and of os.CreateTemp.
func RemoveLeftovers(path string) error {
	dir, base := filepath.Split(path)
	leftovers, _ := filepath.Glob(dir + "." + base + "[0-9]*") // the pattern is valid
	for _, leftover := range leftovers {
		if err := os.Remove(leftover); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// ErrorAt names the file that could not be written in the error, in place of the temporary file
// beside it, which does not exist any more.
func ErrorAt(path string, err error) error {
	var at *os.PathError
	if errors.As(err, &at) {
		return &os.PathError{Op: "write", Path: path, Err: at.Err}
	}
	return err
}

// Listed returns the entry of the image in a layout's list.
func (r Reference) Listed(index v1.Descriptor) v1.Descriptor {
	index.Annotations = map[string]string{ocispec.AnnotationRefName: r.Tag, containerdName: r.String()}
	return index
}

// ParseReference is the inverse of Reference.String.
func ParseReference(text string) Reference {
	colon := strings.LastIndex(text, ":")
	if colon < 0 {
		return Reference{Repository: text}
	}
	return Reference{Repository: text[:colon], Tag: text[colon+1:]}
}

// makeFolder makes a folder that everybody may read, whatever the umask is.
func makeFolder(path string) error {
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		return nil
	}
	if err := os.MkdirAll(path, folderMode); err != nil {
		return err
	}
	return os.Chmod(path, folderMode)
}

// sweep removes the blobs that no image of the layout needs any more, and the temporary files
// of killed runs.
func sweep(dir string) error {
	needed := map[string]bool{}
	if err := reach(dir, filepath.Join(dir, indexFile), needed); err != nil {
		return nil // an image of others is incomplete, so nothing is removed
	}
	entries, err := os.ReadDir(filepath.Join(dir, blobFolder))
	if err != nil {
		return err
	}
	for _, e := range entries {
		if !needed[e.Name()] {
			if err := os.Remove(filepath.Join(dir, blobFolder, e.Name())); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	return nil
}

// reach collects the digests that an index or a manifest points to.
func reach(dir, path string, needed map[string]bool) error {
	text, err := regular.ReadFile(path, maxNode)
	if err != nil {
		return err
	}
	var node struct {
		Manifests []v1.Descriptor `json:"manifests"`
		Config    *v1.Descriptor  `json:"config"`
		Layers    []v1.Descriptor `json:"layers"`
	}
	if err := json.Unmarshal(text, &node); err != nil {
		return err
	}
	if node.Config != nil {
		needed[node.Config.Digest.Hex] = true
	}
	for _, d := range node.Layers {
		needed[d.Digest.Hex] = true
	}
	for _, d := range node.Manifests {
		if needed[d.Digest.Hex] {
			continue
		}
		needed[d.Digest.Hex] = true
		if err := reach(dir, filepath.Join(dir, blobFolder, d.Digest.Hex), needed); err != nil {
			return err
		}
	}
	return nil
}
