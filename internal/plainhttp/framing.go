package plainhttp

import (
	"bytes"
	"strconv"
)

// complete reports whether an answer to a GET or POST says itself that it is complete (RFC
// 9112, section 6.3), so that the client need not wait until the server closes the connection.
// It returns false where that is in doubt.
func complete(answer []byte, status int) bool {
	head, body, whole := bytes.Cut(answer, headEnd)
	if !whole {
		return false
	}
	f, sound := readFraming(head)
	switch {
	case !sound:
		return false
	case status == 204 || status == 304:
		return len(body) == 0
	case f.chunked:
		return endsChunks(body)
	}
	return f.length == len(body)
}

// A framing is what the head of an answer says about the end of its body.
type framing struct {
	length  int // -1 where the head does not say
	chunked bool
}

// readFraming reads a head. The result sound is false where the head is ambiguous.
func readFraming(head []byte) (f framing, sound bool) {
	f = framing{length: -1}
	if bytes.Count(head, []byte("\n")) != bytes.Count(head, newLine) {
		return f, false // some servers and clients accept a bare line feed as the end of a line
	}
	_, head, _ = bytes.Cut(head, newLine)
	for len(head) > 0 {
		var line []byte
		line, head, _ = bytes.Cut(head, newLine)
		name, value, ok := bytes.Cut(line, []byte(":"))
		value = bytes.Trim(value, " \t")
		switch {
		case !ok:
			return f, false
		case bytes.EqualFold(name, []byte("content-length")):
			n, err := strconv.ParseUint(string(value), 10, 31)
			if err != nil || f.length >= 0 || f.chunked {
				return f, false
			}
			f.length = int(n)
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			if !bytes.EqualFold(value, []byte("chunked")) || f.length >= 0 || f.chunked {
				return f, false
			}
			f.chunked = true
		}
	}
	return f, true
}

var newLine = []byte("\r\n")

// endsChunks reports whether a body in chunks (RFC 9112, section 7.1), without extensions and
// trailers, ends exactly where the text does.
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

// content returns a body without the framing of its chunks, as far as it has arrived.
func content(head, body []byte) []byte {
	if f, sound := readFraming(head); !sound || !f.chunked {
		return body
	}
	var whole []byte
	for {
		size, rest, _ := bytes.Cut(body, newLine)
		size, _, _ = bytes.Cut(size, []byte(";"))
		n, err := strconv.ParseUint(string(bytes.TrimSpace(size)), 16, 30)
		if err != nil || n == 0 {
			return whole
		}
		whole = append(whole, rest[:min(int(n), len(rest))]...)
		if len(rest) < int(n)+len(newLine) {
			return whole
		}
		body = rest[int(n)+len(newLine):]
	}
}
