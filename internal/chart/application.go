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

// A Library is the packed library chart as an application chart carries it.
type Library struct {
	Archive
	// Repository is where Helm finds it, such as oci://registry.example.com/platform.
	Repository string
}

// PackApplication packs the application chart of a folder with the library in
// it, so that nothing has to be fetched to install it, under the library's version.
func PackApplication(dir string, library Library, modified time.Time) (Archive, error) {
	c, err := load(dir)
	if err != nil {
		return Archive{}, err
	}
	return packApplication(c, library, modified)
}

// RepackApplication puts another library into a packed application chart, and
// leaves the rest as it is.
func RepackApplication(archive []byte, library Library) (Archive, error) {
	c, modified, err := unpack(archive)
	if err != nil {
		return Archive{}, err
	}
	return packApplication(c, library, modified)
}

// LibraryIn returns the archive of the library that a packed application chart
// carries.
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

// packApplication leaves out what Helm may have put into the folder for its own
// use: a lock file, and charts that were built for a rendering.
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
	// Read back the way Helm will: its metadata goes into the registry beside it.
	packed, err := helm.LoadArchive(a.Bytes)
	if err != nil {
		return a, wrong(fmt.Errorf("the packed archive does not load: %w", err))
	}
	if len(packed.Dependencies()) != 1 {
		return a, wrong(errors.New("the packed archive has not the library in it"))
	}
	a.Metadata = packed.Metadata
	return a, nil
}

func isDependency(f *helm.File) bool { return strings.HasPrefix(f.Name, "charts/") }

func dependsOnlyOn(c *helm.Chart, library *helm.Metadata) error {
	if len(c.Metadata.Dependencies) != 1 || c.Metadata.Dependencies[0].Name != library.Name {
		return fmt.Errorf("has to have one dependency in Chart.yaml, %s", library.Name)
	}
	return nil
}

// Lines of a Chart.yaml with one dependency.
var (
	versionLine           = regexp.MustCompile(`(?m)^(version: ).*$`)
	dependencyVersionLine = regexp.MustCompile(`(?m)^( +version: ).*$`)
	repositoryLine        = regexp.MustCompile(`(?m)^( +repository: ).*$`)
)

// release writes what is released into the text of a Chart.yaml: the library is the
// one that is packed with it, and the chart has its version, since other content under
// a version that is published already would be refused. Where the library is found
// comes too: a path beside the sources means nothing to those who download the chart.
// The image is the library's.
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
