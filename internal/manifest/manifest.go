// Package manifest reads streams of Kubernetes manifests as people write them, and
// loses no byte of them: the documents of a stream, put together again, are the
// stream. Each document knows its text, the file and the place where that stands, and its
// tree of nodes. A mistake in one document does not keep the others from being read.
//
// Lines and columns count from 1, as editors do; the Line of a node is that of its
// file. Nothing here changes a document.
package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// A Document is one document of a stream.
type Document struct {
	// File is the name as the user gave it, or "stdin".
	File string
	// Number counts the documents of the file from 1; those without content count too.
	Number int
	// Offset is where Text begins in the file, in bytes, and Line is the line on which it
	// begins.
	Offset int64
	Line   int
	// Text is everything from the separator that opens the document up to the next one.
	Text []byte
	// Root is the value of the document. It is nil where the document is empty, and where
	// Err is set.
	Root *yaml.Node
	// JSON says that the document is JSON, which is YAML too.
	JSON bool
	// Err says why the document, or its whole file, could not be read. It is an
	// *Error unless the file could not be opened.
	Err error

	lines []textLine // of Text, made when needed
}

// An Error is a mistake at a place in a file.
type Error struct {
	File  string
	Line  int
	Cause string
}

func (e *Error) Error() string {
	if e.Line == 0 {
		return e.File + ": " + e.Cause
	}
	return fmt.Sprintf("%s:%d: %s", e.File, e.Line, e.Cause)
}

// A Path leads to a node: keys are strings, indices of lists are ints.
type Path []any

// Join returns a longer path, which shares no memory with p.
func (p Path) Join(steps ...any) Path {
	return append(append(make(Path, 0, len(p)+len(steps)), p...), steps...)
}

// String writes the path as in spec.template.spec.containers[0].command. A key with
// dots or slashes is quoted, as in metadata.annotations["linkerd.io/inject"].
func (p Path) String() string {
	var b strings.Builder
	for _, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if step == "" || strings.ContainsAny(step, "./[]\" \n") {
				b.WriteString("[" + strconv.Quote(step) + "]")
				continue
			}
			if b.Len() > 0 {
				b.WriteByte('.')
			}
			b.WriteString(step)
		}
	}
	return b.String()
}

// Lookup returns the value at a path of a tree of maps and lists, or nil where there is
// none.
func Lookup(tree any, path Path) any {
	for _, step := range path {
		switch step := step.(type) {
		case string:
			m, _ := tree.(map[string]any)
			tree = m[step]
		case int:
			l, _ := tree.([]any)
			if step >= len(l) {
				return nil
			}
			tree = l[step]
		}
	}
	return tree
}
