package printable

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"plain – text":            "plain – text",
		"a\nb\tc\r":               `a\nb\tc\r`,
		"\x1b]0;title\a\x1b[2J":   `\x1b]0;title\x07\x1b[2J`,
		"\x7f\u0085\u009b":        `\x7f\x85\x9b`,
		"\u202egnp.exe\u2066":     `\u202egnp.exe\u2066`,
		"\u2028\u2029\ufeff":      `\u2028\u2029\ufeff`,
		"\xff\xc3":                `\xff\xc3`,
		"::error::PWN":            `\x3a:error::PWN`,
		" ##vso[task.setvariable": ` \x23#vso[task.setvariable`,
		"a::b ##[c]":              "a::b ##[c]",
	} {
		assert.Equal(t, want, Text(in))
	}
	assert.Equal(t, "a\n\\x3a:error::b\n  \\x3a:warning::c\n\td::e\n", Lines("a\n::error::b\n  ::warning::c\n\td::e\n"))
}

func TestWithoutPasswords(t *testing.T) {
	for in, want := range map[string]string{
		"no URL":                                   "no URL",
		"http://host/a@b:c@d":                      "http://host/a@b:c@d",
		"http://me@host":                           "http://me@host",
		"\"http://me:secret@host/x\" is not":       "\"http://me:***@host/x\" is not",
		"POST http://a:b:c@d@host and tcp://x:y@z": "POST http://a:***@host and tcp://x:***@z",
	} {
		assert.Equal(t, want, WithoutPasswords(in))
	}
}

// Whatever the input is, a terminal or a pipeline does not act on the output.
func FuzzText(f *testing.F) {
	f.Add("a\x1b[2J\n::error::\u202e\xff")
	f.Add("http://a:b@c://d:e@f")
	f.Fuzz(func(t *testing.T, s string) {
		for _, r := range Text(s) {
			assert.False(t, unicode.IsControl(r), "%q", s)
		}
		assert.True(t, utf8.ValidString(Text(s)))
		for line := range strings.Lines(Lines(s)) {
			assert.False(t, strings.HasPrefix(strings.TrimLeft(line, " \t"), "::"), "%q", s)
		}
		WithoutPasswords(s)
	})
}
