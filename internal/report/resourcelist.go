package report

import (
	"io"
	"regexp"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A krmResult is one result of a function, as kustomize and kpt define it.
type krmResult struct {
	Message  string `yaml:"message"`
	Severity string `yaml:"severity"`
	Ref      struct {
		APIVersion string `yaml:"apiVersion,omitempty"`
		Kind       string `yaml:"kind"`
		Namespace  string `yaml:"namespace,omitempty"`
		Name       string `yaml:"name"`
	} `yaml:"resourceRef"`
	Field struct {
		Path string `yaml:"path"`
	} `yaml:"field"`
	Tags map[string]string `yaml:"tags"`
}

// inList matches the path of an item in the list. A result needs the path inside the item.
var inList = regexp.MustCompile(`^items\[\d+\]\.`)

// ResourceList writes the list back with the findings in its results.
func ResourceList(out io.Writer, d *manifest.Document, findings []lint.Finding) error {
	results := []krmResult{}
	for _, f := range findings {
		r := krmResult{Message: f.Rule.ID + ": " + f.Message + "; fix: " + f.Fix, Severity: string(f.Severity), Tags: map[string]string{"rule": f.Rule.ID}}
		r.Ref.Kind, r.Ref.Namespace, r.Ref.Name = f.Object.Kind, f.Object.Namespace, f.Object.Name
		r.Field.Path = inList.ReplaceAllString(f.FieldPath, "")
		results = append(results, r)
	}
	var value yaml.Node
	if err := value.Encode(results); err != nil {
		return err
	}
	root := manifest.Resolve(d.Root)
	if key, _ := manifest.Field(root, "results"); key != nil {
		for i := 0; i < len(root.Content); i += 2 {
			if root.Content[i] == key {
				root.Content[i+1] = &value
			}
		}
	} else {
		root.Content = append(root.Content, &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: "results"}, &value)
	}
	e := yaml.NewEncoder(out)
	e.SetIndent(2)
	if err := e.Encode(root); err != nil {
		return err
	}
	return e.Close()
}
