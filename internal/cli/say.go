package cli

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// These are widths in columns: the one for output that is not a terminal, and the least to
// which lines are folded.
const (
	usualColumns = 80
	leastColumns = 60
)

// columns returns the width to which help is folded.
func (s Streams) columns() int {
	if s.Columns == 0 {
		return usualColumns
	}
	return max(leastColumns, s.Columns)
}

// say writes one message. On a terminal it is folded at spaces, so that no word is broken.
// Hints are not folded, because the user may copy them.
func (s Streams) say(format string, arguments ...any) {
	text := fmt.Sprintf(format, arguments...)
	if s.Columns > 0 {
		text = fold(text, s.columns())
	}
	_, _ = fmt.Fprintln(s.Err, text) // there is no other place to report a failure to
}

// hint writes hints, one on each line.
func (s Streams) hint(hints ...string) {
	for _, hint := range hints {
		_, _ = fmt.Fprintf(s.Err, "hint: %s\n", hint) // there is no other place to report a failure to
	}
}

// fold breaks a line at spaces so that it fits. A word that is longer than the width stays
// whole.
func fold(line string, width int) string {
	var b strings.Builder
	used := 0
	for i, word := range strings.Split(line, " ") {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case used+1+n > width:
			b.WriteByte('\n')
			used = 0
		default:
			b.WriteByte(' ')
			used++
		}
		b.WriteString(word)
		used += n
	}
	return b.String()
}

// foldText folds the paragraphs of a text that do not fit. It leaves a paragraph with indented
// lines as it is.
func foldText(text string, width int) string {
	paragraphs := strings.Split(text, "\n\n")
	for i, p := range paragraphs {
		lines := strings.Split(p, "\n")
		fits, indented := true, false
		for _, line := range lines {
			fits = fits && utf8.RuneCountInString(line) <= width
			indented = indented || strings.HasPrefix(line, " ")
		}
		if !fits && !indented {
			paragraphs[i] = fold(strings.Join(lines, " "), width)
		}
	}
	return strings.Join(paragraphs, "\n\n")
}
