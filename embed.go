// Package jobmesh holds what the command line carries with it.
package jobmesh

import "embed"

// LibraryChart is the Helm library chart, in the folder library-chart: what
// injection looks like is said there and nowhere else.
//
//go:embed all:library-chart
var LibraryChart embed.FS
