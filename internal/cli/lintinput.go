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

// Lint reads everything twice: what it says about namespaces may stand behind the Jobs
// in them.

// files resolves the arguments one by one: one that cannot be read hides no other.
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

// hold makes stdin and pipes readable twice: for namespaces, and for verdicts.
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
			continue // said when it is checked
		}
		held, err := rewindable(pipe)
		_ = pipe.Close() // it was only read
		if err != nil {
			return fault.New(fault.LocalIO, err)
		}
		l.held[file] = held
	}
	return nil
}

func (l *lintRun) close() {
	for _, held := range l.held {
		_ = held.close() // it was only read
	}
}

// scan reads a file, or what is held of it.
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

// causes are the errors that one joins.
func causes(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return nil
}

// namespaceKind finds files that are worth reading for namespaces beforehand.
var namespaceKind = regexp.MustCompile(`kind["']?\s*:\s*["']?Namespace\b`)

// mentions tells whether a stream has the pattern, and goes back to its start. What
// matches is shorter than the overlap of the pieces.
func mentions(in io.ReadSeeker, pattern *regexp.Regexp, piece []byte) bool {
	const overlap = 256
	kept, found := 0, false
	for !found {
		n, err := io.ReadFull(in, piece[kept:])
		found = pattern.Match(piece[:kept+n])
		if err != nil {
			break // the end, or what is said when it is checked
		}
		kept = copy(piece, piece[len(piece)-overlap:])
	}
	_, err := in.Seek(0, io.SeekStart)
	return found && err == nil
}

// namespaces gathers what the manifests say about namespaces, wherever they stand.
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
		}) // only visit's errors, and it has none
		if held := l.held[file]; held != nil {
			_, _ = held.Seek(0, io.SeekStart) // as it did before
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
		return false // said when it is checked
	}
	defer func() { _ = f.Close() }() // it was only read
	return mentions(f, namespaceKind, piece)
}

// maxHeld is how much of a stream is kept in memory; as long as the longest document.
const maxHeld = 16 << 20

// A rewound is a stream that can be read more than once: from memory, or, where it is
// long, from a file without a name.
type rewound struct {
	io.ReadSeeker
	// whole is the text where it is in memory, nil otherwise.
	whole []byte
	close func() error
}

// rewindable reads a stream to its end.
func rewindable(in io.Reader) (*rewound, error) {
	head, err := io.ReadAll(io.LimitReader(in, maxHeld+1))
	if err != nil {
		return nil, err
	}
	// What is no text is said of its beginning, and a device has no end.
	if len(head) <= maxHeld || bytes.IndexByte(head, 0) >= 0 {
		return held(head), nil
	}
	f, err := os.CreateTemp("", "jobmesh-")
	if err != nil { // as where the root file system is read-only
		rest, err := io.ReadAll(in)
		return held(append(head, rest...)), err
	}
	_ = os.Remove(f.Name()) // it stays readable while it is open; elsewhere it is left to the system
	if _, err = f.Write(head); err == nil {
		_, err = io.Copy(f, in)
	}
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		_ = f.Close() // the first error counts
		return nil, err
	}
	return &rewound{ReadSeeker: f, close: f.Close}, nil
}

func held(text []byte) *rewound {
	return &rewound{bytes.NewReader(text), text, func() error { return nil }}
}
