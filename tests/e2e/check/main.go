// Check says at once, before anything is built, why the end-to-end tests cannot run on this machine. It is quiet when
// they can. The tests check the same, but compiling them takes a while.
package main

import (
	"os"
	"runtime"

	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

func main() {
	given, err := settings.Read(os.Getenv, "../..")
	if err == nil {
		err = given.CheckMachine(runtime.GOOS, os.Geteuid())
	}
	if err != nil {
		settings.Report(os.Stderr, err)
		os.Exit(1)
	}
}
