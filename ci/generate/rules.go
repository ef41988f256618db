package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
)

const rulesFolder = "docs/rules/"

// families are the titles of the parts of the index, by the digit with which the ids begin.
var families = []struct{ digit, title string }{
	{"1", "Will not finish"},
	{"2", "Will not start, or waits for ever"},
	{"3", "In the wrong place, or with a spelling that the mesh does not read"},
	{"4", "Loses or invents the result"},
	{"5", "Injection cannot do what is asked"},
	{"6", "What it costs, and what is left over"},
}

// rulePages returns a page for each rule of jobmesh lint, and their index.
func rulePages() []output {
	pages := []output{whole(rulesFolder+"README.md", "internal/lint", ruleIndex)}
	for _, r := range slices.Concat(lint.Rules(), lint.Elsewhere()) {
		pages = append(pages, whole(rulesFolder+r.ID+".md", "internal/lint", func() ([]byte, error) { return rulePage(r) }))
	}
	return pages
}

// strayRules returns an error for pages of rules that do not exist.
func strayRules() error {
	files, err := filepath.Glob(rulesFolder + "*")
	if err != nil {
		return err
	}
	for _, file := range files {
		if !slices.ContainsFunc(rulePages(), func(p output) bool { return p.path == filepath.ToSlash(file) }) {
			return fmt.Errorf("%s: is the page of no rule", file)
		}
	}
	return nil
}

func ruleIndex() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Rules of jobmesh lint\n\n" +
		"How to run it: [../lint.md](../lint.md). An id never changes its meaning. `jobmesh lint --explain JM101` prints a page.\n")
	for _, f := range families {
		fmt.Fprintf(&b, "\n## %s\n\n| rule | severity | finds |\n| --- | --- | --- |\n", f.title)
		for _, r := range lint.Rules() {
			if strings.HasPrefix(r.ID, "JM"+f.digit) {
				fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", r.ID, r.ID, r.Severity, cell(r.Title))
			}
		}
	}
	b.WriteString("\n## Seen only in a cluster or a registry\n\n" + lint.NotByLint + " The pages say where to look.\n\n| rule | severity | finds |\n| --- | --- | --- |\n")
	for _, r := range lint.Elsewhere() {
		fmt.Fprintf(&b, "| [%s](%s.md) | %s | %s |\n", r.ID, r.ID, r.Severity, cell(r.Title))
	}
	return []byte(b.String()), nil
}

func rulePage(r *lint.Rule) ([]byte, error) {
	var b strings.Builder
	fmt.Fprintf(&b, "# %s: %s\n\nSeverity: %s. [All rules](README.md)\n\n%s\n\n", r.ID, r.Title, r.Severity, r.Why)
	if r.Look != "" {
		fmt.Fprintf(&b, "%s\n\n## Where to look\n\n%s\n\n```sh\n%s\n```\n\nFix: %s.\n", lint.NotByLint, r.Look, r.Shell, lint.Placeholders(r.Fix))
		comesFrom(&b, r)
		return []byte(b.String()), nil
	}
	e := lint.ExampleOf(r)
	if e.Wrong == "" || e.Right == "" {
		return nil, errors.New(r.ID + ": has no example")
	}
	fmt.Fprintf(&b, "It says: %s\n\nFix: %s.\n", lint.Placeholders(r.Message), lint.Placeholders(r.Fix))
	with := ""
	if e.Flags != "" {
		with = ", with `" + e.Flags + "`"
	}
	fmt.Fprintf(&b, "\n## Wrong%s\n\n```yaml\n%s```\n\n## Right\n\n```yaml\n%s```\n", with, e.Wrong, e.Right)
	if strings.Contains(e.Flags, "--lock") {
		fmt.Fprintf(&b, "\nThe lock file:\n\n```yaml\n%s```\n", e.Lock)
	}
	fmt.Fprintf(&b, "\n## Where it does not hold\n\nOn the object or on its pod template:\n\n```yaml\nmetadata:\n  annotations:\n    %s%s: \"why it does not hold here\"\n```\n", lint.Prefix, r.ID)
	comesFrom(&b, r)
	return []byte(b.String()), nil
}

func comesFrom(b *strings.Builder, r *lint.Rule) {
	b.WriteString("\n## Where it comes from\n\n")
	for _, link := range r.Links {
		b.WriteString("- <" + link + ">\n")
	}
}
