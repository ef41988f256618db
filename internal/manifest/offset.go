package manifest

import (
	"bytes"
	"regexp"
	"slices"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// markOffset returns where the byte order mark of a document is: at its start, or
// behind its separator, where files were put together; -1 if it has none. The parser
// knows the first only.
func markOffset(text []byte) int {
	at := 0
	if isMarker(text, "---") && !bytes.HasPrefix(text, byteOrderMark) {
		at = bytes.IndexByte(text, '\n') + 1
	}
	if !bytes.HasPrefix(text[at:], byteOrderMark) {
		return -1
	}
	return at
}

// WithoutMark returns the text of a document without its byte order mark.
func WithoutMark(text []byte) []byte {
	at := markOffset(text)
	if at < 0 {
		return text
	}
	return slices.Concat(text[:at], text[at+len(byteOrderMark):])
}

// version matches the directive of YAML 1.2, before anything else of a document. The parser
// knows 1.1 only, and reads both alike.
var version = regexp.MustCompile(`\A((?:[ \t]*(?:#[^\n]*)?\r?\n|%[^Y][^\n]*\n)*%YAML[ \t]+1\.)[2-9]([ \t\r\n])`)

// ForParser returns the text of a document as the parser takes it: without its byte order
// mark, and of the version of YAML that it knows. All else stays where it is.
func ForParser(text []byte) []byte {
	text = WithoutMark(text)
	if !bytes.Contains(text, []byte("%YAML")) {
		return text
	}
	return version.ReplaceAll(text, []byte("${1}1${2}"))
}

// OffsetOf returns where a node of the document begins in Text, in bytes: at its
// anchor or tag where it has one. A node without text, such as the value of a key
// that has none, is where it would be: behind the colon.
func (d *Document) OffsetOf(n *yaml.Node) int {
	if d.lines == nil {
		d.lines = textLines(d.Text)
	}
	i := n.Line - d.Line
	if i < 0 || i >= len(d.lines) {
		return len(d.Text)
	}
	return min(d.lines[i].offset(d.Text, n.Column-1), len(d.Text))
}

// A textLine is a line as the parser counts them: it takes NEL, LS and PS of Unicode
// for line breaks too, and does not count a byte order mark. It counts characters;
// marks are the offsets of every markDistance-th of them, and nil where each is a byte.
// JSON of a megabyte often has one line.
type textLine struct {
	start int
	marks []int
}

const markDistance = 256

func (l textLine) offset(text []byte, characters int) int {
	if l.marks == nil {
		return l.start + characters
	}
	if characters/markDistance >= len(l.marks) {
		return len(text)
	}
	at := l.marks[characters/markDistance]
	for range characters % markDistance {
		_, size := utf8.DecodeRune(text[at:])
		at += size
	}
	return at
}

func textLines(text []byte) []textLine {
	mark := markOffset(text)
	var lines []textLine
	for i, start := 0, 0; ; {
		if i == mark {
			i += len(byteOrderMark)
			start = i
		}
		if size := breakSize(text[i:]); size > 0 || i == len(text) {
			lines = append(lines, textLine{start, marks(text[start:i], start)})
			if i == len(text) {
				return lines
			}
			start = i + size
			i = start
			continue
		}
		i++
		for i < len(text) && i != mark && isPlain(text[i]) {
			i++
		}
	}
}

// isPlain tells of most bytes that no line break and no mark begins with them.
func isPlain(b byte) bool { return b < utf8.RuneSelf && b != '\n' && b != '\r' }

// marks returns nil for a line of ASCII.
func marks(line []byte, start int) []int {
	if !slices.ContainsFunc(line, func(b byte) bool { return b >= utf8.RuneSelf }) {
		return nil
	}
	marks := []int{}
	count := 0
	for i := 0; i < len(line); count++ {
		if count%markDistance == 0 {
			marks = append(marks, start+i)
		}
		_, size := utf8.DecodeRune(line[i:])
		i += size
	}
	return append(marks, start+len(line))
}

// breakSize is the length of the line break that text begins with, 0 for none.
func breakSize(text []byte) int {
	switch {
	case len(text) == 0:
		return 0
	case text[0] == '\n':
		return 1
	case text[0] == '\r':
		if len(text) > 1 && text[1] == '\n' {
			return 2
		}
		return 1
	case len(text) > 1 && text[0] == 0xC2 && text[1] == 0x85: // NEL
		return 2
	case len(text) > 2 && text[0] == 0xE2 && text[1] == 0x80 && (text[2] == 0xA8 || text[2] == 0xA9): // LS, PS
		return 3
	}
	return 0
}
