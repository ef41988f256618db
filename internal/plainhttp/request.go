// Package plainhttp sends single HTTP requests, without TLS: to the admin
// endpoints of a proxy in the same pod, and to what a Job waits for.
//
// It promises what net/http does not: no proxy variables, no redirects, no
// connection reuse but in a Session, a bounded amount read, and a hard limit on the
// time of each request. It costs the wrapper 4 MB less.
package plainhttp

import (
	"errors"
	"strings"
	"syscall"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// Errors that a caller tells apart, beside those of sock.
var (
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
	URL    address.URL
	// Addresses are tried in order until one accepts.
	Addresses []sock.Address

	bytes []byte
	reply [statusLine]byte
}

// statusLine is how much of an answer is read: "HTTP/1.1 200" and the space or
// line end behind it.
const statusLine = len("HTTP/1.1 200 ")

// bodyLimit bounds what Body reads, the head of the answer included.
const bodyLimit = 16 << 10

// NewRequest prepares a request without a body. headers are lines of the form
// "Name: value".
func NewRequest(method string, u address.URL, addresses []sock.Address, headers ...string) *Request {
	r := &Request{Method: method, URL: u, Addresses: addresses}
	r.bytes = r.text(append([]string{"Connection: close"}, headers...)...)
	return r
}

// text is what goes over the wire.
func (r *Request) text(headers ...string) []byte {
	text := r.Method + " " + r.URL.Path + " HTTP/1.1\r\n" +
		"Host: " + r.URL.Authority + "\r\n" +
		"User-Agent: jobmesh-wrap\r\n" +
		"Content-Length: 0\r\n"
	for _, h := range headers {
		text += h + "\r\n"
	}
	return []byte(text + "\r\n")
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

// Do sends the request and returns the status code of the answer.
func (r *Request) Do(p sock.Patience) (status int, err error) {
	n, err := r.send(p, r.reply[:])
	if err != nil {
		return 0, err
	}
	return parseStatus(r.reply[:n])
}

// Body is Do for an answer whose body is wanted. It is cut off at 16 KiB less
// the head of the answer, or at the deadline.
func (r *Request) Body(p sock.Patience) (status int, body string, err error) {
	reply := make([]byte, bodyLimit)
	n, err := r.send(p, reply)
	if err != nil {
		return 0, "", err
	}
	status, err = parseStatus(reply[:min(n, statusLine)])
	_, body, _ = strings.Cut(string(reply[:n]), "\r\n\r\n")
	return status, body, err
}

// send sends the request and fills reply with the answer, as far as it goes.
func (r *Request) send(p sock.Patience, reply []byte) (n int, err error) {
	c, err := r.connect(p)
	if err != nil {
		return 0, err
	}
	defer c.Close()
	return exchange(c, r.bytes, reply, len(reply), p)
}

// connect connects to the first address that accepts.
func (r *Request) connect(p sock.Patience) (c sock.Conn, err error) {
	err = sock.ErrTimeout
	for _, to := range r.Addresses {
		if c, err = sock.Connect(sock.Stream, to, p); err == nil {
			return c, nil
		}
	}
	return c, err
}

// exchange sends a request and reads until there are as many bytes as are wanted,
// the server closes or the time is over; an answer that has begun by then counts.
func exchange(c sock.Conn, request, reply []byte, wanted int, p sock.Patience) (got int, err error) {
	if err := c.Send(request, p); err != nil {
		return 0, noReply(err)
	}
	for got < wanted {
		n, err := c.Receive(reply[got:], p)
		if err == sock.ErrInterrupted || err != nil && got < statusLine {
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
	return got, nil
}

// noReply folds the two ways in which a server goes away into one.
func noReply(err error) error {
	if err == syscall.ECONNRESET || err == syscall.EPIPE {
		return ErrNoReply
	}
	return err
}

// Refused reports whether nobody listens at the request's URL any more: every
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
		// The others say something of this side: no such family, or no port left.
		refused = refused || err == syscall.ECONNREFUSED
	}
	return refused
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
