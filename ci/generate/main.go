// Command generate writes every file, and every part of a file, that is derived from other
// files of this repository, such as the reference pages in docs/. Their sources are the library
// chart's comments, the wrapper's tables, the CLI's commands and lint's rules.
//
//	go run ./ci/generate          write the files
//	go run ./ci/generate -check   fail if a file differs from what its sources give
//
// Both run at the root of the repository.
//
// To derive one more, add a line to outputs: whole for a file, region for lines inside a
// hand-written file, jsonValue for a value inside a JSON file.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/jobmesh/jobmesh/ci/contents"
	"github.com/jobmesh/jobmesh/ci/figures"
	"github.com/jobmesh/jobmesh/internal/image"
)

const chart = "library-chart"

// outputs returns everything that is derived, each with its source. They are written in this
// order, so an output that is the source of another one comes first.
func outputs() []output {
	return slices.Concat(versioned(), fromChangelog(), meshOutputs(), kindOutputs, flagOutputs, helperOutputs, policyOutputs, []output{
		settingsOutput(),
		whole("docs/chart.md", "the comments in "+chart, chartPage),
		whole("docs/wrapper.md", "internal/wrap, internal/wrapflags and internal/mesh", wrapperPage),
		whole("docs/cli.md", "internal/cli", cliPage),
		whole("docs/tested.md", "the files that pin what the tests run", testedPage),
		whole("docs/measured.md", figures.File, measuredPage),
		whole("docs/image.schema.json", "internal/image", func() ([]byte, error) { return image.Schema, nil }),
	}, rulePages(), messagePages(), pictures(), []output{
		whole(contents.Index, contents.File, contentsPage), // it has the headings of the pages above
	})
}

func main() {
	check := flag.Bool("check", false, "fail if a file differs from what its sources give")
	flag.Parse()
	if err := errors.Join(settle(".", outputs(), *check), strayRules(), unlistedPages()); err != nil {
		fmt.Fprintf(os.Stderr, "generate: %v\nhint: make generate\n", err)
		os.Exit(1)
	}
}

// chartPage returns the reference of the library chart, made from the comments in its
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
