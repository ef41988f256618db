// Package resolve looks host names up the way a pod's C library does: in
// /etc/hosts, then with the name servers, search list and options of
// /etc/resolv.conf.
//
// It is a plain stub resolver, because the one in net would make the wrapper 0.5 MB larger.
// It asks for IPv4 addresses first, and for IPv6 addresses where there are none.
package resolve

import (
	"errors"
	"strings"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"github.com/jobmesh/jobmesh/internal/address"
	"github.com/jobmesh/jobmesh/internal/smallfile"
	"github.com/jobmesh/jobmesh/internal/sock"
)

// These are the errors of a look-up, beside those of sock and of the file system.
var (
	// ErrNotFound means that every server said that the name does not exist.
	ErrNotFound = errors.New("name not found")
	// ErrServer means that no server gave a usable answer.
	ErrServer = errors.New("name server failed")
)

// A Resolver looks up host names. The zero value does not work; see System.
type Resolver struct {
	hosts, conf string
	port        uint16
}

// fileLimit is the number of bytes that are read of a file.
const fileLimit = 1 << 20

// System returns the resolver of the machine, or of the pod.
func System() *Resolver {
	return &Resolver{hosts: "/etc/hosts", conf: "/etc/resolv.conf", port: 53}
}

// Lookup returns the addresses of a host, which may be an IP address already. It reads both
// files each time: a name that is about to appear must be found whenever the waiting began.
func (r *Resolver) Lookup(host string, p sock.Patience) ([]address.IP, error) {
	if ip, ok := address.ParseIP(host); ok {
		return []address.IP{ip}, nil
	}
	if host == "localhost" {
		return []address.IP{address.Loopback4, address.Loopback6}, nil
	}
	// A missing file counts as an empty one, as it does for the C library.
	hosts, _ := smallfile.Read(r.hosts, fileLimit)
	if found := inHosts(hosts, host); len(found) > 0 {
		return found, nil
	}
	text, _ := smallfile.Read(r.conf, fileLimit)
	conf := parseConf(text)
	failure := ErrNotFound
	for _, name := range conf.candidates(host) {
		found, err := r.ask(conf, name, p)
		switch {
		case len(found) > 0:
			return found, nil
		case err == sock.ErrInterrupted || err == sock.ErrTimeout && !time.Now().Before(p.Deadline):
			return nil, err
		case err != nil:
			failure = err
		}
	}
	return nil, failure
}

// ask looks up the addresses of one full name, one server after the other.
func (r *Resolver) ask(conf config, name string, p sock.Patience) ([]address.IP, error) {
	for _, kind := range []dnsmessage.Type{dnsmessage.TypeA, dnsmessage.TypeAAAA} {
		query, err := newQuery(name, kind)
		if err != nil {
			return nil, err
		}
		found, err := r.askServers(conf, query, p)
		if len(found) > 0 || err != nil {
			return found, err
		}
	}
	return nil, nil
}

// askServers returns the addresses in the first answer of a server. No addresses and no error
// mean that the name has none.
func (r *Resolver) askServers(conf config, q query, p sock.Patience) ([]address.IP, error) {
	failure := ErrServer
	for range conf.attempts {
		for _, server := range conf.servers {
			each := sock.Patience{Deadline: time.Now().Add(conf.timeout), Interrupted: p.Interrupted}
			if each.Deadline.After(p.Deadline) {
				each.Deadline = p.Deadline
			}
			answer, err := q.exchange(sock.To(server, r.port), each)
			if err == sock.ErrInterrupted {
				return nil, err
			}
			if err == nil {
				var found []address.IP
				if found, err = q.read(answer); err == nil {
					return found, nil
				}
			}
			failure = err
			if !time.Now().Before(p.Deadline) {
				return nil, sock.ErrTimeout
			}
		}
	}
	return nil, failure
}

// A config is the content of /etc/resolv.conf.
type config struct {
	servers  []address.IP
	search   []string
	ndots    int
	timeout  time.Duration
	attempts int
}

// These are the limits and defaults of resolv.conf(5).
const (
	maxServers      = 3
	maxNdots        = 15
	defaultTimeout  = 5 * time.Second
	maxTimeout      = 30 * time.Second
	defaultAttempts = 2
	maxAttempts     = 5
)

func parseConf(text string) config {
	c := config{ndots: 1, timeout: defaultTimeout, attempts: defaultAttempts}
	for line := range strings.Lines(text) {
		if line[0] == '#' || line[0] == ';' {
			continue
		}
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		switch fields[0] {
		case "nameserver":
			if ip, ok := address.ParseIP(fields[1]); ok && len(c.servers) < maxServers {
				c.servers = append(c.servers, ip)
			}
		case "search", "domain":
			c.search = fields[1:]
		case "options":
			for _, option := range fields[1:] {
				c.option(option)
			}
		}
	}
	if len(c.servers) == 0 {
		c.servers = []address.IP{address.Loopback4}
	}
	return c
}

func (c *config) option(text string) {
	name, digits, _ := strings.Cut(text, ":")
	n := 0
	for _, d := range digits {
		if d < '0' || d > '9' || n > 1000 {
			return
		}
		n = n*10 + int(d-'0')
	}
	switch name {
	case "ndots":
		c.ndots = min(n, maxNdots)
	case "timeout":
		c.timeout = min(max(time.Duration(n)*time.Second, time.Second), maxTimeout)
	case "attempts":
		c.attempts = min(max(n, 1), maxAttempts)
	}
}

// candidates returns the full names to look up, in order. A name with fewer dots than ndots is
// tried in the search list first; any other name is tried unchanged first.
func (c *config) candidates(host string) []string {
	if full, ok := strings.CutSuffix(host, "."); ok {
		return []string{full}
	}
	var searched []string
	for _, domain := range c.search {
		if domain = strings.Trim(domain, "."); domain != "" {
			searched = append(searched, host+"."+domain)
		}
	}
	if strings.Count(host, ".") < c.ndots {
		return append(searched, host)
	}
	return append([]string{host}, searched...)
}

// inHosts returns the addresses of a name in a hosts file.
func inHosts(text, host string) []address.IP {
	var found []address.IP
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		fields := strings.Fields(line)
		for i, name := range fields {
			if i > 0 && strings.EqualFold(name, host) {
				if ip, ok := address.ParseIP(fields[0]); ok {
					found = append(found, ip)
				}
				break
			}
		}
	}
	return found
}
