package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// lintKind is the kind of a functionConfig that asks for the verdict of lint.
const lintKind = "JobmeshLint"

func newFunction(streams Streams, version string, l linked) *cobra.Command {
	return &cobra.Command{
		Use:   "function",
		Short: "Inject or lint for kustomize and kpt",
		Long: `Function reads a ResourceList, as kustomize and kpt send it to their functions,
and does what the kind of its functionConfig says: ` + inject.FunctionKind + ` or ` + lintKind + `.
The image of this program runs it where no command is given.

The spec of a ` + inject.FunctionKind + ` has values of the library chart. The spec of a
` + lintKind + ` has the keys of jobmesh.yaml.`,
		Example: "  kustomize fn run --image registry.example.com/platform/jobmesh-cli:" + jobmesh.Version,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := readFunction(streams)
			if err != nil {
				return err
			}
			kind, err := functionKind(text)
			if err != nil {
				return err
			}
			streams.In = bytes.NewReader(text)
			verb := newInject(streams, l)
			if kind == lintKind {
				verb = newLint(version, streams)
			}
			verb.SetContext(cmd.Context())
			return verb.RunE(verb, nil)
		},
	}
}

func readFunction(streams Streams) ([]byte, error) {
	if streams.InTerminal {
		return nil, fault.New(fault.Usage, errors.New("function has nothing to read: stdin is a terminal"),
			"kustomize build --enable-alpha-plugins calls it; use jobmesh inject or jobmesh lint by hand")
	}
	text, err := io.ReadAll(streams.In)
	if err != nil {
		return nil, fault.New(fault.LocalIO, fmt.Errorf("stdin: %w", err))
	}
	return text, nil
}

// functionKind returns the kind of the functionConfig in a ResourceList.
func functionKind(text []byte) (string, error) {
	var root *yaml.Node
	if err := manifest.Scan("stdin", bytes.NewReader(text), func(d *manifest.Document) error {
		if manifest.Text(manifest.Get(d.Root, "kind")) == "ResourceList" {
			root = d.Root
		}
		return d.Err
	}); err != nil {
		return "", fault.New(fault.Usage, err)
	}
	if root == nil {
		return "", fault.New(fault.Usage, errors.New("stdin is not a ResourceList"), "jobmesh inject and jobmesh lint take any manifests")
	}
	return manifest.Text(manifest.Get(root, "functionConfig", "kind")), nil
}
