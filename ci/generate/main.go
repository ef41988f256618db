// Command generate writes every file that is derived from other files of this
// repository, such as the reference pages of docs/: their sources are the library
// chart's comments, the wrapper's tables, the CLI's commands and lint's rules.
//
//	go run ./ci/generate          write the files
//	go run ./ci/generate -check   fail if a file is not what its sources say
//
// Both run at the root of the repository.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"

	"github.com/jobmesh/jobmesh/internal/image"
)

const chart = "library-chart"

// A page is a file of docs/ and what writes it.
type page struct {
	path  string
	write func() ([]byte, error)
}

var pages = append([]page{
	{"docs/chart.md", chartPage},
	{"docs/wrapper.md", wrapperPage},
	{"docs/cli.md", cliPage},
	{"docs/image.schema.json", func() ([]byte, error) { return image.Schema, nil }},
}, rulePages()...)

func main() {
	check := flag.Bool("check", false, "fail if a page is not what the sources say")
	flag.Parse()
	var failures []error
	for _, p := range pages {
		want, err := p.write()
		if err == nil {
			err = settle(p.path, want, *check)
		}
		failures = append(failures, err)
	}
	failures = append(failures, strayRules())
	if err := errors.Join(failures...); err != nil {
		fmt.Fprintf(os.Stderr, "generate: %v\nhint: make generate\n", err)
		os.Exit(1)
	}
}

// settle writes a page, or checks that it is written.
func settle(path string, want []byte, check bool) error {
	if !check {
		return os.WriteFile(path, want, 0o644)
	}
	got, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if string(got) != string(want) {
		return fmt.Errorf("%s is not what the sources say", path)
	}
	return nil
}

// chartPage is the reference of the library chart, from the comments in its
// values.yaml and above its public templates.
func chartPage() ([]byte, error) {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return nil, err
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*.tpl"))
	if err != nil {
		return nil, err
	}
	var templates []template
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		found, err := readTemplates(string(content))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		templates = append(templates, found...)
	}
	introduction, settings, err := readValues(values)
	if err != nil {
		return nil, fmt.Errorf("values.yaml: %w", err)
	}
	return render(introduction, settings, templates), nil
}
