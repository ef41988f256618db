//go:build !windows

// Package replace writes files in one step: whoever reads one sees its old content or
// its new, and never a part. A file that is being written is beside the one it replaces,
// under that name with a dot before it and digits behind.
package replace

import (
	"io/fs"

	"github.com/google/renameio/v2"
)

// Pending is a file that is written, and has not replaced the other yet.
type Pending = renameio.PendingFile

// Prepare begins a file with exactly this mode.
func Prepare(path string, mode fs.FileMode) (*Pending, error) {
	return renameio.NewPendingFile(path, renameio.WithStaticPermissions(mode))
}

// File writes a file as os.WriteFile does: a mode of its own stays, and a new one gets
// what the umask leaves.
func File(path string, content []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, content, mode)
}

// Exactly writes a file with exactly this mode.
func Exactly(path string, content []byte, mode fs.FileMode) error {
	return renameio.WriteFile(path, content, mode, renameio.WithStaticPermissions(mode))
}
