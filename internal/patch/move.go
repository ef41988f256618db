package patch

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// A Moving is what MoveItem is asked for: an item of one list of a mapping goes into
// another list of that mapping, with its comments.
type Moving struct {
	// Object leads to the object that records the move, and Mapping from there to the
	// mapping that has both lists.
	Object, Mapping manifest.Path
	// From and To are the names of the lists. To is added where it is missing.
	From, To string
	// Index is the item's place in From, and At is its place in To, both counted from 0.
	Index, At int
	// Without is a field of the item that is dropped on the way.
	Without string
}

// A Move records what MoveItem has done, so that Unmove can undo it.
type Move struct {
	Mapping  Pointer
	From, To string
	Index    int
	// Gap counts the bytes between the end of the line of the previous item and the text
	// that was taken out. They stay where they are.
	Gap int
	// Name is the name of the item.
	Name string
	// Above counts the lines of comments above the item. Skip is the offset in Text of the
	// field that was dropped, and Skipped is its length in bytes.
	Above, Skip, Skipped int
	// New is set where the list To was added for this move.
	New bool
	// Text is what was taken out.
	Text string
}

var errOneLine = errors.New("is not written as a list with each item on lines of its own, so that it cannot be moved with its comments; write it so")

// MoveItem moves an item. The document that it returns means the same but for that, and
// Unmove gives back the one it was given, to the byte.
func MoveItem(d *manifest.Document, m Moving) (*manifest.Document, Move, error) {
	w := &writer{text: newText(d), added: map[*yaml.Node]int{}}
	object := manifest.Get(d.Root, m.Object...)
	mapping := manifest.Resolve(manifest.Get(object, m.Mapping...))
	_, list := manifest.Field(mapping, m.From)
	if list == nil || list.Kind != yaml.SequenceNode || m.Index >= len(list.Content) {
		return nil, Move{}, notHere(m.Mapping.Join(m.From), list)
	}
	done := Move{
		Mapping: pointerTo(object, m.Mapping), From: m.From, To: m.To, Index: m.Index,
		Name: manifest.Text(manifest.Get(list.Content[m.Index], "name")),
	}
	write := w.moveLines
	if isFlow(list) {
		write = w.moveWords
	}
	text, err := write(mapping, list, m, &done)
	if err != nil {
		return nil, Move{}, err
	}
	result := manifest.Parse(d.File, d.Line, text)
	if result.Err != nil {
		cause := result.Err.Error()
		if at := new(manifest.Error); errors.As(result.Err, &at) {
			cause = at.Cause
		}
		return nil, Move{}, fmt.Errorf("%q cannot be moved to %s: %s there", done.Name, m.To, cause)
	}
	if !equal(treeOf(result.Root), m.apply(treeOf(d.Root))) {
		return nil, Move{}, fmt.Errorf("%q cannot be moved to %s without changing something else", done.Name, m.To)
	}
	back, err := Unmove(result, m.Object, done)
	if err != nil || string(back.Text) != string(d.Text) {
		return nil, Move{}, fmt.Errorf("%q cannot be moved to %s so that it can be moved back to the byte", done.Name, m.To)
	}
	return result, done, nil
}

// notHere says why nothing can be moved out of what should be a list.
func notHere(path manifest.Path, n *yaml.Node) error {
	switch {
	case n == nil:
		return fmt.Errorf("%s is not written there, so that nothing can be moved out of it; write it out", path)
	case n.Kind == yaml.AliasNode:
		return fmt.Errorf("%s is an alias, so that nothing can be moved out of it; write it out", path)
	}
	return fmt.Errorf("%s has no such item", path)
}

// moveLines moves an item of a list that has each on lines of its own.
func (w *writer) moveLines(mapping, list *yaml.Node, m Moving, done *Move) ([]byte, error) {
	d := w.text
	from, to, err := w.region(list, m.Index)
	if err != nil {
		return nil, err
	}
	done.Above = strings.Count(string(d.Text[from:w.text.start(list, m.Index)]), "\n")
	done.Text = string(d.Text[from:to])
	if m.Index > 0 {
		done.Gap = from - w.nextLineBehind(list, m.Index-1)
	}
	if err := done.skip(w, list.Content[m.Index], from, m.Without); err != nil {
		return nil, err
	}
	at, column, err := w.place(mapping, list, m, done)
	if err != nil {
		return nil, err
	}
	added := shifted(done.moved(), column-w.text.indent(list))
	if done.New {
		key, _ := manifest.Field(mapping, m.From)
		added = spaces(key.Column-1) + m.To + ":" + w.text.newline() + added
	}
	if at <= from {
		return slices.Concat(d.Text[:at], []byte(added), d.Text[at:from], d.Text[to:]), nil
	}
	return slices.Concat(d.Text[:from], d.Text[to:at], []byte(added), d.Text[at:]), nil
}

// moveWords moves an item of a list between brackets, as in JSON. What is taken out is the
// item with the separator in front of it, or behind it where it is the first one.
func (w *writer) moveWords(mapping, list *yaml.Node, m Moving, done *Move) ([]byte, error) {
	t := w.text
	from, to := w.words(list, m.Index)
	done.Text = string(t.Text[from:to])
	if err := done.skip(w, list.Content[m.Index], from, m.Without); err != nil {
		return nil, err
	}
	item := strings.Trim(done.kept(), separators)
	s := style{json: t.JSON, colon: ": ", comma: ", "}
	if t.JSON {
		w.jsonStyle(&s)
	}
	_, target := manifest.Field(mapping, m.To)
	at, added := 0, ""
	switch {
	case target == nil:
		key, _ := manifest.Field(mapping, m.From)
		at, done.New = t.OffsetOf(key), true
		behind := s.comma
		if !isFlow(mapping) {
			pad, alone := w.linePrefix(at)
			if !alone {
				return nil, fmt.Errorf("%s stands behind something else on its line, so that %s cannot stand in front of it", m.From, m.To)
			}
			behind = w.text.newline() + pad
		}
		added = s.word(m.To, true) + s.colon + "[" + item + "]" + behind
	case target.Kind != yaml.SequenceNode || !isFlow(target):
		return nil, fmt.Errorf("%s %w", m.Mapping.Join(m.To), errOneLine)
	case len(target.Content) == 0:
		at, added = t.content(target)+1, item
	case m.At < len(target.Content):
		at, added = t.start(target, m.At), item+s.comma
	default:
		at, added = t.childEnd(target, len(target.Content)-1, -1), s.comma+item
	}
	if at <= from {
		return slices.Concat(t.Text[:at], []byte(added), t.Text[at:from], t.Text[to:]), nil
	}
	return slices.Concat(t.Text[:from], t.Text[to:at], []byte(added), t.Text[at:]), nil
}

// separators stand between what is between brackets.
const separators = ", \t\r\n"

// words returns an item of a list between brackets, or a field of such a mapping, with a
// separator.
func (w *writer) words(list *yaml.Node, i int) (from, to int) {
	switch {
	case i > 0:
		return w.text.childEnd(list, i-1, -1), w.text.childEnd(list, i, -1)
	case children(list) > 1:
		return w.text.start(list, 0), w.text.start(list, 1)
	}
	return w.text.start(list, 0), w.text.childEnd(list, 0, -1)
}

// Unmove moves an item back.
func Unmove(d *manifest.Document, object manifest.Path, m Move) (*manifest.Document, error) {
	changed := fmt.Errorf("%s of %q %w", m.To, m.Name, ErrChanged)
	w := &writer{text: newText(d), added: map[*yaml.Node]int{}}
	mapping := m.mapping(d, object)
	from, to, found := m.added(w, mapping)
	if !found {
		return nil, changed
	}
	_, list := manifest.Field(mapping, m.From)
	if list == nil || list.Kind != yaml.SequenceNode || len(list.Content) == 0 || m.Index > len(list.Content) {
		return nil, changed
	}
	at := 0
	if isFlow(list) {
		if at = w.text.start(list, 0); m.Index > 0 {
			at = w.text.childEnd(list, m.Index-1, -1)
		}
	} else if m.Index == 0 {
		var err error
		if at, _, err = w.region(list, 0); err != nil {
			return nil, changed
		}
	} else {
		at = w.nextLineBehind(list, m.Index-1) + m.Gap
	}
	var text []byte
	switch {
	case at >= to && at <= len(d.Text):
		text = slices.Concat(d.Text[:from], d.Text[to:at], []byte(m.Text), d.Text[at:])
	case at <= from:
		text = slices.Concat(d.Text[:at], []byte(m.Text), d.Text[at:from], d.Text[to:])
	default:
		return nil, changed
	}
	result := manifest.Parse(d.File, d.Line, text)
	return result, result.Err
}

// added returns where the item is that was put into a list, with what was put there beside
// it. It is not found where it was edited since.
func (m Move) added(w *writer, mapping *yaml.Node) (from, to int, found bool) {
	key, list := manifest.Field(mapping, m.To)
	if list == nil || list.Kind != yaml.SequenceNode {
		return 0, 0, false
	}
	i := indexOf(list, m.Name)
	switch {
	case i < 0:
		return 0, 0, false
	case isFlow(list):
		return m.addedWords(w, mapping, key, list, i)
	}
	t := w.text
	from = w.text.lineStart(t.start(list, i))
	for range m.Above {
		from = w.text.lineStart(max(from-1, 0))
	}
	to = from
	for line := range strings.Lines(m.moved()) {
		end := min(t.nextLine(t.lineEnd(to)), len(t.Text))
		if to >= len(t.Text) || strings.TrimSpace(string(t.Text[to:end])) != strings.TrimSpace(line) {
			return 0, 0, false
		}
		to = end
	}
	if m.New {
		from = w.text.lineStart(max(from-1, 0))
		found = strings.TrimSpace(string(t.Text[from:t.lineEnd(from)])) == m.To+":"
		return from, to, found
	}
	return from, to, true
}

// addedWords does the same for a list between brackets.
func (m Move) addedWords(w *writer, mapping, key, list *yaml.Node, i int) (from, to int, found bool) {
	t := w.text
	item := string(t.Text[t.start(list, i):t.childEnd(list, i, -1)])
	from, to = w.words(list, i)
	if m.New {
		next, _ := manifest.Field(mapping, m.From)
		if next == nil || t.OffsetOf(next) < to {
			return 0, 0, false
		}
		from, to = t.OffsetOf(key), t.OffsetOf(next)
	}
	return from, to, strings.Trim(m.kept(), separators) == item
}

// mapping is the mapping that has both lists, nil where it is no longer there.
func (m Move) mapping(d *manifest.Document, object manifest.Path) *yaml.Node {
	n := manifest.Get(d.Root, object...)
	for _, s := range m.Mapping {
		if n = manifest.Resolve(n); n == nil {
			return nil
		}
		_, n = find(n, s)
	}
	return manifest.Resolve(n)
}

// moved is what is put into the other list: the lines that were taken out, without the field
// that stays behind, and without blank lines at the end.
func (m Move) moved() string {
	lines := slices.Collect(strings.Lines(m.kept()))
	for len(lines) > 0 && strings.TrimSpace(lines[len(lines)-1]) == "" {
		lines = lines[:len(lines)-1]
	}
	text := strings.Join(lines, "")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text
}

// kept is what was taken out, without the field that stays behind.
func (m Move) kept() string { return m.Text[:m.Skip] + m.Text[m.Skip+m.Skipped:] }

// skip notes where a field of the item is, in the text that begins at from.
func (m *Move) skip(w *writer, item *yaml.Node, from int, field string) error {
	key, value := manifest.Field(item, field)
	if value == nil {
		return nil
	}
	i := slices.Index(item.Content, key) / 2
	if item.Kind != yaml.MappingNode || i < 0 {
		return fmt.Errorf("%s of %q cannot be taken out where it stands", field, m.Name)
	}
	start, end := w.words(item, i)
	if !isFlow(item) {
		start = w.text.lineStart(w.text.OffsetOf(key))
		if strings.TrimSpace(string(w.text.Text[start:w.text.OffsetOf(key)])) != "" {
			return fmt.Errorf("%s of %q is its first field, and cannot be taken out there; write its name first", field, m.Name)
		}
		end = min(w.text.nextLine(w.text.lineEnd(w.text.end(value, w.text.indent(item)))), len(w.text.Text))
	}
	m.Skip, m.Skipped = start-from, end-start
	return nil
}

// place returns where the lines go, and at which column items of that list begin.
func (w *writer) place(mapping, list *yaml.Node, m Moving, done *Move) (at, column int, err error) {
	key, target := manifest.Field(mapping, m.To)
	column = w.text.indent(list)
	switch {
	case key == nil:
		own, _ := manifest.Field(mapping, m.From)
		at = w.aboveComments(w.text.OffsetOf(own), own.Column-1)
		done.New = true
		if pad, alone := w.linePrefix(w.text.OffsetOf(own)); !alone || len(pad) != own.Column-1 {
			return 0, 0, fmt.Errorf("%s stands behind something else on its line, so that %s cannot stand in front of it", m.From, m.To)
		}
		return w.text.lineStart(at), column, nil
	case target.Kind == yaml.ScalarNode && target.Tag == "!!null" && target.Value == "":
		at = w.text.nextLine(w.text.lineEnd(w.text.OffsetOf(key)))
	case !isBlockList(target):
		return 0, 0, fmt.Errorf("%s %w", m.Mapping.Join(m.To), errOneLine)
	case m.At < len(target.Content):
		if at, _, err = w.region(target, m.At); err != nil {
			return 0, 0, err
		}
		column = w.text.indent(target)
	default:
		at, column = w.nextLineBehind(target, len(target.Content)-1), w.text.indent(target)
	}
	if at > len(w.text.Text) || at == len(w.text.Text) && w.text.Text[at-1] != '\n' {
		return 0, 0, fmt.Errorf("%s ends the file without a line break, so that nothing can be put behind it", m.To)
	}
	return at, column, nil
}

// region returns the lines of an item with the comments above it, up to the lines of the
// next one.
func (w *writer) region(list *yaml.Node, i int) (from, to int, err error) {
	indent := w.text.indent(list)
	start := func(i int) (int, error) {
		at := w.text.start(list, i)
		if pad, alone := w.linePrefix(at); !alone || len(pad) != indent {
			return 0, errOneLine
		}
		return w.text.lineStart(w.aboveComments(at, indent)), nil
	}
	if from, err = start(i); err != nil {
		return 0, 0, err
	}
	if i+1 < len(list.Content) {
		to, err = start(i + 1)
		return from, to, err
	}
	return from, w.nextLineBehind(list, i), nil
}

// nextLineBehind returns where the line behind an item begins.
func (w *writer) nextLineBehind(list *yaml.Node, i int) int {
	return min(w.text.nextLine(w.text.lineEnd(w.text.childEnd(list, i, w.text.indent(list)))), len(w.text.Text))
}

func isBlockList(n *yaml.Node) bool {
	return n != nil && n.Kind == yaml.SequenceNode && !isFlow(n) && len(n.Content) > 0
}

// shifted moves lines to the right, or to the left where they begin with enough blanks.
func shifted(text string, columns int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		switch {
		case strings.TrimSpace(line) == "":
		case columns > 0:
			b.WriteString(spaces(columns))
		case strings.HasPrefix(line, spaces(-columns)):
			line = line[-columns:]
		}
		b.WriteString(line)
	}
	return b.String()
}

// apply makes the move in a tree.
func (m Moving) apply(tree any) any {
	n := tree
	for _, s := range slices.Concat(m.Object, m.Mapping) {
		switch s := s.(type) {
		case string:
			n = n.(map[string]any)[s]
		case int:
			n = n.([]any)[s]
		}
	}
	mapping := n.(map[string]any)
	from, _ := mapping[m.From].([]any)
	to, _ := mapping[m.To].([]any)
	item := from[m.Index]
	if fields, isMap := item.(map[string]any); isMap {
		delete(fields, m.Without)
	}
	mapping[m.From] = slices.Delete(slices.Clone(from), m.Index, m.Index+1)
	mapping[m.To] = slices.Insert(slices.Clone(to), m.At, item)
	return tree
}

// pointerTo returns the pointer for a path.
func pointerTo(n *yaml.Node, path manifest.Path) Pointer {
	var pointer Pointer
	for _, s := range path {
		n = manifest.Resolve(n)
		next := step{}
		switch s := s.(type) {
		case string:
			next = step{name: s}
		case int:
			next = itemStep(n, s)
		}
		pointer = pointer.join(next)
		n = manifest.Get(n, s)
	}
	return pointer
}

// String writes a move on one line.
func (m Move) String() string {
	sign := ">"
	if m.New {
		sign = ">>"
	}
	return fmt.Sprintf("%s %s %s %d %d %s %s %d %d %d %s", sign, m.Mapping, escape(m.From), m.Index, m.Gap, escape(m.To), escape(m.Name), m.Above, m.Skip, m.Skipped, strconv.Quote(m.Text))
}

// ParseMove reads what String wrote. It is false for any other line.
func ParseMove(line string) (Move, bool) {
	words := strings.SplitN(strings.TrimRight(line, "\r\n"), " ", 11)
	if len(words) != 11 || words[0] != ">" && words[0] != ">>" {
		return Move{}, false
	}
	undo, ok := parseLine("+ " + words[1])
	m := Move{From: unescape(words[2]), To: unescape(words[5]), Name: unescape(words[6]), New: words[0] == ">>"}
	if !ok || len(undo) != 1 {
		return Move{}, false
	}
	m.Mapping = undo[0].Path
	for i, into := range map[int]*int{3: &m.Index, 4: &m.Gap, 7: &m.Above, 8: &m.Skip, 9: &m.Skipped} {
		n, err := strconv.Atoi(words[i])
		if err != nil || n < 0 {
			return Move{}, false
		}
		*into = n
	}
	text, err := strconv.Unquote(words[10])
	if err != nil || m.Skip+m.Skipped > len(text) || m.Above > strings.Count(text, "\n")+1 {
		return Move{}, false
	}
	m.Text = text
	return m, true
}
