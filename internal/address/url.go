package address

import (
	"errors"
	"strconv"
	"strings"
)

// A URL is a parsed http URL.
type URL struct {
	// Text is the URL as it was given.
	Text string
	// Host is a name or an IP address, without brackets.
	Host string
	// Port is 80 where the URL names none.
	Port uint16

	// Authority is the value of the Host header.
	Authority string
	// Path is the target of the request line, with its query.
	Path string
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
	return URL{Text: text, Host: host, Port: port, Authority: authority, Path: path}, nil
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
		if _, ok := ParseIP(host); !ok || !strings.Contains(host, ":") {
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
	if _, ok := ParseIP(host); ok {
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

// ParseLocal is Parse for a URL of the same pod: one whose host needs no name
// resolution, because it is an IP address or localhost.
func ParseLocal(text string) (URL, error) {
	u, err := Parse(text)
	if err == nil && len(u.Local()) == 0 {
		err = errors.New(strconv.Quote(text) + " needs localhost or an IP address as its host")
	}
	return u, err
}

// Local returns the addresses of a host that needs no name resolution, none where it
// does. localhost is 127.0.0.1 and ::1 whatever /etc/hosts says.
func (u *URL) Local() []IP {
	if u.Host == "localhost" {
		return []IP{Loopback4, Loopback6}
	}
	if ip, ok := ParseIP(u.Host); ok {
		return []IP{ip}
	}
	return nil
}
