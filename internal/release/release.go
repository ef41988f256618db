// Package release is the output folder: the image, the charts and the file that lists them. A
// failed run leaves the old ones intact.
package release

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/replace"
)

// A Folder is the path of an output folder.
type Folder string

// These are the names in the folder.
const (
	layoutFolder = "oci"
	chartFolder  = "charts"
	ResultFile   = "result.json"

	// schemaVersion is the version of docs/result.schema.json.
	schemaVersion = 1
)

// Tag returns the tag of a version in a registry. A tag cannot contain a +; Helm's convention
// is _.
func Tag(version string) string { return strings.ReplaceAll(version, "+", "_") }

// A Release is the product of one build.
type Release struct {
	Index     *image.Index
	Reference image.Reference
	// Chart is the library chart, or nil for an image that no chart uses.
	Chart *chart.Archive
	// Applications are charts that carry the library chart.
	Applications []chart.Archive
	Toolchain    string
}

// A Result is the content of result.json, whose schema is
// docs/result.schema.json.
type Result struct {
	SchemaVersion int    `json:"schemaVersion"`
	Version       string `json:"version"`
	Toolchain     string `json:"toolchain"`
	Image         Image  `json:"image"`
	Archive       File   `json:"archive"`
	// Chart is the library chart, or nil for an image that no chart uses.
	Chart *Packed `json:"chart,omitempty"`
	// Applications are charts that carry the library chart.
	Applications []Packed `json:"applications"`
}

// An Image is the multi-arch image.
type Image struct {
	Name      string `json:"name"`
	Reference string `json:"reference"`
	Layout    string `json:"layout"`
	Content
	Platforms []Platform `json:"platforms"`
	// Referrers are documents about the index and the platforms: bills of
	// materials, provenance, signatures.
	Referrers []Referrer `json:"referrers"`
}

// A Referrer is a document about a manifest. Its digest and size are those of its own manifest.
type Referrer struct {
	// Subject is the digest of the manifest that the document is about.
	Subject      string `json:"subject"`
	ArtifactType string `json:"artifactType"`
	Content
	Document Content `json:"document"`
}

// A Platform is the image of one platform. Its digest and size are those of the manifest.
type Platform struct {
	Platform string `json:"platform"`
	Content
	Config  Content `json:"config"`
	Layer   Content `json:"layer"`
	DiffID  string  `json:"diffID"`
	Program Content `json:"program"`
}

// A Packed is the archive of a chart.
type Packed struct {
	Name    string `json:"name"`
	Version string `json:"version"`
	File
}

// A File is a file in the folder, with a path relative to the folder.
type File struct {
	Path string `json:"path"`
	Content
}

// A Content is the digest and size of some bytes.
type Content struct {
	Digest string `json:"digest"`
	// Size is the size in bytes.
	Size int64 `json:"size"`
}

// Prepare checks that the folder can be written to, before any work is done.
func (f Folder) Prepare() error {
	for _, dir := range []string{string(f), filepath.Join(string(f), chartFolder)} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return dangling(dir, err)
		}
		if err := image.RemoveLeftovers(filepath.Join(dir, "probe")); err != nil {
			return err
		}
		probe, err := os.CreateTemp(dir, ".probe")
		if err != nil {
			return &os.PathError{Op: "write", Path: dir, Err: cause(err)}
		}
		_ = probe.Close() // nothing was written
		if err := os.Remove(probe.Name()); err != nil {
			return err
		}
	}
	return nil
}

// dangling explains an error of MkdirAll, which says that a file exists where a symbolic link
// leads nowhere.
func dangling(dir string, err error) error {
	for ; dir != filepath.Dir(dir); dir = filepath.Dir(dir) {
		target, linkErr := os.Readlink(dir)
		if _, statErr := os.Stat(dir); linkErr == nil && errors.Is(statErr, os.ErrNotExist) {
			return &os.PathError{Op: "write", Path: dir, Err: errors.New("is a symbolic link to " + target + ", which does not exist")}
		}
	}
	return err
}

// cause removes the name of the temporary file, which does not help the user.
func cause(err error) error {
	if path, ok := err.(*os.PathError); ok {
		return path.Err
	}
	return err
}

// Write writes the release. All of its content is on disk, under temporary names, before the
// first file is replaced, so a full disk leaves the old release intact. The file that lists
// everything is replaced last; after it only archives of other versions are removed. A file
// with the right content is not written again; the changes are empty where all files were
// right.
func (f Folder) Write(r Release) (Result, image.Changes, error) {
	dir := string(f)
	layout := filepath.Join(dir, layoutFolder)
	changes, err := r.Index.WriteBlobs(layout)
	if err != nil {
		return Result{}, changes, err
	}
	archive, err := r.Index.Archive(r.Reference)
	if err != nil {
		return Result{}, changes, err
	}
	result := r.result(archive)
	text, err := result.encode()
	if err != nil {
		return Result{}, changes, err
	}
	var pending []*replace.Pending
	defer func() {
		for _, file := range pending {
			_ = file.Cleanup() // it does nothing for a file that was replaced
		}
	}()
	type file struct {
		path    string
		content []byte
	}
	files := []file{{result.Archive.Path, archive}}
	if r.Chart != nil {
		files = append(files, file{result.Chart.Path, r.Chart.Bytes})
	}
	for i, a := range r.Applications {
		files = append(files, file{result.Applications[i].Path, a.Bytes})
	}
	for _, file := range append(files, file{ResultFile, text}) {
		path := filepath.Join(dir, file.path)
		p, err := prepare(path, file.content)
		if err != nil {
			return Result{}, changes, err
		}
		if p != nil {
			pending = append(pending, p)
			changes = append(changes, image.Change{Path: path})
		}
	}
	listed, err := r.Index.List(layout, r.Reference)
	changes = append(changes, listed...)
	if err != nil {
		return Result{}, changes, err
	}
	for _, file := range pending {
		if err := file.CloseAtomicallyReplace(); err != nil {
			return Result{}, changes, err
		}
	}
	return result, changes, f.removeOtherVersions(result)
}

// removeOtherVersions removes the archives of the same image and charts that builds of other
// versions have left.
func (f Folder) removeOtherVersions(r Result) error {
	archives := append(r.Charts(), Packed{Name: r.Image.Name, Version: r.Version, File: r.Archive})
	for _, own := range archives {
		dir, base := filepath.Split(filepath.Join(string(f), own.Path))
		extension := strings.TrimPrefix(base, own.Name+"-"+own.Version)
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			version, named := strings.CutPrefix(e.Name(), own.Name+"-")
			version, packed := strings.CutSuffix(version, extension)
			if named && packed && version != own.Version && anyVersion.MatchString(version) && e.Type().IsRegular() {
				if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

var anyVersion = regexp.MustCompile(`^[0-9]+\.[0-9]+\.[0-9]+([-+][0-9A-Za-z.+-]*)?$`)

// prepare writes a file beside the one that it will replace, and returns nil where the content
// is the same.
func prepare(path string, content []byte) (*replace.Pending, error) {
	if stat, err := os.Stat(path); err == nil && stat.IsDir() {
		return nil, &os.PathError{Op: "write", Path: path, Err: syscall.EISDIR}
	}
	if err := image.RemoveLeftovers(path); err != nil {
		return nil, err
	}
	if same, err := image.Same(path, content); err != nil || same {
		return nil, err
	}
	p, err := replace.Prepare(path, 0o644)
	if err != nil {
		return nil, image.ErrorAt(path, err)
	}
	if _, err := p.Write(content); err != nil {
		_ = p.Cleanup() // the first error is reported
		return nil, image.ErrorAt(path, err)
	}
	return p, nil
}

func (r Release) result(archive []byte) Result {
	recipe := r.Index.Recipe
	result := Result{
		SchemaVersion: schemaVersion,
		Version:       recipe.Version,
		Toolchain:     r.Toolchain,
		Image: Image{
			Name:      recipe.Name,
			Reference: r.Reference.String(),
			Layout:    layoutFolder,
			Content:   described(r.Index.Blob),
		},
		Archive: File{Path: archivePath(recipe.Name, recipe.Version), Content: contentOf(archive)},
		// The list is never null, so that readers need no case for that.
		Applications: []Packed{},
	}
	if r.Chart != nil {
		library := packed(*r.Chart)
		result.Chart = &library
	}
	for _, a := range r.Applications {
		result.Applications = append(result.Applications, packed(a))
	}
	for _, c := range r.Index.Children {
		result.Image.Platforms = append(result.Image.Platforms, Platform{
			Platform: c.Platform.Name,
			Content:  described(c.Manifest),
			Config:   described(c.Config),
			Layer:    described(c.Layer),
			DiffID:   c.DiffID.String(),
			Program:  contentOf(c.Program),
		})
	}
	result.Image.Referrers = []Referrer{}
	for _, a := range r.Index.Attachments {
		result.Image.Referrers = append(result.Image.Referrers, Referrer{
			Subject: a.Subject.String(), ArtifactType: string(a.Type), Content: described(a.Manifest), Document: described(a.Content),
		})
	}
	return result
}

func packed(a chart.Archive) Packed {
	return Packed{
		Name: a.Metadata.Name, Version: a.Metadata.Version,
		File: File{Path: chartFolder + "/" + a.FileName(), Content: contentOf(a.Bytes)},
	}
}

func (r Result) encode() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	return append(text, '\n'), err
}

func archivePath(name, version string) string { return name + "-" + version + ".oci.tar" }

func described(b image.Blob) Content {
	return Content{Digest: b.Descriptor.Digest.String(), Size: b.Descriptor.Size}
}

func contentOf(data []byte) Content {
	digest, size, _ := v1.SHA256(bytes.NewReader(data)) // reading from memory does not fail
	return Content{Digest: digest.String(), Size: size}
}
