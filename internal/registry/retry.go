package registry

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"syscall"
	"time"

	"oras.land/oras-go/v2/registry/remote/retry"
)

// tries is how often a request is sent at most.
const tries = 5

// Retrying sends a request again where that may help: after 408, 429, 5xx and a
// connection that breaks off, when the server asks for it.
func Retrying(next http.RoundTripper) http.RoundTripper {
	return retrying(next, func() retry.Backoff { return defaultBackoff })
}

var defaultBackoff = retry.ExponentialBackoff(250*time.Millisecond, 2, 0.1)

func retrying(next http.RoundTripper, backoff func() retry.Backoff) *retry.Transport {
	return &retry.Transport{Base: next, Policy: func() retry.Policy { return patience{backoff: backoff(), now: time.Now} }}
}

// patience decides whether a request is sent again, and when. A server that says
// how long it wants to be left alone is left alone that long: more often than not
// it counts the requests that come earlier.
type patience struct {
	backoff retry.Backoff
	now     func() time.Time
}

// Retry returns how long to wait before the next try, and less than nothing where
// there is to be none.
func (p patience) Retry(attempt int, answer *http.Response, err error) (time.Duration, error) {
	if again, err := worthAnotherTry(answer, err); err != nil || !again {
		return -1, err
	}
	last := attempt+1 >= tries
	if wait, asked := askedWait(answer, p.now()); asked {
		left := p.left(answer)
		if last || wait > left {
			return -1, &busyError{status: answer.StatusCode, wait: wait, tries: attempt + 1}
		}
		return wait, nil
	}
	if last {
		return -1, nil
	}
	return p.backoff(attempt, nil), nil
}

// left is the time that the step of this request still has.
func (p patience) left(answer *http.Response) time.Duration {
	if answer.Request != nil {
		if deadline, ok := answer.Request.Context().Deadline(); ok {
			return deadline.Sub(p.now())
		}
	}
	return time.Hour
}

// askedWait reads Retry-After in both of its forms, seconds and a date.
func askedWait(answer *http.Response, now time.Time) (time.Duration, bool) {
	if answer == nil {
		return 0, false
	}
	value := answer.Header.Get("Retry-After")
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, date.Sub(now)), true
	}
	return 0, false
}

// busyError is a server that wants to be left alone for longer than there is time.
type busyError struct {
	status int
	wait   time.Duration
	tries  int
}

func (e *busyError) Error() string {
	times := "once"
	if e.tries > 1 {
		times = fmt.Sprintf("%d times", e.tries)
	}
	return fmt.Sprintf("answered %d %s and asks to wait %s", e.status, times, e.wait.Round(time.Second))
}

// brokenOff are the errors of a connection that breaks off; in the middle of a
// long upload it depends on who notices first which one it is.
var brokenOff = []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed}

// worthAnotherTry adds those to oras's predicate.
func worthAnotherTry(answer *http.Response, err error) (bool, error) {
	for _, broken := range brokenOff {
		if errors.Is(err, broken) {
			return true, nil
		}
	}
	return retry.DefaultPredicate(answer, err)
}
