// Prepare does what the end-to-end tests do first: "prepare packages" installs the Debian packages that are missing, and
// "prepare programs" builds Kubernetes, the meshes and the helpers if they are not in the cache. Other tests can run while
// it builds.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/jobmesh/jobmesh/tests/e2e/cluster/programs"
	"github.com/jobmesh/jobmesh/tests/e2e/envoy"
	"github.com/jobmesh/jobmesh/tests/e2e/settings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := prepare(ctx, os.Args[1:]); err != nil {
		settings.Report(os.Stderr, err)
		os.Exit(1)
	}
}

func prepare(ctx context.Context, what []string) error {
	packages := slices.Equal(what, []string{"packages"})
	if !packages && !slices.Equal(what, []string{"programs"}) {
		return errors.New("usage: prepare packages|programs")
	}
	given, err := settings.Read(os.Getenv, "../..")
	if err != nil || !given.OwnCluster() { // on another cluster most of them are not needed
		return err
	}
	if packages {
		if err := programs.InstallPackages(ctx, os.Stderr); err != nil {
			return settings.Hinted{Err: err, Hint: "install them by hand, or " + settings.OtherCluster}
		}
		return nil
	}
	if err := programs.ProvideAll(ctx, ".", os.Stderr); err != nil {
		return err
	}
	_, err = envoy.Provide(ctx, os.Stderr)
	return err
}
