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
// first word behind the program's flags, which have a value each, is the subcommand, and no
// other word follows. A space stands in place of an equals sign. Without a subcommand it
// returns "".
func (h *Helper) SubcommandPattern() string {
	if h.Subcommand == "" {
		return ""
	}
	return `(^\s*|(^|[\s/;&|])(` + quoted(h.Programs) + `)\s+)(-\S*\s+[^-\s]\S*\s+)*` + regexp.QuoteMeta(h.Subcommand) + `(\s*$|\s*[;&|]|\s+[^a-zA-Z\s])`
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
// the programs and waits for it. Where a script puts anything into the background, what runs
// there serves the other commands, and nothing makes a helper of the container; only the last
// command may go there, if the script then waits.
func ProgramPattern(programs []string) string {
	const any = `([^&]|&&|[<>]&|&>)*` // no & that puts something into the background
	return `^(` + any + `(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(` + quoted(programs) + `)` +
		`([\s;|]` + any + `)?(&\s*wait(\s[^&]*)?)?$`
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
