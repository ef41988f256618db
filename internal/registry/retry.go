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

// Retrying returns a transport that sends a request again where that may help: after 408, 429,
// 5xx or a broken connection, and when the server asks for it.
func Retrying(next http.RoundTripper) http.RoundTripper {
	return retrying(next, func() retry.Backoff { return defaultBackoff })
}

var defaultBackoff = retry.ExponentialBackoff(250*time.Millisecond, 2, 0.1)

func retrying(next http.RoundTripper, backoff func() retry.Backoff) *retry.Transport {
	return &retry.Transport{Base: next, Policy: func() retry.Policy { return patience{backoff: backoff(), now: time.Now} }}
}

// patience decides whether a request is sent again, and when. A server that says how long to
// wait gets no request before that: most servers count earlier requests, too.
type patience struct {
	backoff retry.Backoff
	now     func() time.Time
}

// Retry returns how long to wait before the next try; a negative result means that there is
// none.
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

// left returns the time that the step of this request still has.
func (p patience) left(answer *http.Response) time.Duration {
	if answer.Request != nil {
		if deadline, ok := answer.Request.Context().Deadline(); ok {
			return deadline.Sub(p.now())
		}
	}
	return time.Hour
}

// askedWait reads Retry-After in both forms, seconds and a date.
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

// A busyError says that a server asks to wait for longer than there is time.
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

// brokenOff are the errors of a broken connection. In the middle of a long upload it depends on
// timing which of them is reported.
var brokenOff = []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE, net.ErrClosed}

// worthAnotherTry is oras's predicate, and also accepts the errors in brokenOff.
func worthAnotherTry(answer *http.Response, err error) (bool, error) {
	for _, broken := range brokenOff {
		if errors.Is(err, broken) {
			return true, nil
		}
	}
	return retry.DefaultPredicate(answer, err)
}
