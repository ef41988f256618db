package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/rogpeppe/go-internal/diff"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
	"github.com/jobmesh/jobmesh/internal/replace"
)

// maxMends is the largest number of corrections in one document. One mistake may only appear
// when another one is corrected, as a misspelt key in the wrong place.
const maxMends = 1000

// unneeded is the rule about a wrapper that a native sidecar has made superfluous.
const unneeded = "JM605"

// A mender corrects what has one mechanical fix.
type mender struct {
	linter    *lint.Linter
	admission *admission
	out       io.Writer // gets the differences; nil where the files are written
}

// check returns the findings about an object as it is written, but for those that policies of
// the cluster make superfluous.
func (m *mender) check(o manifest.Object) []lint.Finding {
	found := m.linter.Check(o)
	if len(found) == 0 || !m.admission.has(o) {
		return found
	}
	admitted, err := m.admission.admitObjects(o)
	if err != nil {
		return nil // the check that follows says so
	}
	stays := map[string]bool{}
	place := func(f lint.Finding) string { return f.Rule.ID + " " + f.FieldPath + " " + f.Container }
	for _, f := range admitted.check(m.linter, o) {
		stays[place(f)] = true
	}
	return slices.DeleteFunc(found, func(f lint.Finding) bool { return !stays[place(f)] })
}

// mend corrects files, or shows how it would, and returns the number of mistakes. An input that
// cannot be read is left to the check that follows.
func (m *mender) mend(ctx context.Context, files []string) (int, error) {
	total := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue
		}
		fixed, count, err := m.stream(ctx, file, text)
		if err != nil {
			return total, err
		}
		if bytes.Equal(text, fixed) {
			continue
		}
		total += count
		if m.out == nil {
			err = overwrite(file, fixed)
		} else {
			_, err = m.out.Write(diff.Diff(file, text, file, fixed))
		}
		if err != nil {
			return total, fault.New(fault.LocalIO, err)
		}
	}
	return total, nil
}

// stream returns a corrected stream, and the number of mistakes in it. It returns the stream
// unchanged where a document of it cannot be read.
func (m *mender) stream(ctx context.Context, file string, text []byte) (fixed []byte, count int, err error) {
	var out bytes.Buffer
	unread := false
	err = manifest.Scan(file, bytes.NewReader(text), func(d *manifest.Document) error {
		if d.Err != nil {
			unread = true
			return nil
		}
		mended, n, err := m.document(ctx, d)
		count += n
		out.Write(mended)
		return errors.Join(err, ctx.Err())
	})
	if err != nil || unread {
		return text, 0, err
	}
	return out.Bytes(), count, nil
}

// document corrects one document. It leaves a mistake whose correction would change something
// else.
func (m *mender) document(ctx context.Context, d *manifest.Document) (text []byte, count int, err error) {
	left := map[string]bool{}
	for range maxMends {
		next, did := m.once(d, left)
		if !did {
			break
		}
		d = next
		count++
	}
	for {
		next, did := m.moved(d, left)
		if !did {
			break
		}
		d = next
		count++
	}
	text, n, err := m.uninjected(ctx, d)
	return text, count + n, err
}

// once applies the corrections of the first finding that has some and is not in left; it adds
// to left the findings whose corrections were not possible. Misspelt keys are corrected before
// keys are moved, because only a correctly spelt key shows where it belongs.
func (m *mender) once(d *manifest.Document, left map[string]bool) (*manifest.Document, bool) {
	var found []lint.Finding
	for _, o := range d.Objects() {
		found = append(found, m.check(o)...)
	}
	slices.SortStableFunc(found, func(a, b lint.Finding) int { return len(a.Mends) - len(b.Mends) })
	for _, f := range found {
		id := f.Rule.ID + " " + f.FieldPath
		if len(f.Mends) == 0 || left[id] {
			continue
		}
		if next, err := patch.Mended(d, f.Mends); err == nil {
			return next, true
		}
		left[id] = true
	}
	return d, false
}

// moved makes native sidecars, as jobmesh inject does, of the containers of the first finding
// that this corrects.
func (m *mender) moved(d *manifest.Document, left map[string]bool) (*manifest.Document, bool) {
	for _, o := range d.Objects() {
		for _, f := range m.check(o) {
			id := f.Rule.ID + " " + o.Path.String() + " " + f.Container
			if len(f.Moves) == 0 || left[id] {
				continue
			}
			left[id] = true // each finding is tried once
			if next, err := inject.Nativize(library.LibraryChart, d, o.Path, f.Moves); err == nil {
				return next, true
			}
		}
	}
	return d, false
}

// uninjected removes what jobmesh inject has put into a document, where no object in it needs
// that any more.
func (m *mender) uninjected(ctx context.Context, d *manifest.Document) ([]byte, int, error) {
	count := 0
	for _, o := range d.Objects() {
		if manifest.Get(o.Node, "metadata", "annotations", inject.Record) == nil {
			continue
		}
		if !slices.ContainsFunc(m.check(o), func(f lint.Finding) bool { return f.Rule.ID == unneeded }) {
			return d.Text, 0, nil
		}
		count++
	}
	if count == 0 {
		return d.Text, 0, nil
	}
	injector, err := inject.New(inject.Options{Library: library.LibraryChart, Uninject: true})
	if err != nil {
		return nil, 0, err
	}
	var out bytes.Buffer
	result, err := injector.Run(ctx, []string{manifest.Stdin}, bytes.NewReader(d.Text), &out)
	if err != nil {
		return nil, 0, err
	}
	if len(result.Mistakes) > 0 {
		return d.Text, 0, nil // the injected parts were edited since
	}
	return out.Bytes(), count, nil
}

// overwrite replaces the text of a file atomically. A symbolic link stays one.
func overwrite(file string, text []byte) error {
	file, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	return replace.File(file, text, 0o644) // an existing file keeps its mode
}

// mendable refuses inputs that cannot be written back.
func (l *lintRun) mendable(flag string, files []string) error {
	for _, file := range files {
		if _, held := l.held[file]; held {
			name := file
			if name == manifest.Stdin {
				name = "stdin"
			}
			return fault.New(fault.Usage, fmt.Errorf("--%s: %s is not a file that can be changed", flag, name), "jobmesh lint --"+flag+" manifests/")
		}
	}
	return nil
}

// mend does what --fix or --diff asks for.
func (l *lintRun) mend(ctx context.Context, streams Streams, o lintOptions, linter *lint.Linter, files []string) error {
	m, flag, done := &mender{linter: linter, admission: l.admission}, "fix", "put right"
	if o.diff {
		m.out, flag, done = streams.Out, "diff", "to correct with --fix"
	}
	if err := l.mendable(flag, files); err != nil {
		return err
	}
	fixed, err := m.mend(ctx, files)
	if fixed > 0 {
		note(streams)(plural(fixed, "mistake") + " " + done)
	}
	return err
}
