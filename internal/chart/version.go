package chart

import (
	"errors"
	"regexp"
	"strings"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// printedVersion matches the template that prints the version of the templates.
var printedVersion = regexp.MustCompile(`\{\{-? define "jobmesh\.version" -?\}\}\s*(.*?)\s*\{\{-? end -?\}\}`)

// CheckVersion fails (exit code 4) unless the library chart in a folder, and its templates,
// have the version in the file VERSION. A registry would keep a chart with templates of another
// version for ever.
func CheckVersion(dir, version string) error {
	c, err := load(dir)
	if err != nil {
		return err
	}
	templates := ""
	for _, f := range c.Templates {
		if found := printedVersion.FindSubmatch(f.Data); found != nil {
			templates = string(found[1])
		}
	}
	var others []string
	for _, o := range []struct{ what, version string }{
		{"library-chart/Chart.yaml has version " + c.Metadata.Version, c.Metadata.Version},
		{"library-chart/Chart.yaml has appVersion " + c.Metadata.AppVersion, c.Metadata.AppVersion},
		{"template jobmesh.version prints " + templates, templates},
	} {
		if o.version != version {
			others = append(others, o.what)
		}
	}
	if len(others) == 0 {
		return nil
	}
	return fault.New(fault.Build, errors.New("VERSION says "+version+", but "+strings.Join(others, " and ")),
		"raise the version in the file VERSION; make generate writes it everywhere else")
}
