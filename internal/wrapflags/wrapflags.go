// Package wrapflags parses the command lines of wrappers, with their environment variables,
// into plain data: those of jobmesh-wrap, and those of linkerd-await, scuttle and
// envoy-preflight, which many manifests contain.
//
// The wrapper acts on the result, lint judges manifests by it, and the library chart and the
// docs are generated from the package's tables. So the package makes no system calls and builds
// on every platform, and it imports neither fmt nor regexp, because the wrapper links it.
//
// In a manifest some values are not known: they come from a Secret, or from a variable that is
// set elsewhere. A word or value that contains a NUL byte stands for an unknown one; no process
// is ever started with such a byte. An unknown value is not refused. The results name it in
// Unknown, and say in Open where the words of the command line themselves are not known.
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

// These are the wrappers, by the names of their programs. Under the names LinkerdAwait and
// Scuttle, jobmesh-wrap does what those programs do.
const (
	JobmeshWrap    = "jobmesh-wrap"
	LinkerdAwait   = "linkerd-await"
	Scuttle        = "scuttle"
	EnvoyPreflight = "envoy-preflight"
)

// Program returns the name of a program, which is the last element of its path.
func Program(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// A Lookup returns the value of an environment variable, and whether it is set.
type Lookup func(name string) (value string, set bool)

// get returns the value of a variable, and "" where it is not set.
func (l Lookup) get(name string) string {
	value, _ := l(name)
	return value
}

// isUnknown tells whether a word or a value stands for an unknown one.
func isUnknown(text string) bool { return strings.IndexByte(text, 0) >= 0 }

// A Request is a request to a server in the same pod.
type Request struct {
	Method string
	// URL has been parsed by address.ParseLocal.
	URL address.URL
}

// ParseRequest parses "METHOD URL".
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
	// Text is the target as the user wrote it.
	Text string
	// Scheme is tcp, tls or http.
	Scheme string
	Host   string
	Port   uint16
	// URL is set only where the scheme is http.
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
	case ok && scheme == "https": // https is the old name of tls
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
