package patch

import (
	"bytes"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A writer turns actions into edits.
type writer struct {
	text  *text
	first bool
	// added counts what was put into each collection that was empty before.
	added map[*yaml.Node]int
	list  []edit
}

func (w *writer) edit(from, to int, text string, depth int) {
	w.list = append(w.list, edit{from, to, text, depth})
}

// addPair adds a field to a mapping. It becomes the last field, but for metadata, which
// becomes the first, as people write it.
func (w *writer) addPair(m *yaml.Node, path manifest.Path, key string, value any) {
	s := w.style(path)
	if isFlow(m) {
		before := -1
		if key == "metadata" {
			before = 0
		}
		w.addFlow(m, s, before, len(path), func(pretty bool, pad, unit string) []string {
			if pretty {
				return []string{s.word(key, true) + s.colon + s.pretty(value, pad, unit)}
			}
			return []string{s.flowPair(key, value)}
		})
		return
	}
	indent := w.text.indent(m)
	pair := s.pair(key, value, indent)
	if w.first || key == "metadata" {
		at := w.text.start(m, 0)
		if !w.first {
			at = w.aboveComments(at, indent)
		}
		w.edit(at, at, pair+s.newline+spaces(indent), len(path))
		return
	}
	w.append(m, s, pair, indent, len(path))
}

// append adds text behind the last line of a block collection.
func (w *writer) append(n *yaml.Node, s style, added string, indent, depth int) {
	at := w.text.lineEnd(w.text.childEnd(n, children(n)-1, indent))
	w.edit(w.behindBlanks(at), w.behindBlanks(at), s.newline+spaces(indent)+added, depth)
}

// behindBlanks moves the end of a line down over lines of nothing but blanks, as Helm leaves
// them. Below a block scalar that is added they would belong to it.
func (w *writer) behindBlanks(at int) int {
	end := at
	for line := w.text.nextLine(at); line < len(w.text.Text); line = w.text.nextLine(w.text.lineEnd(line)) {
		stop := w.text.lineEnd(line)
		if len(bytes.TrimSpace(w.text.Text[line:stop])) > 0 || stop >= len(w.text.Text) {
			break
		}
		if stop > line {
			end = stop
		}
	}
	return end
}

// addItems adds items to a list: in front of an item, or at the end where it is -1.
func (w *writer) addItems(l *yaml.Node, path manifest.Path, before int, items []any) {
	s := w.style(path)
	if _, isWord := items[0].(scalar); isWord && len(l.Content) > 0 {
		s.quote = quoteOf(l.Content[0])
	}
	if isFlow(l) {
		w.addFlow(l, s, before, len(path), func(pretty bool, pad, unit string) []string {
			texts := make([]string, len(items))
			for i, item := range items {
				texts[i] = s.flow(item)
				if pretty {
					texts[i] = s.pretty(item, pad, unit)
				}
			}
			return texts
		})
		return
	}
	indent := w.text.indent(l)
	texts := make([]string, len(items))
	for i, item := range items {
		texts[i] = s.item(item, indent)
	}
	pad := s.newline + spaces(indent)
	if before < 0 {
		w.append(l, s, strings.Join(texts, pad), indent, len(path))
		return
	}
	at := w.aboveComments(w.text.start(l, before), indent)
	w.edit(at, at, strings.Join(texts, pad)+pad, len(path))
}

// aboveComments returns where the comments begin that stand directly above a place and
// belong to it, or the place itself where there are none.
func (w *writer) aboveComments(at, indent int) int {
	if pad, alone := w.linePrefix(at); !alone || len(pad) != indent {
		return at
	}
	for {
		line := at - indent
		above := w.text.lineStart(max(line-1, 0))
		if above >= line || line-above <= indent || w.text.Text[above+indent] != '#' ||
			len(bytes.TrimLeft(w.text.Text[above:above+indent], " ")) > 0 {
			return at
		}
		at = above + indent
	}
}

// addFlow adds to a flow collection. write writes what is added; with pretty, over
// several lines, the way of JSON. What would make a long line longer is put on lines of its
// own.
func (w *writer) addFlow(n *yaml.Node, s style, before, depth int, write func(pretty bool, pad, unit string) []string) {
	opening := w.text.content(n)
	if len(n.Content) == 0 {
		added := w.broken(s, opening, write(false, "", ""))
		if w.added[n]++; w.added[n] > 1 {
			added = s.comma + added
		}
		w.edit(opening+1, opening+1, added, depth)
		return
	}
	start := w.text.start(n, max(before, 0))
	pad, ownLine := w.linePrefix(start)
	separator := s.comma
	unit := ""
	if ownLine && start > opening && bytes.ContainsRune(w.text.Text[opening:start], '\n') {
		separator = "," + s.newline + pad
		outer, _ := w.linePrefix(opening)
		unit = strings.TrimPrefix(pad, outer)
	} else {
		pad, ownLine = "", false
	}
	parts := write(ownLine && s.json, pad, unit)
	added := strings.Join(parts, separator)
	if !ownLine {
		added = w.broken(s, opening, parts)
	}
	if before >= 0 {
		w.edit(start, start, added+separator, depth)
		return
	}
	end := w.text.childEnd(n, children(n)-1, -1)
	w.edit(end, end, separator+added, depth)
}

// maxLine is the longest line, in bytes, that an addition to a flow collection may make.
// A longer one is written on several lines.
const maxLine = 80

// broken puts the parts of a flow collection on one line, or, where that would be long, each
// on its own. JSON without line breaks stays without.
func (w *writer) broken(s style, opening int, parts []string) string {
	line := strings.Join(parts, s.comma)
	if s.json || len(line) <= maxLine || len(parts) < 2 {
		return line
	}
	outer, _ := w.linePrefix(opening)
	return strings.Join(parts, ","+s.newline+outer+spaces(4))
}

// linePrefix returns the white space that begins the line of an offset, and whether
// there is nothing else before it.
func (w *writer) linePrefix(at int) (string, bool) {
	line := w.text.Text[w.text.lineStart(at):]
	end := 0
	for end < len(line) && (line[end] == ' ' || line[end] == '\t') {
		end++
	}
	return string(line[:end]), len(w.text.Text)-len(line)+end == at
}

// replace writes a value in the place of another, on the same line.
func (w *writer) replace(a action, value any) {
	s := w.style(a.path)
	from := w.text.OffsetOf(a.node)
	to := w.text.end(a.node, -1)
	written := s.flow(value)
	if block, fits := w.below(a, s, from, to, value); fits {
		w.edit(from, to, block, len(a.path))
		return
	}
	if from == to && from > 0 && !isBlank(w.text.Text[from-1]) {
		written = " " + written
	}
	w.edit(from, to, written, len(a.path))
}

// below writes a value that is long on lines below its key, where nothing stands behind the
// colon.
func (w *writer) below(a action, s style, from, to int, value any) (string, bool) {
	if w.first || s.json || from != to || isFlow(a.parent) || len(s.flow(value)) <= maxLine ||
		len(bytes.TrimSpace(w.text.Text[from:w.text.lineEnd(from)])) > 0 {
		return "", false
	}
	return s.below(value, w.text.indent(a.parent), s.step, s.list), true
}

// style looks at how the surroundings of a path are written.
func (w *writer) style(path manifest.Path) style {
	s := style{json: w.text.JSON, step: 2, list: -1, newline: w.text.newline(), colon: ": ", comma: ", "}
	if s.json {
		w.jsonStyle(&s)
		return s
	}
	var chain []*yaml.Node
	for n, i := w.text.Root, 0; n != nil; i++ {
		n = manifest.Resolve(n)
		chain = append(chain, n)
		if i == len(path) {
			break
		}
		n = manifest.Get(n, path[i])
	}
	foundStep := false
	for i := len(chain) - 1; i >= 0 && !(foundStep && s.list >= 0); i-- {
		w.measure(chain[i], &s, &foundStep, 0)
	}
	if s.list < 0 {
		s.list = s.step
	}
	return s
}

// measure takes the indentation of the first mapping and list below a node.
func (w *writer) measure(n *yaml.Node, s *style, foundStep *bool, depth int) {
	if n.Kind == yaml.AliasNode || isFlow(n) || n.Kind == yaml.ScalarNode || depth > 12 {
		return
	}
	for i := range children(n) {
		if s.list >= 0 && *foundStep {
			return
		}
		if n.Kind == yaml.SequenceNode {
			w.measure(n.Content[i], s, foundStep, depth+1)
			continue
		}
		key, value := n.Content[2*i], n.Content[2*i+1]
		if value.Kind == yaml.AliasNode || isFlow(value) || len(value.Content) == 0 {
			continue
		}
		if value.Kind == yaml.MappingNode && !*foundStep {
			if step := value.Content[0].Column - key.Column; step > 0 {
				s.step, *foundStep = step, true
			}
		}
		if value.Kind == yaml.SequenceNode && s.list < 0 && value.Anchor == "" {
			if list := value.Column - key.Column; list >= 0 {
				s.list = list
			}
		}
		w.measure(value, s, foundStep, depth+1)
	}
}

// jsonStyle looks at the first pair of a document in JSON.
func (w *writer) jsonStyle(s *style) {
	n := manifest.Resolve(w.text.Root)
	for n.Kind == yaml.SequenceNode && len(n.Content) > 0 {
		n = n.Content[0]
	}
	if n.Kind != yaml.MappingNode || len(n.Content) == 0 {
		return
	}
	after := w.text.Text[w.text.end(n.Content[0], -1):]
	if i := bytes.IndexByte(after, ':'); i >= 0 && i+1 < len(after) && !isBlank(after[i+1]) {
		s.colon, s.comma = ":", ","
	}
}

// quoteOf returns the quote around a scalar, 0 for none.
func quoteOf(n *yaml.Node) byte {
	switch {
	case n.Kind != yaml.ScalarNode:
		return 0
	case n.Style&yaml.DoubleQuotedStyle != 0:
		return '"'
	case n.Style&yaml.SingleQuotedStyle != 0:
		return '\''
	}
	return 0
}
