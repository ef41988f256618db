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

// init keeps main on the first thread of the process, to which the kernel gives signals
// first. Where the command takes the wrapper's place, the kernel ends all other threads:
// one of them that had just been given a SIGTERM would take it with it. Package wrap lets
// go of the thread where that is not going to happen.
func init() { runtime.LockOSThread() }

func main() {
	// The wrapper does one thing at a time. More processors would cost threads, which
	// count against the container's limit on processes.
	runtime.GOMAXPROCS(1)
	os.Exit(wrap.Main(os.Args, os.Environ(), version))
}
