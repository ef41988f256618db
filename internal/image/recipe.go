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

// A Recipe is the content of images/NAME/image.yaml. It says what goes into an image.
type Recipe struct {
	// Name is the name of the folder.
	Name string `json:"-"`
	// Version is written into the program and the image.
	Version string `json:"-"`
	// Package is the Go package of the program, relative to the sources.
	Package string `json:"package"`
	// Path is the path of the program in the image.
	Path string `json:"path"`
	// Entrypoint is the ENTRYPOINT of the image, and Command is its CMD.
	Entrypoint []string `json:"entrypoint"`
	Command    []string `json:"cmd"`
	// InCharts says that the charts are released with this image, and are pinned to it.
	InCharts bool `json:"inCharts"`
	// User is a number, so that runAsNonRoot can be checked without a passwd file.
	User string `json:"user"`
	// Platforms are the names of the platforms that the image is built for.
	Platforms []string `json:"platforms"`
	// Created is the date of the image and of its files.
	Created time.Time `json:"created"`
	// CreatedFrom says where that date comes from: a file, or SOURCE_DATE_EPOCH.
	CreatedFrom string `json:"-"`
	// Compression is the compression of the layers. It comes from the call, not from the file.
	Compression Compression `json:"-"`
	// Labels become labels of the image and annotations of its manifests.
	Labels map[string]string `json:"labels"`
	// Download is a third-party binary beside the program, or nil.
	Download *Download `json:"download"`
	// Missing are the platforms for which that binary does not exist.
	Missing []string `json:"-"`
}

// latestEpoch is the end of the year 9999, the last one that RFC 3339 can express.
const latestEpoch = 253402300799

// LoadRecipe reads images/NAME/image.yaml below the sources. The parameter version is the
// release, and epoch is the value of SOURCE_DATE_EPOCH, which replaces the date of the recipe
// unless it is empty. All mistakes are fault.Usage errors.
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

// read reads image.yaml, and checks it against the schema.
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

// KnownRecipe returns the recipe of that name in the folder images, and nil where there is none
// that can be read.
func KnownRecipe(files fs.FS, name string) *Recipe {
	r := Recipe{Name: name}
	text, err := fs.ReadFile(files, path.Join("images", name, "image.yaml"))
	if err != nil || name != path.Base(name) || r.read(text) != nil {
		return nil
	}
	return &r
}

// GoFlags returns the flags with which the Go command builds the program.
func (r Recipe) GoFlags() []string {
	return []string{"-trimpath", "-buildvcs=false", "-mod=readonly", "-ldflags=-s -w -buildid= -X main.version=" + r.Version}
}

// Files returns the paths of all files in a layer.
func (r Recipe) Files() []string {
	files := []string{path.Clean(r.Path)}
	if r.Download != nil {
		files = append(files, path.Clean(r.Download.Path))
	}
	return files
}

// annotations returns the labels, and those that follow from the release.
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

// RecipeNames returns the names of the images with a recipe in the sources, sorted.
func RecipeNames(sources string) []string {
	found, _ := filepath.Glob(filepath.Join(sources, "images", "*", "image.yaml")) // the pattern is valid
	var names []string
	for _, path := range found {
		names = append(names, filepath.Base(filepath.Dir(path)))
	}
	sort.Strings(names)
	return names
}
