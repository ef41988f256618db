package contents

import (
	"iter"
	"regexp"
	"strconv"
	"strings"
	"unicode"
)

// Parts yields the lines of a page in pieces that are as long as possible: those of fenced
// blocks with true, and all others with false.
func Parts(text string) iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		var piece strings.Builder
		inside := false
		for line := range strings.Lines(text) {
			fence := strings.HasPrefix(strings.TrimLeft(line, " "), "```")
			if fence && !inside {
				if !yield(piece.String(), false) {
					return
				}
				piece.Reset()
			}
			piece.WriteString(line)
			if fence && inside {
				if !yield(piece.String(), true) {
					return
				}
				piece.Reset()
			}
			inside = inside != fence
		}
		yield(piece.String(), inside)
	}
}

// Heading matches a line with a heading below the first level: its marks, and its text.
var Heading = regexp.MustCompile(`(?m)^(##+) (.*)$`)

var marks = regexp.MustCompile("[`*]|\\]\\([^)]*\\)|\\[")

// Plain returns the text of a heading without Markdown marks.
func Plain(title string) string { return marks.ReplaceAllString(title, "") }

// Anchor returns the anchor by which GitHub links to a heading.
func Anchor(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(Plain(title)) {
		switch {
		case r == ' ':
			b.WriteByte('-')
		case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsNumber(r):
			b.WriteRune(r)
		}
	}
	return b.String()
}

// Anchors returns the anchors of a page. The second heading with the same text has -1 behind
// it.
func Anchors(page string) map[string]bool {
	all := map[string]bool{}
	seen := map[string]int{}
	for text, fenced := range Parts(page) {
		if fenced {
			continue
		}
		for _, m := range Heading.FindAllStringSubmatch(text, -1) {
			anchor := Anchor(m[2])
			if n := seen[anchor]; n > 0 {
				all[anchor+"-"+strconv.Itoa(n)] = true
			} else {
				all[anchor] = true
			}
			seen[anchor]++
		}
	}
	return all
}
