// Package inject puts the wrapper into manifests that nobody wrote for it. It does not
// know what injection looks like: it has the library chart inject each object, sees
// what that changed, and makes the same change in the text of the user.
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

// Options say how to inject.
type Options struct {
	// Library holds the library chart, in the folder library-chart.
	Library fs.FS
	// Image stands in the place of the wrapper's image that the library chart names.
	Image Image
	// Values are those of a chart that uses the library: its settings are under jobmesh
	// and global.jobmesh.
	Values map[string]any
	// From is how mistakes in them name them; empty is "values".
	From string
	// Lock is the content of a jobmesh.lock.yaml, nil for none.
	Lock []byte
	// Uninject takes out what was injected, instead.
	Uninject bool
}

// An Image names and pins the wrapper's image, as a packed chart does. What is empty is
// that of the library chart, which has a tag and no digest.
type Image struct{ Registry, Repository, Digest string }

// An Action is what became of an object.
type Action string

// The actions there are. An object that holds no pods to inject has no note, and so no
// action.
const (
	Injected  Action = "injected"
	Unchanged Action = "unchanged" // it was injected already, in the same way
	Skipped   Action = "skipped"   // left as it is, for a reason
	Restored  Action = "restored"  // what an earlier run had put in was taken out
	Noted     Action = "note"      // something to know, beside one of the others
)

// A Note says what became of one object.
type Note struct {
	Object string `json:"object"`
	File   string `json:"file"`
	Line   int    `json:"line"`
	Action Action `json:"action"`
	Reason string `json:"reason,omitempty"`

	// The object, without its document: notes outlive that.
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
		return object + ": as it should be already"
	}
	return fmt.Sprintf("%s: %s", object, n.Action)
}

// A Mistake is why an object, a document or a file could not be handled.
type Mistake struct {
	Object string // "" where there is none
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

// An Injector handles streams.
type Injector struct {
	options  Options
	renderer *renderer
}

// New checks the settings.
func New(o Options) (*Injector, error) {
	r, err := newRenderer(o, o.Values)
	if err != nil {
		return nil, err
	}
	return &Injector{options: o, renderer: r}, nil
}

// A Result is what became of a stream.
type Result struct {
	Notes    []Note
	Mistakes []Mistake
	// Objects counts the Kubernetes objects that were read, of any kind.
	Objects int
}

// window is how much text is worked on at once.
const window = 1 << 20

// Run writes the files, injected, to out, as one stream. Mistakes are known only when
// everything has been read and written, so out must be something that can be thrown away
// then. Memory is bounded by the longest document. The error is that of writing to out or
// of ctx.
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

// A joiner writes the documents of several files as one stream, with the separators that
// are missing where one file ends and the next begins. One file is a stream already.
type joiner struct {
	out     io.Writer
	several bool
	last    []byte // what was written last
}

func (j *joiner) write(d *manifest.Document, text []byte) error {
	if len(text) == 0 {
		return nil
	}
	if j.several && j.last != nil {
		text = bytes.TrimPrefix(text, []byte("\ufeff")) // it may open a stream only
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

// separator returns what has to stand before the text of the next document.
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
		if text[0] == '\n' { // between two values of JSON
			s = s[:len(s)-1]
		}
	}
	return s
}

// errLost is the mistake of an object whose record would not give back the input.
var errLost = errors.New("cannot be injected so that --uninject gives it back to the byte")
