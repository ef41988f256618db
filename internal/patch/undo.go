package patch

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
)

// An Undo says what was added to a document, or replaced in it.
type Undo struct {
	Path Pointer
	// Replaced says that something was replaced, and Text is what stood there before.
	// Otherwise what Path leads to was added. Where that is a number of strings in front of a
	// list, Text is the first of them and Last is the last one.
	Replaced bool
	Text     string
	Last     string
}

// A Pointer leads to a place in a document. It is that of RFC 6901 except for the items of
// lists: name=NAME is the item of that name, and :N are the first N items. So it still leads
// to the same place after others have added items to the list.
type Pointer []step

type step struct {
	name   string
	isName bool // of an item of a list
	first  int  // the first items of a list; not with a name
}

func (p Pointer) join(s step) Pointer { return append(append(Pointer{}, p...), s) }

// itemStep names an item of a list by its name, or by its index where it has none.
func itemStep(list *yaml.Node, i int) step {
	name := manifest.Text(manifest.Get(list.Content[i], "name"))
	if name != "" && indexOf(list, name) == i {
		return step{name: name, isName: true}
	}
	return step{name: strconv.Itoa(i)}
}

func indexOf(list *yaml.Node, name string) int {
	for i, item := range manifest.Items(list) {
		if manifest.Text(manifest.Get(item, "name")) == name {
			return i
		}
	}
	return -1
}

// Format writes undos, a line each; items of one list share a line.
func Format(undos []Undo) string {
	var lines []string
	var list Pointer // of the last line, nil if it names no item
	for _, u := range undos {
		parent, last := u.Path[:len(u.Path)-1], u.Path[len(u.Path)-1]
		named := last.isName && !u.Replaced && u.Text == ""
		switch {
		case named && slices.Equal(list, parent) && list != nil:
			lines[len(lines)-1] += "," + escape(last.name)
		case u.Replaced:
			lines = append(lines, "= "+u.Path.String()+" "+strconv.Quote(u.Text))
		case u.Last != "":
			lines = append(lines, "+ "+u.Path.String()+" "+strconv.Quote(u.Text)+" "+strconv.Quote(u.Last))
		case u.Text != "":
			lines = append(lines, "+ "+u.Path.String()+" "+strconv.Quote(u.Text))
		default:
			lines = append(lines, "+ "+u.Path.String())
		}
		list = nil
		if named {
			list = parent
		}
	}
	return strings.Join(lines, "\n")
}

// Parse reads what Format wrote.
func Parse(text string) ([]Undo, error) {
	var undos []Undo
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		parsed, ok := parseLine(line)
		if !ok {
			return nil, fmt.Errorf("%q is not a line of a record", line)
		}
		undos = append(undos, parsed...)
	}
	return undos, nil
}

func parseLine(line string) ([]Undo, bool) {
	op, rest, _ := strings.Cut(line, " ")
	path, quotedTexts, hasText := strings.Cut(rest, " ")
	u := Undo{Replaced: op == "="}
	if op != "+" && op != "=" || !strings.HasPrefix(path, "/") || u.Replaced && !hasText {
		return nil, false
	}
	words := strings.Split(path[1:], "/")
	if hasText {
		var ok bool
		if u.Text, quotedTexts, ok = unquote(quotedTexts); !ok {
			return nil, false
		}
		if quotedTexts != "" {
			if u.Last, quotedTexts, ok = unquote(quotedTexts[1:]); !ok || quotedTexts != "" || !strings.HasPrefix(words[len(words)-1], ":") {
				return nil, false
			}
		}
	}
	var names []string
	for i, word := range words {
		switch {
		case strings.HasPrefix(word, "name="):
			names = strings.Split(word[len("name="):], ",")
			if len(names) > 1 && (i < len(words)-1 || u.Replaced || hasText) {
				return nil, false
			}
			u.Path = append(u.Path, step{name: unescape(names[0]), isName: true})
		case strings.HasPrefix(word, ":"):
			first, err := strconv.Atoi(word[1:])
			if err != nil || first < 1 || i < len(words)-1 || u.Replaced {
				return nil, false
			}
			u.Path = append(u.Path, step{first: first})
		default:
			u.Path = append(u.Path, step{name: unescape(word)})
		}
	}
	undos := []Undo{u}
	if last := len(u.Path) - 1; u.Path[last].isName {
		for _, name := range names[1:] {
			undos = append(undos, Undo{Path: u.Path[:last].join(step{name: unescape(name), isName: true})})
		}
	}
	return undos, true
}

// unquote reads the quoted string that a text begins with.
func unquote(text string) (unquoted, rest string, ok bool) {
	quoted, err := strconv.QuotedPrefix(text)
	if err != nil {
		return "", "", false
	}
	unquoted, err = strconv.Unquote(quoted)
	return unquoted, text[len(quoted):], err == nil
}

func (p Pointer) String() string {
	var b strings.Builder
	for _, s := range p {
		switch {
		case s.first > 0:
			b.WriteString("/:" + strconv.Itoa(s.first))
		case s.isName:
			b.WriteString("/name=" + escape(s.name))
		default:
			b.WriteString("/" + escape(s.name))
		}
	}
	return b.String()
}

// dotted is the pointer in the words of a message.
func (p Pointer) dotted() string {
	names := make([]string, len(p))
	for i, s := range p {
		names[i] = s.name
	}
	return strings.Join(names, ".")
}

var (
	escaper   = strings.NewReplacer("~", "~0", "/", "~1", " ", "~2", "=", "~3", ":", "~4", "\n", "~5", "\r", "~6", ",", "~7")
	unescaper = strings.NewReplacer("~0", "~", "~1", "/", "~2", " ", "~3", "=", "~4", ":", "~5", "\n", "~6", "\r", "~7", ",")
)

func escape(text string) string   { return escaper.Replace(text) }
func unescape(text string) string { return unescaper.Replace(text) }

// undoParts returns undos for the single parts of an added value where others may add
// something beside them. Then only our parts are removed.
func undoParts(path Pointer, value any) []Undo {
	var parts []Undo
	switch value := value.(type) {
	case map[string]any:
		switch path[len(path)-1].name {
		case "metadata", "annotations", "labels":
		default:
			return nil
		}
		for _, key := range sortedKeys(value) {
			below := path.join(step{name: key})
			parts = append(parts, Undo{Path: below})
			parts = append(parts, undoParts(below, value[key])...)
		}
	case []any:
		names, named := namesOf(value)
		if !named {
			return nil
		}
		for _, name := range names {
			parts = append(parts, Undo{Path: path.join(step{name: name, isName: true})})
		}
	}
	return parts
}

// namesOf returns the names of the items of a list, false unless each has its own.
func namesOf(value any) ([]string, bool) {
	items, _ := value.([]any)
	var names []string
	seen := map[string]bool{}
	for _, item := range items {
		m, _ := item.(map[string]any)
		name, _ := m["name"].(string)
		if name == "" || seen[name] {
			return nil, false
		}
		seen[name] = true
		names = append(names, name)
	}
	return names, len(names) > 0
}

// ErrChanged is the cause where somebody has changed what was added.
var ErrChanged = errors.New("is not what was added there; it was changed since")

// An Addition is what was added below one node of a document.
type Addition struct {
	// Node is the object that the pointers start from.
	Node  *yaml.Node
	Undos []Undo
}

// Revert returns the text of a document without what was added to it. It does not parse
// the result.
func Revert(d *manifest.Document, additions []Addition) ([]byte, error) {
	r := newReverter(d)
	for _, addition := range additions {
		root := &trie{}
		for _, u := range addition.Undos {
			root.add(u.Path, u)
		}
		if err := r.mark(addition.Node, root); err != nil {
			return nil, err
		}
	}
	for _, n := range r.order {
		r.cut(n)
	}
	return r.result()
}

// A trie holds undos by their paths.
type trie struct {
	undo *Undo
	keys []step
	next []*trie
}

func (t *trie) add(path Pointer, u Undo) {
	if len(path) == 0 {
		t.undo = &u
		return
	}
	for i, key := range t.keys {
		if key == path[0] {
			t.next[i].add(path[1:], u)
			return
		}
	}
	child := &trie{}
	t.keys, t.next = append(t.keys, path[0]), append(t.next, child)
	child.add(path[1:], u)
}

// A reverter collects what is to be removed.
type reverter struct {
	writer
	gone  map[*yaml.Node]map[int]bool // children of collections
	order []*yaml.Node
	seen  map[*yaml.Node]bool // values that were put back
}

func newReverter(d *manifest.Document) *reverter {
	return &reverter{
		writer: writer{text: newText(d), added: map[*yaml.Node]int{}},
		gone:   map[*yaml.Node]map[int]bool{},
		seen:   map[*yaml.Node]bool{},
	}
}

func (r *reverter) drop(parent *yaml.Node, i int) {
	if r.gone[parent] == nil {
		r.gone[parent] = map[int]bool{}
		r.order = append(r.order, parent)
	}
	r.gone[parent][i] = true
}

// mark finds below a node what a trie names, and notes that it is to be removed. Something
// that is no longer there was removed already, and is not an error.
func (r *reverter) mark(n *yaml.Node, t *trie) error {
	n = manifest.Resolve(n)
	for i, key := range t.keys {
		child := t.next[i]
		if key.first > 0 {
			if !child.undo.begins(n) {
				return child.undo.changed()
			}
			for j := range key.first {
				r.drop(n, j)
			}
			continue
		}
		index, value := find(n, key)
		switch {
		case value == nil:
			if u := renamed(n, t, child); u != nil {
				return u.changed()
			}
		case child.undo != nil && child.undo.Replaced:
			r.putBack(n, index, value, child.undo.Text)
		case child.undo != nil && r.all(value, child):
			r.drop(n, index)
		default:
			if err := r.mark(value, child); err != nil {
				return err
			}
		}
	}
	return nil
}

// begins says whether a list still begins with the strings that were put before it.
// What is between the first and the last one may have been edited.
func (u *Undo) begins(list *yaml.Node) bool {
	first := u.Path[len(u.Path)-1].first
	return list.Kind == yaml.SequenceNode && len(list.Content) >= first && manifest.Text(list.Content[0]) == u.Text &&
		(u.Last == "" || manifest.Text(list.Content[first-1]) == u.Last)
}

func (u *Undo) changed() error {
	return fmt.Errorf("%s %w", u.Path[:len(u.Path)-1].dotted(), ErrChanged)
}

// renamed looks for an item that was given another name after something had been put into
// it: one that the trie does not name and that holds what the trie expects in an item which
// is no longer there. It returns the undo of that, or nil. The caller reports it, because
// otherwise what was put in would silently stay.
func renamed(list *yaml.Node, named, gone *trie) *Undo {
	for _, item := range manifest.Items(list) {
		name := step{name: manifest.Text(manifest.Get(item, "name")), isName: true}
		if slices.Contains(named.keys, name) {
			continue
		}
		if u := gone.begin(item); u != nil {
			return u
		}
	}
	return nil
}

// begin returns the undo of a list below a node that begins with what was put before
// it, nil if there is none.
func (t *trie) begin(n *yaml.Node) *Undo {
	for i, key := range t.keys {
		if key.first > 0 {
			if t.next[i].undo.begins(n) {
				return t.next[i].undo
			}
		} else if _, value := find(n, key); value != nil {
			if u := t.next[i].begin(manifest.Resolve(value)); u != nil {
				return u
			}
		}
	}
	return nil
}

// find returns which child of a collection a step leads to, nil if there is none.
func find(n *yaml.Node, s step) (int, *yaml.Node) {
	switch {
	case n.Kind == yaml.SequenceNode && s.isName:
		if i := indexOf(n, s.name); i >= 0 {
			return i, n.Content[i]
		}
	case n.Kind == yaml.SequenceNode:
		if i, err := strconv.Atoi(s.name); err == nil && i >= 0 && i < len(n.Content) {
			return i, n.Content[i]
		}
	case !s.isName:
		key, value := manifest.Field(n, s.name)
		for i := 0; value != nil && i < len(n.Content); i += 2 {
			if n.Content[i] == key {
				return i / 2, value
			}
		}
	}
	return 0, nil
}

// all reports whether a collection that was added still holds only what was added.
func (r *reverter) all(n *yaml.Node, t *trie) bool {
	if len(t.keys) == 0 {
		return true
	}
	n = manifest.Resolve(n)
	found := 0
	for i, key := range t.keys {
		_, value := find(n, key)
		if value == nil {
			continue
		}
		if !r.all(value, t.next[i]) {
			return false
		}
		found++
	}
	return found == children(n)
}

// putBack restores the text that stood behind a key before.
func (r *reverter) putBack(parent *yaml.Node, i int, value *yaml.Node, old string) {
	if r.seen[value] {
		return
	}
	r.seen[value] = true
	from := r.text.OffsetOf(value)
	to := r.text.end(value, -1)
	if old == "" {
		// There was nothing behind the colon.
		from = r.text.end(parent.Content[2*i], -1)
		for from < to && r.text.Text[from] != ':' {
			from++
		}
		from++
	}
	r.edit(from, to, old, 0)
}

// cut takes children out of a collection, the reverse of how they were put in.
func (r *reverter) cut(n *yaml.Node) {
	gone := r.gone[n]
	count := children(n)
	indent := -1
	if !isFlow(n) {
		indent = r.text.indent(n)
	}
	survivor := false
	for i := range count {
		if !gone[i] {
			survivor = true
			continue
		}
		from, to := r.text.start(n, i), r.text.childEnd(n, i, indent)
		switch {
		case survivor && isFlow(n):
			from = r.text.childEnd(n, i-1, indent)
		case survivor:
			from = r.lineBreakBefore(from)
			to = r.text.lineEnd(to)
		case i+1 < count && !isFlow(n) && !gone[i+1]:
			// Comments of the next one may be in between.
			to = min(r.text.nextLine(r.text.lineEnd(to))+indent, r.text.start(n, i+1))
		case i+1 < count:
			to = r.text.start(n, i+1)
		}
		r.edit(from, to, "", 0)
	}
}

// lineBreakBefore returns where the line break before the line of an offset begins.
func (r *reverter) lineBreakBefore(at int) int {
	i := bytes.LastIndexByte(r.text.Text[:at], '\n')
	if i > 0 && r.text.Text[i-1] == '\r' {
		i--
	}
	return max(i, 0)
}
