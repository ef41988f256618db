// Package jobmesh holds what the command line carries with it.
package jobmesh

import (
	"embed"
	"strings"
)

// LibraryChart is the Helm library chart, in the folder library-chart: what
// injection looks like is said there and nowhere else.
//
//go:embed all:library-chart
var LibraryChart embed.FS

// Sources are those files of the sources that say what a release has: the recipes of
// the images and the names of the charts. verify knows it from them wherever it is run.
//
//go:embed images/*/image.yaml charts/*/Chart.yaml library-chart/Chart.yaml
var Sources embed.FS

//go:embed VERSION
var version string

// Version is that of these sources: of the program, the chart and the image. The file
// VERSION is the only place where people write it.
var Version = strings.TrimSpace(version)

//go:embed image.digest
var digests string

// ImageDigest is the digest of the image that was released with this version, and empty
// for a version that has not been released.
var ImageDigest = digestOf(digests, Version)

// digestOf finds the line of a version in a file such as image.digest.
func digestOf(text, version string) string {
	for line := range strings.Lines(text) {
		if digest, found := strings.CutPrefix(line, version+" "); found {
			return strings.TrimSpace(digest)
		}
	}
	return ""
}
