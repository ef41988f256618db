// Command docs writes docs/chart.md, the reference of the library chart, from the
// comments in its values.yaml and above its public templates.
//
//	go run ./ci/docs          write the page
//	go run ./ci/docs -check   fail if the page is not what the comments say
//
// Both run at the root of the repository.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
)

const (
	chart = "library-chart"
	page  = "docs/chart.md"
)

func main() {
	check := flag.Bool("check", false, "fail if "+page+" is not what the comments say")
	flag.Parse()
	if err := run(*check); err != nil {
		fmt.Fprintf(os.Stderr, "docs: %v\n", err)
		os.Exit(1)
	}
}

func run(check bool) error {
	values, err := os.ReadFile(filepath.Join(chart, "values.yaml"))
	if err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(chart, "templates", "*.tpl"))
	if err != nil {
		return err
	}
	var templates []template
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		found, err := readTemplates(string(content))
		if err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		templates = append(templates, found...)
	}
	introduction, settings, err := readValues(values)
	if err != nil {
		return fmt.Errorf("values.yaml: %w", err)
	}
	want := render(introduction, settings, templates)
	if !check {
		return os.WriteFile(page, want, 0o644)
	}
	got, err := os.ReadFile(page)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if string(got) != string(want) {
		return fmt.Errorf("%s is not what the comments in %s say\nhint: make docs", page, chart)
	}
	return nil
}
