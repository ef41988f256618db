package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/build"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/verify"
)

type verifyOptions struct {
	rebuild   bool
	key       string
	plainHTTP bool
}

func newVerify(streams Streams) *cobra.Command {
	var o verifyOptions
	cmd := &cobra.Command{
		Use:   "verify [DIST|ARCHIVE|REFERENCE]",
		Short: "Check that a release is what it says it is",
		Long: `Verify checks a folder that build wrote or its result.json, the .oci.tar archive
alone, an OCI layout, or an image or a chart in a registry: every digest, the
platforms, the configuration and the program of each, the bills of materials and
the provenance, and that the chart is pinned to the image. Inside the sources it
compares a binary of somebody else's with images/NAME/image.lock. With --key it
checks the signatures too, with nothing but that key: no log, no network besides
the registry.

With --rebuild it compiles the sources again and says what differs, if anything:
the program, the layer around it, or only its compression. The charts of a folder
are packed again too.

It prints a line for each thing it looked at. Exit code 8 means that something is
not as it should be.`,
		Example: `  jobmesh verify
  jobmesh verify dist --rebuild
  jobmesh verify jobmesh-wrap-0.1.0.oci.tar --key cosign.pub
  jobmesh verify registry.example.com/platform/jobmesh-wrap:0.1.0 --key cosign.pub`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 1 {
				return noArguments(cmd, args[1:])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			return runVerify(cmd.Context(), streams, append(args, "dist")[0], o)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&o.rebuild, "rebuild", false, "compile the sources again and compare")
	flags.StringVar(&o.key, "key", "", "public key that everything has to be signed with, in PEM, as cosign.pub")
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow plain HTTP to a registry that is not on this machine")
	return cmd
}

func runVerify(ctx context.Context, streams Streams, what string, o verifyOptions) error {
	key, err := publicKey(o.key)
	if err != nil {
		return err
	}
	look, err := verify.At(ctx, what, key, registry.New(o.plainHTTP))
	if err != nil {
		return err
	}
	if o.rebuild && !look.IsImage() {
		return fault.New(fault.Usage, fmt.Errorf("%s is a chart, and images are what is rebuilt", what), "jobmesh verify --rebuild with the reference of the image")
	}
	sources, err := build.FindSources()
	if err == nil {
		look.Findings = append(look.Findings, verify.Pinned(look.Stored, string(sources))...)
	}
	if o.rebuild {
		if err != nil {
			return err
		}
		index, err := sources.Rebuild(ctx, look.Stored, watch(streams))
		if err != nil {
			return err
		}
		charts, err := sources.Repack(look.Stored)
		if err != nil {
			return err
		}
		look.Findings = slices.Concat(look.Findings, verify.Rebuilt(look.Stored, index), verify.Repacked(look.Stored, charts))
	}
	return printFindings(streams, look.Findings)
}

// told is how many findings one error tells; the lines on stdout have them all.
const told = 6

// printFindings prints the findings, and returns those that are not as they should be as
// one error.
func printFindings(streams Streams, found []verify.Finding) error {
	var wrong []string
	for _, f := range found {
		result := "ok"
		switch {
		case f.Err != nil:
			result = f.Err.Error()
			wrong = append(wrong, fmt.Sprintf("%s: %s %s", f.Object, f.Aspect, result))
		case f.Note != "":
			result = f.Note
		}
		if _, err := fmt.Fprintf(streams.Out, "%s: %s: %s\n", f.Object, f.Aspect, result); err != nil {
			return err
		}
	}
	if more := len(wrong) - told; more > 1 {
		wrong = append(wrong[:told], fmt.Sprintf("and %d more", more))
	}
	if len(wrong) > 0 {
		return fault.New(fault.Verification, errors.New(strings.Join(wrong, "; ")))
	}
	return nil
}
