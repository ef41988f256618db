package release

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/foreign"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/regular"
)

// A Stored is a release that was read back, with every digest checked.
type Stored struct {
	Result Result
	// Named is the name and the tag of the image in a layout. It is empty for an image from a
	// registry.
	Named image.Reference
	// Children are the images of the platforms, in the order of Result.
	Children []Child
	// Index is the image index that lists them.
	Index image.Blob
	// Attachments are documents about the index and its children. Those of a folder are in the
	// order of Result.
	Attachments []image.Attachment
	// Chart is the archive of the library chart, and nil where Result has none.
	Chart []byte
	// Applications are the archives of the charts that carry it, in the order of
	// Result.
	Applications [][]byte
	// Notes are remarks that are not failures.
	Notes []string
	// Unread says why a listed document could not be read, where that is not the document's
	// fault; otherwise it is nil.
	Unread error
}

// A Child is the image of one platform.
type Child struct {
	Manifest, Config image.Blob
	// Layer has content only where the caller wants to send it on.
	Layer image.Blob
	// DiffID is the digest of the uncompressed layer, and Files are its files.
	DiffID string
	Files  []LayerFile
	// Wrong says why the layer could not be read, and is nil where it could.
	Wrong error
}

// Created returns the date of the image, which a rebuild has to use again.
func (s Stored) Created() (time.Time, error) {
	var index v1.IndexManifest
	err := json.Unmarshal(s.Index.Bytes, &index)
	var created time.Time
	if err == nil {
		created, err = time.Parse(time.RFC3339, index.Annotations[ocispec.AnnotationCreated])
	}
	if err != nil {
		return created, fault.New(fault.Verification, fmt.Errorf("image index: %w", err))
	}
	return created, nil
}

const rebuild = "jobmesh build writes it again"

// Load reads the release in a folder, with its layers. A file whose content does not have its
// digest, or that does not belong to the release, is an error that names the file.
func (f Folder) Load() (Stored, error) { return f.load(true) }

// Look reads the release in a folder as Load does, but keeps only what was found out about the
// layers.
func (f Folder) Look() (Stored, error) { return f.load(false) }

func (f Folder) load(keep bool) (Stored, error) {
	var s Stored
	name := filepath.Join(string(f), ResultFile)
	text, err := f.read(ResultFile, maxManifest)
	if errors.Is(err, os.ErrNotExist) {
		missing := ResultFile
		if _, err := os.Stat(string(f)); errors.Is(err, os.ErrNotExist) {
			missing = "such file or folder"
		}
		return s, fault.New(fault.LocalIO, fmt.Errorf("%s has no release in it: there is no %s", f, missing), "jobmesh build makes one")
	}
	if err != nil {
		return s, outside(name, err)
	}
	var listed Result
	if err := listed.parse(text); err != nil {
		return s, fault.New(fault.Verification, fmt.Errorf("%s %w", name, err), rebuild)
	}
	if s, err = f.image(listed, keep); err != nil {
		return s, err
	}
	s.Result = listed
	if c := listed.Chart; c != nil {
		if s.Chart, err = f.file(c.Path, c.Content, maxChart); err != nil {
			return s, err
		}
	}
	for _, a := range listed.Applications {
		archive, err := f.file(a.Path, a.Content, maxChart)
		if err != nil {
			return s, err
		}
		s.Applications = append(s.Applications, archive)
	}
	return s, f.sameArchive(s)
}

// image reads the image from the layout, and compares it with the list.
func (f Folder) image(listed Result, keep bool) (Stored, error) {
	dir := filepath.Join(string(f), layoutFolder)
	layout, err := openLayout(&Layout{name: dir, separator: "/", read: readIn(string(f), layoutFolder), files: filesIn(dir), hints: []string{rebuild}})
	if err != nil {
		return Stored{}, err
	}
	want := listed.Image
	_, hex, _ := strings.Cut(want.Digest, ":")
	entry := image.ParseReference(want.Reference).Listed(v1.Descriptor{
		MediaType: types.OCIImageIndex, Size: want.Size, Digest: v1.Hash{Algorithm: "sha256", Hex: hex},
	})
	if layout.index.SchemaVersion != 2 || layout.index.MediaType != types.OCIImageIndex || want.Digest != entry.Digest.String() ||
		!slices.ContainsFunc(layout.index.Manifests, func(d v1.Descriptor) bool { return reflect.DeepEqual(d, entry) }) {
		return Stored{}, fault.New(fault.Verification, fmt.Errorf("%s does not list the image %s as %s", layout.at("index.json"), want.Digest, want.Reference), rebuild)
	}
	top, err := layout.Image()
	if err != nil {
		return Stored{}, err
	}
	r, err := Begin(context.Background(), layout, top)
	r.keep = keep
	if err == nil {
		err = r.Finish(context.Background())
	}
	if err != nil {
		return r.Stored, err
	}
	if err := samePlatforms(listed, r.Stored); err != nil {
		return r.Stored, err
	}
	return r.Stored, sameAttachments(layout, listed, &r.Stored)
}

// samePlatforms compares the list with the image itself.
func samePlatforms(listed Result, s Stored) error {
	got := s.Result.Image.Platforms
	for i, p := range listed.Image.Platforms {
		p.Program = Content{} // verify checks it
		if i >= len(got) || got[i] != p {
			return fault.New(fault.Verification, fmt.Errorf("the list has %s as %s with layer %s, and the image does not have it", p.Platform, p.Digest, p.Layer.Digest), rebuild)
		}
	}
	if len(got) > len(listed.Image.Platforms) {
		return fault.New(fault.Verification, fmt.Errorf("the image has %s, which the list does not have", got[len(listed.Image.Platforms)].Platform), rebuild)
	}
	return nil
}

// sameAttachments checks that the layout has the listed documents, and no others of their
// types. It puts them into the order of the list.
func sameAttachments(layout *Layout, listed Result, s *Stored) error {
	var all []image.Attachment
	known := map[string]bool{}
	for _, want := range listed.Image.Referrers {
		at := slices.IndexFunc(s.Attachments, func(a image.Attachment) bool {
			return want == Referrer{Subject: a.Subject.String(), ArtifactType: string(a.Type), Content: described(a.Manifest), Document: described(a.Content)}
		})
		if at < 0 || known[want.Digest] {
			return fault.New(fault.Verification, fmt.Errorf("%s does not list the %s %s about %s", layout.at("index.json"), want.ArtifactType, want.Digest, want.Subject), rebuild)
		}
		known[want.Digest] = true
		a := s.Attachments[at]
		if !slices.ContainsFunc(layout.index.Manifests, func(d v1.Descriptor) bool { return reflect.DeepEqual(d, a.Listed()) }) {
			return fault.New(fault.Verification, fmt.Errorf("%s lists %s in another way than it was built", layout.at("index.json"), want.Digest), rebuild)
		}
		all = append(all, a)
	}
	for _, a := range s.Attachments {
		if digest := a.Manifest.Descriptor.Digest.String(); !known[digest] {
			return fault.New(fault.Verification, fmt.Errorf("%s lists %s, a %s that %s does not have", layout.at("index.json"), digest, a.Type, ResultFile), rebuild)
		}
	}
	s.Attachments = all
	return nil
}

// sameArchive checks that the archive has the files of the release that the layout has, each
// once, and nothing else.
func (f Folder) sameArchive(s Stored) error {
	listed := s.Result.Archive
	name := filepath.Join(string(f), listed.Path)
	wrong := func(format string, values ...any) error {
		return fault.New(fault.Verification, fmt.Errorf("%s %w", name, fmt.Errorf(format, values...)), rebuild)
	}
	root, err := openRoot(string(f))
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }() // nothing was written to it
	file, err := regular.OpenIn(root, listed.Path)
	if errors.Is(err, os.ErrNotExist) {
		return wrong("is missing")
	}
	if err != nil {
		return outside(name, err)
	}
	defer func() { _ = file.Close() }() // nothing was written to it
	digest, size, err := v1.SHA256(io.LimitReader(file, maxArchive))
	if err != nil {
		return err
	}
	if got := (Content{Digest: digest.String(), Size: size}); got != listed.Content {
		return wrong("is damaged: it is %s, not %s", got.Digest, listed.Digest)
	}
	sections, err := sectionsOf(file)
	if err != nil {
		return wrong("is damaged: it %w", err)
	}
	x := &image.Index{Blob: s.Index, Attachments: s.Attachments}
	want := map[string]Content{
		"oci-layout": contentOf([]byte(image.LayoutFile)),
		"index.json": contentOf(x.Listing(image.ParseReference(s.Result.Image.Reference))),
	}
	blobs := x.Blobs()
	for _, c := range s.Children {
		blobs = append(blobs, c.Manifest, c.Config, c.Layer)
	}
	for _, b := range blobs {
		want["blobs/sha256/"+b.Descriptor.Digest.Hex] = described(b)
	}
	for path, content := range want {
		at, ok := sections[path]
		if !ok {
			return wrong("has no %s, which the layout has", path)
		}
		digest, size, err := v1.SHA256(io.NewSectionReader(file, at.offset, at.size))
		if err != nil {
			return err
		}
		if got := (Content{Digest: digest.String(), Size: size}); got != content {
			return wrong("has another %s than the layout: %s, not %s", path, got.Digest, content.Digest)
		}
	}
	for path := range sections {
		if _, ok := want[path]; !ok {
			return wrong("has %s, which does not belong to the release", path)
		}
	}
	return nil
}

// Charts returns the library chart, where there is one, and the charts that carry it.
func (r *Result) Charts() []Packed {
	if r.Chart == nil {
		return r.Applications
	}
	return append([]Packed{*r.Chart}, r.Applications...)
}

// parse reads the text of a result. No digest protects that text, so it has to be, byte for
// byte, what jobmesh writes for its content.
func (r *Result) parse(text []byte) error {
	if foreign.Check(text) != nil || json.Unmarshal(text, r) != nil || r.SchemaVersion != schemaVersion {
		return errors.New("is not a result of this version of jobmesh")
	}
	if again, err := r.encode(); err != nil || !bytes.Equal(again, text) {
		return errors.New("is damaged: it has more than jobmesh wrote")
	}
	named := image.ParseReference(r.Image.Reference)
	agree := isPlain(r.Image.Name) && isPlain(r.Version) &&
		r.Image.Layout == layoutFolder &&
		named.Tag == Tag(r.Version) && path.Base(named.Repository) == r.Image.Name &&
		r.Archive.Path == archivePath(r.Image.Name, r.Version)
	seen := map[string]bool{}
	for _, p := range r.Charts() {
		agree = agree && isPlain(p.Name) && isPlain(p.Version) && !seen[p.Name] &&
			p.Path == chartFolder+"/"+p.Name+"-"+p.Version+".tgz"
		seen[p.Name] = true
	}
	if !agree {
		return errors.New("is damaged: names, versions and paths do not agree")
	}
	return nil
}

// isPlain tells whether a word can be a part of a file name, and does not lead into another
// folder.
func isPlain(word string) bool {
	return word != "" && fs.ValidPath(word) && !strings.ContainsAny(word, `/\`)
}

// read reads a file of the folder. It does not follow links out of the folder.
func (f Folder) read(name string, limit int64) ([]byte, error) {
	return readIn(string(f), "")(name, limit)
}

// file reads a file of the folder and checks it.
func (f Folder) file(name string, want Content, most int64) ([]byte, error) {
	at := filepath.Join(string(f), name)
	data, err := f.read(name, min(want.Size, most)+slack)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is missing", at), rebuild)
	case errors.Is(err, regular.ErrTooLarge):
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is damaged: it has more than %d bytes", at, min(want.Size, most)+slack), rebuild)
	case err != nil:
		return nil, outside(at, err)
	}
	if got := contentOf(data); got != want {
		return nil, fault.New(fault.Verification, fmt.Errorf("%s is damaged: it is %s, not %s", at, got.Digest, want.Digest), rebuild)
	}
	return data, nil
}
