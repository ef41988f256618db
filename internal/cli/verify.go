package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/chart"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/image"
	"github.com/jobmesh/jobmesh/internal/release"
	"github.com/jobmesh/jobmesh/internal/verify"
)

func newVerify(streams Streams) *cobra.Command {
	var rebuild bool
	cmd := &cobra.Command{
		Use:   "verify [DIST]",
		Short: "Check that a release is what it says it is",
		Long: `Verify checks a folder that build wrote: every digest, the platforms, the
configuration and the program of each, and that the chart is pinned to the image.
With --rebuild it compiles the sources again and says what differs, if anything:
the program, the layer around it, or only its compression.

It prints a line for each thing it looked at. Exit code 8 means that something is
not as it should be.`,
		Example: `  jobmesh verify
  jobmesh verify dist --rebuild`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArguments(cmd, args[1:])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			folder := release.Folder("dist")
			if len(args) == 1 {
				folder = release.Folder(args[0])
			}
			return runVerify(cmd.Context(), streams, folder, rebuild)
		},
	}
	cmd.Flags().BoolVar(&rebuild, "rebuild", false, "compile the sources again and compare")
	return cmd
}

func runVerify(ctx context.Context, streams Streams, folder release.Folder, again bool) error {
	stored, err := folder.Load()
	if err != nil {
		return err
	}
	found := verify.Stored(stored)
	if again {
		index, err := rebuildOf(ctx, streams, stored)
		if err != nil {
			return err
		}
		found = append(found, verify.Rebuilt(stored, index)...)
	}
	var wrong []string
	for _, f := range found {
		result := "ok"
		if f.Err != nil {
			result = f.Err.Error()
			wrong = append(wrong, fmt.Sprintf("%s: %s %s", f.Object, f.Aspect, result))
		}
		if _, err := fmt.Fprintf(streams.Out, "%s: %s: %s\n", f.Object, f.Aspect, result); err != nil {
			return err
		}
	}
	if len(wrong) > 0 {
		return fault.New(fault.Verification, errors.New(strings.Join(wrong, "; ")))
	}
	return nil
}

// rebuildOf builds the image of a release again from the sources here.
func rebuildOf(ctx context.Context, streams Streams, stored release.Stored) (*image.Index, error) {
	result := stored.Result
	created, err := verify.Created(stored)
	if err != nil {
		return nil, fault.New(fault.Verification, fmt.Errorf("image index: %w", err))
	}
	sources, err := findSources()
	if err != nil {
		return nil, err
	}
	version, err := chart.Version(chartFolder(sources))
	if err != nil {
		return nil, err
	}
	if version != result.Version {
		return nil, fault.New(fault.Verification, fmt.Errorf("sources are of version %s, the release of %s", version, result.Version),
			"git checkout v"+result.Version)
	}
	var names []string
	for _, p := range result.Image.Platforms {
		names = append(names, p.Platform)
	}
	recipe, platforms, err := plan(sources, result.Image.Name, version, names)
	if err != nil {
		return nil, err
	}
	recipe.Created = created
	if len(stored.Children) > 0 {
		recipe.Compression = image.CompressionOf(stored.Children[0].Layer.Descriptor.MediaType)
	}
	index, _, err := compile(ctx, streams, sources, recipe, platforms)
	return index, err
}
