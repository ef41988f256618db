package main

import (
	"bytes"
	"fmt"
	"regexp"
	"strings"
)

// render returns the page.
func render(introduction string, settings []setting, templates []template) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# The library chart\n\n## Values\n\n%s\n\n", introduction)
	b.WriteString("| value | default | meaning |\n| --- | --- | --- |\n")
	for _, s := range settings {
		def := s.def
		if def != "" {
			def = "`" + def + "`"
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", s.path, cell(def), cell(s.text))
	}
	b.WriteString("\n## Templates\n")
	for _, t := range templates {
		fmt.Fprintf(&b, "\n### `%s`\n\n%s\n", t.name, t.text)
		for _, s := range t.sections {
			b.WriteString("\n" + s.markdown())
		}
	}
	return b.Bytes()
}

// cell returns text as the cell of a table.
func cell(text string) string {
	return strings.ReplaceAll(strings.Join(strings.Fields(text), " "), "|", `\|`)
}

// columns separate the cells of a line under "Params:".
var columns = regexp.MustCompile(` {2,}`)

func (s section) markdown() string {
	kind, _, _ := strings.Cut(s.title, " ")
	switch strings.TrimSuffix(kind, ",") {
	case "Usage":
		return fmt.Sprintf("%s:\n\n```yaml\n%s\n```\n", s.title, s.text)
	case "Prints":
		if !strings.HasPrefix(s.text, "  ") {
			break
		}
		return fmt.Sprintf("%s:\n\n```yaml\n%s\n```\n", s.title, unindent(s.text))
	case "Params":
		var b strings.Builder
		b.WriteString("| parameter | type | meaning |\n| --- | --- | --- |\n")
		for line := range strings.Lines(s.text) {
			cells := columns.Split(strings.TrimSpace(line), 3)
			cells = append(cells, "", "")
			fmt.Fprintf(&b, "| `%s` | %s | %s |\n", cells[0], cell(cells[1]), cell(cells[2]))
		}
		return b.String()
	}
	return fmt.Sprintf("%s: %s\n", s.title, strings.TrimSpace(s.text))
}

// unindent removes the two spaces at the start of each line.
func unindent(text string) string {
	return strings.ReplaceAll(strings.TrimPrefix(text, "  "), "\n  ", "\n")
}
