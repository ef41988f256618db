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

// init keeps main on the first thread of the process, to which the kernel delivers signals
// first. Where the command takes the wrapper's place, the kernel ends all other threads. A
// thread that has just got a SIGTERM would then take the signal with it. Package wrap releases
// the thread where the command will not take the wrapper's place.
func init() { runtime.LockOSThread() }

func main() {
	// The wrapper does one thing at a time. More processors would cost threads, which
	// count against the container's limit on processes.
	runtime.GOMAXPROCS(1)
	os.Exit(wrap.Main(os.Args, os.Environ(), version))
}
