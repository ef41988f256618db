package address

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct {
		host, authority, path string
		port                  uint16
	}{
		"http://127.0.0.1:4191/ready":        {"127.0.0.1", "127.0.0.1:4191", "/ready", 4191},
		"http://127.0.0.1":                   {"127.0.0.1", "127.0.0.1", "/", 80},
		"http://127.0.0.1?x=1":               {"127.0.0.1", "127.0.0.1", "/?x=1", 80},
		"http://127.0.0.1/a/b?c=d#e":         {"127.0.0.1", "127.0.0.1", "/a/b?c=d", 80},
		"http://[::1]:9090/startup":          {"::1", "[::1]:9090", "/startup", 9090},
		"http://[fd00::1]":                   {"fd00::1", "[fd00::1]", "/", 80},
		"http://localhost:4191/":             {"localhost", "localhost:4191", "/", 4191},
		"http://db.shop.svc:8080/healthz":    {"db.shop.svc", "db.shop.svc:8080", "/healthz", 8080},
		"http://127.0.0.1:80/%20?a=b%0d":     {"127.0.0.1", "127.0.0.1:80", "/%20?a=b%0d", 80},
		"http://127.0.0.1:1/http://[::1]:80": {"127.0.0.1", "127.0.0.1:1", "/http://[::1]:80", 1},
	} {
		u, err := Parse(text)
		require.NoError(t, err, text)
		assert.Equal(t, want.host, u.Host, text)
		assert.Equal(t, want.port, u.Port, text)
		assert.Equal(t, want.authority, u.Authority, text)
		assert.Equal(t, want.path, u.Path, text)
	}
}

func TestParseRefuses(t *testing.T) {
	for text, words := range map[string]string{
		"":                          "does not start with http://",
		"https://127.0.0.1":         "does not start with http://",
		"127.0.0.1:80":              "does not start with http://",
		"http://":                   "has no host",
		"http://:80":                "has no host",
		"http://127.0.0.1:":         "port from 1 to 65535",
		"http://127.0.0.1:0":        "port from 1 to 65535",
		"http://127.0.0.1:65536":    "port from 1 to 65535",
		"http://127.0.0.1:+80":      "port from 1 to 65535",
		"http://::1/":               "has no host",
		"http://[::1/":              "has a [ without its ]",
		"http://[::1]80/":           "something other than a port",
		"http://[127.0.0.1]/":       "not an IPv6 address",
		"http://[fe80::1%eth0]/":    "not an IPv6 address",
		"http://user@127.0.0.1/":    "has a user name in it",
		"http://a..b/":              "neither a name nor an IP address",
		"http://1.2.3/":             "neither a name nor an IP address",
		"http://a,b/":               "neither a name nor an IP address",
		"http://127.0.0.1/a b":      "space or control",
		"http://127.0.0.1/\r\nX: y": "space or control",
	} {
		_, err := Parse(text)
		assert.ErrorContains(t, err, words, text)
	}
	for _, host := range []string{"example.org", "localhost.evil"} {
		_, err := ParseLocal("http://" + host + "/")
		assert.ErrorContains(t, err, "needs localhost or an IP address as its host", host)
	}
}

func FuzzParseIP(f *testing.F) {
	for _, text := range []string{
		"127.0.0.1", "1.2.3", "01.2.3.4", "256.1.1.1", "::1", "::", "1::", "fd00::1:2", "1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7::",
		"::ffff:1.2.3.4", "1:2:3:4:5:6:7:8:9", "1::2::3", ":::", "12345::", "1.2.3.4::", "::1.2.3.4:1", "::1.2.3", "fe80::1%eth0",
		"1:2:3:4:5:6:1.2.3.4", "1:2:3:4:5:6:7:1.2.3.4", ":1", "1:", "+1::", "::+1", "0::1.2.3.4.5",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		want, err := netip.ParseAddr(text)
		got, ok := ParseIP(text)
		if err != nil || want.Zone() != "" {
			assert.False(t, ok, text)
			return
		}
		require.True(t, ok, text)
		if want.Is4() {
			assert.Equal(t, IPv4(want.As4()), got, text)
		} else {
			assert.Equal(t, IPv6(want.As16()), got, text)
		}
	})
}
