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

// A Stored is a release read back from its folder, every digest checked.
type Stored struct {
	Result Result
	// Named is the name and the tag under which a layout has the image; empty where
	// it was read from a registry.
	Named image.Reference
	// Children are the images of the platforms, in the order of Result.
	Children []Child
	// Index is what they are listed in.
	Index image.Blob
	// Attachments are documents about the index and its children. Of a folder they
	// have the order of Result.
	Attachments []image.Attachment
	// Chart is the archive of the library chart, nil where Result has none.
	Chart []byte
	// Applications are the archives of the charts that carry it, in the order of
	// Result.
	Applications [][]byte
	// Notes are what is worth knowing and no fault of the release.
	Notes []string
	// Unread is why a document that is listed could not be read, where that is no
	// fault of the document, nil where there is none.
	Unread error
}

// A Child is the image of one platform.
type Child struct {
	Manifest, Config image.Blob
	// Layer has no bytes but where they are to be sent on.
	Layer image.Blob
	// DiffID is the digest of what the layer unpacks to, and Files what it holds.
	DiffID string
	Files  []LayerFile
	// Wrong is why the layer could not be read, nil where it could.
	Wrong error
}

// Created is the date on the image, which a rebuild has to use again.
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

// Load reads the release of a folder, with its layers. Content that is not what its
// digest says is an error that names the file; so is what is not of the release.
func (f Folder) Load() (Stored, error) { return f.load(true) }

// Look reads the release of a folder as Load does, and keeps of the layers only what
// was found out about them.
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

// image reads the image from the layout, and compares it with what is listed.
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

// samePlatforms compares the list with what the image itself says.
func samePlatforms(listed Result, s Stored) error {
	got := s.Result.Image.Platforms
	for i, p := range listed.Image.Platforms {
		p.Program = Content{} // verify looks at it
		if i >= len(got) || got[i] != p {
			return fault.New(fault.Verification, fmt.Errorf("the list has %s as %s with layer %s, and the image has not", p.Platform, p.Digest, p.Layer.Digest), rebuild)
		}
	}
	if len(got) > len(listed.Image.Platforms) {
		return fault.New(fault.Verification, fmt.Errorf("the image has %s, which the list has not", got[len(listed.Image.Platforms)].Platform), rebuild)
	}
	return nil
}

// sameAttachments wants the documents that are listed, in the layout too, and no
// others of their types. It puts them into the order of the list.
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
			return fault.New(fault.Verification, fmt.Errorf("%s lists %s otherwise than it was built", layout.at("index.json"), want.Digest), rebuild)
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

// sameArchive wants the archive to hold what the layout holds of the release, each
// file once, and nothing else.
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
	defer func() { _ = root.Close() }() // only read
	file, err := regular.OpenIn(root, listed.Path)
	if errors.Is(err, os.ErrNotExist) {
		return wrong("is missing")
	}
	if err != nil {
		return outside(name, err)
	}
	defer func() { _ = file.Close() }() // only read
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
			return wrong("has %s, which is not of the release", path)
		}
	}
	return nil
}

// Charts are the library chart, where there is one, and those that carry it.
func (r *Result) Charts() []Packed {
	if r.Chart == nil {
		return r.Applications
	}
	return append([]Packed{*r.Chart}, r.Applications...)
}

// parse reads the text of a result, in which nothing is guarded by a digest: it
// has to be, byte for byte, what is written for what it says.
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

// isPlain tells whether a word can be part of a file's name and leads nowhere else.
func isPlain(word string) bool {
	return word != "" && fs.ValidPath(word) && !strings.ContainsAny(word, `/\`)
}

// read reads a file of the folder, which no link leads out of.
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
