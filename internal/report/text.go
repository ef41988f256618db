package report

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/printable"
)

// width is the least width of a terminal, in columns.
const width = 80

// text writes findings for people, grouped by object.
type text struct {
	out   io.Writer
	paint func(style, s string) string
	last  string
	any   bool
	// told are the rules whose reason has been printed already.
	told map[string]bool
}

const (
	bold   = "1"
	faint  = "2"
	red    = "31"
	yellow = "33"
	cyan   = "36"
)

func painter(color bool) func(style, s string) string {
	return func(style, s string) string {
		if !color || s == "" {
			return s
		}
		return "\x1b[" + style + "m" + s + "\x1b[0m"
	}
}

func (t *text) Write(f lint.Finding) error {
	var b strings.Builder
	if head := objectName(f.Object) + "\x00" + f.File; head != t.last {
		if t.any {
			b.WriteByte('\n')
		}
		t.last, t.any = head, true
		b.WriteString(t.paint(bold, printable.Text(objectName(f.Object))) + "\n")
	}
	style := map[lint.Severity]string{lint.Error: red, lint.Warning: yellow, lint.Info: cyan}[f.Severity]
	at := ""
	if f.File != "" { // a finding about a cluster has no file
		at = fmt.Sprintf("%s:%d:%d  ", printable.Text(f.File), f.Line, f.Column)
	}
	fmt.Fprintf(&b, "  %s%s %s\n", at, t.paint(style, string(f.Severity)), f.Rule.ID)
	where := f.FieldPath
	if f.Container != "" {
		where = strings.TrimSuffix("container "+f.Container+", "+where, ", ")
	}
	wrap(&b, "    ", "    ", printable.Text(f.Message), func(s string) string { return s })
	if where != "" {
		wrap(&b, "    at ", "       ", printable.Text(where), func(s string) string { return t.paint(faint, s) })
	}
	if !t.told[f.Rule.ID] {
		t.told[f.Rule.ID] = true
		wrap(&b, "    why: ", "         ", f.Rule.Why, func(s string) string { return s })
	}
	wrap(&b, "    fix: ", "         ", printable.Text(f.Fix), func(s string) string { return s })
	_, err := io.WriteString(t.out, b.String())
	return err
}

func (t *text) Flush(Summary) error { return nil }

// wrap breaks a text at spaces so that its lines fit the width. A longer word stays whole, so
// that it can be copied.
func wrap(b *strings.Builder, first, rest, s string, paint func(string) string) {
	line, lead := "", first
	for _, w := range strings.Fields(s) {
		switch {
		case line == "":
			line = w
		case utf8.RuneCountInString(lead)+utf8.RuneCountInString(line)+1+utf8.RuneCountInString(w) <= width:
			line += " " + w
		default:
			b.WriteString(lead + paint(line) + "\n")
			line, lead = w, rest
		}
	}
	b.WriteString(lead + paint(line) + "\n")
}
