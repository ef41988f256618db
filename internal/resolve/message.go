package resolve

import (
	"errors"
	"math/rand/v2"
	"strings"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// What of RFC 1035 and RFC 3596 is needed here.
const (
	typeA    uint16 = 1
	typeAAAA uint16 = 28
	classIN  uint16 = 1

	headerLength = 12
	recordHead   = 10
	maxLabel     = 63
	maxName      = 253
	maxDatagram  = 4096 // more than any server sends unasked

	flagResponse  = 0x80 // in the third byte
	flagTruncated = 0x02
	codeMask      = 0x0f // in the fourth
	codeNoName    = 3
)

// errShort means that a message ends inside of something.
var errShort = errors.New("name server sent a damaged answer")

// A query is a question as it goes on the wire.
type query struct {
	bytes []byte
	kind  uint16
}

func newQuery(name string, kind uint16) (query, error) {
	if name == "" || len(name) > maxName {
		return query{}, ErrNotFound
	}
	id := uint16(rand.Uint32())
	b := []byte{byte(id >> 8), byte(id), 1 /* recursion wanted */, 0, 0, 1, 0, 0, 0, 0, 0, 0}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel {
			return query{}, ErrNotFound
		}
		b = append(append(b, byte(len(label))), label...)
	}
	return query{bytes: append(b, 0, byte(kind>>8), byte(kind), byte(classIN>>8), byte(classIN)), kind: kind}, nil
}

// exchange sends the query, and again over TCP where the answer did not fit
// into a datagram.
func (q query) exchange(server sock.Address, p sock.Patience) ([]byte, error) {
	c, err := sock.Connect(sock.Datagram, server, p)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	if err := c.Send(q.bytes, p); err != nil {
		return nil, err
	}
	answer := make([]byte, maxDatagram)
	for {
		n, err := c.Receive(answer, p)
		if err != nil {
			return nil, err
		}
		if !q.answeredBy(answer[:n]) {
			continue // late, forged or damaged: the right one may still come
		}
		if answer[2]&flagTruncated == 0 {
			return answer[:n], nil
		}
		return q.exchangeStream(server, p)
	}
}

func (q query) exchangeStream(server sock.Address, p sock.Patience) ([]byte, error) {
	c, err := sock.Connect(sock.Stream, server, p)
	if err != nil {
		return nil, err
	}
	defer c.Close()
	length := len(q.bytes)
	if err := c.Send(append([]byte{byte(length >> 8), byte(length)}, q.bytes...), p); err != nil {
		return nil, err
	}
	head := make([]byte, 2)
	if err := fill(c, head, p); err != nil {
		return nil, err
	}
	answer := make([]byte, int(head[0])<<8|int(head[1]))
	if err := fill(c, answer, p); err != nil {
		return nil, err
	}
	if !q.answeredBy(answer) {
		return nil, errShort
	}
	return answer, nil
}

// fill reads until the buffer is full.
func fill(c sock.Conn, into []byte, p sock.Patience) error {
	for len(into) > 0 {
		n, err := c.Receive(into, p)
		if err != nil {
			return err
		}
		if n == 0 {
			return errShort
		}
		into = into[n:]
	}
	return nil
}

// answeredBy reports whether a message is a response to this very question. Its
// name is compared without regard to case.
func (q query) answeredBy(m []byte) bool {
	question := q.bytes[headerLength:]
	return len(m) >= len(q.bytes) && m[0] == q.bytes[0] && m[1] == q.bytes[1] &&
		m[2]&flagResponse != 0 && m[4] == 0 && m[5] == 1 &&
		strings.EqualFold(string(m[headerLength:headerLength+len(question)]), string(question))
}

// read returns the addresses in an answer. Those of an alias count: a recursive
// server sends the whole chain. A name that does not exist has none.
func (q query) read(m []byte) ([]address.IP, error) {
	switch m[3] & codeMask {
	case 0:
	case codeNoName:
		return nil, nil
	default:
		return nil, ErrServer
	}
	records := int(m[6])<<8 | int(m[7])
	at := len(q.bytes)
	var found []address.IP
	for range records {
		var ok bool
		if at, ok = skipName(m, at); !ok || at+recordHead > len(m) {
			return nil, errShort
		}
		kind := uint16(m[at])<<8 | uint16(m[at+1])
		length := int(m[at+8])<<8 | int(m[at+9])
		at += recordHead
		if at+length > len(m) {
			return nil, errShort
		}
		data := m[at : at+length]
		switch {
		case kind == q.kind && kind == typeA && length == 4:
			found = append(found, address.IPv4([4]byte(data)))
		case kind == q.kind && kind == typeAAAA && length == 16:
			found = append(found, address.IPv6([16]byte(data)))
		}
		at += length
	}
	return found, nil
}

// skipName returns the place behind a name, which may end in a pointer.
func skipName(m []byte, at int) (int, bool) {
	for at < len(m) {
		switch n := int(m[at]); {
		case n == 0:
			return at + 1, true
		case n >= 0xc0:
			return at + 2, at+2 <= len(m)
		case n > maxLabel:
			return at, false
		default:
			at += 1 + n
		}
	}
	return at, false
}
