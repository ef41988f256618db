package secret

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jobmesh/jobmesh/internal/printable"
)

// Clear begins a write that shows progress: it takes away the line that stands there.
const Clear = "\r\x1b[K"

// A Writer passes on text without secrets, as printable.Lines makes it. What is written at a time should be whole
// lines: a secret that two writes have in halves is not seen.
type Writer struct {
	out io.Writer
	// rest is a character that has not come whole yet.
	rest []byte
	// inside says that the last write ended within a line.
	inside bool
}

// NewWriter returns a writer to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	text := string(w.rest) + string(p)
	w.rest = nil
	// Only what this program writes itself begins so.
	text, progress := strings.CutPrefix(text, Clear)
	whole := len(text)
	for whole > 0 && len(text)-whole < utf8.UTFMax && !utf8.RuneStart(text[whole-1]) {
		whole--
	}
	if whole > 0 && !utf8.FullRuneInString(text[whole-1:]) {
		w.rest = []byte(text[whole-1:])
		text = text[:whole-1]
	}
	text = Mask(text)
	out := printable.Lines(text)
	if w.inside && !progress { // what looks like a beginning is none
		out = strings.TrimPrefix(printable.Lines("x"+text), "x")
	}
	if progress {
		out = Clear + out
	}
	if text != "" {
		w.inside = !strings.HasSuffix(text, "\n")
	}
	if _, err := io.WriteString(w.out, out); err != nil {
		return 0, err
	}
	return len(p), nil
}
