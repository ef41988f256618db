// Package download fetches files that somebody else publishes, such as release
// binaries: over HTTPS, from hosts that are on a list, no more than was agreed on,
// and never another file than the one that was pinned. What was fetched is kept in
// a cache, and checked each time it is taken from there.
package download

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/regular"
	"github.com/jobmesh/jobmesh/internal/replace"
)

// limit is that of one file, retries included.
const limit = 10 * time.Minute

// tries is how often the body of a file is asked for at most. Requests that get no
// answer are repeated below that, by the transport.
const tries = 5

// A Pin is what a file has to be.
type Pin struct {
	// SHA256 in hexadecimal digits.
	SHA256 string
	// Size in bytes.
	Size int64
}

// A File is a file that was fetched.
type File struct {
	Pin
	Bytes []byte
	// Type is its Content-Type, empty for one of the cache.
	Type string
}

// A Fetcher fetches files.
type Fetcher struct {
	// Allow says whether a URL may be asked, those of redirects included.
	Allow func(*url.URL) error
	// Limit is the most that a file may have, in bytes.
	Limit int64
	// Cache is a folder, or empty for none.
	Cache string
	// Offline takes files from the cache only.
	Offline bool
	// Note is told what is worth knowing and no failure.
	Note func(string)

	client *http.Client
}

// CacheFolder is the cache of this user, below XDG_CACHE_HOME or ~/.cache, and
// empty where there is no such place.
func CacheFolder() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "jobmesh", "downloads")
}

// ErrMissing is a file that the server does not have.
var ErrMissing = errors.New("is not there (404)")

// errRefused is a URL that may not be asked.
var errRefused = errors.New("refused")

// Pinned returns a file that is known, from the cache where it is there.
func (f *Fetcher) Pinned(ctx context.Context, from string, pin Pin) (File, error) {
	path := f.path(pin)
	content, damaged := readCached(path, pin)
	if content != nil {
		return File{Pin: pin, Bytes: content}, nil
	}
	if damaged {
		f.Note(path + " is damaged and is not used")
	}
	if f.Offline {
		reason := "is not in the cache"
		if damaged {
			reason = "is damaged in the cache"
		}
		return File{}, fault.New(fault.Input, fmt.Errorf("%s: %s, and --offline allows no download", printable(from), reason),
			"run the command once without --offline; the cache is "+f.Cache)
	}
	got, err := f.fetch(ctx, from, pin.Size)
	if err != nil {
		return got, err
	}
	if got.Pin != pin {
		err := fmt.Errorf("%s is not what was locked: sha256 %s (%d bytes), not %s (%d bytes)", printable(from), got.SHA256, got.Size, pin.SHA256, pin.Size)
		return File{}, fault.New(fault.Input, err, got.page()...)
	}
	f.keep(got)
	return got, nil
}

// New downloads a file of which nothing is known yet, up to the limit.
func (f *Fetcher) New(ctx context.Context, from string) (File, error) {
	got, err := f.fetch(ctx, from, -1)
	if err == nil {
		f.keep(got)
	}
	return got, err
}

// page is a hint where a page came in the place of a file.
func (f File) page() []string {
	if strings.HasPrefix(f.Type, "text/") {
		return []string{"the server sent " + f.Type + ", a page in the place of a program"}
	}
	return nil
}

// path is where the cache keeps a file, empty where there is no cache.
func (f *Fetcher) path(pin Pin) string {
	if f.Cache == "" {
		return ""
	}
	return filepath.Join(f.Cache, "sha256", pin.SHA256)
}

// readCached returns the content of a cached file if it is what it should be.
func readCached(path string, pin Pin) (content []byte, damaged bool) {
	if path == "" {
		return nil, false
	}
	content, err := regular.ReadFile(path, pin.Size)
	if errors.Is(err, os.ErrNotExist) {
		return nil, false
	}
	if err != nil || pinOf(content) != pin {
		return nil, true
	}
	return content, false
}

func pinOf(content []byte) Pin {
	sum := sha256.Sum256(content)
	return Pin{SHA256: hex.EncodeToString(sum[:]), Size: int64(len(content))}
}

// keep puts a file into the cache. One that cannot be written costs a download,
// and fails nothing.
func (f *Fetcher) keep(got File) {
	path := f.path(got.Pin)
	if path == "" {
		return
	}
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = replace.File(path, got.Bytes, 0o644)
	}
	if err != nil {
		f.Note("the cache cannot be written: " + err.Error())
	}
}

// transfer is what is asked for a file.
func (f *Fetcher) transfer() *http.Client {
	if f.client == nil {
		transport := registry.ProxyAware(http.DefaultTransport.(*http.Transport).Clone())
		transport.ResponseHeaderTimeout = time.Minute
		transport.DisableCompression = true // the bytes as they are
		f.client = &http.Client{
			Transport: registry.Retrying(transport),
			CheckRedirect: func(r *http.Request, via []*http.Request) error {
				if len(via) > 5 {
					return fmt.Errorf("%w: more than 5 redirects", errRefused)
				}
				if err := f.Allow(r.URL); err != nil {
					return fmt.Errorf("%w: it redirects, and %w", errRefused, err)
				}
				return nil
			},
		}
	}
	return f.client
}

// explain turns a failure into one sentence with an exit code.
func (f *Fetcher) explain(ctx context.Context, from string, err error) error {
	var known *fault.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &known):
		return err
	case errors.Is(err, ErrMissing):
		return fault.New(fault.Input, fmt.Errorf("%s %w", printable(from), ErrMissing), "does the release have a file for this platform?")
	case errors.Is(err, errRefused):
		return fault.New(fault.Registry, fmt.Errorf("%s: %w", printable(from), registry.Cause(err)), "hosts in image.yaml lists those that may be asked")
	case errors.As(err, &certificate):
		return fault.New(fault.Registry, fmt.Errorf("%s: its certificate is not accepted: %w", printable(from), certificate.Err),
			"SSL_CERT_FILE=ca.pem names the authorities to trust")
	}
	return fault.New(fault.Registry, fmt.Errorf("%s: %w", printable(from), registry.Cause(err)), "try again later")
}

// printable is a URL without its query, which may be a signature.
func printable(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return "the URL"
	}
	u.RawQuery, u.User, u.Fragment = "", nil, ""
	return u.String()
}
