package resolve

import (
	"errors"
	"math/rand/v2"
	"strings"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// Limits of RFC 1035.
const (
	maxLabel    = 63
	maxName     = 253
	maxDatagram = 4096 // no server sends more
)

// errDamaged means that a message ends too early, or does not answer the question.
var errDamaged = errors.New("name server sent a damaged answer")

// A query is a question, and the message in which it goes to a server.
type query struct {
	id       uint16
	question dnsmessage.Question
	bytes    []byte
}

// newQuery makes a query for the addresses of one kind that a full name has. A name that DNS
// cannot encode is a name that is not found.
func newQuery(name string, kind dnsmessage.Type) (query, error) {
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > maxLabel || len(name) > maxName {
			return query{}, ErrNotFound
		}
	}
	q := query{id: uint16(rand.Uint32())}
	q.question = dnsmessage.Question{Type: kind, Class: dnsmessage.ClassINET}
	var err error
	if q.question.Name, err = dnsmessage.NewName(name + "."); err != nil {
		return query{}, ErrNotFound
	}
	b := dnsmessage.NewBuilder(nil, dnsmessage.Header{ID: q.id, RecursionDesired: true})
	if err = b.StartQuestions(); err == nil {
		err = b.Question(q.question)
	}
	if err == nil {
		q.bytes, err = b.Finish()
	}
	return q, err
}

// exchange sends the query over UDP, and again over TCP where the answer did not fit into a
// datagram.
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
		header, _, err := q.open(answer[:n])
		switch {
		case err != nil:
			// This answer is late, forged or damaged. The right one may still arrive.
		case header.Truncated:
			return q.exchangeStream(server, p)
		default:
			return answer[:n], nil
		}
	}
}

// exchangeStream sends the query over TCP, where each message has its length in front.
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
	return answer, fill(c, answer, p)
}

// fill reads until the buffer is full.
func fill(c sock.Conn, into []byte, p sock.Patience) error {
	for len(into) > 0 {
		n, err := c.Receive(into, p)
		if err != nil {
			return err
		}
		if n == 0 {
			return errDamaged
		}
		into = into[n:]
	}
	return nil
}

// open reads a message up to its answers. It fails where the message does not respond to this
// question; names are compared without regard to case.
func (q query) open(message []byte) (dnsmessage.Header, *dnsmessage.Parser, error) {
	var parser dnsmessage.Parser
	header, err := parser.Start(message)
	if err != nil || !header.Response || header.ID != q.id {
		return header, nil, errDamaged
	}
	asked, err := parser.AllQuestions()
	if err != nil || len(asked) != 1 || asked[0].Type != q.question.Type || asked[0].Class != q.question.Class ||
		!strings.EqualFold(asked[0].Name.String(), q.question.Name.String()) {
		return header, nil, errDamaged
	}
	return header, &parser, nil
}

// read returns the addresses in an answer. Addresses of an alias count, because a recursive
// server sends the whole chain. A name that does not exist has no addresses.
func (q query) read(message []byte) ([]address.IP, error) {
	header, parser, err := q.open(message)
	switch {
	case err != nil:
		return nil, err
	case header.RCode == dnsmessage.RCodeNameError:
		return nil, nil
	case header.RCode != dnsmessage.RCodeSuccess:
		return nil, ErrServer
	}
	var found []address.IP
	for {
		record, err := parser.AnswerHeader()
		if err == dnsmessage.ErrSectionDone {
			return found, nil
		}
		if err != nil {
			return nil, errDamaged
		}
		switch {
		case record.Type != q.question.Type:
			err = parser.SkipAnswer()
		case record.Type == dnsmessage.TypeA:
			var a dnsmessage.AResource
			if a, err = parser.AResource(); err == nil {
				found = append(found, address.IPv4(a.A))
			}
		default:
			var aaaa dnsmessage.AAAAResource
			if aaaa, err = parser.AAAAResource(); err == nil {
				found = append(found, address.IPv6(aaaa.AAAA))
			}
		}
		if err != nil {
			return nil, errDamaged
		}
	}
}
