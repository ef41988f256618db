// Package helm contains everything that jobmesh uses of Helm: charts as Helm loads them, values
// as Helm merges them, and the template engine. It is that of Helm 3; Helm 4 renders the
// library chart to the same bytes (tests/golden). No other package imports Helm, so that a
// change of its version is a change in this file.
package helm

import (
	"bytes"
	"io/fs"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
	"helm.sh/helm/v3/pkg/engine"
	"helm.sh/helm/v3/pkg/strvals"
)

type (
	// A Chart is a loaded chart; Raw has its files as they are.
	Chart = chart.Chart
	// Metadata is the content of Chart.yaml.
	Metadata = chart.Metadata
	// A File is one file of a chart. Its name is relative to the chart's folder.
	File = chart.File
	// Values are the values that templates see: Values, Release, Chart and the like.
	Values = chartutil.Values
)

// APIVersion is the apiVersion of a Chart.yaml.
const APIVersion = chart.APIVersionV2

// LoadFolder loads the chart in a folder, without the files that .helmignore names.
func LoadFolder(path string) (*Chart, error) { return loader.LoadDir(path) }

// LoadArchive loads a packed chart.
func LoadArchive(archive []byte) (*Chart, error) { return loader.LoadArchive(bytes.NewReader(archive)) }

// LoadFS loads the chart in a folder of a file system.
func LoadFS(files fs.FS, folder string) (*Chart, error) {
	var loaded []*loader.BufferedFile
	err := fs.WalkDir(files, folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		data, err := fs.ReadFile(files, path)
		loaded = append(loaded, &loader.BufferedFile{Name: strings.TrimPrefix(path, folder+"/"), Data: data})
		return err
	})
	if err != nil {
		return nil, err
	}
	return loader.LoadFiles(loaded)
}

// ValuesOf returns the values that the templates of a chart see: the chart's own values,
// overridden by the given ones and checked against the chart's schemas, and a release in the
// namespace default.
func ValuesOf(c *Chart, given map[string]any, release string) (Values, error) {
	return chartutil.ToRenderValues(c, given,
		chartutil.ReleaseOptions{Name: release, Namespace: "default"}, chartutil.DefaultCapabilities)
}

// Render renders the templates of a chart. The keys of the result are the paths of the
// templates, which begin with the chart's name.
func Render(c *Chart, values Values) (map[string]string, error) { return engine.Render(c, values) }

// Set adds an assignment such as a.b=c to values, as helm --set reads it.
func Set(assignment string, into map[string]any) error { return strvals.ParseInto(assignment, into) }

// Merge adds to over the values of under that it lacks, as Helm merges the values of one chart.
// It changes over.
func Merge(over, under map[string]any) map[string]any { return chartutil.MergeTables(over, under) }
