// Package plainhttp sends single HTTP requests, without TLS: to the admin
// endpoints of a proxy in the same pod, and to what a Job waits for.
//
// It promises what net/http does not: no proxy variables, no redirects, no
// connection reuse but in a Session, a bounded amount read, and a hard limit on the
// time of each request. It costs the wrapper 4 MB less.
package plainhttp

import (
	"errors"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/sock"
)

// A URL is a parsed http URL.
type URL struct {
	// Text is the URL as it was given.
	Text string
	// Host is a name or an IP address, without brackets.
	Host string
	// Port is 80 where the URL names none.
	Port uint16

	authority string // value of the Host header
	path      string // with its query
}

// Parse reads a URL of the form http://HOST[:PORT][/PATH][?QUERY].
func Parse(text string) (URL, error) {
	rest, ok := strings.CutPrefix(text, "http://")
	if !ok {
		return URL{}, errors.New(strconv.Quote(text) + " does not start with http://")
	}
	for i := range len(text) {
		// A space or control byte would end the request line early.
		if text[i] <= ' ' || text[i] == 0x7f {
			return URL{}, errors.New(strconv.Quote(text) + " has a space or control character in it")
		}
	}
	rest, _, _ = strings.Cut(rest, "#")
	authority, path := rest, "/"
	if i := strings.IndexAny(rest, "/?"); i >= 0 {
		authority, path = rest[:i], rest[i:]
		if path[0] == '?' {
			path = "/" + path
		}
	}
	host, port, err := SplitHostPort(authority, 80)
	if err != nil {
		return URL{}, errors.New(strconv.Quote(text) + " " + err.Error())
	}
	return URL{Text: text, Host: host, Port: port, authority: authority, path: path}, nil
}

// SplitHostPort takes HOST or HOST:PORT apart; an IPv6 address stands in
// brackets. Port 0 as the default means that one has to be given. The error
// continues a sentence that begins with what was read.
func SplitHostPort(authority string, defaultPort uint16) (host string, port uint16, err error) {
	host, digits, hasPort := strings.Cut(authority, ":")
	if bracketed, ok := strings.CutPrefix(authority, "["); ok {
		after := ""
		if host, after, ok = strings.Cut(bracketed, "]"); !ok {
			return "", 0, errors.New("has a [ without its ]")
		}
		if _, ok := sock.ParseIP(host); !ok || !strings.Contains(host, ":") {
			return "", 0, errors.New("has brackets around something that is not an IPv6 address")
		}
		if digits, hasPort = strings.CutPrefix(after, ":"); !hasPort && after != "" {
			return "", 0, errors.New("has something other than a port after its ]")
		}
	}
	switch {
	case host == "":
		return "", 0, errors.New("has no host")
	case strings.Contains(host, "@"):
		return "", 0, errors.New("has a user name in it, which is not supported")
	case !isHost(host):
		return "", 0, errors.New("has a host that is neither a name nor an IP address")
	case !hasPort && defaultPort == 0:
		return "", 0, errors.New("has no port")
	case !hasPort:
		return host, defaultPort, nil
	}
	n, err := strconv.ParseUint(digits, 10, 16)
	if err != nil || n == 0 || digits[0] == '+' {
		return "", 0, errors.New("needs a port from 1 to 65535")
	}
	return host, uint16(n), nil
}

// isHost reports whether a text can be the name of a host or an IP address. A name
// whose last label is a number is meant to be an address and is none.
func isHost(host string) bool {
	if _, ok := sock.ParseIP(host); ok {
		return true
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_") != "" {
			return false
		}
	}
	return strings.Trim(labels[len(labels)-1], "0123456789") != ""
}

// Local returns the addresses of a URL that needs no name resolution: an IP
// address, or localhost, which is 127.0.0.1 and ::1 whatever /etc/hosts says.
func (u *URL) Local() ([]sock.Address, error) {
	if u.Host == "localhost" {
		return []sock.Address{sock.To(sock.Loopback4, u.Port), sock.To(sock.Loopback6, u.Port)}, nil
	}
	ip, ok := sock.ParseIP(u.Host)
	if !ok {
		return nil, errors.New(strconv.Quote(u.Text) + " needs localhost or an IP address as its host")
	}
	return []sock.Address{sock.To(ip, u.Port)}, nil
}
