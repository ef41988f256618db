package registry

import (
	"context"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"oras.land/oras-go/v2/registry/remote/retry"
)

func TestAskedWait(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for value, want := range map[string]time.Duration{
		"7": 7 * time.Second, "0": 0, "3600": time.Hour,
		"Fri, 02 Jan 2026 03:04:12 GMT":  7 * time.Second,
		"Friday, 02-Jan-26 03:04:12 GMT": 7 * time.Second,
		"Fri, 02 Jan 2026 03:00:00 GMT":  0,
		"":                               -1, "soon": -1, "-7": -1, "7.5": -1, "99999999999999999999": -1,
	} {
		answer := &http.Response{Header: http.Header{"Retry-After": {value}}}
		got, asked := askedWait(answer, now)
		assert.Equal(t, want >= 0, asked, value)
		assert.Equal(t, max(0, want), got, value)
	}
	_, asked := askedWait(nil, now)
	assert.False(t, asked)
}

// This shows how long each try waits for the next one, with a clock that does not move.
func TestPatience(t *testing.T) {
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	p := patience{backoff: retry.ExponentialBackoff(250*time.Millisecond, 2, 0), now: func() time.Time { return now }}
	ctx, cancel := context.WithDeadline(context.Background(), now.Add(10*time.Second))
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://registry.example/v2/", nil)
	require.NoError(t, err)
	answer := func(code int, retryAfter string) *http.Response {
		return &http.Response{StatusCode: code, Header: http.Header{"Retry-After": {retryAfter}}, Request: request}
	}
	for i, c := range []struct {
		attempt int
		answer  *http.Response
		err     error
		want    time.Duration
		words   string
	}{
		{0, answer(200, ""), nil, -1, ""},
		{0, answer(404, "7"), nil, -1, ""},
		{0, answer(401, ""), nil, -1, ""},
		{0, answer(429, "7"), nil, 7 * time.Second, ""},
		{3, answer(503, "Fri, 02 Jan 2026 03:04:12 GMT"), nil, 7 * time.Second, ""},
		{0, answer(429, "11"), nil, -1, "answered 429 once and asks to wait 11s"},
		{4, answer(429, "7"), nil, -1, "answered 429 5 times and asks to wait 7s"},
		{0, answer(500, ""), nil, 250 * time.Millisecond, ""},
		{3, answer(500, ""), nil, 2 * time.Second, ""},
		{4, answer(500, ""), nil, -1, ""},
		{0, nil, io.ErrUnexpectedEOF, 250 * time.Millisecond, ""},
		{4, nil, io.ErrUnexpectedEOF, -1, ""},
		{0, nil, errPlainHTTP, -1, errPlainHTTP.Error()},
	} {
		got, err := p.Retry(c.attempt, c.answer, c.err)
		assert.Equal(t, c.want, got, i)
		if c.words == "" {
			assert.NoError(t, err, i)
		} else {
			assert.EqualError(t, err, c.words, i)
		}
	}
}
