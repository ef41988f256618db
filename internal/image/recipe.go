package image

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/nearest"
)

// A Recipe says what goes into an image: the content of images/NAME/image.yaml.
type Recipe struct {
	// Name is that of the folder.
	Name string `json:"-"`
	// Version is stamped on the program and the image.
	Version string `json:"-"`
	// Package is the Go package of the program, relative to the sources.
	Package string `json:"package"`
	// Path is where the program stands in the image.
	Path string `json:"path"`
	// Entrypoint is the image's ENTRYPOINT, and Command its CMD.
	Entrypoint []string `json:"entrypoint"`
	Command    []string `json:"cmd"`
	// InCharts says that the charts are released with the image, pinned to it.
	InCharts bool `json:"inCharts"`
	// User is numeric, so that a pod with runAsNonRoot needs to look up nothing.
	User string `json:"user"`
	// Platforms are the names of what the image is built for.
	Platforms []string `json:"platforms"`
	// Created is the date stamped on the image and its files.
	Created time.Time `json:"created"`
	// CreatedFrom is where that date was taken from: a file, or SOURCE_DATE_EPOCH.
	CreatedFrom string `json:"-"`
	// Compression is that of the layers. It belongs to the call, not to the file.
	Compression Compression `json:"-"`
	// Labels become labels of the image and annotations of its manifests.
	Labels map[string]string `json:"labels"`
	// Download is a binary of somebody else's beside the program, or nil.
	Download *Download `json:"download"`
	// Missing are the platforms for which there is no such binary.
	Missing []string `json:"-"`
}

// latestEpoch is the end of the year 9999, the last that RFC 3339 can write.
const latestEpoch = 253402300799

// LoadRecipe reads images/NAME/image.yaml below the sources. version is the
// release; epoch is the value of SOURCE_DATE_EPOCH, which replaces the date of
// the recipe when it is not empty.
func LoadRecipe(sources, name, version, epoch string) (Recipe, error) {
	r := Recipe{Name: name, Version: version}
	text, err := os.ReadFile(filepath.Join(sources, "images", name, "image.yaml"))
	if os.IsNotExist(err) || name != filepath.Base(name) {
		names := RecipeNames(sources)
		if meant, likely := nearest.Guess(name, names); likely {
			return r, fault.New(fault.Usage, fmt.Errorf("image %q is unknown, did you mean %s?", name, meant))
		}
		return r, fault.New(fault.Usage, fmt.Errorf("image %q is unknown: there is no images/%s/image.yaml", name, name),
			"the images are "+strings.Join(names, ", "))
	}
	if err != nil {
		return r, err
	}
	if err := r.read(text); err != nil {
		var lines []error
		for line := range strings.Lines(err.Error()) {
			lines = append(lines, fmt.Errorf("images/%s/image.yaml: %s", name, strings.TrimSpace(line)))
		}
		return r, fault.New(fault.Usage, errors.Join(lines...), "docs/image.schema.json says what there is")
	}
	r.CreatedFrom = "images/" + name + "/image.yaml"
	if epoch != "" {
		seconds, err := strconv.ParseInt(epoch, 10, 64)
		if err != nil || seconds < 0 || seconds > latestEpoch {
			return r, fault.New(fault.Usage, fmt.Errorf("SOURCE_DATE_EPOCH %q is not a number of seconds since 1970", epoch),
				"as in SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)")
		}
		r.Created, r.CreatedFrom = time.Unix(seconds, 0), "SOURCE_DATE_EPOCH"
	}
	r.Created = r.Created.UTC().Truncate(time.Second)
	return r, nil
}

// read reads image.yaml, which has to be what the schema says.
func (r *Recipe) read(text []byte) error {
	values, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return err
	}
	if err := checkSchema(values); err != nil {
		return err
	}
	if err := yaml.UnmarshalStrict(text, r); err != nil {
		return err
	}
	if title := r.Labels[ocispec.AnnotationTitle]; title != "" && title != r.Name {
		return fmt.Errorf("labels.%s: %q is not %s, the name of the image", ocispec.AnnotationTitle, title, r.Name)
	}
	if r.Download != nil {
		return r.Download.check(*r)
	}
	return nil
}

// KnownRecipe returns the recipe of a name in the folder images of some files, and
// nil where there is none that can be read.
func KnownRecipe(files fs.FS, name string) *Recipe {
	r := Recipe{Name: name}
	text, err := fs.ReadFile(files, path.Join("images", name, "image.yaml"))
	if err != nil || name != path.Base(name) || r.read(text) != nil {
		return nil
	}
	return &r
}

// GoFlags are the flags with which the Go command builds the program.
func (r Recipe) GoFlags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w -buildid= -X main.version=" + r.Version}
}

// Files are the paths of all files in a layer.
func (r Recipe) Files() []string {
	files := []string{path.Clean(r.Path)}
	if r.Download != nil {
		files = append(files, path.Clean(r.Download.Path))
	}
	return files
}

// annotations returns the labels with those that follow from the release.
func (r Recipe) annotations() map[string]string {
	all := map[string]string{
		ocispec.AnnotationTitle:   r.Name,
		ocispec.AnnotationVersion: r.Version,
		ocispec.AnnotationCreated: r.Created.Format(time.RFC3339),
	}
	for k, v := range r.Labels {
		all[k] = v
	}
	if d := r.Download; d != nil {
		all["io.jobmesh.upstream.name"] = d.Name
		all["io.jobmesh.upstream.version"] = d.Version
		all["io.jobmesh.upstream.license"] = d.License
		all["io.jobmesh.upstream.source"] = d.Source
	}
	if len(r.Missing) > 0 {
		all["io.jobmesh.upstream.missing"] = strings.Join(r.Missing, ",")
	}
	return all
}

// RecipeNames are the images that sources have a recipe of, sorted.
func RecipeNames(sources string) []string {
	found, _ := filepath.Glob(filepath.Join(sources, "images", "*", "image.yaml")) // the pattern is sound
	var names []string
	for _, path := range found {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	sort.Strings(names)
	return names
}
