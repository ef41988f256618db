// Package printable makes text of unknown origin safe to print, such as an answer of a registry
// or a name in a manifest. Such text may control a terminal, may look like a message of
// jobmesh, and may be a command for the machine that runs a pipeline. All programs link this
// package, so it imports very little.
package printable

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Text returns the text on one line: invisible characters are escaped, line ends too.
func Text(s string) string { return escape(s, false) }

// Lines returns the text on as many lines as it has. The start of a line that a pipeline may
// take for a command is escaped.
func Lines(s string) string { return escape(s, true) }

// isHidden tells whether a character is invisible, or moves or reverses visible ones.
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

// code returns a character as Go's escape sequence.
func code(r rune) string {
	digits := strconv.FormatInt(int64(r), 16)
	if r < 0x100 {
		return `\x` + strings.Repeat("0", 2-len(digits)) + digits
	}
	return `\u` + strings.Repeat("0", max(0, 4-len(digits))) + digits
}

// isCommand tells whether a line starts like a command for GitHub, Azure or TeamCity.
func isCommand(line string) bool {
	return strings.HasPrefix(line, "::") || strings.HasPrefix(line, "##[") || strings.HasPrefix(line, "##vso[") || strings.HasPrefix(line, "##teamcity[")
}

// WithoutPasswords replaces passwords in URLs by ***.
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
