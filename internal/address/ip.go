// Package address reads IP addresses, HOST:PORT and http URLs. It makes no system calls, so
// packages that parse command lines build on every platform.
package address

import (
	"strconv"
	"strings"
)

// An IP is an IPv4 or IPv6 address.
type IP struct {
	bytes [16]byte // an IPv4 address uses the first four bytes
	six   bool
}

// These are the loopback addresses.
var (
	Loopback4 = IPv4([4]byte{127, 0, 0, 1})
	Loopback6 = IPv6([16]byte{15: 1})
)

// IPv4 returns the address of four bytes.
func IPv4(b [4]byte) IP { return IP{bytes: [16]byte{b[0], b[1], b[2], b[3]}} }

// IPv6 returns the address of sixteen bytes.
func IPv6(b [16]byte) IP { return IP{bytes: b, six: true} }

// Four returns the bytes of an IPv4 address; ok is false for IPv6.
func (ip IP) Four() (b [4]byte, ok bool) { return [4]byte(ip.bytes[:4]), !ip.six }

// Sixteen returns the bytes of an IPv6 address. For an IPv4 address the result has no meaning.
func (ip IP) Sixteen() [16]byte { return ip.bytes }

// ParseIP reads an address in its usual forms, without a zone. net/netip reads the same forms
// and adds 80 kB to the wrapper; a fuzz test compares the two.
func ParseIP(text string) (IP, bool) {
	if strings.Contains(text, ":") {
		b, ok := parseSix(text)
		return IPv6(b), ok
	}
	b, ok := parseFour(text)
	return IPv4(b), ok
}

func parseFour(text string) (ip [4]byte, ok bool) {
	for i := range ip {
		part, rest, more := strings.Cut(text, ".")
		n, err := strconv.ParseUint(part, 10, 8)
		if err != nil || more != (i < 3) || len(part) > 1 && part[0] == '0' {
			return ip, false
		}
		ip[i], text = byte(n), rest
	}
	return ip, true
}

// parseSix reads the groups in front of "::" from the left, and those behind it from the right.
func parseSix(text string) (ip [16]byte, ok bool) {
	front, back, elided := strings.Cut(text, "::")
	left, ok := groups(front, !elided)
	if !ok {
		return ip, false
	}
	right, ok := groups(back, true)
	if !ok || !elided && len(left) != 16 || elided && len(left)+len(right) > 14 {
		return ip, false
	}
	copy(ip[:], left)
	copy(ip[16-len(right):], right)
	return ip, true
}

// groups reads groups of up to four hexadecimal digits. With last, the last group may be an
// IPv4 address.
func groups(text string, last bool) (ip []byte, ok bool) {
	if text == "" {
		return nil, true
	}
	for part := range strings.SplitSeq(text, ":") {
		if strings.Contains(part, ".") {
			four, ok := parseFour(part)
			if !ok || !last || !strings.HasSuffix(text, part) {
				return nil, false
			}
			return append(ip, four[:]...), len(ip) <= 12
		}
		n, err := strconv.ParseUint(part, 16, 16)
		if err != nil || len(part) > 4 {
			return nil, false
		}
		ip = append(ip, byte(n>>8), byte(n))
	}
	return ip, len(ip) <= 16
}
