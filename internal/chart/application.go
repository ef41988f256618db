package chart

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/helm"
)

// A Library is a packed library chart inside an application chart.
type Library struct {
	Archive
	// Repository is the place where Helm finds it, such as oci://registry.example.com/platform.
	Repository string
}

// PackApplication packs the application chart of a folder with the library in it, under the
// library's version. Such a chart can be installed without fetching anything else.
func PackApplication(dir string, library Library, modified time.Time) (Archive, error) {
	c, err := load(dir)
	if err != nil {
		return Archive{}, err
	}
	return packApplication(c, library, modified)
}

// RepackApplication replaces the library in a packed application chart, and leaves the rest as
// it is.
func RepackApplication(archive []byte, library Library) (Archive, error) {
	c, modified, err := unpack(archive)
	if err != nil {
		return Archive{}, err
	}
	return packApplication(c, library, modified)
}

// LibraryIn returns the archive of the library in a packed application chart.
func LibraryIn(archive []byte) ([]byte, error) {
	c, err := loadArchive(archive)
	if err != nil {
		return nil, err
	}
	for _, f := range c.Raw {
		if isDependency(f) {
			return f.Data, nil
		}
	}
	return nil, errors.New("carries no library chart")
}

// packApplication leaves out what Helm may have written into the folder: a lock file, and
// charts that were packed for a rendering.
func packApplication(c *helm.Chart, library Library, modified time.Time) (Archive, error) {
	wrong := func(err error) error { return fault.New(fault.Build, fmt.Errorf("chart %s: %w", c.Name(), err)) }
	if err := dependsOnlyOn(c, library.Metadata); err != nil {
		return Archive{}, wrong(err)
	}
	var files []*helm.File
	for _, f := range c.Raw {
		if f.Name != "Chart.lock" && !isDependency(f) {
			files = append(files, f)
		}
	}
	files, err := edited(files, map[string]edit{"Chart.yaml": library.release})
	if err != nil {
		return Archive{}, wrong(err)
	}
	files = append(files, &helm.File{Name: "charts/" + library.FileName(), Data: library.Bytes})
	a, err := write(c.Metadata, files, modified)
	if err != nil {
		return a, err
	}
	// The archive is loaded as Helm will load it, because its metadata goes into the registry.
	packed, err := helm.LoadArchive(a.Bytes)
	if err != nil {
		return a, wrong(fmt.Errorf("the packed archive does not load: %w", err))
	}
	if len(packed.Dependencies()) != 1 {
		return a, wrong(errors.New("the packed archive does not contain the library"))
	}
	a.Metadata = packed.Metadata
	return a, nil
}

func isDependency(f *helm.File) bool { return strings.HasPrefix(f.Name, "charts/") }

func dependsOnlyOn(c *helm.Chart, library *helm.Metadata) error {
	if len(c.Metadata.Dependencies) != 1 || c.Metadata.Dependencies[0].Name != library.Name {
		return fmt.Errorf("must have one dependency in Chart.yaml, %s", library.Name)
	}
	return nil
}

// These match the lines of a Chart.yaml with one dependency.
var (
	versionLine           = regexp.MustCompile(`(?m)^(version: ).*$`)
	dependencyVersionLine = regexp.MustCompile(`(?m)^( +version: ).*$`)
	repositoryLine        = regexp.MustCompile(`(?m)^( +repository: ).*$`)
)

// release writes the values of a release into the text of a Chart.yaml. The dependency gets the
// version of the library that is packed with it. The chart gets that version too, because a
// registry refuses other content under a version that is published already. The repository is
// replaced, because the path in the sources means nothing to those who download the chart. The
// image is that of the library.
func (l Library) release(text []byte) ([]byte, error) {
	for _, set := range []struct {
		line        *regexp.Regexp
		what, value string
	}{
		{versionLine, "its version", l.Metadata.Version},
		{dependencyVersionLine, "the version of a dependency", l.Metadata.Version},
		{repositoryLine, "the repository of a dependency", l.Repository},
	} {
		if n := len(set.line.FindAll(text, -1)); n != 1 {
			return nil, fmt.Errorf("has %d lines with %s in Chart.yaml, not one", n, set.what)
		}
		text = set.line.ReplaceAll(text, []byte("${1}"+set.value))
	}
	carried, err := helm.LoadArchive(l.Bytes)
	if err != nil {
		return nil, fmt.Errorf("the library chart does not load: %w", err)
	}
	return listImage(text, Pin{}.reference(carried.Values)), nil
}
