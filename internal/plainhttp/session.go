package plainhttp

import (
	"bytes"
	"strconv"
	"time"

	"github.com/jobmesh/jobmesh/internal/sock"
)

// A Session sends one request again and again, over one connection for as long as
// the server keeps that open. Asked 200 times a second, a server on the loopback
// costs half of what it does with a connection each time. It is not safe for
// concurrent use.
type Session struct {
	Request *Request

	bytes []byte // of the request, without "Connection: close"
	reply [replyLimit]byte
	conn  sock.Conn
	since time.Time // of conn; zero where there is none
}

const (
	// replyLimit bounds what is read of an answer. The connection of one that is
	// longer is not used again.
	replyLimit = 1 << 10
	// ageLimit bounds the use of a connection: behind a port that somebody else has
	// taken over, it leads to who is on the way out.
	ageLimit = 100 * time.Millisecond
)

// NewSession prepares a session of a request that has no headers of its own.
func NewSession(r *Request) *Session { return &Session{Request: r, bytes: r.text()} }

// Do sends the request and returns the status code of the answer.
func (s *Session) Do(p sock.Patience) (status int, err error) {
	if time.Since(s.since) > ageLimit {
		s.Close()
	}
	if !s.since.IsZero() {
		// A server may close what is idle at any time: that says nothing.
		if status, err = s.exchange(p); err != ErrNoReply {
			return status, err
		}
	}
	if s.conn, err = s.Request.connect(p); err != nil {
		return 0, err
	}
	s.since = time.Now()
	return s.exchange(p)
}

// exchange asks over the connection, and keeps it where the answer allows that.
func (s *Session) exchange(p sock.Patience) (status int, err error) {
	n, err := exchange(s.conn, s.bytes, s.reply[:], statusLine, p)
	if err == nil {
		status, err = parseStatus(s.reply[:min(n, statusLine)])
	}
	if err != nil || !reusable(s.reply[:n], status) {
		s.Close()
	}
	if err == nil && isInterim(status) {
		return s.Request.Do(p) // rare enough to be asked again, by who reads on
	}
	return status, err
}

// Close closes the connection, if there is one.
func (s *Session) Close() {
	if !s.since.IsZero() {
		s.conn.Close()
		s.since = time.Time{}
	}
}

// reusable reports whether an answer to a GET is complete, and the server takes
// another request behind it (RFC 9112, sections 6.3 and 9.3). What is in doubt is
// not.
func reusable(answer []byte, status int) bool {
	head, body, whole := bytes.Cut(answer, headEnd)
	if !whole || !bytes.HasPrefix(head, []byte("HTTP/1.1 ")) || status < 200 {
		return false
	}
	f, sound := readFraming(head)
	return sound && f.keeps && f.endsWith(status, body)
}

// complete reports whether an answer says itself that nothing more belongs to it.
func complete(answer []byte, status int) bool {
	head, body, whole := bytes.Cut(answer, headEnd)
	if !whole {
		return false
	}
	f, sound := readFraming(head)
	return sound && f.endsWith(status, body)
}

// A framing is what the head of an answer says of the end of its body.
type framing struct {
	length  int // -1 where it does not say
	chunked bool
	keeps   bool // nothing says that the connection closes
}

// readFraming reads a head, which is not sound where it may mean several things.
func readFraming(head []byte) (f framing, sound bool) {
	f = framing{length: -1, keeps: true}
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, newLine) {
		return f, false // a line that ends otherwise is one for some, and none for others
	}
	_, head, _ = bytes.Cut(head, newLine)
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, newLine)
		name, value, ok := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		is := func(text []byte, word string) bool { return bytes.EqualFold(text, []byte(word)) }
		switch {
		case !ok:
			return f, false
		case is(name, "connection"):
			f.keeps = f.keeps && is(value, "keep-alive")
		case is(name, "content-length"):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || f.length >= 0 || f.chunked {
				return f, false
			}
			f.length = int(n)
		case is(name, "transfer-encoding"):
			if !is(value, "chunked") || f.length >= 0 || f.chunked {
				return f, false
			}
			f.chunked = true
		}
	}
	return f, true
}

// endsWith reports whether a body is whole, with nothing behind it.
func (f framing) endsWith(status int, body []byte) bool {
	switch {
	case status == 204 || status == 304:
		return len(body) == 0
	case f.chunked:
		return endsChunks(body)
	}
	return f.length == len(body)
}

var newLine = []byte("\r\n")

// endsChunks reports whether a body in chunks (RFC 9112, section 7.1), without
// extensions and trailers, ends just where the text does.
func endsChunks(body []byte) bool {
	for {
		size, rest, _ := bytes.Cut(body, newLine)
		n, err := strconv.ParseUint(string(size), 16, 30)
		if err != nil || len(rest) < int(n)+2 || !bytes.HasPrefix(rest[n:], newLine) {
			return false
		}
		if body = rest[n+2:]; n == 0 {
			return len(body) == 0
		}
	}
}
