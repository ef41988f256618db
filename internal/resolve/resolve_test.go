package resolve

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/dns/dnsmessage"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// tooLong is longer than any answer takes, however busy the machine is.
const tooLong = 2 * time.Minute

func ips(t *testing.T, texts ...string) []address.IP {
	t.Helper()
	var all []address.IP
	for _, text := range texts {
		ip, ok := address.ParseIP(text)
		require.True(t, ok, text)
		all = append(all, ip)
	}
	return all
}

func TestParseConf(t *testing.T) {
	// This is a file as a kubelet writes it.
	c := parseConf("search shop.svc.cluster.local svc.cluster.local cluster.local\nnameserver 10.96.0.10\noptions ndots:5\n")
	assert.Equal(t, ips(t, "10.96.0.10"), c.servers)
	assert.Equal(t, 5, c.ndots)
	assert.Equal(t, 5*time.Second, c.timeout)
	assert.Equal(t, []string{
		"db.shop.svc.cluster.local", "db.svc.cluster.local", "db.cluster.local", "db",
	}, c.candidates("db"))
	assert.Equal(t, []string{"db.example.org"}, c.candidates("db.example.org."))

	c = parseConf("# c\n; c\nnameserver\nnameserver fd00::a\nnameserver bad\nnameserver 1.1.1.1\nnameserver 2.2.2.2\nnameserver 3.3.3.3\n" +
		"domain one\nsearch two. .\noptions timeout:1 attempts:9 ndots:99 rotate x:y\n")
	assert.Equal(t, ips(t, "fd00::a", "1.1.1.1", "2.2.2.2"), c.servers)
	assert.Equal(t, time.Second, c.timeout)
	assert.Equal(t, 5, c.attempts)
	assert.Equal(t, 15, c.ndots)
	assert.Equal(t, []string{"a.two", "a"}, c.candidates("a"))

	c = parseConf("")
	assert.Equal(t, ips(t, "127.0.0.1"), c.servers)
	assert.Equal(t, []string{"a.b"}, c.candidates("a.b"))
}

func TestHosts(t *testing.T) {
	const text = "127.0.0.1 localhost\n10.1.2.3\tweb.shop.svc.cluster.local web # comment\nbad web\n#10.0.0.1 web\nfd00::1 web\n"
	assert.Equal(t, ips(t, "10.1.2.3", "fd00::1"), inHosts(text, "web"))
	assert.Equal(t, ips(t, "10.1.2.3"), inHosts(text, "WEB.shop.svc.cluster.local"))
	assert.Empty(t, inHosts(text, "comment"))
}

// A zone is the content of the test's name server. Another implementation of the protocol
// encodes the answers.
type zone map[string][]string

func (z zone) answer(t *testing.T, query []byte, truncate bool) []byte {
	var parser dnsmessage.Parser
	header, err := parser.Start(query)
	assert.NoError(t, err)
	question, err := parser.Question()
	assert.NoError(t, err)
	name := strings.TrimSuffix(question.Name.String(), ".")
	records, known := z[name]
	header.Response, header.RecursionAvailable, header.Truncated = true, true, truncate
	switch {
	case strings.HasPrefix(name, "servfail"):
		header.RCode = dnsmessage.RCodeServerFailure
	case !known:
		header.RCode = dnsmessage.RCodeNameError
	}
	b := dnsmessage.NewBuilder(nil, header)
	b.EnableCompression()
	assert.NoError(t, b.StartQuestions())
	assert.NoError(t, b.Question(question))
	assert.NoError(t, b.StartAnswers())
	head := dnsmessage.ResourceHeader{Name: question.Name, Class: dnsmessage.ClassINET, TTL: 5}
	if known && !truncate {
		alias := dnsmessage.MustNewName("alias." + question.Name.String())
		assert.NoError(t, b.CNAMEResource(head, dnsmessage.CNAMEResource{CNAME: alias}))
		head.Name = alias
		for _, text := range records {
			ip := net.ParseIP(text)
			switch four := ip.To4(); {
			case four != nil && question.Type == dnsmessage.TypeA:
				assert.NoError(t, b.AResource(head, dnsmessage.AResource{A: [4]byte(four)}))
			case four == nil && question.Type == dnsmessage.TypeAAAA:
				assert.NoError(t, b.AAAAResource(head, dnsmessage.AAAAResource{AAAA: [16]byte(ip)}))
			}
		}
	}
	message, err := b.Finish()
	assert.NoError(t, err)
	return message
}

// servers opens one port for UDP and TCP on 127.0.0.1, and for UDP on 127.0.0.2, where nobody
// answers. Another program may have taken a port for one of them; then the function tries
// again.
func servers(t *testing.T) (udp net.PacketConn, tcp net.Listener, silent net.PacketConn) {
	t.Helper()
	for {
		udp, err := net.ListenPacket("udp", "127.0.0.1:0")
		require.NoError(t, err)
		port := udp.LocalAddr().(*net.UDPAddr).Port
		silent, err := net.ListenPacket("udp", fmt.Sprintf("127.0.0.2:%d", port))
		if err == nil {
			if tcp, err = net.Listen("tcp", udp.LocalAddr().String()); err == nil {
				return udp, tcp, silent
			}
			_ = silent.Close()
		}
		_ = udp.Close()
		require.ErrorIs(t, err, syscall.EADDRINUSE)
	}
}

// serve answers over UDP and TCP. Over UDP, answers for names that begin with "big" are
// truncated.
func (z zone) serve(t *testing.T) *Resolver {
	t.Helper()
	udp, tcp, silent := servers(t)
	t.Cleanup(func() { _ = udp.Close(); _ = tcp.Close(); _ = silent.Close() })
	go func() {
		buffer := make([]byte, 512)
		for {
			n, from, err := udp.ReadFrom(buffer)
			if err != nil {
				return
			}
			query := buffer[:n]
			forged := z.answer(t, query, false)
			forged[0] ^= 0xff // the answer has another id, so it must be ignored
			_, _ = udp.WriteTo(forged, from)
			_, _ = udp.WriteTo([]byte{1, 2, 3}, from)
			_, _ = udp.WriteTo(z.answer(t, query, strings.Contains(string(query), "\x03big")), from)
		}
	}()
	go func() {
		for {
			c, err := tcp.Accept()
			if err != nil {
				return
			}
			buffer := make([]byte, 512)
			n, _ := c.Read(buffer)
			message := z.answer(t, buffer[2:n], false)
			_, _ = c.Write(append([]byte{byte(len(message) >> 8), byte(len(message))}, message...))
			_ = c.Close()
		}
	}()
	dir := t.TempDir()
	r := &Resolver{hosts: filepath.Join(dir, "hosts"), conf: filepath.Join(dir, "resolv.conf"), port: uint16(udp.LocalAddr().(*net.UDPAddr).Port)}
	require.NoError(t, os.WriteFile(r.hosts, []byte("10.9.9.9 fromhosts\n"), 0o600))
	require.NoError(t, os.WriteFile(r.conf, []byte("nameserver 127.0.0.1\nsearch shop.svc.cluster.local cluster.local\noptions ndots:5 timeout:5 attempts:5\n"), 0o600))
	return r
}

func TestLookup(t *testing.T) {
	many := make([]string, 200)
	for i := range many {
		many[i] = net.IPv4(10, 1, byte(i), 1).String()
	}
	r := zone{
		"db.shop.svc.cluster.local":      {"10.0.0.5", "10.0.0.6"},
		"six.cluster.local":              {"fd00::5"},
		"example.org":                    {"192.0.2.1"},
		"big.shop.svc.cluster.local":     many,
		"nothing.shop.svc.cluster.local": {},
	}.serve(t)
	for host, want := range map[string][]address.IP{
		"db":                        ips(t, "10.0.0.5", "10.0.0.6"),
		"DB":                        nil, // the test's zone compares exactly, and the question is sent as it is
		"db.shop.svc.cluster.local": ips(t, "10.0.0.5", "10.0.0.6"),
		"six":                       ips(t, "fd00::5"),
		"example.org":               ips(t, "192.0.2.1"),
		"example.org.":              ips(t, "192.0.2.1"),
		"big":                       ips(t, many...),
		"nothing":                   nil,
		"none":                      nil,
		"fromhosts":                 ips(t, "10.9.9.9"),
		"localhost":                 ips(t, "127.0.0.1", "::1"),
		"192.0.2.7":                 ips(t, "192.0.2.7"),
		"fd00::7":                   ips(t, "fd00::7"),
	} {
		got, err := r.Lookup(host, sock.For(tooLong, nil))
		assert.Equal(t, want, got, host)
		if want == nil {
			assert.ErrorIs(t, err, ErrNotFound, host)
		} else {
			assert.NoError(t, err, host)
		}
	}
	_, err := r.Lookup("servfail", sock.For(tooLong, nil))
	assert.ErrorIs(t, err, ErrServer)
	for _, host := range []string{"a..b", strings.Repeat("x", 64), strings.Repeat("x.", 200)} {
		_, err := r.Lookup(host, sock.For(tooLong, nil))
		assert.ErrorIs(t, err, ErrNotFound, host)
	}
}

// The first server is silent; the second one has the name.
func TestSecondServer(t *testing.T) {
	r := zone{"db.shop.svc.cluster.local": {"10.0.0.5"}}.serve(t)
	require.NoError(t, os.WriteFile(r.conf, []byte("nameserver 127.0.0.2\nnameserver 127.0.0.1\nsearch shop.svc.cluster.local\noptions ndots:5 timeout:1 attempts:5\n"), 0o600))
	found, err := r.Lookup("db", sock.For(tooLong, nil))
	require.NoError(t, err)
	assert.Equal(t, ips(t, "10.0.0.5"), found)
}

func TestLookupWithoutServer(t *testing.T) {
	silent, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = silent.Close() }()
	dir := t.TempDir()
	r := &Resolver{hosts: "/nonexistent", conf: filepath.Join(dir, "resolv.conf"), port: uint16(silent.LocalAddr().(*net.UDPAddr).Port)}
	require.NoError(t, os.WriteFile(r.conf, []byte("nameserver 127.0.0.1\noptions timeout:30\n"), 0o600))
	patience := sock.For(300*time.Millisecond, nil)
	_, err = r.Lookup("db", patience)
	assert.ErrorIs(t, err, sock.ErrTimeout)
	assert.Less(t, time.Since(patience.Deadline), maxTimeout/2, "the time of resolv.conf is longer")
	asked := 0
	_, err = r.Lookup("db", sock.For(time.Minute, func() bool { asked++; return asked > 5 }))
	assert.ErrorIs(t, err, sock.ErrInterrupted)
}

// Whatever a name server sends, the resolver neither panics nor loops.
func FuzzRead(f *testing.F) {
	q, err := newQuery("db.shop", dnsmessage.TypeA)
	require.NoError(f, err)
	answer := append([]byte{}, q.bytes...)
	answer[2], answer[7] = 0x80, 1 // this makes it a response with one record
	f.Add(append(answer, 0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4, 10, 0, 0, 1))
	f.Fuzz(func(t *testing.T, message []byte) {
		for _, m := range [][]byte{message, append(append([]byte{}, answer...), message...)} {
			if found, err := q.read(m); err != nil {
				assert.Empty(t, found)
			}
		}
	})
}

func FuzzParseConf(f *testing.F) {
	f.Add("nameserver 1.1.1.1\noptions ndots:99999999999999999999 timeout:-1 attempts:0\nsearch . a. b", "db.x")
	f.Fuzz(func(t *testing.T, text, host string) {
		c := parseConf(text)
		assert.NotEmpty(t, c.servers)
		assert.NotEmpty(t, c.candidates(host))
		assert.LessOrEqual(t, c.timeout, maxTimeout)
		assert.GreaterOrEqual(t, c.attempts, 1)
		inHosts(text, host)
	})
}
