// Package plainhttp sends single HTTP requests, without TLS: to the admin endpoints of a proxy
// in the same pod, and to servers that a Job waits for.
//
// It guarantees what net/http does not: no proxy variables, no redirects, one connection for
// each request, a limit on the bytes that are read, and a hard limit on the time of each
// request. The wrapper is 4 MB smaller than with net/http.
package plainhttp

import (
	"bytes"
	"errors"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// These are the errors that callers distinguish, beside those of sock.
var (
	// ErrNoReply means that the server accepted the request and closed the connection without
	// an answer, as some proxies do when they stop.
	ErrNoReply = errors.New("connection closed without a reply")
	// ErrNotHTTP means that the answer was not HTTP.
	ErrNotHTTP = errors.New("the answer is not HTTP")
)

// A Request is one request, ready to be sent any number of times. It is not
// safe for concurrent use.
type Request struct {
	Method string
	URL    address.URL
	// Addresses are tried in order until one accepts the connection.
	Addresses []sock.Address

	bytes []byte
	reply []byte // the answer to the last try; allocated by the first one that connects
}

// statusLine is the number of bytes from which the status of an answer can be read:
// "HTTP/1.1 200" and the space or line end behind it.
const statusLine = len("HTTP/1.1 200 ")

const (
	// bodyLimit is the number of bytes that are read of an answer, including its head.
	bodyLimit = 16 << 10
	// restLimit is how long the rest of an answer is waited for once its status is known.
	restLimit = time.Second
)

// NewRequest prepares a request without a body. headers are lines of the form
// "Name: value".
func NewRequest(method string, u address.URL, addresses []sock.Address, headers ...string) *Request {
	text := method + " " + u.Path + " HTTP/1.1\r\n" +
		"Host: " + u.Authority + "\r\n" +
		"User-Agent: jobmesh-wrap\r\n" +
		"Content-Length: 0\r\n" +
		"Connection: close\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	return &Request{Method: method, URL: u, Addresses: addresses, bytes: []byte(text + "\r\n")}
}

// NewLocal prepares a request to a URL that address.ParseLocal has read.
func NewLocal(method string, u address.URL, headers ...string) *Request {
	var addresses []sock.Address
	for _, ip := range u.Local() {
		addresses = append(addresses, sock.To(ip, u.Port))
	}
	return NewRequest(method, u, addresses, headers...)
}

// String returns the request as "METHOD URL".
func (r *Request) String() string { return r.Method + " " + r.URL.Text }

// Do sends the request and returns the status code of the answer. It reads the answer to its
// end, within restLimit and bodyLimit. Closing earlier would reset a server that writes head
// and body separately, and some servers act on the request only after both.
func (r *Request) Do(p sock.Patience) (status int, err error) {
	status, _, err = r.Body(p)
	return status, err
}

// Body is Do for an answer whose body is needed. The body is cut off at 16 KiB less the head of
// the answer, or when the time is over.
func (r *Request) Body(p sock.Patience) (status int, body string, err error) {
	c, err := r.connect(p)
	if err != nil {
		return 0, "", err
	}
	defer c.Close()
	if r.reply == nil {
		r.reply = make([]byte, bodyLimit)
	}
	answer, err := exchange(c, r.bytes, r.reply, p)
	if err != nil {
		return 0, "", err
	}
	status, err = parseStatus(answer[:min(len(answer), statusLine)])
	head, rest, _ := bytes.Cut(answer, headEnd)
	return status, string(content(head, rest)), err
}

// exchange sends a request and returns the answer, without the answers of status 1xx that
// precede it (RFC 9110, section 15.2). An answer that has begun counts, even if the connection
// breaks.
func exchange(c sock.Conn, request, reply []byte, p sock.Patience) (answer []byte, err error) {
	if err := c.Send(request, p); err != nil {
		return nil, noReply(err)
	}
	got, known := 0, false
	for got < len(reply) {
		n, err := c.Receive(reply[got:], p)
		if err == sock.ErrInterrupted || err != nil && !known {
			return nil, noReply(err)
		}
		if n == 0 {
			break
		}
		got += n
		answer = afterInterim(reply[:got])
		if len(answer) < statusLine {
			continue
		}
		status, err := parseStatus(answer[:statusLine])
		if err != nil || !isInterim(status) && complete(answer, status) {
			break // the answer is complete
		}
		if !known && !isInterim(status) {
			known = true
			if limit := time.Now().Add(restLimit); limit.Before(p.Deadline) {
				p.Deadline = limit
			}
		}
	}
	switch {
	case len(answer) == 0 && got == len(reply):
		return nil, ErrNotHTTP // interim answers filled the whole buffer
	case len(answer) == 0:
		return nil, ErrNoReply
	case len(answer) >= statusLine:
		if status, err := parseStatus(answer[:statusLine]); err == nil && isInterim(status) {
			return nil, ErrNotHTTP // only a truncated interim answer arrived
		}
	}
	return answer, nil
}

// isInterim reports whether a status says that the answer follows. 101 does not: a server sends
// it when it continues in another protocol, and no answer follows.
func isInterim(status int) bool { return status >= 100 && status <= 199 && status != 101 }

// afterInterim returns what stands behind the complete interim answers.
func afterInterim(answer []byte) []byte {
	for {
		status, err := parseStatus(answer[:min(len(answer), statusLine)])
		_, rest, whole := bytes.Cut(answer, headEnd)
		if err != nil || !isInterim(status) || !whole {
			return answer
		}
		answer = rest
	}
}

var headEnd = []byte("\r\n\r\n")

// connect connects to the first address that accepts a connection.
func (r *Request) connect(p sock.Patience) (c sock.Conn, err error) {
	err = sock.ErrTimeout
	for _, to := range r.Addresses {
		if c, err = sock.Connect(sock.Stream, to, p); err == nil {
			return c, nil
		}
	}
	return c, err
}

// noReply turns the two ways in which a server closes a connection into one error.
func noReply(err error) error {
	if err == syscall.ECONNRESET || err == syscall.EPIPE {
		return ErrNoReply
	}
	return err
}

// Refused reports whether nobody listens at the request's URL any more, which means that every
// one of its addresses refuses the connection.
func (r *Request) Refused(limit time.Duration) bool {
	p := sock.For(limit, nil)
	refused := false
	for _, to := range r.Addresses {
		c, err := sock.Connect(sock.Stream, to, p)
		if err == nil {
			c.Close()
		}
		if !sock.IsRefused(err) {
			return false
		}
		// Other errors come from this side: an address family that does not exist, or no free
		// port.
		refused = refused || err == syscall.ECONNREFUSED
	}
	return refused
}

// parseStatus reads the status code from a line such as "HTTP/1.x NNN".
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
