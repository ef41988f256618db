package loopback

import (
	"errors"
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
	// ErrInterrupted means that the caller asked to stop waiting.
	ErrInterrupted = errors.New("interrupted")
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
// the whole exchange. interrupted, which may be nil, is asked every now and then
// while nothing happens; once it says true, Do returns ErrInterrupted.
func (r *Request) Do(limit time.Duration, interrupted func() bool) (status int, err error) {
	deadline := time.Now().Add(limit)
	for i := range r.URL.addrs {
		var fd int
		if fd, err = r.URL.addrs[i].dial(deadline, interrupted); err == nil {
			status, err = r.exchange(fd, deadline, interrupted)
			_ = syscall.Close(fd) // the answer is read or lost by now
			return status, err
		}
	}
	return 0, err
}

// Refuses reports whether nobody listens at the URL any more: every one of its
// addresses refuses the connection.
func (u *URL) Refuses(limit time.Duration) bool {
	deadline := time.Now().Add(limit)
	for i := range u.addrs {
		fd, err := u.addrs[i].dial(deadline, nil)
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

func (r *Request) exchange(fd int, deadline time.Time, interrupted func() bool) (int, error) {
	// A request is smaller than any socket buffer, so one call takes it whole.
	// MSG_NOSIGNAL: a server that closed early must not raise SIGPIPE.
	if _, err := retry(deadline, interrupted, func() (int, error) {
		return syscall.SendmsgN(fd, r.bytes, nil, nil, syscall.MSG_NOSIGNAL)
	}); err != nil {
		return 0, noReply(err)
	}
	got := 0
	for got < statusLine {
		n, err := retry(deadline, interrupted, func() (int, error) { return syscall.Read(fd, r.reply[got:]) })
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

// slice is how long one system call may block, so that deadlines and
// interruptions are seen in time without a second thread: handing a request to
// a goroutine of its own costs ten times what the request does.
var slice = syscall.NsecToTimeval((20 * time.Millisecond).Nanoseconds())

// dial connects a blocking socket whose calls block for one slice each. Connect
// honours SO_SNDTIMEO on Linux.
func (a *address) dial(deadline time.Time, interrupted func() bool) (int, error) {
	for {
		fd, err := a.dialOnce()
		switch err {
		case syscall.EINTR, syscall.EINPROGRESS, syscall.EAGAIN:
			// A signal that landed in this thread, or a full backlog: a fresh
			// socket is the simplest way to go on.
			if err := spent(deadline, interrupted); err != nil {
				return -1, err
			}
		default:
			return fd, err
		}
	}
}

func (a *address) dialOnce() (int, error) {
	fd, err := syscall.Socket(a.family, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	if err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &slice); err == nil {
		if err = syscall.Connect(fd, a.sockaddr); err == nil {
			err = syscall.SetsockoptTimeval(fd, syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &slice)
		}
	}
	if err != nil {
		_ = syscall.Close(fd) // the first error is the one to tell
		return -1, err
	}
	return fd, nil
}

// retry repeats a call that came back because its slice was over or a signal
// arrived, for as long as there is time.
func retry(deadline time.Time, interrupted func() bool, call func() (int, error)) (int, error) {
	for {
		n, err := call()
		if err != syscall.EINTR && err != syscall.EAGAIN {
			return n, err
		}
		if err := spent(deadline, interrupted); err != nil {
			return 0, err
		}
	}
}

func spent(deadline time.Time, interrupted func() bool) error {
	if interrupted != nil && interrupted() {
		return ErrInterrupted
	}
	if !time.Now().Before(deadline) {
		return ErrTimeout
	}
	return nil
}
