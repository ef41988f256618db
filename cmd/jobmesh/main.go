// Command jobmesh builds the image and the chart that make Jobs finish in a
// service mesh. See internal/cli.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/cli"
)

// imageDigest is set by the build to that of the image built beside, and empty where
// there is none.
var imageDigest string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, os.Args[1:], jobmesh.Version, cli.SystemStreams(), cli.CalledAs(os.Args[0]), cli.ImageDigest(imageDigest))
	stop()
	os.Exit(code)
}
