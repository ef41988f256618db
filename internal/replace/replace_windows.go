// Package replace writes files in one step: a reader sees the old content or the new one, and
// never a part. The library renameio does not support Windows. A rename replaces a file there
// too, unless another program has it open. Modes are ignored.
package replace

import (
	"io/fs"
	"os"
	"path/filepath"
)

// Pending is a written file that has not replaced the old one yet.
type Pending struct {
	*os.File
	path     string
	replaced bool
}

// Prepare creates a pending file.
func Prepare(path string, _ fs.FileMode) (*Pending, error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"*")
	if err != nil {
		return nil, err
	}
	return &Pending{File: f, path: path}, nil
}

// CloseAtomicallyReplace closes the file and replaces the old one by it.
func (p *Pending) CloseAtomicallyReplace() error {
	if err := p.Sync(); err != nil {
		return err
	}
	if err := p.Close(); err != nil {
		return err
	}
	if err := os.Rename(p.Name(), p.path); err != nil {
		return err
	}
	p.replaced = true
	return nil
}

// Cleanup removes the file unless it has replaced the old one.
func (p *Pending) Cleanup() error {
	if p.replaced {
		return nil
	}
	_ = p.Close() // it may be closed already
	return os.Remove(p.Name())
}

// File writes a file.
func File(path string, content []byte, mode fs.FileMode) error {
	return Exactly(path, content, mode)
}

// Exactly writes a file.
func Exactly(path string, content []byte, mode fs.FileMode) error {
	p, err := Prepare(path, mode)
	if err != nil {
		return err
	}
	if _, err = p.Write(content); err == nil {
		err = p.CloseAtomicallyReplace()
	}
	if err != nil {
		_ = p.Cleanup() // the first error is reported
	}
	return err
}
