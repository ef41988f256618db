// Package lockfile is jobmesh.lock.yaml: the ENTRYPOINT and CMD of images. A command in a pod
// spec replaces both, so a wrapper in front of a container has to know them. The package reads
// and writes the file, and asks no registry.
package lockfile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/regular"
	"github.com/jobmesh/jobmesh/internal/replace"
)

// FileName is the name by which the library chart finds the lock file in a chart.
const FileName = "jobmesh.lock.yaml"

// heading is the comment at the start of a new lock file.
const heading = `What images run, so that a chart can put the wrapper in front of it.
Written by jobmesh resolve; read by the library chart and by jobmesh inject.
An entry without a digest is written by hand: resolve leaves it as it is.`

// An Entry is what is known about one image.
type Entry struct {
	// Image is the reference exactly as pod specs have it.
	Image string
	// Digest is the digest of that reference, of an index where there is one. It is empty in an
	// entry that was written by hand.
	Digest string
	Command
}

// A Lock is the content of a lock file. It keeps the comments of the file from which it was
// read.
type Lock struct {
	entries  []Entry
	document *yaml.Node
	// nodes are the YAML nodes of the entries.
	nodes []*yaml.Node
}

// Entries returns the entries of the lock, which are sorted by image once the lock is encoded.
func (l *Lock) Entries() []Entry { return slices.Clone(l.entries) }

// Find returns the entry of an image, by its reference in a pod spec.
func (l *Lock) Find(image string) (Entry, bool) {
	i := slices.IndexFunc(l.entries, func(e Entry) bool { return e.Image == image })
	if i < 0 {
		return Entry{}, false
	}
	return l.entries[i], true
}

// Set adds an entry, or replaces the one of the same image. It returns whether that has changed
// the lock.
func (l *Lock) Set(e Entry) bool {
	i := slices.IndexFunc(l.entries, func(old Entry) bool { return old.Image == e.Image })
	if i >= 0 && l.entries[i].Equal(e) {
		return false
	}
	node := e.node()
	if i < 0 {
		l.entries, l.nodes = append(l.entries, e), append(l.nodes, node)
		return true
	}
	node.HeadComment, node.FootComment = l.nodes[i].HeadComment, l.nodes[i].FootComment
	l.entries[i], l.nodes[i] = e, node
	return true
}

// node returns the entry as a YAML node.
func (e Entry) node() *yaml.Node {
	text := func(s string) *yaml.Node { return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s} }
	// The values are quoted, because the chart's parser reads a bare on as true, and 1.0 as a
	// number.
	quoted := func(s string) *yaml.Node {
		n := text(s)
		n.Style = yaml.DoubleQuotedStyle
		return n
	}
	list := func(words []string) *yaml.Node {
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, w := range words {
			n.Content = append(n.Content, quoted(w))
		}
		return n
	}
	image := quoted(e.Image)
	if plainImage.MatchString(e.Image) {
		image = text(e.Image)
	}
	content := []*yaml.Node{text("image"), image}
	if e.Digest != "" {
		content = append(content, text("digest"), text(e.Digest))
	}
	content = append(content, text("entrypoint"), list(e.Entrypoint), text("cmd"), list(e.Cmd))
	return &yaml.Node{Kind: yaml.MappingNode, Content: content}
}

// Encode returns the text of the file: entries are sorted by image, and comments stay at their
// entries. The same entries give the same bytes.
func (l *Lock) Encode() ([]byte, error) {
	order := make([]int, len(l.entries))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return strings.Compare(l.entries[a].Image, l.entries[b].Image) })
	var sorted []Entry
	var kept, plain []*yaml.Node
	for _, i := range order {
		sorted = append(sorted, l.entries[i])
		kept = append(kept, l.nodes[i])
		plain = append(plain, l.entries[i].node())
	}
	if l.document != nil {
		text, err := encode(l.document.HeadComment, l.document.Content[0], kept)
		// The YAML writer puts some comments where the parser does not accept them, as between
		// "images:" and "[]". The entries are more important than the comments.
		if back, failed := Parse(text); err == nil && failed == nil && slices.EqualFunc(back.entries, sorted, Entry.Equal) {
			return text, nil
		}
	}
	return encode(comment(heading), nil, plain)
}

// Equal tells whether both entries have the same content.
func (e Entry) Equal(other Entry) bool {
	return e.Image == other.Image && e.Digest == other.Digest && e.Command.Equal(other.Command)
}

// encode writes a file. The comments at the key images are taken from root, which may be nil.
func encode(heading string, root *yaml.Node, images []*yaml.Node) ([]byte, error) {
	key, list := &yaml.Node{Kind: yaml.ScalarNode, Value: "images"}, &yaml.Node{Kind: yaml.SequenceNode, Content: images}
	mapping := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{key, list}}
	if root != nil {
		mapping.HeadComment, mapping.FootComment = root.HeadComment, root.FootComment
		for to, from := range map[*yaml.Node]*yaml.Node{key: root.Content[0], list: root.Content[1]} {
			to.HeadComment, to.LineComment, to.FootComment = from.HeadComment, from.LineComment, from.FootComment
		}
	}
	var out bytes.Buffer
	w := yaml.NewEncoder(&out)
	w.SetIndent(2)
	if err := w.Encode(&yaml.Node{Kind: yaml.DocumentNode, HeadComment: heading, Content: []*yaml.Node{mapping}}); err != nil {
		return nil, err
	}
	err := w.Close()
	return out.Bytes(), err
}

func comment(text string) string { return "# " + strings.ReplaceAll(text, "\n", "\n# ") }

// MaxSize is the largest size of a lock file, in bytes.
const MaxSize = 16 << 20

// Load reads a lock file. A missing file is an empty lock.
func Load(path string) (*Lock, error) {
	text, err := regular.ReadFile(path, MaxSize)
	if errors.Is(err, os.ErrNotExist) {
		return &Lock{}, nil
	}
	if err != nil {
		return nil, err
	}
	l, err := Parse(text)
	if err != nil {
		var lines []error
		for _, line := range strings.Split(err.Error(), "\n") {
			lines = append(lines, fmt.Errorf("%s:%s", path, line))
		}
		return nil, fault.New(fault.Usage, errors.Join(lines...), "correct it, or remove it and run jobmesh resolve again")
	}
	return l, nil
}

// Write writes the lock in one step. It does not write a file that has the same content
// already.
func (l *Lock) Write(path string) (changed bool, err error) {
	text, err := l.Encode()
	if err != nil {
		return false, err
	}
	if old, err := regular.ReadFile(path, MaxSize); err == nil && bytes.Equal(old, text) {
		return false, nil
	}
	err = replace.File(path, text, 0o644)
	// The error would name the temporary file, which does not exist any more, so the name is
	// replaced.
	if at := (*os.PathError)(nil); errors.As(err, &at) {
		err = &os.PathError{Op: "write", Path: path, Err: at.Err}
	}
	return true, err
}

// plainImage matches the references that every YAML parser reads as a string.
var plainImage = regexp.MustCompile(`^([a-z][A-Za-z0-9._-]*:|[a-z0-9][A-Za-z0-9._:-]*[/@])[A-Za-z0-9._:/@-]+$`)

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Parse parses the text of a lock file. The error has all mistakes, one on each line, each
// with the number of its line.
func Parse(text []byte) (*Lock, error) {
	document := &yaml.Node{}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	switch err := decoder.Decode(document); {
	case errors.Is(err, io.EOF):
		return &Lock{}, nil
	case err != nil:
		return nil, errors.New(" " + strings.TrimPrefix(err.Error(), "yaml: "))
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, errors.New(" has more than one document")
	}
	p := &parser{lock: &Lock{document: document}}
	p.root(document.Content[0])
	return p.lock, errors.Join(p.mistakes...)
}

// A parser collects entries and mistakes.
type parser struct {
	lock     *Lock
	mistakes []error
}

func (p *parser) mistake(n *yaml.Node, format string, args ...any) {
	p.mistakes = append(p.mistakes, fmt.Errorf("%d: "+format, append([]any{n.Line}, args...)...))
}

func (p *parser) root(n *yaml.Node) {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		p.lock.document = nil // comments alone
		return
	}
	if n.Kind != yaml.MappingNode {
		p.mistake(n, "want a mapping with the key images")
		return
	}
	found := false
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch {
		case key.Value != "images":
			p.mistake(key, "key %q is unknown; there is only images", key.Value)
		case found:
			p.mistake(key, "images occurs twice")
		case value.Kind == yaml.SequenceNode:
			for _, item := range value.Content {
				p.entry(item)
			}
		case value.Kind != yaml.ScalarNode || value.Tag != "!!null":
			p.mistake(value, "images must be a list")
		}
		found = found || key.Value == "images"
	}
	if !found && len(p.mistakes) == 0 {
		p.mistake(n, "want a mapping with the key images")
	}
}

func (p *parser) entry(n *yaml.Node) {
	if n.Kind != yaml.MappingNode {
		p.mistake(n, "an entry must be a mapping with image, entrypoint and cmd")
		return
	}
	var e Entry
	before, seen := len(p.mistakes), map[string]bool{}
	for i := 0; i < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if seen[key.Value] {
			p.mistake(key, "%s occurs twice", key.Value)
		}
		seen[key.Value] = true
		switch key.Value {
		case "image":
			e.Image = p.text(key.Value, value)
		case "digest":
			e.Digest = p.text(key.Value, value)
			if e.Digest != "" && !digestForm.MatchString(e.Digest) {
				p.mistake(value, "digest %q is not sha256: and 64 hexadecimal digits", e.Digest)
			}
		case "entrypoint":
			e.Entrypoint = p.words(key.Value, value)
		case "cmd":
			e.Cmd = p.words(key.Value, value)
		default:
			p.mistake(key, "key %q is unknown; an entry has image, digest, entrypoint and cmd", key.Value)
		}
	}
	if e.Image == "" && len(p.mistakes) == before {
		p.mistake(n, "an entry has no image")
	}
	if _, twice := p.lock.Find(e.Image); twice && e.Image != "" {
		p.mistake(n, "image %s is listed twice", e.Image)
	}
	p.lock.entries, p.lock.nodes = append(p.lock.entries, e), append(p.lock.nodes, n)
}

func (p *parser) text(key string, n *yaml.Node) string {
	if n.Kind != yaml.ScalarNode || n.Tag != "!!str" && n.Tag != "!!null" {
		p.mistake(n, "%s must be a string", key)
		return ""
	}
	if n.Tag == "!!null" {
		return ""
	}
	return n.Value
}

func (p *parser) words(key string, n *yaml.Node) []string {
	if n.Kind == yaml.ScalarNode && n.Tag == "!!null" {
		return nil
	}
	if n.Kind != yaml.SequenceNode {
		p.mistake(n, "%s must be a list of strings", key)
		return nil
	}
	var words []string
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode || item.Tag != "!!str" {
			p.mistake(item, "%s must be a list of strings: quote %q", key, item.Value)
			return nil
		}
		words = append(words, item.Value)
	}
	return words
}
