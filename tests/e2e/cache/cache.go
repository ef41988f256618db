// Package cache keeps results that take long to make in folders that outlive the runs. A folder is complete or absent.
package cache

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Dir is the parent of such folders. It may be removed at any time.
type Dir string

// OfUser returns the Dir of the user who runs the tests.
func OfUser() (Dir, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	return Dir(filepath.Join(dir, "jobmesh", "e2e")), nil
}

// Folder returns the folder of that name. If it does not exist, make fills a new folder, which gets the name when it is
// complete. If two runs make the same folder at the same time, either result is used. The name must be different for
// everything that a version of these tests may need.
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
