package cli

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
)

// tryJob is the Job that try shows: a plain one, as most people write them.
//
//go:embed try.yaml
var tryJob []byte

// tryMesh and tryVersion are a mesh whose proxy is a classic sidecar by default, so that the
// Job hangs there.
const tryMesh = "linkerd"

var tryVersion = mesh.Version{Major: 2, Minor: 18}

func newTry(version string, streams Streams, l linked) *cobra.Command {
	return &cobra.Command{
		Use:   "try",
		Short: "Show on a small Job what lint and inject do",
		Long: `Try shows all steps on a Job of its own: the manifest, the verdict of lint in a
mesh where it hangs, what inject changes, and the verdict after that change.

It needs no file, no cluster and no network, and writes to stdout only.`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return runTry(cmd.Context(), streams, version, l)
		},
	}
}

func runTry(ctx context.Context, streams Streams, version string, l linked) error {
	before, err := tryLint(ctx, tryJob, version, colored(streams.Out))
	if err != nil {
		return err
	}
	wrapped, err := tryInject(ctx, l)
	if err != nil {
		return err
	}
	after, err := tryLint(ctx, wrapped, version, colored(streams.Out))
	if err != nil {
		return err
	}
	judge := fmt.Sprintf("jobmesh lint --mesh %s --mesh-version %s", tryMesh, tryVersion)
	change := "jobmesh inject --set mesh=" + tryMesh + " job.yaml"
	for _, step := range []struct{ title, command, text string }{
		{"A Job that writes a report and ends:", "cat job.yaml", string(tryJob)},
		{"Its verdict where pods get the proxy of Linkerd " + tryVersion.String() + ":", judge + " job.yaml", before},
		{"The change that helps:", change, string(diff.Diff("job.yaml", tryJob, "injected.yaml", wrapped))},
		{"The verdict after that change:", change + " |\n    " + judge, after},
	} {
		if _, err := fmt.Fprintf(streams.Out, "%s\n\n  $ %s\n\n%s\n", step.title, step.command, step.text); err != nil {
			return err
		}
	}
	_, err = io.WriteString(streams.Out, `Your own Jobs, in the mesh that you have:

  jobmesh lint --mesh istio --mesh-version 1.29 --kube-version 1.35 job.yaml
  helm template shop | jobmesh lint --mesh linkerd --mesh-version `+tryVersion.String()+"\n")
	return err
}

// tryLint returns the findings of lint for a manifest, with the summary that lint writes to
// stderr as the last line.
func tryLint(ctx context.Context, text []byte, version string, color bool) (string, error) {
	run := &lintRun{held: map[string]*rewound{manifest.Stdin: held(text)}}
	linter := lint.New(lint.Profile{Mesh: tryMesh, Installation: native.Installation{Version: tryVersion}}, nil)
	var out bytes.Buffer
	err := run.check(ctx, linter, []string{manifest.Stdin})
	if err == nil {
		err = run.write(&out, "text", version, color)
	}
	fmt.Fprintf(&out, "%s, %s, %s\n", plural(run.summary.Errors, "error"), plural(run.summary.Warnings, "warning"), plural(run.summary.Infos, "note"))
	return out.String(), errors.Join(append(run.failures, err)...)
}

// tryInject returns the Job as inject writes it.
func tryInject(ctx context.Context, l linked) ([]byte, error) {
	image, err := wrapperImage(l, settings{})
	if err != nil {
		return nil, err
	}
	injector, err := inject.New(inject.Options{
		Library: library.LibraryChart, Image: image,
		Values: map[string]any{"jobmesh": map[string]any{"mesh": tryMesh}},
	})
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	result, err := injector.Run(ctx, []string{manifest.Stdin}, strings.NewReader(string(tryJob)), &out)
	for _, mistake := range result.Mistakes {
		err = errors.Join(err, mistake)
	}
	return out.Bytes(), err
}
