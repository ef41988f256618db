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

// The build sets these for the image that it has built: imageRepository where it was given a
// registry, imageDigest always. A program that was built alone has neither. The variable commit
// is empty where Go itself records the commit.
var imageRepository, imageDigest, commit string

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The first signal ends the work; the second one ends the program, whatever it waits for.
	context.AfterFunc(ctx, stop)
	if imageDigest == "" {
		imageDigest = jobmesh.ImageDigest // a program of go install uses the released image
	}
	code := cli.Run(ctx, os.Args[1:], jobmesh.Version, cli.SystemStreams(),
		cli.CalledAs(os.Args[0]), cli.Image(imageRepository, imageDigest), cli.Commit(commit))
	stop()
	os.Exit(code)
}
