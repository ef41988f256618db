package secret

import (
	"io"
	"strings"
	"unicode/utf8"

	"github.com/jobmesh/jobmesh/internal/printable"
)

// Clear starts a write that shows progress: it erases the current line of the terminal.
const Clear = "\r\x1b[K"

// A Writer passes text on without secrets, and escaped by printable.Lines. Each write should be
// whole lines: a secret that is divided between two writes is not found.
type Writer struct {
	out io.Writer
	// rest is the beginning of a character whose other bytes have not been written yet.
	rest []byte
	// inside says that the last write ended in the middle of a line.
	inside bool
}

// NewWriter returns a writer to out.
func NewWriter(out io.Writer) *Writer { return &Writer{out: out} }

// Write implements io.Writer.
func (w *Writer) Write(p []byte) (int, error) {
	text := string(w.rest) + string(p)
	w.rest = nil
	// Only this program's own progress starts like this.
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
	if w.inside && !progress { // the text does not start a line, so it cannot be a command
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
