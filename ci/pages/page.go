package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/jobmesh/jobmesh/ci/contents"
	"github.com/jobmesh/jobmesh/internal/pages"
)

// A site knows which files of the repository are its pages.
type site struct {
	root  string
	pages map[string]string // maps paths in the repository to paths in the site
	files []string          // other files of the repository that the site has too
}

// page returns the text of a page for Sphinx.
func (s *site) page(page contents.Page, text string) (string, error) {
	var b strings.Builder
	description, err := json.Marshal(page.Title + ": " + strings.ReplaceAll(page.Says, "`", ""))
	if err != nil {
		return "", err
	}
	orphan := ""
	if page.Path == contents.Index {
		orphan = "orphan: true\n" // the contents stand beside every page anyway
	}
	fmt.Fprintf(&b, "---\n%smyst:\n  html_meta:\n    description: %s\n---\n", orphan, description)
	var failure error
	for block, fenced := range contents.Parts(text) {
		if !fenced {
			block = comments.ReplaceAllString(block, "")
			block = anchors(links.ReplaceAllStringFunc(block, func(link string) string {
				replaced, err := s.link(page.Path, link)
				if err != nil && failure == nil {
					failure = err
				}
				return replaced
			}))
		}
		b.WriteString(block)
	}
	return b.String(), failure
}

// comments match comments for the authors of pages, such as how their blocks are tested.
var comments = regexp.MustCompile(`(?s)<!--.*?-->`)

// links match Markdown links with a target in parentheses, and also code spans, which stay as
// they are.
var links = regexp.MustCompile("(?s)`[^`]+`|(!?)\\[((?:[^][`]|`[^`]*`)*)\\]\\(([^)\\s]+)\\)")

// link returns a link of a page in the form that the site needs.
func (s *site) link(page, text string) (string, error) {
	m := links.FindStringSubmatch(text)
	image, label, target := m[1], m[2], m[3]
	if target == "" || strings.Contains(target, ":") || strings.HasPrefix(target, "#") {
		return text, nil
	}
	file, anchor, _ := strings.Cut(target, "#")
	if anchor != "" {
		anchor = "#" + anchor
	}
	file = path.Join(path.Dir(page), file)
	info, err := os.Stat(filepath.Join(s.root, filepath.FromSlash(file)))
	if err != nil {
		return "", fmt.Errorf("the link to %s leads nowhere", target)
	}
	to := file
	if info.IsDir() {
		to = path.Join(file, "README.md")
	}
	switch here, found := s.pages[to]; {
	case found:
		return fmt.Sprintf("%s[%s](%s%s)", image, label, relative(address(page), here), anchor), nil
	case strings.HasPrefix(file, "docs/") && !info.IsDir():
		s.files = append(s.files, file)
		if image != "" {
			return text, nil
		}
		// Sphinx itself would copy the file to an address with a hash in it.
		return fmt.Sprintf(`<a href="%s">%s</a>`, relative(address(page), file), label), nil
	}
	return fmt.Sprintf("%s[%s](%s%s)", image, label, pages.Source(file), anchor), nil
}

// relative returns the path that leads from the page at one address to another address.
func relative(from, to string) string {
	way, err := filepath.Rel(filepath.FromSlash(path.Dir(from)), filepath.FromSlash(to))
	if err != nil {
		panic(err) // both are relative to the same root
	}
	return filepath.ToSlash(way)
}

// anchors puts GitHub's anchor in front of each heading for which Sphinx would generate another
// one.
func anchors(text string) string {
	return contents.Heading.ReplaceAllStringFunc(text, func(line string) string {
		title := contents.Heading.FindStringSubmatch(line)[2]
		if ours := contents.Anchor(title); ours != sphinxID(title) {
			return fmt.Sprintf("<a id=\"%s\"></a>\n\n%s", ours, line)
		}
		return line
	})
}

var noID = regexp.MustCompile(`[^a-z0-9]+`)

// sphinxID returns the anchor of a heading as docutils generates it.
func sphinxID(title string) string {
	id := strings.Trim(noID.ReplaceAllString(strings.ToLower(contents.Plain(title)), "-"), "-")
	return strings.TrimLeft(id, "0123456789-")
}

// copyFiles copies the files that pages link to, and those that programs look for, to the same
// paths as in the repository.
func (s *site) copyFiles(dir string) error {
	done := map[string]bool{}
	for _, file := range s.files {
		if done[file] {
			continue
		}
		done[file] = true
		text, err := os.ReadFile(filepath.Join(s.root, filepath.FromSlash(file)))
		if err != nil {
			return err
		}
		// Sphinx looks for pictures beside their page; the folder extra is copied as it is.
		for _, where := range []string{"", "extra"} {
			to := filepath.Join(dir, where, filepath.FromSlash(file))
			if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(to, text, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
