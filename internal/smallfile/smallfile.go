// Package smallfile opens regular files and nothing else, and reads them whole, up to a
// bound, with system calls alone. The files of package os can be waited for, copied by the
// kernel and listed with all that is known of them. That would add 90 KB to the wrapper,
// which needs none of it.
package smallfile

import (
	"errors"
	"syscall"
)

// ErrNotRegular is the cause where the name is that of something else than a regular file.
var ErrNotRegular = errors.New("is not a regular file")

// Read returns the content of a regular file, or its first limit bytes. It waits for
// nobody: not for the other end of a named pipe. Links are followed: in the kubelet's
// volumes every file is one. Other errors are those of the system calls.
func Read(path string, limit int) (string, error) {
	fd, err := Open(path, syscall.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer func() { _ = syscall.Close(fd) }() // only read
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return "", err
	}
	// Files of /proc have no size before they are read.
	text := make([]byte, 0, min(limit, max(int(stat.Size)+1, 512)))
	for len(text) < limit {
		if len(text) == cap(text) {
			text = append(text, 0)[:len(text)]
		}
		n, err := syscall.Read(fd, text[len(text):min(cap(text), limit)])
		switch {
		case err == syscall.EINTR:
			continue
		case err != nil:
			return "", err
		case n == 0:
			return string(text), nil
		}
		text = text[:len(text)+n]
	}
	return string(text), nil
}

// Open opens a regular file as the flags of open(2) in how say, and a file that it makes
// may be read by everybody and written by its owner. It waits for nobody: not for the other
// end of a named pipe, and not for who holds a lease on the file. No program that this
// process starts or becomes inherits the file. For anything but a regular file the error is
// ErrNotRegular or that of the system call; NotRegular knows them all.
func Open(path string, how int) (fd int, err error) {
	const never = syscall.O_NONBLOCK | syscall.O_NOCTTY | syscall.O_CLOEXEC
	for {
		if fd, err = syscall.Open(path, how|never, 0o644); err != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return -1, err
	}
	var stat syscall.Stat_t
	if err = syscall.Fstat(fd, &stat); err == nil && stat.Mode&syscall.S_IFMT != syscall.S_IFREG {
		err = ErrNotRegular
	}
	if err != nil {
		_ = syscall.Close(fd) // nothing was written to it
		return -1, err
	}
	return fd, nil
}

// NotRegular reports whether an error of Open says that there is something else than a
// regular file: a link that was not to be followed (ELOOP), a socket, a pipe or a device
// that nobody serves (ENXIO, ENODEV), or a directory that was to be written (EISDIR).
func NotRegular(err error) bool {
	switch err {
	case ErrNotRegular, syscall.ELOOP, syscall.ENXIO, syscall.ENODEV, syscall.EISDIR:
		return true
	}
	return false
}
