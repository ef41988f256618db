// Package inject puts the wrapper into manifests that were written without it. It does not know
// what injection looks like: it has the library chart inject each object, compares the object
// before and after, and makes the same change in the user's text.
package inject

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"regexp"
	"runtime"

	"golang.org/x/sync/errgroup"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/printable"
)

// Options are the settings of an Injector.
type Options struct {
	// Library holds the library chart in the folder library-chart.
	Library fs.FS
	// Image replaces the wrapper's image that the library chart names.
	Image Image
	// Values are the values of a chart that uses the library: the settings are under jobmesh
	// and global.jobmesh.
	Values map[string]any
	// From is what error messages call the source of Values; empty means "values".
	From string
	// Lock is the content of a jobmesh.lock.yaml. Nil means that there is no lock file.
	Lock []byte
	// Uninject has the Injector remove what was injected, and inject nothing.
	Uninject bool
}

// An Image names and pins the wrapper's image, as a packed chart does. An empty field keeps the
// library chart's own value; the library chart has a tag and no digest.
type Image struct{ Registry, Repository, Digest string }

// An Action says what was done with an object.
type Action string

// These are all actions. An object without pods gets no note, and so no action.
const (
	Injected  Action = "injected"
	Unchanged Action = "unchanged" // the object had the same injection already
	Skipped   Action = "skipped"   // the object is left as it is; Note.Reason says why
	Restored  Action = "restored"  // what an earlier run had put in was removed
	Noted     Action = "note"      // a remark on the object, beside one of the other actions
)

// A Note says what was done with one object, or remarks on it.
type Note struct {
	Object string `json:"object"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Action Action `json:"action"`
	Reason string `json:"reason,omitempty"`

	// These fields identify the object. The note does not keep the object itself, because that
	// would keep its document in memory.
	apiVersion, kind, namespace, name string
}

func (n Note) String() string {
	object := printable.Text(n.Object)
	switch n.Action {
	case Skipped:
		return fmt.Sprintf("%s: left as it is: %s", object, printable.Text(n.Reason))
	case Noted:
		return object + ": " + printable.Text(n.Reason)
	case Unchanged:
		return object + ": already injected in the same way"
	}
	return fmt.Sprintf("%s: %s", object, n.Action)
}

// A Mistake says why an object, a document or a file could not be handled.
type Mistake struct {
	Object string // the kind and name; "" where the mistake is not about an object
	File   string
	Line   int
	Err    error
}

func (m Mistake) Error() string {
	if m.Object == "" {
		return m.Err.Error()
	}
	return fmt.Sprintf("%s: %v", printable.Text(m.Object), m.Err)
}

func (m Mistake) Unwrap() error { return m.Err }

// An Injector injects streams of manifests.
type Injector struct {
	options  Options
	renderer *renderer
}

// New returns an Injector. It fails where the settings are wrong.
func New(o Options) (*Injector, error) {
	r, err := newRenderer(o, o.Values)
	if err != nil {
		return nil, err
	}
	return &Injector{options: o, renderer: r}, nil
}

// A Result says what was done with a stream.
type Result struct {
	Notes    []Note
	Mistakes []Mistake
	// Objects counts the Kubernetes objects that were read, of any kind.
	Objects int
}

// window is the number of bytes of text that are worked on at once.
const window = 1 << 20

// Run reads the files and writes them to out as one stream, with all objects injected. Mistakes
// are known only when everything has been read and written, so out must be something that the
// caller can throw away. The memory that Run needs is bounded by the longest document. It
// returns an error only where writing to out fails, or where ctx ends.
func (in *Injector) Run(ctx context.Context, files []string, stdin io.Reader, out io.Writer) (Result, error) {
	var result Result
	read := 0
	w := &joiner{out: out, several: len(files) > 1}
	windows := make(chan chan []unit, runtime.GOMAXPROCS(0))
	workers, ctx := errgroup.WithContext(ctx)
	workers.Go(func() error {
		defer close(windows)
		var now []unit
		size, objects := 0, 0
		flush := func() error {
			units := now
			done := make(chan []unit, 1)
			now, size, objects = nil, 0, 0
			select {
			case windows <- done:
			case <-ctx.Done():
				return ctx.Err()
			}
			workers.Go(func() error {
				err := in.handle(units)
				done <- units
				return err
			})
			return nil
		}
		err := manifest.Read(files, stdin, func(d *manifest.Document) error {
			if len(now) > 0 && (size > window || objects >= batch) {
				if err := flush(); err != nil {
					return err
				}
			}
			now = append(now, unit{document: d})
			size += len(d.Text)
			objects += len(d.Objects())
			read += d.Count()
			return ctx.Err()
		})
		if err != nil || len(now) == 0 {
			return err
		}
		return flush()
	})
	var failed error
	for done := range windows {
		select {
		case units := <-done:
			for _, u := range units {
				result.Notes = append(result.Notes, u.notes...)
				result.Mistakes = append(result.Mistakes, u.mistakes...)
				if failed == nil {
					failed = w.write(u.document, u.text)
				}
			}
		case <-ctx.Done():
		}
	}
	err := workers.Wait()
	result.Objects = read
	if err != nil {
		return result, err
	}
	return result, failed
}

// A joiner writes the documents of several files as one stream. Where one file ends and the
// next one begins, it adds the separator that is missing. A single file is a stream already.
type joiner struct {
	out     io.Writer
	several bool
	last    []byte // the text of the document that was written last
}

func (j *joiner) write(d *manifest.Document, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if j.several && j.last != nil {
		text = bytes.TrimPrefix(text, []byte("\ufeff")) // a byte order mark may stand only at the start of a stream
		if len(text) == 0 {
			return nil
		}
		text = append(j.separator(text), text...)
	}
	j.last = text
	_, err := j.out.Write(text)
	return err
}

var (
	opened = regexp.MustCompile(`^---(?:\s|$)`)
	closed = regexp.MustCompile(`(?m)^\.\.\.[ \t\r]*\n?\z`)
)

// separator returns the text that has to stand between the last document and the next one.
func (j *joiner) separator(text []byte) []byte {
	var s []byte
	if j.last[len(j.last)-1] != '\n' {
		s = append(s, '\n')
	}
	switch {
	case opened.Match(text), closed.Match(j.last):
	case text[0] == '%':
		s = append(s, "...\n"...)
	default:
		s = append(s, "---\n"...)
		if text[0] == '\n' { // both documents are JSON
			s = s[:len(s)-1]
		}
	}
	return s
}

// errLost is the mistake of an object that --uninject would not restore to the byte.
var errLost = errors.New("cannot be injected so that --uninject gives it back to the byte")
