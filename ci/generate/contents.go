package main

import (
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/ci/contents"
)

// contentsPage returns the index of the documentation.
func contentsPage() ([]byte, error) {
	chapters, err := contents.Read(".")
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("# Documentation\n\n" +
		"`make site` makes a site of these pages, with search, in `site/`.\n")
	for _, chapter := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n| page | has |\n| --- | --- |\n", chapter.Title)
		for _, page := range chapter.Pages {
			link, err := filepath.Rel(path.Dir(contents.Index), page.Path)
			if err != nil {
				return nil, err
			}
			fmt.Fprintf(&b, "| [%s](%s) | %s |\n", cell(page.Title), filepath.ToSlash(link), cell(page.Says))
		}
	}
	b.WriteString("\n`registry.example.com/platform` stands for your registry on all pages. Jobmesh\n" +
		"is not published yet; [Host it yourself](host-it-yourself.md) says how to publish it.\n\n" +
		"`tests/docs` runs every command and file in the hand-written pages, unless the source of\n" +
		"the page says why not.\n")
	return []byte(b.String()), nil
}

// unlistedPages returns an error for pages in docs/ that are in no chapter.
func unlistedPages() error {
	chapters, err := contents.Read(".")
	if err != nil {
		return err
	}
	var unlisted []string
	for _, pattern := range []string{"docs/*.md", "docs/*/*.md"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			return err
		}
		for _, file := range files {
			listed := slices.ContainsFunc(contents.All(chapters), func(p contents.Page) bool { return p.Path == filepath.ToSlash(file) })
			if !listed && filepath.ToSlash(file) != contents.Index {
				unlisted = append(unlisted, file)
			}
		}
	}
	if unlisted != nil {
		return fmt.Errorf("%s: has no place for %s", contents.File, strings.Join(unlisted, ", "))
	}
	return nil
}
