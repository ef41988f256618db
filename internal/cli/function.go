package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// lintKind is the kind of a functionConfig that asks for a verdict.
const lintKind = "JobmeshLint"

func newFunction(streams Streams, version, imageDigest string) *cobra.Command {
	return &cobra.Command{
		Use:   "function",
		Short: "Inject or lint as a function of kustomize or kpt",
		Long: `Function reads a ResourceList, as kustomize and kpt send it to their functions,
and does what the kind of its functionConfig says: ` + inject.FunctionKind + ` or ` + lintKind + `.
It is what the image of this program runs where no command is given.

The spec of a ` + inject.FunctionKind + ` has values of the library chart, that of a ` + lintKind + `
the keys of jobmesh.yaml.`,
		Example: `  kustomize fn run --image ghcr.io/jobmesh/jobmesh-cli:0.1.0`,
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			text, err := readFunction(streams)
			if err != nil {
				return err
			}
			config, err := functionConfig(text)
			if err != nil {
				return err
			}
			streams.In = bytes.NewReader(text)
			verb := newInject(streams, imageDigest)
			if config.kind == lintKind {
				verb = newLint(version, streams)
				for _, s := range config.settings {
					if err := verb.Flags().Set(s.flag, s.value); err != nil {
						return fault.New(fault.Usage, fmt.Errorf("functionConfig: spec.%s: %w", s.key, err))
					}
				}
			}
			verb.SetContext(cmd.Context())
			return verb.RunE(verb, nil)
		},
	}
}

func readFunction(streams Streams) ([]byte, error) {
	if streams.InTerminal {
		return nil, fault.New(fault.Usage, errors.New("function has nothing to read: stdin is a terminal"),
			"kustomize build --enable-alpha-plugins calls it; people call jobmesh inject and jobmesh lint")
	}
	text, err := io.ReadAll(streams.In)
	if err != nil {
		return nil, fault.New(fault.LocalIO, fmt.Errorf("stdin: %w", err))
	}
	return text, nil
}

// A config is what a functionConfig says that is not left to the verb.
type config struct {
	kind     string
	settings []setting
}

// A setting is a key of the spec with its value.
type setting struct {
	profileKey
	value string
}

// functionConfig reads that of a ResourceList.
func functionConfig(text []byte) (config, error) {
	var c config
	var documents []*manifest.Document
	if err := manifest.Scan("stdin", bytes.NewReader(text), func(d *manifest.Document) error {
		documents = append(documents, d)
		return d.Err
	}); err != nil {
		return c, fault.New(fault.Usage, err)
	}
	i := slices.IndexFunc(documents, func(d *manifest.Document) bool {
		return manifest.Text(manifest.Get(d.Root, "kind")) == "ResourceList"
	})
	if i < 0 {
		return c, fault.New(fault.Usage, errors.New("stdin is no ResourceList"), "jobmesh inject and jobmesh lint take any manifests")
	}
	root := documents[i].Root
	c.kind = manifest.Text(manifest.Get(root, "functionConfig", "kind"))
	if c.kind != lintKind {
		return c, nil // inject says what it takes
	}
	var err error
	manifest.Each(manifest.Get(root, "functionConfig", "spec"), func(key, value *yaml.Node) {
		i := slices.IndexFunc(profileKeys, func(k profileKey) bool { return k.key == key.Value })
		if i < 0 {
			err = fault.New(fault.Usage, fmt.Errorf("functionConfig: key spec.%s is unknown", key.Value), "docs/lint.md has the keys of jobmesh.yaml")
			return
		}
		c.settings = append(c.settings, setting{profileKeys[i], manifest.Text(value)})
	})
	return c, err
}
