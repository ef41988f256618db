package download

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// A body is the part of a file that has been received.
type body struct {
	bytes []byte
	hash  hash.Hash
	kind  string
	// validator identifies one version of the file. It is "" where the server gives none; the
	// received part is then useless after a broken connection.
	validator string
}

func (b *body) reset() { b.bytes, b.hash, b.validator = nil, sha256.New(), "" }

// fetch downloads a file. The parameter size is the size that it has to have, and negative
// where that is not known.
func (f *Fetcher) fetch(ctx context.Context, from string, size int64) (File, error) {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	b := &body{}
	b.reset()
	for try := 1; ; try++ {
		err := f.attempt(limited, from, size, b)
		if err == nil {
			break
		}
		if !isBroken(err) || limited.Err() != nil {
			return File{}, f.explain(ctx, from, err)
		}
		if try == tries {
			return File{}, fault.New(fault.Registry, fmt.Errorf("%s: the connection broke off %d times, the last time after %d bytes", printable(from), tries, len(b.bytes)),
				"try again later")
		}
		select {
		case <-limited.Done():
			return File{}, f.explain(ctx, from, limited.Err())
		case <-time.After(time.Duration(try) * 100 * time.Millisecond):
		}
	}
	return File{Pin: Pin{SHA256: hex.EncodeToString(b.hash.Sum(nil)), Size: int64(len(b.bytes))}, Bytes: b.bytes, Type: b.kind}, nil
}

// brokenError says that a body ended before it was complete.
type brokenError struct{ cause error }

func (e *brokenError) Error() string { return e.cause.Error() }
func (e *brokenError) Unwrap() error { return e.cause }

func isBroken(err error) bool {
	var broken *brokenError
	return errors.As(err, &broken)
}

// attempt sends one request, for the rest of the file where a part has been received.
func (f *Fetcher) attempt(ctx context.Context, from string, size int64, b *body) error {
	u, err := url.Parse(from)
	if err != nil {
		return err
	}
	if err := f.Allow(u); err != nil {
		return fmt.Errorf("%w: %w", errRefused, err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return err
	}
	request.Header.Set("User-Agent", "jobmesh")
	if b.validator == "" {
		b.reset()
	} else {
		request.Header.Set("Range", "bytes="+strconv.Itoa(len(b.bytes))+"-")
		request.Header.Set("If-Range", b.validator)
	}
	answer, err := f.transfer().Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // nothing was written to it
	switch answer.StatusCode {
	case http.StatusOK:
		b.reset()
	case http.StatusPartialContent:
		if !strings.HasPrefix(answer.Header.Get("Content-Range"), "bytes "+strconv.Itoa(len(b.bytes))+"-") {
			b.reset()
			return &brokenError{errors.New("another range than the one asked for")}
		}
	case http.StatusRequestedRangeNotSatisfiable:
		b.reset()
		return &brokenError{errors.New("no such range")}
	case http.StatusNotFound, http.StatusGone:
		return ErrMissing
	default:
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	b.kind = answer.Header.Get("Content-Type")
	b.validator = validatorOf(answer.Header)
	return f.read(answer, size, b)
}

// validatorOf returns the header that identifies a version of a file. A weak one only says that
// two files mean the same, which does not allow putting their halves together.
func validatorOf(h http.Header) string {
	if h.Get("Accept-Ranges") == "none" {
		return ""
	}
	if tag := h.Get("ETag"); tag != "" && !strings.HasPrefix(tag, "W/") {
		return tag
	}
	return h.Get("Last-Modified")
}

// read appends the body of an answer, and stops where it is longer than allowed.
func (f *Fetcher) read(answer *http.Response, size int64, b *body) error {
	most := f.Limit
	tooLong := fmt.Errorf("%s has more than %d bytes, the most that maxSize allows", printable(answer.Request.URL.String()), most)
	if size >= 0 {
		most = size
		tooLong = fmt.Errorf("%s has more than the %d bytes that were locked", printable(answer.Request.URL.String()), size)
	}
	left := most - int64(len(b.bytes))
	if answer.ContentLength > left {
		return fault.New(fault.Input, tooLong, File{Type: b.kind}.page()...)
	}
	buffer := make([]byte, 64<<10)
	in := io.LimitReader(answer.Body, left+1)
	for {
		n, err := in.Read(buffer)
		b.bytes = append(b.bytes, buffer[:n]...)
		b.hash.Write(buffer[:n])
		switch {
		case int64(len(b.bytes)) > most:
			return fault.New(fault.Input, tooLong, File{Type: b.kind}.page()...)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return &brokenError{err}
		}
	}
}
