package plainhttp

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestComplete(t *testing.T) {
	for answer, want := range map[string]bool{
		"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbusy":                                        true,
		"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nbus":                                         false,
		"HTTP/1.1 503 Busy\r\n\r\n":                                                                 false, // it ends with the connection
		"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n":                                                false,
		"HTTP/1.1 204 No Content\r\n\r\n":                                                           true,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n":              true, // as Envoy does
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n":                       false,
		"HTTP/1.1 200 OK\r\nContent-Length: 0\nX: y\r\n\r\n":                                        false, // the head is ambiguous
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n":       false,
		"HTTP/1.0 200 OK\r\nconnection: close\r\ncontent-length: 2\r\nContent-Type: text\r\n\r\nok": true,
	} {
		status, err := parseStatus([]byte(answer)[:statusLine])
		assert.NoError(t, err)
		assert.Equal(t, want, complete([]byte(answer), status), "%q", answer)
	}
}

// Where complete says yes, net/http says so too, and reads nothing behind the answer.
func FuzzComplete(f *testing.F) {
	for _, answer := range []string{
		"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 4\r\n\r\nbusy",
		"HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7fffffff\r\nabc",
		"HTTP/1.1 200 OK\r\ncontent-length:0\r\nConnection: keep-alive\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n0\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\n a: b\r\nContent-Length: 0\r\n\r\n",
	} {
		f.Add([]byte(answer))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		status, err := parseStatus(answer[:min(len(answer), statusLine)])
		if err != nil || status < 200 || !bytes.HasPrefix(answer, []byte("HTTP/1.1 ")) || !complete(answer, status) {
			return
		}
		in := bufio.NewReader(bytes.NewReader(answer))
		response, err := http.ReadResponse(in, &http.Request{Method: "GET"})
		if err != nil {
			return // net/http is stricter about the head
		}
		_, err = io.Copy(io.Discard, response.Body)
		assert.NoError(t, err)
		_, err = in.ReadByte()
		assert.ErrorIs(t, err, io.EOF, "something is left of %q", answer)
	})
}

// Envoy answers in chunks.
func TestContent(t *testing.T) {
	const chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked"
	for _, c := range [][3]string{
		{chunked, "5\r\nLIVE\n\r\n0\r\n\r\n", "LIVE\n"},
		{chunked, "2\r\nLI\r\n2;x=y\r\nVE\r\n0\r\n\r\n", "LIVE"},
		{chunked, "5\r\nLI", "LI"},
		{chunked, "", ""},
		{chunked, "x\r\nLIVE", ""},
		{"HTTP/1.1 200 OK\r\nContent-Length: 2", "ok", "ok"},
		{"HTTP/1.1 200 OK", "5\r\nok", "5\r\nok"},
	} {
		assert.Equal(t, c[2], string(content([]byte(c[0]), []byte(c[1]))), "%q", c)
	}
}
