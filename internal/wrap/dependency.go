package wrap

import (
	"errors"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/plainhttp"
	"github.com/jobmesh/jobmesh/internal/resolve"
	"github.com/jobmesh/jobmesh/internal/sock"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// lookLimit bounds one look at a dependency: a name server that does not answer
// has five seconds by default, and then the next one is asked.
const lookLimit = 30 * time.Second

// waitForDependencies waits for each in the order given: something that the Job needs
// and an ordinary init container could not wait for, because it runs before the proxy
// does. It returns false where one is not there in time or a signal ended the wait.
func (r *run) waitForDependencies() bool {
	start := time.Now()
	for _, d := range r.opts.WaitFor {
		began := time.Now()
		var last error
		done := r.poll(remaining(r.opts.WaitForTimeout, start), lookLimit, func(left time.Duration) bool {
			err := checkDependency(&d, sock.For(left, r.interrupted), len(r.plan.proxies) > 0)
			// A look that was cut short by the limit says nothing about the server, so
			// the error before it is the one to tell.
			if last == nil || err != sock.ErrTimeout {
				last = err
			}
			return err == nil
		})
		took := time.Since(began)
		switch {
		case r.ending != 0:
			r.logWaitEnded(d.Text, took)
			return false
		case !done:
			reason := "no answer"
			if last != nil {
				reason = describe(0, last)
			}
			r.logEvent(event{severity: failure, name: "dependency-not-ready", took: took,
				text: d.Text + " not ready after " + show(took) + ": " + reason,
				hint: "allow more time with --wait-for-timeout"})
			return false
		}
		r.logEvent(event{severity: info, name: "dependency-ready", took: took,
			text: d.Text + " ready after " + show(took)})
	}
	return true
}

// addressesOf resolves a name.
func addressesOf(host string, port uint16, p sock.Patience) ([]sock.Address, error) {
	ips, err := resolve.System().Lookup(host, p)
	addresses := make([]sock.Address, len(ips))
	for i, ip := range ips {
		addresses[i] = sock.To(ip, port)
	}
	return addresses, err
}

// checkDependency looks once whether a dependency is there. meshed says that a mesh proxy
// may stand between the wrapper and the dependency.
func checkDependency(d *wrapflags.Dependency, p sock.Patience, meshed bool) error {
	addresses, err := addressesOf(d.Host, d.Port, p)
	if err != nil {
		return err
	}
	if d.Scheme == "http" {
		status, err := plainhttp.NewRequest("GET", d.URL, addresses).Do(p)
		if err == nil && !success(status) {
			err = errors.New("answered " + itoa(status))
		}
		return err
	}
	for _, to := range addresses {
		var c sock.Conn
		if c, err = sock.Connect(sock.Stream, to, p); err == nil {
			if d.Scheme == "tls" {
				err = greetTLS(c, d.Host, p)
			} else if meshed {
				err = staysOpen(c, p)
			}
			c.Close()
			return err
		}
	}
	return err
}

// errClosed says that a connection was accepted and then closed.
var errClosed = errors.New("connection closed at once")

// staysOpen tells a server from a mesh proxy whose server is not there: the proxy accepts
// every connection by itself, and closes it when it cannot reach the server.
func staysOpen(c sock.Conn, p sock.Patience) error {
	const enough = 100 * time.Millisecond
	look := sock.For(enough, p.Interrupted)
	n, err := c.Receive(make([]byte, 1), look)
	switch {
	case err == sock.ErrTimeout, n > 0:
		return nil // a server that waits for us, or one that speaks first
	case err == nil:
		return errClosed
	}
	return err
}

// greetTLS sends the first message of a TLS handshake and looks whether what
// comes back is TLS. The certificate and the status of the page stay unseen:
// crypto/tls would make the wrapper two and a half times as large.
func greetTLS(c sock.Conn, host string, p sock.Patience) error {
	if err := c.Send(clientHello(host), p); err != nil {
		return err
	}
	// An alert will do, because it is all that a server has to say which speaks only
	// TLS 1.3.
	const alert, handshake = 21, 22
	head := make([]byte, 5)
	for got := 0; got < len(head); {
		n, err := c.Receive(head[got:], p)
		if err != nil {
			return err
		}
		if n == 0 {
			return errClosed
		}
		got += n
	}
	if head[0] != alert && head[0] != handshake || head[1] != 3 {
		return errors.New("the answer is not TLS")
	}
	return nil
}

// clientHello is a TLS 1.2 ClientHello (RFC 5246, section 7.4.1.2) with the
// server's name, and with cipher suites of which every server has one.
func clientHello(host string) []byte {
	suites := []byte{0xc0, 0x2f, 0xc0, 0x30, 0xc0, 0x2b, 0xc0, 0x2c, 0xcc, 0xa8, 0xcc, 0xa9, 0xc0, 0x13, 0xc0, 0x14, 0x00, 0x9c, 0x00, 0x2f}
	var extensions []byte
	if _, isIP := address.ParseIP(host); !isIP {
		name := sized(2, append([]byte{0 /* a host name */}, sized(2, []byte(host))...))
		extensions = append(extensions, extension(0, name)...)
	}
	extensions = append(extensions, extension(10, sized(2, []byte{0, 29, 0, 23, 0, 24}))...)                            // curves
	extensions = append(extensions, extension(11, sized(1, []byte{0}))...)                                              // uncompressed points
	extensions = append(extensions, extension(13, sized(2, []byte{4, 3, 8, 4, 4, 1, 5, 3, 8, 5, 5, 1, 8, 6, 6, 1}))...) // signatures
	body := append([]byte{3, 3}, make([]byte, 32)...)                                                                   // version 1.2; a random that protects nothing here
	body = append(body, 0)                                                                                              // no session
	body = append(body, sized(2, suites)...)
	body = append(body, 1, 0) // no compression
	body = append(body, sized(2, extensions)...)
	hello := append([]byte{1 /* ClientHello */}, sized(3, body)...)
	return append([]byte{22 /* handshake */, 3, 1}, sized(2, hello)...)
}

// sized puts the length of content in front of it, in so many bytes.
func sized(bytes int, content []byte) []byte {
	out := make([]byte, bytes, bytes+len(content))
	for i := range bytes {
		out[bytes-1-i] = byte(len(content) >> (8 * i))
	}
	return append(out, content...)
}

func extension(kind byte, content []byte) []byte {
	return append([]byte{0, kind}, sized(2, content)...)
}
