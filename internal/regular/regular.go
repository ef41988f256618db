// Package regular reads regular files only, up to a length that the caller gives. In a folder
// where others may write, a name may be a device, which has no end, or a FIFO, whose reader
// waits for ever.
package regular

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"
)

// ErrKind is the cause of an error where a name is not that of a regular file.
var ErrKind = errors.New("is not a regular file")

// ErrTooLarge is the cause of an error where a file has more bytes than allowed.
var ErrTooLarge = errors.New("is larger than allowed")

// ReadFile returns the content of a regular file with at most limit bytes. It follows links.
func ReadFile(path string, limit int64) ([]byte, error) {
	f, err := Open(path)
	if err != nil {
		return nil, err
	}
	return readAll(f, path, limit)
}

// ReadIn does the same below a folder. It does not follow links out of the folder.
func ReadIn(root *os.Root, path string, limit int64) ([]byte, error) {
	f, err := OpenIn(root, path)
	if err != nil {
		return nil, err
	}
	return readAll(f, path, limit)
}

// ReadAny returns the content of any file that a user has named, such as a pipe of the shell,
// if it has at most limit bytes.
func ReadAny(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return readAll(f, path, limit)
}

// Open opens a regular file for reading. It follows links.
func Open(path string) (*os.File, error) {
	// The kind is checked before the file is opened, because opening some devices has an
	// effect.
	stat, err := os.Stat(path)
	if err == nil {
		err = kindOf(stat, path)
	}
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return checked(f, path, err)
}

// OpenIn does the same below a folder. It does not follow links out of the folder.
func OpenIn(root *os.Root, path string) (*os.File, error) {
	stat, err := root.Stat(path)
	if err == nil {
		err = kindOf(stat, path)
	}
	if err != nil {
		return nil, err
	}
	f, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	return checked(f, path, err)
}

// checked checks the opened file, because the name may stand for another file by then.
func checked(f *os.File, path string, err error) (*os.File, error) {
	if err != nil {
		return nil, err
	}
	stat, err := f.Stat()
	if err == nil {
		err = kindOf(stat, path)
	}
	if err != nil {
		_ = f.Close() // nothing was written to it
		return nil, err
	}
	return f, nil
}

func kindOf(stat fs.FileInfo, path string) error {
	var what string
	switch mode := stat.Mode(); {
	case mode.IsRegular():
		return nil
	case mode.IsDir():
		return &os.PathError{Op: "read", Path: path, Err: syscall.EISDIR}
	case mode&fs.ModeNamedPipe != 0:
		what = "a named pipe"
	case mode&fs.ModeSocket != 0:
		what = "a socket"
	case mode&fs.ModeDevice != 0:
		what = "a device"
	default:
		what = "something else"
	}
	return &os.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: it is %s", ErrKind, what)}
}

func readAll(f *os.File, path string, limit int64) ([]byte, error) {
	defer func() { _ = f.Close() }() // nothing was written to it
	tooLarge := &os.PathError{Op: "read", Path: path, Err: fmt.Errorf("%w: it has more than %d bytes", ErrTooLarge, limit)}
	stat, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if stat.Size() > limit {
		return nil, tooLarge
	}
	content := make([]byte, 0, stat.Size()+1)
	// The file may grow while it is read.
	in := io.LimitReader(f, limit+1)
	for {
		if len(content) == cap(content) {
			content = append(content, 0)[:len(content)]
		}
		n, err := in.Read(content[len(content):cap(content)])
		content = content[:len(content)+n]
		switch {
		case int64(len(content)) > limit:
			return nil, tooLarge
		case errors.Is(err, io.EOF):
			return content, nil
		case err != nil:
			return nil, err
		}
	}
}
