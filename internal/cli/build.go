package cli

import (
	"context"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
)

type buildOptions struct {
	image       string
	platforms   []string
	compression string
	registry    string
	output      string
	signKey     string
	offline     bool
	verbose     bool
}

func newBuild(version string, streams Streams) *cobra.Command {
	var o buildOptions
	cmd := &cobra.Command{
		Use:   "build",
		Short: "Build the image, and the chart pinned to it",
		Long: `Build compiles the wrapper, assembles its multi-arch image and packs the
library chart, pinned to the image by digest, and the charts that carry it. It
needs the sources and Go, and neither a container daemon nor a network. The same
sources give the same digests on any machine.

It writes into the output folder: oci/ (an OCI layout), NAME-VERSION.oci.tar
(the same layout as one file), charts/ and result.json (every digest and size).
Archives of the same names and of other versions are removed. The digest of the
image index goes to stdout, and a table goes to stderr.

Beside the image, in the layout and in the archive, are bills of materials (SPDX
and CycloneDX) and provenance, for the index and for each platform, as OCI
referrers; with --sign-key also their signatures. Only the provenance names the
commit.

An image may contain a third-party binary beside the wrapper. It is taken from
the cache, or downloaded, as images/NAME/image.lock pins it.

SOURCE_DATE_EPOCH (seconds since 1970) replaces the date in
images/NAME/image.yaml. Other settings in the environment of the caller, such as
GOFLAGS or GOAMD64, do not affect a build; --verbose lists those that are set.

The version is in the file VERSION. A chart, templates or a jobmesh program of
another version are refused with exit code 4.`,
		Example: `  jobmesh build
  jobmesh build --platform linux/amd64 --platform linux/arm64
  jobmesh build --registry registry.example.com/platform --output /tmp/dist
  jobmesh build --sign-key cosign.key`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runBuild(cmd.Context(), streams, version, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.image, "image", "jobmesh-wrap", "image to build: a folder of images/")
	flags.StringSliceVar(&o.platforms, "platform", nil, "platforms to build for, such as linux/amd64; repeatable, or with commas (default all of the image)")
	flags.StringVar(&o.compression, "compression", string(image.Gzip), "compression of the layers: gzip or zstd")
	flags.StringVar(&o.registry, "registry", "", "registry and prefix of the image's name, also written into the chart (default that of the chart)")
	flags.StringVar(&o.output, "output", "dist", "folder to write to")
	flags.StringVar(&o.signKey, "sign-key", "", "private key to sign the image with, in PEM, or of cosign generate-key-pair (passphrase in COSIGN_PASSWORD)")
	flags.BoolVar(&o.offline, "offline", false, "take the pinned third-party binaries from the cache only")
	flags.BoolVarP(&o.verbose, "verbose", "v", false, "print what is compiled, with which flags, and which settings of the caller are ignored")
	_ = cmd.RegisterFlagCompletionFunc("image", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return imagesHere(func(image.Recipe) bool { return true }), cobra.ShellCompDirectiveNoFileComp
	})
	_ = cmd.RegisterFlagCompletionFunc("platform", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return image.PlatformNames(), cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that does not exist
	return cmd
}

func runBuild(ctx context.Context, streams Streams, version string, o buildOptions) error {
	sources, err := build.FindSources()
	if err != nil {
		return err
	}
	// All mistakes in the call are found before the first compilation starts.
	plan, err := sources.Plan(build.Request{
		Program: version, Image: o.image, Platforms: o.platforms, Compression: o.compression, Registry: o.registry,
	})
	if err != nil {
		return err
	}
	key, err := signingKey(streams, o.signKey)
	if err != nil {
		return err
	}
	out := release.Folder(o.output)
	if err := out.Prepare(); err != nil {
		return fault.New(fault.LocalIO, err, "choose another folder with --output")
	}
	watched := watch(streams)
	watched.Offline = o.offline
	if o.verbose {
		watched.Detail = note(streams)
	}
	made, err := plan.Release(ctx, watched, key)
	if err != nil {
		return err
	}
	result, changes, err := out.Write(made)
	for _, c := range changes {
		if c.Damaged {
			note(streams)(c.Path + " was damaged and is rewritten")
		}
	}
	if err != nil {
		return fault.New(fault.LocalIO, err)
	}
	printTable(streams, result, made.Index.Recipe)
	if len(changes) == 0 {
		_, _ = fmt.Fprintln(streams.Err, "already built: nothing to do") // a failed message does not fail the verb
	}
	_, err = fmt.Fprintln(streams.Out, result.Image.Digest)
	return err
}

func printTable(streams Streams, r release.Result, recipe image.Recipe) {
	w := tabwriter.NewWriter(streams.Err, 0, 0, 2, ' ', 0)
	row := func(cells ...any) {
		_, _ = fmt.Fprintf(w, "%v\t%v\t%v\t%v\n", cells...) // a failed message does not fail the verb
	}
	row("PLATFORM", "SIZE", "COMPRESSED", "DIGEST")
	for _, p := range r.Image.Platforms {
		row(p.Platform, p.Program.Size, p.Layer.Size, p.Digest)
	}
	row("image index", "", "", r.Image.Digest)
	for _, c := range r.Charts() {
		row("chart "+c.Name+" "+c.Version, "", c.Size, c.Digest)
	}
	_ = w.Flush()
	_, _ = fmt.Fprintf(streams.Err, "created %s (%s)\n", recipe.Created.Format(time.RFC3339), recipe.CreatedFrom)
}
