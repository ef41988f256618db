package loopback

import (
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		addrs, host, path string
	}{
		"http://127.0.0.1:4191/ready":     {"127.0.0.1:4191", "127.0.0.1:4191", "/ready"},
		"http://127.0.0.1":                {"127.0.0.1:80", "127.0.0.1", "/"},
		"http://127.0.0.1?x=1":            {"127.0.0.1:80", "127.0.0.1", "/?x=1"},
		"http://127.0.0.1/a/b?c=d#e":      {"127.0.0.1:80", "127.0.0.1", "/a/b?c=d"},
		"http://[::1]:9090/startup":       {"[::1]:9090", "[::1]:9090", "/startup"},
		"http://[::1]":                    {"[::1]:80", "[::1]", "/"},
		"http://localhost:4191/":          {"127.0.0.1:4191 [::1]:4191", "localhost:4191", "/"},
		"http://127.0.0.1:80/%20?a=b%0d":  {"127.0.0.1:80", "127.0.0.1:80", "/%20?a=b%0d"},
		"http://127.0.0.1:1/http://[::1]": {"127.0.0.1:1", "127.0.0.1:1", "/http://[::1]"},
	} {
		u, err := Parse(text)
		require.NoError(t, err, text)
		var addrs []string
		for _, a := range u.addrs {
			switch to := a.sockaddr.(type) {
			case *syscall.SockaddrInet4:
				addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom4(to.Addr), uint16(to.Port)).String())
			case *syscall.SockaddrInet6:
				addrs = append(addrs, netip.AddrPortFrom(netip.AddrFrom16(to.Addr), uint16(to.Port)).String())
			}
		}
		assert.Equal(t, want.addrs, strings.Join(addrs, " "), text)
		assert.Equal(t, want.host, u.host, text)
		assert.Equal(t, want.path, u.path, text)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, words := range map[string]string{
		"":                           "does not start with http://",
		"https://127.0.0.1":          "does not start with http://",
		"127.0.0.1:80":               "does not start with http://",
		"http://":                    "has no host",
		"http://:80":                 "has no host",
		"http://127.0.0.1:":          "port from 1 to 65535",
		"http://127.0.0.1:0":         "port from 1 to 65535",
		"http://127.0.0.1:65536":     "port from 1 to 65535",
		"http://127.0.0.1:+80":       "port from 1 to 65535",
		"http://::1/":                "has no host",
		"http://[::1/":               "has a [ without its ]",
		"http://[::1]80/":            "something other than a port",
		"http://[127.0.0.1]/":        "not an IPv6 address",
		"http://[fe80::1]/":          "needs localhost, an IPv4 address or [::1]",
		"http://user@127.0.0.1/":     "needs localhost",
		"http://127.0.0.01/":         "needs localhost",
		"http://127.0.0/":            "needs localhost",
		"http://127.0.0.1.1/":        "needs localhost",
		"http://127.0.0.256/":        "needs localhost",
		"http://127.0.0./":           "needs localhost",
		"http://127.0.0.1/a b":       "space or control",
		"http://127.0.0.1/\r\nX: y":  "space or control",
		"http://example.org/":        "needs localhost",
		"http://localhost.evil:80/x": "needs localhost",
	} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, words, text)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("http://127.0.0.1:4191/ready?x")
	f.Add("http://[::1]:1/")
	f.Fuzz(func(t *testing.T, text string) {
		u, err := Parse(text)
		if err != nil {
			return
		}
		// What goes on the wire is one request and nothing behind it.
		wire := string(NewRequest("GET", u).bytes)
		assert.Equal(t, 1, strings.Count(wire, "\r\n\r\n"), text)
		assert.Equal(t, 5, strings.Count(wire, "\n")-1, text)
		assert.NotEmpty(t, u.addrs)
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

// Each server misbehaves in its own way, for real.
func TestDoAgainstServersThatMisbehave(t *testing.T) {
	const limit = 300 * time.Millisecond
	hold := func(c net.Conn) { time.Sleep(2 * limit); _ = c.Close() }
	for name, c := range map[string]struct {
		serve  func(net.Conn)
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
			serve: func(c net.Conn) { _, _ = c.Write([]byte("HTTP/1.1 200 OK\r\n\r\n")); hold(c) }, status: 200,
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
		"never answers":     {serve: hold, err: ErrTimeout},
		"drips and starves": {serve: func(c net.Conn) { _, _ = c.Write([]byte("HTTP")); hold(c) }, err: ErrTimeout},
		"closes":            {serve: func(c net.Conn) { _, _ = c.Read(make([]byte, 512)); _ = c.Close() }, err: ErrNoReply},
		"resets":            {serve: func(c net.Conn) { _ = c.(*net.TCPConn).SetLinger(0); _ = c.Close() }, err: ErrNoReply},
		"speaks garbage":    {serve: func(c net.Conn) { _, _ = c.Write([]byte("220 smtp.example ESMTP\r\n")); hold(c) }, err: ErrNotHTTP},
		"half an answer": {
			serve: func(c net.Conn) {
				_, _ = c.Read(make([]byte, 512))
				_, _ = c.Write([]byte("HTTP/1.1 20"))
				_ = c.Close()
			}, err: ErrNotHTTP,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			defer func() { _ = listener.Close() }()
			go func() {
				if conn, err := listener.Accept(); err == nil {
					c.serve(conn)
				}
			}()
			u, err := Parse("http://" + listener.Addr().String() + "/ready")
			require.NoError(t, err)
			start := time.Now()
			status, err := NewRequest("GET", u).Do(limit, nil)
			assert.Equal(t, c.status, status)
			assert.Equal(t, c.err, err)
			assert.Less(t, time.Since(start), limit+200*time.Millisecond)
		})
	}
}

func TestInterruption(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	u, err := Parse("http://" + listener.Addr().String() + "/")
	require.NoError(t, err)
	start := time.Now()
	_, err = NewRequest("GET", u).Do(time.Minute, func() bool { return time.Since(start) > 100*time.Millisecond })
	assert.ErrorIs(t, err, ErrInterrupted)
	assert.Less(t, time.Since(start), time.Second)
}

func TestRefuses(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	u, err := Parse("http://localhost:" + strings.TrimPrefix(listener.Addr().String(), "127.0.0.1:") + "/")
	require.NoError(t, err)
	assert.False(t, u.Refuses(time.Second))
	require.NoError(t, listener.Close())
	assert.True(t, u.Refuses(time.Second))
	_, err = NewRequest("GET", u).Do(time.Second, nil)
	assert.True(t, IsRefused(err), "%v", err)
}
