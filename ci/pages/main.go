// Command pages lays out the Markdown of this repository for Sphinx, which makes the site
// of it (ci/site). The pages stay as they are, at the paths that they have here, so that
// the address of a page is its path. What changes:
//
//   - A README.md is the index of its folder, and the one at the root the first page.
//   - A link to a page of the site leads to that page; one to another file of the
//     repository leads to where the sources of this version are published.
//   - Files that pages link to and that are no pages, such as JSON schemas, stay files.
//   - The order of docs/contents.yaml becomes the contents beside each page.
//   - Each page is there as Markdown too, at its own path, and llms.txt lists them.
//   - Each heading keeps the anchor that it has on GitHub.
//
// Usage, at the root of the repository:
//
//	go run ./ci/pages DIR
package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/jobmesh/jobmesh/ci/contents"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: pages DIR")
		os.Exit(2)
	}
	if err := lay(".", os.Args[1]); err != nil {
		fmt.Fprintf(os.Stderr, "pages: %v\n", err)
		os.Exit(1)
	}
}

// lay writes the sources of the site into dir.
func lay(root, dir string) error {
	chapters, err := contents.Read(root)
	if err != nil {
		return err
	}
	index := contents.Page{Path: contents.Index, Title: "All pages", Says: "every page of the documentation, by chapter"}
	s := site{root: root, pages: map[string]string{}}
	all := append(contents.All(chapters), index)
	for _, page := range all {
		s.pages[page.Path] = address(page.Path)
	}
	for _, page := range all {
		text, err := os.ReadFile(filepath.Join(root, filepath.FromSlash(page.Path)))
		if err != nil {
			return err
		}
		if err := write(filepath.Join(dir, "extra"), page.Path, string(text)); err != nil {
			return err
		}
		markdown, err := s.page(page, string(text))
		if err != nil {
			return fmt.Errorf("%s: %w", page.Path, err)
		}
		if page.Path == "README.md" {
			markdown += trees(chapters)
		}
		if page.Below != nil {
			markdown += tree("", page.Below, path.Dir(page.Path))
		}
		if err := write(dir, address(page.Path), markdown); err != nil {
			return err
		}
	}
	if err := write(dir, "extra/llms.txt", overview(chapters)); err != nil {
		return err
	}
	return s.copyFiles(dir)
}

// overview returns the file llms.txt, which programs read on behalf of people: the pages by
// chapter, as Markdown.
func overview(chapters []contents.Chapter) string {
	var b strings.Builder
	b.WriteString("# jobmesh\n\n> Any Kubernetes Job, in any service mesh, finishes, and one command says beforehand whether it will.\n\n" +
		"The program prints JSON with -o json; docs/output.md has the schemas. Exit codes are in docs/cli.md and docs/wrapper.md.\n")
	for _, chapter := range chapters {
		fmt.Fprintf(&b, "\n## %s\n\n", chapter.Title)
		for _, page := range chapter.Pages {
			fmt.Fprintf(&b, "- [%s](%s): %s\n", page.Title, page.Path, page.Says)
			for _, below := range page.Below {
				fmt.Fprintf(&b, "  - [%s](%s)\n", below.Title, below.Path)
			}
		}
	}
	return b.String()
}

// address returns the path of a page in the site, before Sphinx turns .md into .html.
func address(page string) string {
	if path.Base(page) == "README.md" {
		return path.Join(path.Dir(page), "index.md")
	}
	return page
}

// trees returns the contents of the site, one tree for each chapter.
func trees(chapters []contents.Chapter) string {
	var b strings.Builder
	for _, chapter := range chapters {
		b.WriteString(tree(chapter.Title, chapter.Pages, "."))
	}
	return b.String()
}

// tree returns a hidden list of pages, which Sphinx shows beside the text.
func tree(caption string, pages []contents.Page, folder string) string {
	var b strings.Builder
	b.WriteString("\n```{toctree}\n:hidden:\n")
	if caption != "" {
		b.WriteString(":caption: " + caption + "\n")
	}
	b.WriteString("\n")
	for _, page := range pages {
		name := strings.TrimSuffix(address(page.Path), ".md")
		if name == "index" {
			name = "self" // Sphinx's word for the page that contains the list
		} else if folder != "." {
			name = strings.TrimPrefix(name, folder+"/")
		}
		fmt.Fprintf(&b, "%s <%s>\n", page.Title, name)
	}
	b.WriteString("```\n")
	return b.String()
}

func write(dir, name, text string) error {
	file := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	if _, err := os.Stat(file); !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("%s: two pages would be there (%v)", name, err)
	}
	return os.WriteFile(file, []byte(text), 0o644)
}
