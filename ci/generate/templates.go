package main

import (
	"fmt"
	"regexp"
	"strings"
)

// A template is a public define and the comment above it.
type template struct {
	name     string
	text     string
	sections []section
}

// A section of the comment starts with a line such as "Usage in a range:".
type section struct {
	title, text string
}

var (
	define  = regexp.MustCompile(`(?m)^\{\{- define "(jobmesh\.[a-zA-Z]+)" -\}\}$`)
	heading = regexp.MustCompile(`(?m)^(Usage|Params|Prints|Errors)(|[, ].*):`)
)

// readTemplates returns the public defines in a file. Private ones have an underscore behind
// the dot.
func readTemplates(content string) ([]template, error) {
	var templates []template
	for _, at := range define.FindAllStringSubmatchIndex(content, -1) {
		name := content[at[2]:at[3]]
		above, closed := strings.CutSuffix(content[:at[0]], "*/}}\n")
		open := strings.LastIndex(above, "{{/*\n")
		if !closed || open < 0 {
			return nil, fmt.Errorf("%s has no comment right above it", name)
		}
		t := template{name: name}
		text := above[open+len("{{/*\n"):]
		marks := heading.FindAllStringIndex(text, -1)
		if len(marks) == 0 {
			return nil, fmt.Errorf("%s: its comment has no Usage", name)
		}
		t.text = strings.TrimSpace(text[:marks[0][0]])
		for i, mark := range marks {
			end := len(text)
			if i+1 < len(marks) {
				end = marks[i+1][0]
			}
			t.sections = append(t.sections, section{
				title: strings.TrimSuffix(text[mark[0]:mark[1]], ":"),
				text:  strings.Trim(text[mark[1]:end], "\n"),
			})
		}
		templates = append(templates, t)
	}
	return templates, nil
}
