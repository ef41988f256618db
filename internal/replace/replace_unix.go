//go:build !windows

// Package replace writes files in one step: a reader sees the old content or the new one, and
// never a part. While a file is written, it has a temporary name beside the old file: a dot,
// the name, and digits.
package replace

import (
	"io/fs"

	"github.com/google/renameio/v2"
)

// Pending is a written file that has not replaced the old one yet.
type Pending = renameio.PendingFile

// Prepare creates a pending file with exactly this mode.
func Prepare(path string, mode fs.FileMode) (*Pending, error) {
	return renameio.NewPendingFile(path, renameio.WithStaticPermissions(mode))
}

// File writes a file as os.WriteFile does: an existing file keeps its mode, and a new one gets
// this mode without the bits in the umask.
func File(path string, content []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, content, mode)
}

// Exactly writes a file with exactly this mode.
func Exactly(path string, content []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, content, mode, renameio.WithStaticPermissions(mode))
}
