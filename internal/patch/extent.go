package patch

import (
	"bytes"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A text is a document whose nodes can be found in its bytes. The parser says where a
// node begins, not where it ends.
type text struct {
	*manifest.Document
	// ends remembers where nodes end, because the end of a list is asked for often.
	ends map[*yaml.Node]int
}

func newText(d *manifest.Document) *text {
	return &text{d, map[*yaml.Node]int{}}
}

// content returns where a node begins behind its anchor and tag.
func (t *text) content(n *yaml.Node) int {
	at := t.OffsetOf(n)
	if n.Kind == yaml.AliasNode || n.Anchor == "" && n.Style&yaml.TaggedStyle == 0 {
		return at
	}
	for at < len(t.Text) && (t.Text[at] == '&' || t.Text[at] == '!') {
		for at < len(t.Text) && !isBlank(t.Text[at]) && !endsFlowItem(t.Text[at]) {
			at++
		}
		if n.Kind == yaml.ScalarNode && n.Value == "" && n.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle|yaml.LiteralStyle|yaml.FoldedStyle) == 0 {
			// An empty scalar ends behind its anchor and tag. Only a second one of them may follow.
			if next := t.skip(at); next >= len(t.Text) || t.Text[next] != '&' && t.Text[next] != '!' {
				return at
			}
		}
		at = t.skip(at)
	}
	return at
}

// endsFlowItem reports whether a byte ends an item of a flow collection. In [&a, x] it ends
// the anchor, which nothing else separates from the comma.
func endsFlowItem(c byte) bool { return c == ',' || c == ']' || c == '}' }

// end returns where a node ends. parent is the indentation of the block collection
// that the node is in, -1 for none.
func (t *text) end(n *yaml.Node, parent int) int {
	if end, known := t.ends[n]; known {
		return end
	}
	end := min(t.findEnd(n, parent), len(t.Text))
	t.ends[n] = end
	return end
}

func (t *text) findEnd(n *yaml.Node, parent int) int {
	at := t.content(n)
	switch {
	case at >= len(t.Text):
		return len(t.Text)
	case n.Kind == yaml.AliasNode:
		return t.word(at + 1)
	case n.Kind == yaml.ScalarNode:
		return t.scalarEnd(n, at, parent)
	case isFlow(n):
		opening := t.Text[at]
		if opening != '[' && opening != '{' { // a: b inside [ ]
			return t.lastEnd(n, parent)
		}
		at++
		if len(n.Content) > 0 {
			at = t.lastEnd(n, parent)
		}
		for at < len(t.Text) && t.Text[at] != opening+2 { // ] is two behind [, } behind {
			if next := t.skip(at); next > at {
				at = next
			} else {
				at++
			}
		}
		return at + 1
	}
	if len(n.Content) == 0 {
		return at
	}
	return t.lastEnd(n, t.indent(n))
}

func (t *text) lastEnd(n *yaml.Node, parent int) int {
	last := n.Content[len(n.Content)-1]
	return t.end(last, parent)
}

func isFlow(n *yaml.Node) bool { return n.Style&yaml.FlowStyle != 0 }

// indent is the indentation of a block collection: that of its first key or dash.
func (t *text) indent(n *yaml.Node) int {
	at := t.start(n, 0)
	line := t.lineStart(at)
	return utf8.RuneCount(bytes.TrimPrefix(t.Text[line:at], []byte("\ufeff")))
}

// start returns where child i of a collection begins: the key of a mapping, the dash
// of a block sequence, the item of a flow sequence.
func (t *text) start(n *yaml.Node, i int) int {
	if n.Kind == yaml.MappingNode {
		return t.keyStart(n, t.OffsetOf(n.Content[2*i]))
	}
	if isFlow(n) {
		return t.OffsetOf(n.Content[i])
	}
	if i == 0 {
		return t.content(n)
	}
	return t.skip(t.end(n.Content[i-1], t.indent(n)))
}

// keyStart returns where a key begins: at its question mark, where it has one.
func (t *text) keyStart(n *yaml.Node, at int) int {
	if isFlow(n) {
		return at
	}
	line := t.lineStart(at)
	before := bytes.TrimRight(t.Text[line:at], " \t")
	if len(before) > 0 && before[len(before)-1] == '?' && line+len(before) < at && (len(before) == 1 || isBlank(before[len(before)-2])) {
		return line + len(before) - 1
	}
	return at
}

// childEnd returns where child i of a collection ends.
func (t *text) childEnd(n *yaml.Node, i, parent int) int {
	if !isFlow(n) {
		parent = t.indent(n)
	}
	if n.Kind == yaml.MappingNode {
		return t.end(n.Content[2*i+1], parent)
	}
	return t.end(n.Content[i], parent)
}

func children(n *yaml.Node) int {
	if n.Kind == yaml.MappingNode {
		return len(n.Content) / 2
	}
	return len(n.Content)
}

func (t *text) scalarEnd(n *yaml.Node, at, parent int) int {
	switch {
	case n.Style&yaml.DoubleQuotedStyle != 0:
		for at++; at < len(t.Text) && t.Text[at] != '"'; at++ {
			if t.Text[at] == '\\' {
				at++
			}
		}
		return at + 1
	case n.Style&yaml.SingleQuotedStyle != 0:
		for at++; at < len(t.Text); at++ {
			if t.Text[at] != '\'' {
				continue
			}
			if at+1 < len(t.Text) && t.Text[at+1] == '\'' {
				at++
				continue
			}
			break
		}
		return at + 1
	case n.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		return t.blockScalarEnd(at, parent)
	}
	// A plain scalar is written as it is but for its white space.
	for _, want := range n.Value {
		if isSpace(want) {
			continue
		}
		for at < len(t.Text) {
			got, size := utf8.DecodeRune(t.Text[at:])
			at += size
			if got == want {
				break
			}
		}
	}
	return at
}

// blockScalarEnd returns where the last line of a block scalar ends, its line break
// not included. With the indicator + the blank lines that follow belong to it.
func (t *text) blockScalarEnd(at, parent int) int {
	header := t.lineEnd(at)
	explicit, keep := 0, false
	for _, c := range t.Text[at:header] {
		if isBlank(c) {
			break
		}
		if c >= '1' && c <= '9' {
			explicit = int(c - '0')
		}
		keep = keep || c == '+'
	}
	least := parent + 1
	if explicit > 0 {
		least = max(parent, 0) + explicit
	}
	end, found := header, explicit > 0
	for line := t.nextLine(header); line < len(t.Text); line = t.nextLine(t.lineEnd(line)) {
		stop := t.lineEnd(line)
		content := bytes.TrimLeft(t.Text[line:stop], " ")
		indent := stop - line - len(content)
		if len(bytes.TrimSpace(content)) == 0 && (!found || indent < least) {
			if keep {
				end = stop
			}
			continue
		}
		if !found {
			if indent < least {
				break
			}
			least, found = indent, true
		}
		if indent < least {
			break
		}
		end = stop
	}
	return end
}

// word skips an anchor's name.
func (t *text) word(at int) int {
	for at < len(t.Text) && !isBlank(t.Text[at]) && t.Text[at] != ',' && t.Text[at] != ']' && t.Text[at] != '}' && t.Text[at] != ':' {
		at++
	}
	return at
}

// skip skips white space, line breaks, comments and the commas of flow collections.
func (t *text) skip(at int) int {
	for at < len(t.Text) {
		switch c := t.Text[at]; {
		case c == ',' || isBlank(c):
			at++
		case c == '#' && (at == 0 || isBlank(t.Text[at-1]) || t.Text[at-1] == ','):
			at = t.lineEnd(at)
		default:
			return at
		}
	}
	return at
}

// lineStart returns where the line of an offset begins.
func (t *text) lineStart(at int) int { return bytes.LastIndexByte(t.Text[:at], '\n') + 1 }

// newline is how the document ends its lines.
func (t *text) newline() string {
	if i := bytes.IndexByte(t.Text, '\n'); i > 0 && t.Text[i-1] == '\r' {
		return "\r\n"
	}
	return "\n"
}

// lineEnd returns where the line of an offset ends, before its line break.
func (t *text) lineEnd(at int) int {
	end := len(t.Text)
	if i := bytes.IndexByte(t.Text[at:], '\n'); i >= 0 {
		end = at + i
	}
	if end > at && t.Text[end-1] == '\r' {
		end--
	}
	return end
}

// nextLine returns where the next line begins, given the end of one.
func (t *text) nextLine(end int) int {
	if end < len(t.Text) && t.Text[end] == '\r' {
		end++
	}
	return min(end+1, len(t.Text)+1)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' || c == '\n' || c == '\r' }

func isSpace(r rune) bool {
	return r == ' ' || r == '\t' || r == '\n' || r == '\r' || r == '\u0085' || r == '\u2028' || r == '\u2029'
}
