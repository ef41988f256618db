// Command jobmesh-wrap runs a Job's command beside a mesh proxy and stops the
// proxy when the command has ended. See internal/wrap.
package main

import (
	"os"

	"github.com/jobmesh/jobmesh/internal/wrap"
)

// version is set by the build.
var version = "devel"

func main() { os.Exit(wrap.Main(os.Args, os.Environ(), version)) }
