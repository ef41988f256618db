package build

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/mod/modfile"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
)

// Sources is the path of a copy of the repository.
type Sources string

// FindSources returns the copy of the repository that contains the current folder.
func FindSources() (Sources, error) {
	here, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := here; ; dir = filepath.Dir(dir) {
		if text, err := os.ReadFile(filepath.Join(dir, "go.mod")); err == nil &&
			modfile.ModulePath(text) == "github.com/jobmesh/jobmesh" {
			return Sources(dir), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fault.New(fault.Usage, errors.New(here+" is not inside the sources of jobmesh, which this command works on"),
				"git clone https://github.com/jobmesh/jobmesh && cd jobmesh && make build")
		}
	}
}

// LibraryChart is the folder of the library chart.
func (s Sources) LibraryChart() string { return filepath.Join(string(s), "library-chart") }

// Version returns the version in the file VERSION, which is the version of a release. It fails
// where the library chart has another version.
func (s Sources) Version() (string, error) {
	text, err := os.ReadFile(filepath.Join(string(s), "VERSION"))
	if err != nil {
		return "", fault.New(fault.Build, err)
	}
	version := strings.TrimSpace(string(text))
	return version, chart.CheckVersion(s.LibraryChart(), version)
}

// applications returns the charts that are released with the library: each folder in charts/
// with a Chart.yaml. The examples are one level deeper, and so are not among them.
func (s Sources) applications() ([]string, error) {
	files, err := filepath.Glob(filepath.Join(string(s), "charts", "*", "Chart.yaml"))
	if err != nil {
		return nil, err
	}
	for i, file := range files {
		files[i] = filepath.Dir(file)
	}
	return files, nil
}

// pack packs the library chart, pinned to the image, and then the charts that carry it. The
// parameter repository is where Helm finds them once they are published.
func (s Sources) pack(pin chart.Pin, repository string, created time.Time) ([]chart.Archive, error) {
	archive, err := chart.Pack(s.LibraryChart(), pin, created)
	if err != nil {
		return nil, err
	}
	charts := []chart.Archive{archive}
	library := chart.Library{Archive: archive, Repository: repository}
	folders, err := s.applications()
	if err != nil {
		return nil, err
	}
	for _, folder := range folders {
		packed, err := chart.PackApplication(folder, library, created)
		if err != nil {
			return nil, err
		}
		charts = append(charts, packed)
	}
	return charts, nil
}
