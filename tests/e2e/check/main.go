// Check says at once, before anything is built, why the end-to-end tests cannot run on this machine. It prints nothing
// if they can run. The tests check the same, but it takes a while to compile them.
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
