// Command jobmesh builds the image and the chart that make Jobs finish in a
// service mesh. See internal/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/jobmesh/jobmesh/internal/cli"
)

// version is set by the build.
var version = "devel"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], version, cli.SystemStreams())
	stop()
	os.Exit(code)
}
