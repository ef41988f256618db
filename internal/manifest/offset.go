package manifest

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

var byteOrderMark = []byte("\xef\xbb\xbf")

// OffsetOf returns where a node of the document begins in Text, in bytes: at its
// anchor or tag where it has one. A node without text, such as the value of a key
// that has none, is where it would be: behind the colon.
func (d *Document) OffsetOf(n *yaml.Node) int {
	if d.lines == nil {
		d.lines = lineOffsets(d.Text)
	}
	line := n.Line - d.Line
	if line < 0 || line >= len(d.lines) {
		return len(d.Text)
	}
	at := d.lines[line]
	for range n.Column - 1 {
		_, size := utf8.DecodeRune(d.Text[at:])
		at += size
	}
	return at
}

// lineOffsets are the starts of the lines as the parser counts them: it takes NEL,
// LS and PS of Unicode for line breaks too, and does not count a byte order mark.
func lineOffsets(text []byte) []int {
	start := 0
	if bytes.HasPrefix(text, byteOrderMark) {
		start = len(byteOrderMark)
	}
	offsets := []int{start}
	for i := start; i < len(text); {
		size := breakSize(text[i:])
		if size > 0 {
			offsets = append(offsets, i+size)
			i += size
			continue
		}
		i++
	}
	return offsets
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
