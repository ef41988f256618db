package registry

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestPlainHTTPIsForThisMachineOnly(t *testing.T) {
	request, err := http.NewRequest(http.MethodGet, "http://registry.example/v2/", nil)
	require.NoError(t, err)
	for _, c := range []struct {
		host    string
		allowed bool
		want    bool
	}{
		{"registry.example", false, false}, {"10.0.0.1:5000", false, false}, {"localhost.example", false, false},
		{"registry.example", true, true}, {"127.0.0.1:5000", false, true}, {"[::1]:5000", false, true}, {"localhost", false, true},
	} {
		request.URL.Host = c.host
		reached := false
		_, err := guarded{roundTrip(func() { reached = true }), c.allowed}.RoundTrip(request)
		assert.Equal(t, c.want, reached, c.host)
		assert.Equal(t, !c.want, errors.Is(err, errPlainHTTP), c.host)
	}
}

type roundTrip func()

func (f roundTrip) RoundTrip(*http.Request) (*http.Response, error) {
	f()
	return nil, nil
}

// These are the causes of real requests that got no answer.
func TestCauses(t *testing.T) {
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	t.Cleanup(silent.Close)
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	// A label of a DNS name has at most 63 letters. So this name does not exist, whatever the
	// DNS of this machine answers.
	unknown := strings.Repeat("x", 64) + ".invalid"
	for url, want := range map[string]string{
		silent.URL + "/?token=hunter2":             "no answer in time",
		gone.URL + "/?token=hunter2":               "nothing listens there (connection refused)",
		"https://" + unknown + "/?token=hunter2":   "host " + unknown + " is not known to the DNS",
		"gopher://registry.invalid/?token=hunter2": `unsupported protocol scheme "gopher"`,
	} {
		patience := time.Minute
		if strings.HasPrefix(url, silent.URL) {
			patience = 100 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		require.NoError(t, err)
		_, err = (&http.Client{Transport: &http.Transport{}}).Do(request)
		cancel()
		require.Error(t, err)
		assert.EqualError(t, Cause(err), want)
	}
}
