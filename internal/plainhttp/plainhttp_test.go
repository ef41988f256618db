package plainhttp

import (
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// local returns a request to a server of this test.
func local(t *testing.T, method, url string, headers ...string) *Request {
	t.Helper()
	u, err := address.ParseLocal(url)
	require.NoError(t, err)
	return NewLocal(method, u, headers...)
}

func FuzzRequest(f *testing.F) {
	f.Add("http://127.0.0.1:4191/ready?x")
	f.Add("http://[::1]:1/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := address.Parse(text)
		if err != nil {
			return
		}
		// The bytes that are sent are one request and nothing behind it.
		wire := string(NewRequest("GET", u, nil).bytes)
		assert.Equal(t, 1, strings.Count(wire, "\r\n\r\n"), text)
		assert.Equal(t, 5, strings.Count(wire, "\n")-1, text)
	})
}

func TestParseStatus(t *testing.T) {
	for line, want := range map[string]int{
		"HTTP/1.1 200 ": 200, "HTTP/1.0 503\r": 503, "HTTP/1.1 204": 204, "HTTP/1.1 404\n": 404,
	} {
		got, err := parseStatus([]byte(line))
		require.NoError(t, err, line)
		assert.Equal(t, want, got, line)
	}
	for _, line := range []string{"", "HTTP/1.1", "HTTP/1.1 2x0 ", "HTTP/2 200 OK", "HTTP/1.1 2000", "SSH-2.0-OpenSSH", "HTTP/1.1200 "} {
		_, err := parseStatus([]byte(line))
		assert.ErrorIs(t, err, ErrNotHTTP, line)
	}
}

func FuzzParseStatus(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK"))
	f.Fuzz(func(t *testing.T, line []byte) {
		if status, err := parseStatus(line); err == nil {
			assert.LessOrEqual(t, status, 999)
		}
	})
}

// Each of these real servers misbehaves in its own way.
func TestDoAgainstServersThatMisbehave(t *testing.T) {
	const brief, plenty = 300 * time.Millisecond, time.Minute
	for name, c := range map[string]struct {
		serve  func(net.Conn) // leaves the connection open
		status int
		err    error
	}{
		"answers in pieces": {
			serve: func(c net.Conn) {
				for _, b := range []byte("HTTP/1.1 200 OK\r\n\r\n") {
					_, _ = c.Write([]byte{b})
					time.Sleep(time.Millisecond)
				}
				_ = c.Close()
			}, status: 200,
		},
		"answers and keeps the connection": {
			serve: func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")) }, status: 200,
		},
		"floods": {
			serve: func(c net.Conn) {
				_, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n"))
				for range 10_000 {
					if _, err := c.Write(make([]byte, 4096)); err != nil {
						break
					}
				}
				_ = c.Close()
			}, status: 200,
		},
		"says something before it answers": {
			serve: func(c net.Conn) {
				_, _ = c.Write([]byte("HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 20"))
				time.Sleep(time.Millisecond)
				_, _ = c.Write([]byte("4 No Content\r\n\r\n"))
			}, status: 204,
		},
		"says something and then no more": {
			serve: func(c net.Conn) { halfClose(c, "HTTP/1.1 103 Early Hints\r\n\r\n") }, err: ErrNoReply,
		},
		"says something without an end": {
			serve: func(c net.Conn) { halfClose(c, "HTTP/1.1 103 Early Hints\r\n") }, err: ErrNotHTTP,
		},
		"changes the protocol": {
			serve: func(c net.Conn) { halfClose(c, "HTTP/1.1 101 Switching Protocols\r\n\r\n") }, status: 101,
		},
		"hints for ever": {
			serve: func(c net.Conn) {
				for {
					if _, err := c.Write([]byte("HTTP/1.1 103 Early Hints\r\n\r\n")); err != nil {
						return
					}
					time.Sleep(time.Millisecond)
				}
			}, err: sock.ErrTimeout,
		},
		"never answers":     {serve: func(net.Conn) {}, err: sock.ErrTimeout},
		"drips and starves": {serve: func(c net.Conn) { _, _ = c.Write([]byte("HTTP")) }, err: sock.ErrTimeout},
		"closes":            {serve: func(c net.Conn) { _, _ = c.Read(make([]byte, 512)); _ = c.Close() }, err: ErrNoReply},
		"resets":            {serve: func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }, err: ErrNoReply},
		"speaks garbage":    {serve: func(c net.Conn) { _, _ = c.Write([]byte("220 smtp.example ESMTP\r\n")) }, err: ErrNotHTTP},
		"half an answer": {
			serve: func(c net.Conn) {
				_, _ = c.Read(make([]byte, 512))
				_, _ = c.Write([]byte("HTTP/1.1 20"))
				_ = c.Close()
			}, err: ErrNotHTTP,
		},
		// These servers say that no more bytes follow, and still listen.
		"half-closes without a word":       {serve: func(c net.Conn) { halfClose(c, "") }, err: ErrNoReply},
		"half-closes behind half a code":   {serve: func(c net.Conn) { halfClose(c, "HTTP/1.1 20") }, err: ErrNotHTTP},
		"half-closes behind a bare status": {serve: func(c net.Conn) { halfClose(c, "HTTP/1.1 204") }, status: 204},
		"half-closes behind its answer":    {serve: func(c net.Conn) { halfClose(c, "HTTP/1.1 503 Busy\r\n\r\n") }, status: 503},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { _ = listener.Close() }()
			done := make(chan struct{})
			defer close(done)
			go func() {
				if conn, err := listener.Accept(); err == nil {
					c.serve(conn)
					<-done
					_ = conn.Close()
				}
			}()
			request := local(t, "GET", "http://"+listener.Addr().String()+"/ready")
			patience := sock.For(plenty, nil)
			if c.err == sock.ErrTimeout {
				patience = sock.For(brief, nil)
			}
			status, err := request.Do(patience)
			assert.Equal(t, c.status, status)
			assert.Equal(t, c.err, err)
			if c.err == sock.ErrTimeout {
				assert.False(t, time.Now().Before(patience.Deadline), "it gave up early")
			} else {
				assert.True(t, time.Now().Before(patience.Deadline), "there is nothing to wait for")
			}
		})
	}
}

// halfClose sends an answer, or the beginning of one, and closes that direction.
func halfClose(c net.Conn, answer string) {
	_, _ = c.Write([]byte(answer))
	_ = c.(*net.TCPConn).CloseWrite()
}

func TestBody(t *testing.T) {
	for answer, want := range map[string]string{
		"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":       "{}",
		"HTTP/1.1 200 OK\r\n\r\n":                              "",
		"HTTP/1.1 200 OK\r\n":                                  "",
		"HTTP/1.1 200 OK\r\n\r\n" + strings.Repeat("x", 1<<20): strings.Repeat("x", bodyLimit-len("HTTP/1.1 200 OK\r\n\r\n")),
	} {
		for _, keeps := range []bool{false, true} { // whether the server keeps the connection open
			t.Run(fmt.Sprintf("%.40q, open %v", answer, keeps), func(t *testing.T) {
				t.Parallel()
				listener, err := net.Listen("tcp", "127.0.0.1:0")
				require.NoError(t, err)
				defer func() { _ = listener.Close() }()
				go func() {
					if c, err := listener.Accept(); err == nil {
						_, _ = c.Read(make([]byte, 512))
						_, _ = c.Write([]byte(answer))
						if keeps {
							_, _ = io.Copy(io.Discard, c) // returns when the client closes
						}
						_ = c.Close()
					}
				}()
				patience := time.Minute
				if keeps {
					patience = 2 * time.Second // the client waits for all of it, because more bytes could arrive
				}
				request := local(t, "GET", "http://"+listener.Addr().String()+"/env.json?X")
				status, body, err := request.Body(sock.For(patience, nil))
				require.NoError(t, err)
				assert.Equal(t, 200, status)
				assert.Equal(t, want, body)
			})
		}
	}
}

func TestRefused(t *testing.T) {
	refused, err := false, error(nil)
	for tries := 0; tries < 10 && !(refused && sock.IsRefused(err)); tries++ { // another program may take the port at once
		listener, listenErr := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, listenErr)
		request := local(t, "GET", "http://localhost:"+strings.TrimPrefix(listener.Addr().String(), "127.0.0.1:")+"/")
		assert.False(t, request.Refused(time.Minute))
		require.NoError(t, listener.Close())
		refused = request.Refused(time.Minute)
		_, err = request.Do(sock.For(time.Minute, nil))
	}
	assert.True(t, refused)
	assert.True(t, sock.IsRefused(err), "%v", err)

	// A request that was never sent says nothing about the server.
	unreachable := local(t, "GET", "http://255.255.255.255:1/")
	assert.False(t, unreachable.Refused(time.Second))
}

func TestHeadersAreSent(t *testing.T) {
	request := local(t, "POST", "http://127.0.0.1:1/x", "dapr-api-token: t")
	assert.Contains(t, string(request.bytes), "\r\ndapr-api-token: t\r\n\r\n")
}
