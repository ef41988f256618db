// Package smallfile opens regular files only, and reads them whole, up to a limit, with system
// calls alone. The files of package os support polling, copying in the kernel and directory
// listings with metadata. That would add 90 KB to the wrapper, which needs none of it.
package smallfile

import (
	"errors"
	"syscall"
)

// ErrNotRegular is the cause of an error where a name is not that of a regular file.
var ErrNotRegular = errors.New("is not a regular file")

// Read returns the content of a regular file, or its first limit bytes. It does not wait for
// the other end of a named pipe. It follows links, because every file in the kubelet's volumes
// is one. Other errors are those of the system calls.
func Read(path string, limit int) (string, error) {
	fd, err := Open(path, syscall.O_RDONLY)
	if err != nil {
		return "", err
	}
	defer func() { _ = syscall.Close(fd) }() // nothing was written to it
	var stat syscall.Stat_t
	if err := syscall.Fstat(fd, &stat); err != nil {
		return "", err
	}
	// Files in /proc have size 0 before they are read.
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

// Open opens a regular file with the flags of open(2) in how. A file that it creates may be read
// by everybody and written by its owner. It waits neither for the other end of a named pipe nor
// for a process that holds a lease on the file. No program that this process starts or becomes
// inherits the file. For anything but a regular file the error is ErrNotRegular or that of the
// system call; NotRegular recognises all of them.
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

// NotRegular reports whether an error of Open says that the name is not that of a regular file:
// a link that must not be followed (ELOOP), a socket, a pipe or a device that nobody serves
// (ENXIO, ENODEV), or a directory that was to be written (EISDIR).
func NotRegular(err error) bool {
	switch err {
	case ErrNotRegular, syscall.ELOOP, syscall.ENXIO, syscall.ENODEV, syscall.EISDIR:
		return true
	}
	return false
}
