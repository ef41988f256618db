package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// Limits on what a document may be. Kubernetes itself stops a little later.
const (
	maxDepth = 500
	// maxNodes is how many nodes a document may have with its aliases written out.
	maxNodes = 4 << 20
)

// Parse reads the text of one document that begins on a line of a file.
func Parse(file string, line int, text []byte) *Document {
	d := &Document{File: file, Number: 1, Line: line, Text: text, JSON: len(jsonEnds(text)) == 1}
	d.parse()
	return d
}

// parse sets Root, or Err.
func (d *Document) parse() {
	text := d.Text
	if !utf8.Valid(text) {
		d.fail(d.Line, "is not UTF-8")
		return
	}
	text = ForParser(text)
	escaped := false
	if d.JSON {
		text, escaped = withoutForeignEscapes(text)
	}
	var top yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	err := dec.Decode(&top)
	if errors.Is(err, io.EOF) {
		return
	}
	if err == nil {
		var more yaml.Node
		if err = dec.Decode(&more); errors.Is(err, io.EOF) {
			err = nil
		} else if err == nil {
			err = errors.New("more than one value; separate them by a line of ---")
		}
	}
	if err != nil {
		line, cause := d.cause(err)
		if bytes.Contains(text, []byte("{{")) {
			cause += " " + Unrendered
		}
		d.fail(line, cause)
		return
	}
	if cause := (&walker{state: map[*yaml.Node]int{}}).check(&top, 0); cause != "" {
		d.fail(d.Line, cause)
		return
	}
	if d.Line > 1 {
		shift(&top, d.Line-1)
	}
	if len(top.Content) == 1 {
		root := top.Content[0]
		if root.Kind != yaml.ScalarNode || root.Tag != "!!null" {
			d.Root = root
		}
	}
	if escaped {
		d.decodeStrings(d.Root)
	}
}

// Unrendered is added to the mistake of a document that has {{ in it.
const Unrendered = "(is it a template that Helm has yet to render?)"

func (d *Document) fail(line int, cause string) {
	d.Root = nil
	d.Err = &Error{File: d.File, Line: line, Cause: cause}
}

var errorLine = regexp.MustCompile(`^line (\d+): `)

// parserError matches what the grammar half of the parser says. It counts lines from
// 0 there, and from 1 where it reads characters (decode.go, parser.fail).
var parserError = regexp.MustCompile(`^(did not find expected (<document start>|node content|key|'-' indicator|',' or )|found undefined tag handle|found duplicate %|found incompatible YAML)`)

// cause takes the parser's error apart. The line that it returns counts from the beginning
// of the document.
func (d *Document) cause(err error) (int, string) {
	text := strings.TrimPrefix(err.Error(), "yaml: ")
	line := d.Line
	if m := errorLine.FindStringSubmatch(text); m != nil {
		n, _ := strconv.Atoi(m[1]) // digits; a number too large for a file gives the last line
		line += n - 1
		text = text[len(m[0]):]
		if parserError.MatchString(text) {
			// Where the document ends too early, that is a mistake of its last line.
			line = min(line+1, d.Line+bytes.Count(bytes.TrimRight(d.Text, "\r\n"), []byte("\n")))
		}
	}
	return line, text
}

// A walker finds what makes a tree dangerous to those who follow its aliases.
type walker struct {
	// state of an anchored node: -1 while its content is walked, then its size.
	state map[*yaml.Node]int
}

func (w *walker) check(n *yaml.Node, depth int) string {
	if _, cause := w.size(n, depth); cause != "" {
		return cause
	}
	return ""
}

// size counts the nodes with aliases written out.
func (w *walker) size(n *yaml.Node, depth int) (int, string) {
	if depth > maxDepth {
		return 0, "is nested deeper than " + strconv.Itoa(maxDepth) + " levels"
	}
	if n.Kind == yaml.AliasNode {
		switch size, walked := w.state[n.Alias]; {
		case walked && size < 0:
			return 0, "anchor &" + n.Value + " contains itself"
		case walked:
			return size, ""
		}
		return w.size(n.Alias, depth)
	}
	if n.Anchor != "" {
		w.state[n] = -1
	}
	total := 1
	for _, child := range n.Content {
		size, cause := w.size(child, depth+1)
		if cause != "" {
			return 0, cause
		}
		if total += size; total > maxNodes {
			return 0, "has aliases that stand for more than " + strconv.Itoa(maxNodes) + " values"
		}
	}
	if n.Anchor != "" {
		w.state[n] = total
	}
	return total, ""
}

func shift(n *yaml.Node, lines int) {
	n.Line += lines
	for _, child := range n.Content {
		shift(child, lines)
	}
}

// foreignEscape matches what JSON allows in a string and the YAML parser does not:
// an escaped slash, and characters written as a pair of surrogates.
var foreignEscape = regexp.MustCompile(`\\(?:\\|"|/|u[dD][89a-fA-F][0-9a-fA-F]{2})`)

// withoutForeignEscapes replaces these escapes by others of the same length, so that all
// positions stay the same.
func withoutForeignEscapes(text []byte) (replaced []byte, found bool) {
	replaced = foreignEscape.ReplaceAllFunc(text, func(escape []byte) []byte {
		switch escape[1] {
		case '/':
			found = true
			return []byte(`\t`)
		case 'u':
			found = true
			return []byte(`\ufffd`)
		}
		return escape
	})
	return replaced, found
}

// decodeStrings reads the strings of a document from its text once more, by the rules of
// JSON.
func (d *Document) decodeStrings(n *yaml.Node) {
	if n == nil {
		return
	}
	if n.Kind == yaml.ScalarNode && n.Style&yaml.DoubleQuotedStyle != 0 && strings.ContainsAny(n.Value, "\t\ufffd") {
		var value string
		if json.NewDecoder(bytes.NewReader(d.Text[d.OffsetOf(n):])).Decode(&value) == nil {
			n.Value = value
		}
	}
	for _, child := range n.Content {
		d.decodeStrings(child)
	}
}
