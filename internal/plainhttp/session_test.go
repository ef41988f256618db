package plainhttp

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/sock"
)

// newSession is a session with a server that counts its connections.
func newSession(t *testing.T, serve func(net.Conn)) (s *Session, connections *atomic.Int32) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = listener.Close() })
	connections = new(atomic.Int32)
	go func() {
		for {
			c, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go serve(c)
		}
	}()
	request := local(t, "GET", "http://"+listener.Addr().String()+"/ready")
	s = NewSession(request)
	t.Cleanup(s.Close)
	return s, connections
}

// answering gives each request on a connection the next of the answers, and closes
// the connection behind the last.
func answering(answers ...string) func(net.Conn) {
	return func(c net.Conn) {
		defer func() { _ = c.Close() }()
		in := bufio.NewReader(c)
		for _, answer := range answers {
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			_, _ = io.WriteString(c, answer)
		}
	}
}

const busy = "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy"

func TestSessionKeepsItsConnectionForAWhile(t *testing.T) {
	s, connections := newSession(t, answering(strings.Split(strings.Repeat(busy+"|", 1000), "|")...))
	for range 10 {
		ask(t, s)
	}
	assert.EqualValues(t, 1, connections.Load())
	s.since = time.Now().Add(-2 * ageLimit)
	ask(t, s)
	assert.EqualValues(t, 2, connections.Load(), "who took the port over gets asked")
}

// ask gets the answer busy, over a connection that grows no older from here on, however
// slow this machine is.
func ask(t *testing.T, s *Session) {
	t.Helper()
	status, err := s.Do(sock.For(time.Minute, nil))
	require.NoError(t, err)
	assert.Equal(t, 503, status)
	if !s.since.IsZero() {
		s.since = time.Now().Add(time.Hour)
	}
}

// Whatever a server does with the connection, each request is answered.
func TestSessionOutlivesItsConnection(t *testing.T) {
	const ready = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
	for name, c := range map[string]struct {
		serve       func(net.Conn)
		connections int32
	}{
		"closed after each answer, as HTTP/1.0 does": {answering("HTTP/1.0 503 Busy\r\n\r\n"), 6},
		"closed, as announced":                       {answering("HTTP/1.1 503 Busy\r\nContent-Length: 0\r\nConnection: Close\r\n\r\n"), 6},
		"closed while idle":                          {answering(busy, busy), 3},
		"reset while idle": {func(c net.Conn) {
			_, _ = c.Read(make([]byte, 512))
			_, _ = io.WriteString(c, busy)
			time.Sleep(5 * time.Millisecond)
			_ = c.(*net.TCPConn).SetLinger(0)
			_ = c.Close()
		}, 6},
		"a body without an end": {answering("HTTP/1.1 503 Busy\r\n\r\nbusy"), 6},
		"a body that never comes": {func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 503 Busy\r\nContent-Length: 9\r\n\r\n")
			_, _ = io.Copy(io.Discard, c) // until the client closes
			_ = c.Close()
		}, 6},
		"a body that is too long": {answering("HTTP/1.1 503 Busy\r\nContent-Length: 5000\r\n\r\n" + strings.Repeat("x", 5000)), 6},
		"chunks, as Envoy does":   {answering(strings.Split(strings.Repeat("HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n|", 6), "|")...), 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, connections := newSession(t, c.serve)
			for range 6 {
				ask(t, s)
				time.Sleep(15 * time.Millisecond) // most of the time the server has closed by then
			}
			assert.Equal(t, c.connections, connections.Load())
		})
	}
	t.Run("one that hangs on an old connection", func(t *testing.T) {
		t.Parallel()
		var asked atomic.Int32
		s, _ := newSession(t, func(c net.Conn) {
			if asked.Add(1) == 1 {
				_, _ = c.Read(make([]byte, 512))
				_, _ = io.WriteString(c, busy)
				_, _ = io.Copy(io.Discard, c) // takes the next request, and says nothing
				return
			}
			answering(ready)(c)
		})
		ask(t, s)
		_, err := s.Do(sock.For(50*time.Millisecond, nil))
		assert.ErrorIs(t, err, sock.ErrTimeout)
		status, err := s.Do(sock.For(time.Minute, nil))
		require.NoError(t, err)
		assert.Equal(t, 200, status)
	})
}

// What is called complete is what net/http calls complete, with nothing behind it.
func FuzzReusable(f *testing.F) {
	for _, answer := range []string{
		busy,
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nabc",
		"HTTP/1.1 200 OK\r\ncontent-length:0\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n0\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\n a: b\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		status, err := parseStatus(answer[:min(len(answer), statusLine)])
		if err != nil || !reusable(answer, status) {
			return
		}
		in := bufio.NewReader(bytes.NewReader(answer))
		response, err := http.ReadResponse(in, &http.Request{Method: "GET"})
		if err != nil {
			return // net/http is stricter about what the head may hold
		}
		_, err = io.Copy(io.Discard, response.Body)
		assert.NoError(t, err)
		assert.False(t, response.Close, "%q", answer)
		_, err = in.ReadByte()
		assert.ErrorIs(t, err, io.EOF, "something is left of %q", answer)
	})
}
