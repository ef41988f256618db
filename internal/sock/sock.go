// Package sock connects sockets and sends bytes over them. Each call has a deadline and can be
// interrupted, and runs in the caller's own thread.
//
// It replaces package net in the wrapper, which is 0.5 MB larger on disk and 0.4 MB in memory
// when it links net. A call blocks for one short slice at a time and looks at the clock in
// between. A call in another thread would cost ten times as much.
package sock

import (
	"errors"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
)

// These are the errors that callers distinguish; any other error is the kernel's.
var (
	// ErrTimeout means that the deadline passed.
	ErrTimeout = errors.New("no answer in time")
	// ErrInterrupted means that the caller asked to stop waiting.
	ErrInterrupted = errors.New("interrupted")
)

// Patience says how long a call may take.
type Patience struct {
	Deadline time.Time
	// Interrupted is called between slices; once it returns true, the call ends with
	// ErrInterrupted. It may be nil.
	Interrupted func() bool
}

// For returns a patience that ends after a duration.
func For(limit time.Duration, interrupted func() bool) Patience {
	return Patience{Deadline: time.Now().Add(limit), Interrupted: interrupted}
}

func (p Patience) spent() error {
	if p.Interrupted != nil && p.Interrupted() {
		return ErrInterrupted
	}
	if !time.Now().Before(p.Deadline) {
		return ErrTimeout
	}
	return nil
}

// sliceLength is the longest time by which a deadline or an interruption is noticed late.
const sliceLength = 20 * time.Millisecond

var slice = syscall.NsecToTimeval(sliceLength.Nanoseconds())

// An Address is an IP address with a port.
type Address struct {
	family   int
	sockaddr syscall.Sockaddr
}

// To returns an address of that port.
func To(ip address.IP, port uint16) Address {
	if four, ok := ip.Four(); ok {
		return Address{syscall.AF_INET, &syscall.SockaddrInet4{Port: int(port), Addr: four}}
	}
	return Address{syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(port), Addr: ip.Sixteen()}}
}

// A Kind is a kind of socket.
type Kind int

// These are the kinds of sockets.
const (
	Stream   Kind = syscall.SOCK_STREAM
	Datagram Kind = syscall.SOCK_DGRAM
)

// A Conn is a connected socket.
type Conn struct{ fd int }

// Connect connects a socket.
func Connect(kind Kind, to Address, p Patience) (Conn, error) {
	fd, err := syscall.Socket(to.family, int(kind)|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return Conn{-1}, err
	}
	if err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &slice); err == nil {
		if err = connect(fd, to, p); err == nil {
			err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &slice)
		}
	}
	if err != nil {
		_ = syscall.Close(fd) // the first error is reported
		return Conn{-1}, err
	}
	return Conn{fd}, nil
}

// connect waits for a connection in slices: on Linux, connect(2) respects SO_SNDTIMEO, and
// continues the same attempt when it is called again.
func connect(fd int, to Address, p Patience) error {
	for {
		err := syscall.Connect(fd, to.sockaddr)
		switch err {
		case nil, syscall.EISCONN:
			return nil
		case syscall.EINTR, syscall.EINPROGRESS, syscall.EALREADY, syscall.EAGAIN:
			if err := p.spent(); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

// Send sends bytes that fit into the socket's buffer.
func (c Conn) Send(content []byte, p Patience) error {
	_, err := retry(p, func() (int, error) {
		// MSG_NOSIGNAL keeps a peer that has closed early from raising SIGPIPE.
		return syscall.SendmsgN(c.fd, content, nil, nil, syscall.MSG_NOSIGNAL)
	})
	return err
}

// Receive reads the bytes that have arrived, and waits for some where there are none. 0 bytes
// mean that the peer has closed.
func (c Conn) Receive(into []byte, p Patience) (int, error) {
	// The deadline counts while bytes arrive, too: a peer that sends slowly must not block the
	// caller.
	if err := p.spent(); err != nil {
		return 0, err
	}
	return retry(p, func() (int, error) { return syscall.Read(c.fd, into) })
}

// Close closes the socket. It ignores a failure, about which nothing can be done.
func (c Conn) Close() { _ = syscall.Close(c.fd) }

// retry repeats a call that returned because its slice was over or a signal arrived.
func retry(p Patience, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR && err != syscall.EAGAIN {
			return max(n, 0), err
		}
		if err := p.spent(); err != nil {
			return 0, err
		}
	}
}

// IsRefused reports whether err says that nobody listens at the address. An address family that
// the pod does not have counts too.
func IsRefused(err error) bool {
	switch err {
	case syscall.ECONNREFUSED, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, syscall.ENETUNREACH:
		return true
	}
	return false
}
