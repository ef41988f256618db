package loopback

import (
	"errors"
	"net/netip"
	"syscall"
	"time"
)

// Errors that a caller tells apart; any other error is the kernel's.
var (
	// ErrTimeout means that no answer came within the limit.
	ErrTimeout = errors.New("no answer in time")
	// ErrNoReply means that the server took the request and closed the
	// connection without a word, as some proxies do on their way out.
	ErrNoReply = errors.New("connection closed without a reply")
	// ErrNotHTTP means that what came back was not HTTP.
	ErrNotHTTP = errors.New("the answer is not HTTP")
)

// A Request is one request, ready to be sent any number of times. It is not
// safe for concurrent use.
type Request struct {
	Method string
	URL    URL
	bytes  []byte
	reply  [statusLine]byte
}

// statusLine is how much of an answer is read: "HTTP/1.1 200" and the space or
// line end behind it. Nothing else in it is of interest here.
const statusLine = len("HTTP/1.1 200 ")

// NewRequest prepares a request without a body.
func NewRequest(method string, u URL) *Request {
	text := method + " " + u.path + " HTTP/1.1\r\n" +
		"Host: " + u.host + "\r\n" +
		"User-Agent: jobmesh-wrap\r\n" +
		"Content-Length: 0\r\n" +
		"Connection: close\r\n\r\n"
	return &Request{Method: method, URL: u, bytes: []byte(text)}
}

// String returns the request as "METHOD URL".
func (r *Request) String() string { return r.Method + " " + r.URL.Text }

// Do sends the request and returns the status code of the answer. limit bounds
// the whole exchange.
func (r *Request) Do(limit time.Duration) (status int, err error) {
	deadline := time.Now().Add(limit)
	for _, addr := range r.URL.addrs {
		var fd int
		if fd, err = dial(addr, deadline); err == nil {
			status, err = r.exchange(fd, deadline)
			_ = syscall.Close(fd) // the answer is read or lost by now
			return status, err
		}
	}
	return 0, err
}

// Refuses reports whether nobody listens at the URL any more: every one of its
// addresses refuses the connection.
func (u URL) Refuses(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for _, addr := range u.addrs {
		fd, err := dial(addr, deadline)
		if err == nil {
			_ = syscall.Close(fd) // only the connect was of interest
		}
		if !IsRefused(err) {
			return false
		}
	}
	return true
}

// IsRefused reports whether err says that nobody listens there. An address
// family that the pod does not have counts too.
func IsRefused(err error) bool {
	switch err {
	case syscall.ECONNREFUSED, syscall.EAFNOSUPPORT, syscall.EADDRNOTAVAIL, syscall.ENETUNREACH:
		return true
	}
	return false
}

func (r *Request) exchange(fd int, deadline time.Time) (int, error) {
	for sent := 0; sent < len(r.bytes); {
		n, err := retry(fd, syscall.SO_SNDTIMEO, deadline, func() (int, error) {
			// MSG_NOSIGNAL: a server that closed early must not raise SIGPIPE.
			return syscall.SendmsgN(fd, r.bytes[sent:], nil, nil, syscall.MSG_NOSIGNAL)
		})
		if err != nil {
			return 0, noReply(err)
		}
		sent += n
	}
	got := 0
	for got < statusLine {
		n, err := retry(fd, syscall.SO_RCVTIMEO, deadline, func() (int, error) {
			return syscall.Read(fd, r.reply[got:])
		})
		if err != nil {
			return 0, noReply(err)
		}
		if n == 0 {
			break
		}
		got += n
	}
	if got == 0 {
		return 0, ErrNoReply
	}
	return parseStatus(r.reply[:got])
}

// noReply folds the two ways in which a server goes away into one.
func noReply(err error) error {
	if err == syscall.ECONNRESET || err == syscall.EPIPE {
		return ErrNoReply
	}
	return err
}

// parseStatus reads the status code out of "HTTP/1.x NNN" and what follows.
func parseStatus(line []byte) (int, error) {
	const version, code = len("HTTP/1."), len("HTTP/1.1 ")
	if len(line) < code+3 || string(line[:version]) != "HTTP/1." || line[code-1] != ' ' {
		return 0, ErrNotHTTP
	}
	status := 0
	for _, c := range line[code : code+3] {
		if c < '0' || c > '9' {
			return 0, ErrNotHTTP
		}
		status = status*10 + int(c-'0')
	}
	if len(line) > code+3 && line[code+3] != ' ' && line[code+3] != '\r' && line[code+3] != '\n' {
		return 0, ErrNotHTTP
	}
	return status, nil
}

// dial connects a blocking socket. The limit is the kernel's own: connect
// honours SO_SNDTIMEO on Linux.
func dial(addr netip.AddrPort, deadline time.Time) (int, error) {
	for {
		fd, err := dialOnce(addr, deadline)
		// A signal that lands in this thread breaks off connect (sockets with
		// a timeout are not restarted, see signal(7)); a fresh socket is the
		// simplest way to go on.
		if err != syscall.EINTR {
			return fd, err
		}
	}
}

func dialOnce(addr netip.AddrPort, deadline time.Time) (int, error) {
	family := syscall.AF_INET
	if addr.Addr().Is6() {
		family = syscall.AF_INET6
	}
	fd, err := syscall.Socket(family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = setTimeout(fd, syscall.SO_SNDTIMEO, deadline); err == nil {
		if family == syscall.AF_INET {
			err = syscall.Connect(fd, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()})
		} else {
			err = syscall.Connect(fd, &syscall.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()})
		}
	}
	if err == nil {
		return fd, nil
	}
	_ = syscall.Close(fd) // the first error is the one to tell
	if err == syscall.EINPROGRESS || err == syscall.EAGAIN {
		err = ErrTimeout
	}
	return -1, err
}

// retry runs one blocking call under what is left of the deadline, again when
// a signal broke it off.
func retry(fd, option int, deadline time.Time, call func() (int, error)) (int, error) {
	for {
		if err := setTimeout(fd, option, deadline); err != nil {
			return 0, err
		}
		n, err := call()
		switch err {
		case nil:
			return n, nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, ErrTimeout
		default:
			return 0, err
		}
	}
}

func setTimeout(fd, option int, deadline time.Time) error {
	left := time.Until(deadline)
	// The kernel takes 0 for "no limit", and rounds down to microseconds.
	if left < time.Microsecond {
		return ErrTimeout
	}
	tv := syscall.NsecToTimeval(left.Nanoseconds())
	return syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, option, &tv)
}
