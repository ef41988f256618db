// Package contents reads docs/contents.yaml, the only list of the documentation's pages. The
// index in docs/README.md and the site are made from it.
package contents

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"
)

// File is the path of the list, and Index is the path of the page that is made from it, both
// relative to the root of the repository.
const (
	File  = "docs/contents.yaml"
	Index = "docs/README.md"
)

// A Chapter is a part of the documentation, with its pages in order.
type Chapter struct {
	Title string `yaml:"title"`
	Pages []Page `yaml:"pages"`
}

// A Page is one page of a chapter.
type Page struct {
	// Path is the path of the file relative to the root of the repository, with slashes.
	Path string `yaml:"page"`
	// Title is the title of the page in lists: its heading, where the list has none.
	Title string `yaml:"title"`
	// Says is a sentence on the content of the page, without the full stop.
	Says string `yaml:"says"`
	// Below are the pages that this page lists itself, sorted. In the file it is a pattern.
	Below []Page `yaml:"-"`

	Pattern string `yaml:"below"`
}

// Read returns the chapters of the repository at root. It fails where a page is missing or has
// no heading.
func Read(root string) ([]Chapter, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(File)))
	if err != nil {
		return nil, err
	}
	var list struct {
		Chapters []Chapter `yaml:"chapters"`
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	if err := decoder.Decode(&list); err != nil {
		return nil, fmt.Errorf("%s: %w", File, err)
	}
	for _, chapter := range list.Chapters {
		for i := range chapter.Pages {
			if err := chapter.Pages[i].complete(root); err != nil {
				return nil, fmt.Errorf("%s: %s: %w", File, chapter.Title, err)
			}
		}
	}
	return list.Chapters, nil
}

// All returns the pages of the chapters, with those below others, in their order.
func All(chapters []Chapter) []Page {
	var all []Page
	for _, chapter := range chapters {
		for _, page := range chapter.Pages {
			all = append(append(all, page), page.Below...)
		}
	}
	return all
}

// complete finds the heading of the page, and the pages below it.
func (p *Page) complete(root string) error {
	heading, err := headingOf(root, p.Path)
	if err != nil {
		return err
	}
	if p.Title == "" {
		p.Title = heading
	}
	if p.Says == "" {
		return fmt.Errorf("%s: nothing says what it has", p.Path)
	}
	if p.Pattern == "" {
		return nil
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(p.Pattern)))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("%s: no file is like %s (%v)", p.Path, p.Pattern, err)
	}
	for _, file := range files {
		path, err := filepath.Rel(root, file)
		if err != nil {
			return err
		}
		below := Page{Path: filepath.ToSlash(path)}
		if below.Title, err = headingOf(root, below.Path); err != nil {
			return err
		}
		below.Says = below.Title
		p.Below = append(p.Below, below)
	}
	return nil
}

// headingOf returns the text of the first heading of a page.
func headingOf(root, path string) (string, error) {
	text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(path)))
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(string(text)) {
		if heading, found := strings.CutPrefix(line, "# "); found {
			return strings.TrimSpace(heading), nil
		}
	}
	return "", fmt.Errorf("%s: has no heading", path)
}
