package image

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// A Download is a third-party release binary that is put into an image beside the program.
type Download struct {
	// Name is the name of the binary, and Path is its path in the image.
	Name string `json:"name"`
	Path string `json:"path"`
	// Tag and Version identify the release, as upstream writes them.
	Tag     string `json:"tag"`
	Version string `json:"version"`
	// Template is the URL of a file, with {tag}, {version}, {os} and {arch}.
	Template string `json:"url"`
	// Arch has the value of {arch} for each platform for which it is not the architecture.
	Arch map[string]string `json:"arch,omitempty"`
	// Hosts are the only hosts that may be requested, also after redirects.
	Hosts []string `json:"hosts"`
	// License is an SPDX expression, and Source is the page of the sources.
	License string `json:"license"`
	Source  string `json:"source"`
	// MaxSize is the largest size of a file, in bytes.
	MaxSize int64 `json:"maxSize,omitempty"`
	// Dynamic allows binaries that need shared libraries.
	Dynamic bool `json:"dynamic,omitempty"`
	// AllowMissing are the platforms for which upstream may lack the file.
	AllowMissing []string `json:"allowMissing,omitempty"`
}

// defaultMaxSize is the largest size of a file without MaxSize, in bytes.
const defaultMaxSize = 64 << 20

// Limit returns the largest size of a file, in bytes.
func (d Download) Limit() int64 {
	if d.MaxSize > 0 {
		return d.MaxSize
	}
	return defaultMaxSize
}

var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

// URL returns the URL of the file for a platform. Values are percent-encoded: the slash in a
// tag such as release/v1.2.3 is part of one segment of the path.
func (d Download) URL(platform string) (string, error) {
	os, arch, _ := strings.Cut(platform, "/")
	if word := d.Arch[platform]; word != "" {
		arch = word
	}
	values := map[string]string{"{tag}": d.Tag, "{version}": d.Version, "{os}": os, "{arch}": arch}
	var unknown []string
	text := placeholder.ReplaceAllStringFunc(d.Template, func(name string) string {
		value, ok := values[name]
		if !ok {
			unknown = append(unknown, name)
		}
		return url.PathEscape(value)
	})
	if len(unknown) > 0 {
		return "", fmt.Errorf("url has %s, and there are {tag}, {version}, {os} and {arch} only", strings.Join(unknown, ", "))
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("url: " + text + " is not a URL")
	}
	if err := d.Allows(u); err != nil {
		return "", fmt.Errorf("url: %w", err)
	}
	return text, nil
}

// Allows tells whether a URL may be requested: it has to use HTTPS, except on this machine, and
// a listed host. The error says what is wrong, without the query, which may contain a
// signature.
func (d Download) Allows(u *url.URL) error {
	ip := net.ParseIP(u.Hostname())
	local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
	switch {
	case u.Scheme != "https" && !(u.Scheme == "http" && local):
		return fmt.Errorf("%s://%s is not HTTPS", u.Scheme, u.Host)
	case u.User != nil:
		return fmt.Errorf("%s://%s has credentials in it", u.Scheme, u.Host)
	case !d.lists(u, local):
		return fmt.Errorf("host %s is not among hosts (%s)", u.Host, strings.Join(d.Hosts, ", "))
	}
	return nil
}

// lists tells whether the host of a URL is listed: with its port, or without one for the port
// of HTTPS. For this machine, a host without a port means all ports.
func (d Download) lists(u *url.URL, local bool) bool {
	port := u.Port()
	if port == "" && u.Scheme == "https" {
		port = "443"
	}
	return slices.Contains(d.Hosts, net.JoinHostPort(u.Hostname(), port)) || (port == "443" || local) && slices.Contains(d.Hosts, u.Hostname())
}

// check finds mistakes that the schema cannot describe: URLs that cannot be built, and
// platforms that the image does not have.
func (d Download) check(r Recipe) error {
	var wrong []error
	for _, p := range r.Platforms {
		if _, err := d.URL(p); err != nil {
			wrong = append(wrong, fmt.Errorf("download.%w", err))
			break // the other platforms have the same mistake
		}
	}
	for _, named := range []struct {
		key   string
		names []string
	}{{"allowMissing", d.AllowMissing}, {"arch", sortedKeys(d.Arch)}} {
		for _, p := range named.names {
			if !slices.Contains(r.Platforms, p) {
				wrong = append(wrong, fmt.Errorf("download.%s: %s is not among platforms", named.key, p))
			}
		}
	}
	if d.Path == r.Path {
		wrong = append(wrong, fmt.Errorf("download.path: %s is where the program stands", d.Path))
	}
	return errors.Join(wrong...)
}

func sortedKeys(m map[string]string) []string {
	var keys []string
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
