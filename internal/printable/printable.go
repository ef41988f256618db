// Package printable makes text of somebody else's fit to be shown, such as an answer of
// a registry or a name in a manifest: it may do something to a terminal, may look like a
// line of ours, and may be a command to the machine that runs a pipeline. All programs
// link it, so it imports next to nothing.
package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text is a text on one line: what is not to be seen is escaped, line ends too.
func Text(s string) string { return escape(s, false) }

// Lines is a text of any number of lines. A line that a pipeline may take for a command
// is escaped at its beginning.
func Lines(s string) string { return escape(s, true) }

// isHidden tells whether a character is not to be seen, moves what is, or turns it
// around.
func isHidden(r rune) bool {
	return unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || unicode.Is(unicode.Zl, r) || unicode.Is(unicode.Zp, r) || r == '\ufeff'
}

func escape(s string, lines bool) string {
	var b strings.Builder
	begins := true
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		switch {
		case lines && r == '\n':
			b.WriteByte('\n')
		case lines && r == '\t':
			b.WriteByte('\t')
		case r == utf8.RuneError && size == 1:
			b.WriteString(code(rune(s[i])))
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\t':
			b.WriteString(`\t`)
		case r == '\r':
			b.WriteString(`\r`)
		case isHidden(r) || begins && isCommand(s[i:]):
			b.WriteString(code(r))
		default:
			b.WriteString(s[i : i+size])
		}
		begins = r == '\n' || begins && (r == ' ' || r == '\t')
		i += size
	}
	return b.String()
}

// code is a character as Go writes it.
func code(r rune) string {
	digits := strconv.FormatInt(int64(r), 16)
	if r < 0x100 {
		return `\x` + strings.Repeat("0", 2-len(digits)) + digits
	}
	return `\u` + strings.Repeat("0", max(0, 4-len(digits))) + digits
}

// isCommand tells whether a line begins like a command to GitHub, Azure or TeamCity.
func isCommand(line string) bool {
	return strings.HasPrefix(line, "::") || strings.HasPrefix(line, "##[") || strings.HasPrefix(line, "##vso[") || strings.HasPrefix(line, "##teamcity[")
}

// WithoutPasswords puts *** in the place of passwords in URLs.
func WithoutPasswords(s string) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(s, "://")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		b.WriteString("://")
		authority := rest
		if end := strings.IndexAny(rest, "/?# \t\n\"'<>"); end >= 0 {
			authority = rest[:end]
		}
		if at := strings.LastIndexByte(authority, '@'); at >= 0 {
			if user, _, ok := strings.Cut(authority[:at], ":"); ok {
				b.WriteString(user + ":***")
				rest = rest[at:]
			}
		}
		s = rest
	}
}
