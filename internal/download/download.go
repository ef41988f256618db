// Package download fetches files that others publish, such as release binaries: over HTTPS,
// from allowed hosts only, up to a limit, and never another file than the one that was pinned.
// Fetched files are kept in a cache, and are checked each time they are taken from there.
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

// limit is the time limit for one file, retries included.
const limit = 10 * time.Minute

// tries is how often the body of a file is requested at most. The transport below repeats
// requests that get no answer.
const tries = 5

// A Pin identifies the content of a file.
type Pin struct {
	// SHA256 is the hash in hexadecimal digits.
	SHA256 string
	// Size is the size in bytes.
	Size int64
}

// A File is a file that was fetched.
type File struct {
	Pin
	Bytes []byte
	// Type is the Content-Type; it is empty for a file from the cache.
	Type string
}

// A Fetcher fetches files.
type Fetcher struct {
	// Allow returns an error for a URL that must not be requested, also for those of redirects.
	Allow func(*url.URL) error
	// Limit is the largest size of a file, in bytes.
	Limit int64
	// Cache is the folder of the cache; empty means no cache.
	Cache string
	// Offline takes files from the cache only.
	Offline bool
	// Note gets messages that are not failures.
	Note func(string)

	client *http.Client
}

// CacheFolder returns the cache folder of this user, below XDG_CACHE_HOME or ~/.cache, and ""
// where there is no such place.
func CacheFolder() string {
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "jobmesh", "downloads")
}

// ErrMissing says that the server does not have the file.
var ErrMissing = errors.New("does not exist (404)")

// errRefused says that a URL must not be requested.
var errRefused = errors.New("refused")

// Pinned returns a file with a known content, from the cache where it is there. Another content
// is a fault.Input error.
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

// New downloads a file whose content is not known yet, up to the limit.
func (f *Fetcher) New(ctx context.Context, from string) (File, error) {
	got, err := f.fetch(ctx, from, -1)
	if err == nil {
		f.keep(got)
	}
	return got, err
}

// page returns a hint where the server has sent a web page in place of the file.
func (f File) page() []string {
	if strings.HasPrefix(f.Type, "text/") {
		return []string{"the server sent " + f.Type + ", a web page in place of a program"}
	}
	return nil
}

// path returns where the cache keeps a file, and "" where there is no cache.
func (f *Fetcher) path(pin Pin) string {
	if f.Cache == "" {
		return ""
	}
	return filepath.Join(f.Cache, "sha256", pin.SHA256)
}

// readCached returns the content of a cached file if its hash is right.
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

// keep puts a file into the cache. A failure is only noted, because it costs no more than
// another download.
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

// transfer returns the client for downloads.
func (f *Fetcher) transfer() *http.Client {
	if f.client == nil {
		transport := registry.ProxyAware(http.DefaultTransport.(*http.Transport).Clone())
		transport.ResponseHeaderTimeout = time.Minute
		transport.DisableCompression = true // the hash is that of the bytes as they are sent
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

// printable returns a URL without its query, which may contain a signature.
func printable(from string) string {
	u, err := url.Parse(from)
	if err != nil {
		return "the URL"
	}
	u.RawQuery, u.User, u.Fragment = "", nil, ""
	return u.String()
}
