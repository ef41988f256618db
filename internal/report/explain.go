package report

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// Explain writes the page of a rule to a terminal.
func Explain(out io.Writer, r *lint.Rule, color bool) error {
	paint := painter(color)
	var b strings.Builder
	same := func(s string) string { return s }
	fmt.Fprintf(&b, "%s\n\n", paint(bold, r.ID+" "+r.Title+" ("+string(r.Severity)+")"))
	wrap(&b, "", "", r.Why, same)
	b.WriteByte('\n')
	if r.Look != "" {
		wrap(&b, "", "", lint.NotByLint, same)
		b.WriteByte('\n')
		wrap(&b, "look: ", "      ", r.Look, same)
		b.WriteString("\n" + indent(r.Shell) + "\n")
	} else {
		wrap(&b, "says: ", "      ", lint.Placeholders(r.Message), same)
	}
	wrap(&b, "fix:  ", "      ", lint.Placeholders(r.Fix), same)
	b.WriteString(example(r, paint))
	b.WriteByte('\n')
	for _, link := range r.Links {
		b.WriteString(link + "\n")
	}
	_, err := io.WriteString(out, b.String())
	return err
}

// example returns the two manifests of a rule: the wrong one and the corrected one.
func example(r *lint.Rule, paint func(style, s string) string) string {
	if r.Look != "" {
		return ""
	}
	e := lint.ExampleOf(r)
	wrong := "wrong"
	if e.Flags != "" {
		wrong += " (" + e.Flags + ")"
	}
	return fmt.Sprintf("\n%s:\n\n%s\n%s:\n\n%s", paint(bold, wrong), indent(e.Wrong), paint(bold, "right"), indent(e.Right))
}

func indent(s string) string {
	return "  " + strings.ReplaceAll(strings.TrimRight(s, "\n"), "\n", "\n  ") + "\n"
}

// Rules are rules as data.
type Rules struct {
	Rules []Rule `json:"rules"`
}

// A Rule is a rule as data.
type Rule struct {
	ID       string        `json:"id"`
	Severity lint.Severity `json:"severity"`
	Title    string        `json:"title"`
	Why      string        `json:"why"`
	Fix      string        `json:"fix"`
	Links    []string      `json:"links"`
}

// RulesOf returns rules as data.
func RulesOf(rules []*lint.Rule) Rules {
	var all Rules
	for _, r := range rules {
		all.Rules = append(all.Rules, Rule{r.ID, r.Severity, r.Title, r.Why, lint.Placeholders(r.Fix), append([]string{}, r.Links...)})
	}
	return all
}

// List writes one line for each rule.
func List(out io.Writer, rules []*lint.Rule) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, r := range rules {
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\n", r.ID, r.Severity, r.Title); err != nil {
			return err
		}
	}
	return w.Flush()
}
