package cli

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"regexp"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// Lint reads every input twice, because a namespace may stand behind the Jobs that are in it.

// files resolves the arguments one by one, so that an argument that cannot be read does not
// hide the others.
func (l *lintRun) files(args []string) []string {
	var files []string
	seen := map[string]bool{}
	for _, arg := range args {
		found, err := manifest.Files([]string{arg})
		for _, cause := range causes(err) {
			l.fail(arg, 0, cause)
		}
		for _, f := range found {
			if !seen[f] {
				files = append(files, f)
			}
			seen[f] = true
		}
	}
	return files
}

// hold makes stdin and pipes readable twice: once for namespaces, and once for verdicts.
func (l *lintRun) hold(files []string, stdin io.Reader) error {
	for _, file := range files {
		if file == manifest.Stdin {
			held, err := rewindable(stdin)
			if err != nil {
				return fault.New(fault.LocalIO, fmt.Errorf("stdin: %w", err))
			}
			l.held[file] = held
			continue
		}
		if stat, err := os.Stat(file); err != nil || stat.Mode().IsRegular() {
			continue
		}
		pipe, err := os.Open(file)
		if err != nil {
			continue // the check reports it
		}
		held, err := rewindable(pipe)
		_ = pipe.Close() // nothing was written to it
		if err != nil {
			return fault.New(fault.LocalIO, err)
		}
		l.held[file] = held
	}
	return nil
}

func (l *lintRun) close() {
	for _, held := range l.held {
		_ = held.close() // nothing was written to it
	}
}

// scan reads a file, or the held copy of an input that can be read only once.
func (l *lintRun) scan(file string, visit func(*manifest.Document) error) error {
	held, ok := l.held[file]
	switch {
	case !ok:
		return manifest.Read([]string{file}, nil, visit)
	case file == manifest.Stdin:
		return manifest.Read([]string{file}, held, visit)
	}
	return manifest.Scan(file, held, visit)
}

// causes returns the errors that an error joins.
func causes(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

// namespaceKind matches text in files that may contain namespaces.
var namespaceKind = regexp.MustCompile(`kind["']?\s*:\s*["']?Namespace\b`)

// mentions tells whether a stream has a match of the pattern, and returns to its start. A match
// is shorter than the overlap of the pieces in which the stream is read.
func mentions(in io.ReadSeeker, pattern *regexp.Regexp, piece []byte) bool {
	const overlap = 256
	kept, found := 0, false
	for !found {
		n, err := io.ReadFull(in, piece[kept:])
		found = pattern.Match(piece[:kept+n])
		if err != nil {
			break // the stream has ended, or the check reports the error
		}
		kept = copy(piece, piece[len(piece)-overlap:])
	}
	_, err := in.Seek(0, io.SeekStart)
	return found && err == nil
}

// namespaces collects what the manifests say about namespaces, from all inputs.
func (l *lintRun) namespaces(files []string) map[string]lint.Namespace {
	found := map[string]lint.Namespace{}
	piece := make([]byte, 256<<10)
	for _, file := range files {
		if !l.mentionsNamespace(file, piece) {
			continue
		}
		_ = l.scan(file, func(d *manifest.Document) error {
			for _, o := range d.Objects() {
				if name, ns, ok := lint.NamespaceOf(o); ok {
					found[name] = ns
				}
			}
			return nil
		}) // an error could only come from visit, which returns none
		if held := l.held[file]; held != nil {
			_, _ = held.Seek(0, io.SeekStart) // the stream was at its start before, too
		}
	}
	return found
}

func (l *lintRun) mentionsNamespace(file string, piece []byte) bool {
	if held := l.held[file]; held != nil {
		return mentions(held, namespaceKind, piece)
	}
	f, err := os.Open(file)
	if err != nil {
		return false // the check reports it
	}
	defer func() { _ = f.Close() }() // nothing was written to it
	return mentions(f, namespaceKind, piece)
}

// maxHeld is the number of bytes of a stream that are kept in memory; the longest document has
// as many.
const maxHeld = 16 << 20

// A rewound is a stream that can be read more than once: from memory, or, where it is long,
// from a file without a name.
type rewound struct {
	io.ReadSeeker
	// whole is the text where it is kept in memory, and nil otherwise.
	whole []byte
	close func() error
}

// rewindable reads a stream to its end, and keeps it.
func rewindable(in io.Reader) (*rewound, error) {
	head, err := io.ReadAll(io.LimitReader(in, maxHeld+1))
	if err != nil {
		return nil, err
	}
	// A binary input is refused by its first bytes, and a device such as /dev/zero has no end,
	// so neither is read further.
	if len(head) <= maxHeld || bytes.IndexByte(head, 0) >= 0 {
		return held(head), nil
	}
	f, err := os.CreateTemp("", "jobmesh-")
	if err != nil { // for example on a read-only root file system
		rest, err := io.ReadAll(in)
		return held(append(head, rest...)), err
	}
	_ = os.Remove(f.Name()) // an open file stays readable; a system that refuses this cleans up its temporary files
	if _, err = f.Write(head); err == nil {
		_, err = io.Copy(f, in)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = f.Close() // the first error is returned
		return nil, err
	}
	return &rewound{ReadSeeker: f, close: f.Close}, nil
}

func held(text []byte) *rewound {
	return &rewound{bytes.NewReader(text), text, func() error { return nil }}
}
