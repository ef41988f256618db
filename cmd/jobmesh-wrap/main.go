// Command jobmesh-wrap runs a Job's command beside a mesh proxy and stops the
// proxy when the command has ended. See internal/wrap.
package main

import (
	"os"
	"runtime"

	"github.com/jobmesh/jobmesh/internal/wrap"
)

// version is set by the build.
var version = "devel"

func main() {
	// The wrapper does one thing at a time. More processors would cost threads, which
	// count against the container's limit on processes.
	runtime.GOMAXPROCS(1)
	os.Exit(wrap.Main(os.Args, os.Environ(), version))
}
