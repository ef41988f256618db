// Package wrapflags reads the command lines of wrappers, flags and variables, into
// plain data: that of jobmesh-wrap, and those of linkerd-await, scuttle and
// envoy-preflight, which other people's manifests are full of.
//
// The wrapper acts on what it says, lint judges manifests by it, and the library
// chart and the docs are generated from its tables. So it makes no system calls and
// builds everywhere, and it imports neither fmt nor regexp, because the wrapper links
// it.
//
// In a manifest some values are not known: they come from a Secret, or from a
// variable that is set elsewhere. A word or a value with a NUL byte in it stands for
// one; no process is ever started with such a byte. What is not known is not refused.
// The results name it, in Unknown, and say in Open where the words of the command
// line itself are not known.
package wrapflags

import (
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/address"
)

// The wrappers, by the names of their programs. Under the names of LinkerdAwait and
// Scuttle jobmesh-wrap does what those do.
const (
	JobmeshWrap    = "jobmesh-wrap"
	LinkerdAwait   = "linkerd-await"
	Scuttle        = "scuttle"
	EnvoyPreflight = "envoy-preflight"
)

// Program returns the name of a program, which is the last part of its path.
func Program(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// A Lookup returns the value of an environment variable, and whether it is set.
type Lookup func(name string) (value string, set bool)

// get returns the value of a variable, "" where it is not set.
func (l Lookup) get(name string) string {
	value, _ := l(name)
	return value
}

// isUnknown tells whether a word or a value stands for one that is not known.
func isUnknown(text string) bool { return strings.IndexByte(text, 0) >= 0 }

// A Request is what is sent to a server in the same pod.
type Request struct {
	Method string
	// URL is one that address.ParseLocal has read.
	URL address.URL
}

// ParseRequest reads "METHOD URL".
func ParseRequest(text string) (Request, error) {
	method, target, ok := strings.Cut(text, " ")
	if !ok || method == "" || strings.Trim(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		return Request{}, errors.New(strconv.Quote(text) + " is not of the form 'METHOD URL', as in 'POST http://127.0.0.1:4191/shutdown'")
	}
	u, err := address.ParseLocal(target)
	return Request{method, u}, err
}

// A Dependency is a target of --wait-for.
type Dependency struct {
	// Text is the target as it was given.
	Text string
	// Scheme is tcp, tls or http.
	Scheme string
	Host   string
	Port   uint16
	// URL is set where the scheme is http.
	URL address.URL
}

func parseDependency(text string) (Dependency, error) {
	scheme, rest, ok := strings.Cut(text, "://")
	d := Dependency{Text: text, Scheme: scheme}
	var err error
	switch {
	case ok && scheme == "http":
		d.URL, err = address.Parse(text)
		d.Host, d.Port = d.URL.Host, d.URL.Port
		return d, err
	case ok && scheme == "https": // the old name of tls
		d.Scheme = "tls"
		if i := strings.IndexAny(rest, "/?#"); i >= 0 {
			rest = rest[:i]
		}
		d.Host, d.Port, err = address.SplitHostPort(rest, 443)
	case ok && (scheme == "tcp" || scheme == "tls"):
		d.Host, d.Port, err = address.SplitHostPort(rest, 0)
	default:
		return d, errors.New(strconv.Quote(text) + " is not of the form tcp://HOST:PORT, tls://HOST:PORT or http://...")
	}
	if err != nil {
		err = errors.New(strconv.Quote(text) + " " + err.Error())
	}
	return d, err
}

func oneOf(field *string, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return errors.New(strconv.Quote(value) + " is not one of " + strings.Join(allowed, ", "))
	}
	*field = value
	return nil
}

func duration(field *time.Duration, value string, least time.Duration) error {
	d, err := time.ParseDuration(value)
	if err != nil {
		return errors.New(strconv.Quote(value) + " is not a duration such as 500ms, 30s or 2m")
	}
	if d < least {
		return errors.New(strconv.Quote(value) + " is less than " + least.String())
	}
	*field = d
	return nil
}
