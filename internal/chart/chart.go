// Package chart packs the library chart, pinned to the image of the same build, and the
// application charts that carry it.
package chart

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/helm"
	"github.com/jobmesh/jobmesh/internal/image"
)

// A Pin is the image to which a chart is pinned.
type Pin struct {
	// Registry and Repository replace those of the chart unless they are empty.
	Registry, Repository string
	// Digest is the digest of the image index.
	Digest string
}

// An Archive is a packed chart.
type Archive struct {
	Metadata *helm.Metadata
	Bytes    []byte
}

// FileName returns the file name that Helm expects for the archive.
func (a Archive) FileName() string { return a.Metadata.Name + "-" + a.Metadata.Version + ".tgz" }

// ImageRepository returns the repository of the image, with its registry, that the chart in a
// folder names.
func ImageRepository(dir string) (string, error) {
	c, err := load(dir)
	if err != nil {
		return "", err
	}
	image, _ := c.Values["image"].(map[string]any)
	registry, _ := image["registry"].(string)
	repository, _ := image["repository"].(string)
	if registry == "" || repository == "" {
		return "", fault.New(fault.Build, fmt.Errorf("chart %s: values.yaml has no image.registry or no image.repository", dir))
	}
	return registry + "/" + repository, nil
}

// Pack pins the chart in a folder and packs it. The same files always give the same archive.
// Helm's own writer does not: it writes the time of packing (3.x) or that of the files (4.x).
func Pack(dir string, pin Pin, modified time.Time) (Archive, error) {
	c, err := load(dir)
	if err != nil {
		return Archive{}, err
	}
	return pack(c, pin, modified)
}

// Repack pins a packed chart to another image, and leaves the rest as it is.
func Repack(archive []byte, pin Pin) (Archive, error) {
	c, modified, err := unpack(archive)
	if err != nil {
		return Archive{}, err
	}
	return pack(c, pin, modified)
}

// unpack loads a packed chart, and returns it with the modification time of its files.
func unpack(archive []byte) (*helm.Chart, time.Time, error) {
	c, err := loadArchive(archive)
	if err != nil {
		return nil, time.Time{}, fault.New(fault.Input, fmt.Errorf("chart archive: %w", err))
	}
	modified, err := firstModified(archive)
	if err != nil {
		return nil, time.Time{}, fault.New(fault.Input, fmt.Errorf("chart archive: %w", err))
	}
	return c, modified, nil
}

// firstModified returns the modification time of the archive's files, which is the same for
// all.
func firstModified(archive []byte) (time.Time, error) {
	unpacked, err := gzip.NewReader(bytes.NewReader(archive))
	if err != nil {
		return time.Time{}, err
	}
	header, err := tar.NewReader(unpacked).Next()
	if err != nil {
		return time.Time{}, err
	}
	return header.ModTime, nil
}

// pack writes the files of a loaded library chart as they are, apart from the pin.
func pack(c *helm.Chart, pin Pin, modified time.Time) (Archive, error) {
	reference := pin.reference(c.Values)
	files, err := edited(c.Raw, map[string]edit{
		"values.yaml": pin.apply,
		// The templates contain the defaults too, for values that are null.
		"templates/_settings_tables.tpl": pin.apply,
		"Chart.yaml":                     func(text []byte) ([]byte, error) { return listImage(text, reference), nil },
	})
	if err != nil {
		return Archive{}, err
	}
	a, err := write(c.Metadata, files, modified)
	if err != nil {
		return a, err
	}
	a.Metadata, err = a.check(pin)
	return a, err
}

// listedImage matches the line with the reference in the annotation artifacthub.io/images.
var listedImage = regexp.MustCompile(`(?m)^( {6}image: ).*$`)

// listImage writes the reference of the image into a Chart.yaml that lists the image for
// Artifact Hub.
func listImage(text []byte, reference string) []byte {
	return listedImage.ReplaceAll(text, []byte("${1}"+reference))
}

// reference returns the image that a chart with these values uses once it is pinned.
func (p Pin) reference(values map[string]any) string {
	image, _ := values["image"].(map[string]any)
	registry, _ := image["registry"].(string)
	repository, _ := image["repository"].(string)
	digest, _ := image["digest"].(string)
	return cmp.Or(p.Registry, registry) + "/" + cmp.Or(p.Repository, repository) + "@" + cmp.Or(p.Digest, digest)
}

// An edit changes the text of a file.
type edit func([]byte) ([]byte, error)

// edited returns the files; those with an edit are changed by it.
func edited(files []*helm.File, edits map[string]edit) ([]*helm.File, error) {
	var out []*helm.File
	for _, f := range files {
		if change, ok := edits[f.Name]; ok {
			data, err := change(f.Data)
			if err != nil {
				return nil, err
			}
			f = &helm.File{Name: f.Name, Data: data}
		}
		out = append(out, f)
	}
	return out, nil
}

// write makes an archive of the files.
func write(metadata *helm.Metadata, files []*helm.File, modified time.Time) (Archive, error) {
	a := Archive{Metadata: metadata}
	files = slices.SortedFunc(slices.Values(files), func(x, y *helm.File) int { return strings.Compare(x.Name, y.Name) })
	var content bytes.Buffer
	w := tar.NewWriter(&content)
	for _, f := range files {
		header := &tar.Header{
			Name: metadata.Name + "/" + f.Name, Mode: 0o644, Size: int64(len(f.Data)),
			ModTime: modified, Typeflag: tar.TypeReg, Format: tar.FormatPAX,
		}
		if err := w.WriteHeader(header); err != nil {
			return a, err
		}
		if _, err := w.Write(f.Data); err != nil {
			return a, err
		}
	}
	err := w.Close()
	if err == nil {
		a.Bytes, err = image.Compress(content.Bytes())
	}
	return a, err
}

// check loads the archive as Helm will, and returns its metadata.
func (a Archive) check(pin Pin) (*helm.Metadata, error) {
	c, err := helm.LoadArchive(a.Bytes)
	if err != nil {
		return nil, fault.New(fault.Build, fmt.Errorf("chart %s: the packed archive does not load: %w", a.FileName(), err))
	}
	got, _ := c.Values["image"].(map[string]any)
	for key, want := range pin.values() {
		if got[key] != want {
			return nil, fault.New(fault.Build, fmt.Errorf("chart %s: image.%s is %v after pinning, not %s", a.FileName(), key, got[key], want))
		}
	}
	return c.Metadata, nil
}

// PinnedDigest returns the digest that a packed chart is pinned to.
func PinnedDigest(archive []byte) (string, error) {
	c, err := loadArchive(archive)
	if err != nil {
		return "", err
	}
	image, _ := c.Values["image"].(map[string]any)
	digest, _ := image["digest"].(string)
	return digest, nil
}

func load(dir string) (*helm.Chart, error) {
	c, err := helm.LoadFolder(dir)
	if err == nil {
		err = c.Validate()
	}
	if err != nil {
		return nil, fault.New(fault.Build, fmt.Errorf("chart %s: %w", dir, err))
	}
	return c, nil
}

func (p Pin) values() map[string]string {
	values := map[string]string{"digest": p.Digest}
	if p.Registry != "" {
		values["registry"] = p.Registry
	}
	if p.Repository != "" {
		values["repository"] = p.Repository
	}
	return values
}

// apply writes the pin into the text of a values.yaml: into the keys directly under image, each
// on a line of its own. The comments are kept, because they are the documentation of the
// values.
func (p Pin) apply(text []byte) ([]byte, error) {
	left := p.values()
	var out strings.Builder
	inImage := false
	for line := range strings.Lines(string(text)) {
		if line[0] != ' ' && line[0] != '\n' && line[0] != '#' {
			inImage = strings.HasPrefix(line, "image:")
		}
		key, _, isKey := strings.Cut(strings.TrimPrefix(line, "  "), ":")
		if value, wanted := left[key]; inImage && isKey && wanted && strings.HasPrefix(line, "  "+key) {
			line = fmt.Sprintf("  %s: %q\n", key, value)
			delete(left, key)
		}
		out.WriteString(line)
	}
	if len(left) > 0 {
		var keys []string
		for key := range left {
			keys = append(keys, "image."+key)
		}
		sort.Strings(keys)
		return nil, fault.New(fault.Build, errors.New("values.yaml has no line for "+strings.Join(keys, ", ")))
	}
	return []byte(out.String()), nil
}
