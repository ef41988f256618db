package sidecar

import (
	"regexp"
	"strings"
	"sync"
)

// IsAsked tells whether a command line has the subcommand with which the program is this helper.
func (h *Helper) IsAsked(line string) bool {
	return h.Subcommand == "" || Compiled(h.SubcommandPattern()).MatchString(normal(line))
}

// SubcommandPattern returns a regular expression for the words of a command line in which the
// first word that is neither a flag of the program nor a flag's value is the subcommand, and a
// flag or nothing follows. The words have one space between them, also in place of an equals
// sign. Without a subcommand it returns "".
func (h *Helper) SubcommandPattern() string {
	if h.Subcommand == "" {
		return ""
	}
	return `(^ *|(^|[ /;&|])(` + quoted(h.Programs) + `) )(-[^ ]* ([^- ][^ ]* )?)*` + regexp.QuoteMeta(h.Subcommand) + `( -| *$| *[;&|])`
}

// ImagePattern returns a regular expression for the images that Find takes for those of a
// helper: the patterns of path.Match for the end of the repository, and for the tag behind a
// colon.
func ImagePattern(patterns []string) string {
	var all []string
	for _, p := range patterns {
		repository, tag, tagged := strings.Cut(p, ":")
		expression := globbed(repository)
		if tagged {
			expression += ":" + globbed(tag)
		} else {
			expression += "(:[^/]*)?"
		}
		all = append(all, expression)
	}
	return "(^|/)(" + strings.Join(all, "|") + ")$"
}

// globbed returns a regular expression for a pattern of path.Match that only has asterisks.
func globbed(pattern string) string {
	return strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, "[^/:]*")
}

// ProgramPattern returns a regular expression for a command line or a script that runs one of
// the programs and waits for it. What is started in the background of other commands serves
// them: it does not make a helper of the container.
func ProgramPattern(programs []string) string {
	return `(^|[;&|({\n]|(exec|do|then|else)\s)\s*([^\s;&|]*/)?(` + quoted(programs) + `)` +
		`([\s)]([^;&\n]|\\\n|[<>]&|&>)*)?` + // its arguments, and what its output goes to
		`($|[;\n]|&&|&\s*wait(\s[^;&|\n]*)?\s*$)`
}

func quoted(programs []string) string {
	var all []string
	for _, p := range programs {
		all = append(all, regexp.QuoteMeta(p))
	}
	return strings.Join(all, "|")
}

var expressions sync.Map

// Compiled compiles the expression of a row once.
func Compiled(expression string) *regexp.Regexp {
	known, ok := expressions.Load(expression)
	if !ok {
		known, _ = expressions.LoadOrStore(expression, regexp.MustCompile(expression))
	}
	return known.(*regexp.Regexp)
}
