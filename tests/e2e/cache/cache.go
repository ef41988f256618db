// Package cache keeps what takes long to make in folders that outlive the runs, each complete or not there at all.
package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is a folder of such folders. It may be removed at any time.
type Dir string

// OfUser is the one of whoever runs the tests.
func OfUser() (Dir, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	return Dir(filepath.Join(dir, "jobmesh", "e2e")), nil
}

// Folder returns the folder of that name. When it is not there yet, make fills a new one, which gets the name when it is
// complete; of two that make the same at a time, either will do. The name has to tell apart all that a version of these
// tests may look for.
func (d Dir) Folder(name string, make func(folder string) error) (string, error) {
	final := filepath.Join(string(d), name)
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(string(d), 0o755); err != nil {
		return "", err
	}
	unfinished, err := os.MkdirTemp(string(d), "."+name+"-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(unfinished)
	if err := make(unfinished); err != nil {
		return "", err
	}
	if err := os.Rename(unfinished, final); err != nil && !errors.Is(err, fs.ErrExist) { // another run was faster
		return "", err
	}
	return final, nil
}
