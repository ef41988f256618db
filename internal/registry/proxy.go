package registry

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/jobmesh/jobmesh/internal/secret"
)

// A proxyAnswer says that a proxy has refused to open a connection.
type proxyAnswer struct{ status string }

func (e *proxyAnswer) Error() string { return "answers " + e.status }

// ProxyAware makes a transport report the answer of a proxy as the proxy's. Without it the
// error does not say who has answered.
func ProxyAware(t *http.Transport) *http.Transport {
	t.OnProxyConnectResponse = func(_ context.Context, _ *url.URL, _ *http.Request, answer *http.Response) error {
		if answer.StatusCode == http.StatusOK {
			return nil
		}
		return &proxyAnswer{answer.Status}
	}
	return t
}

// proxyCause says what is wrong with the proxy, and returns nil for any other error.
func proxyCause(err error) error {
	var request *url.Error
	scheme := "https"
	if errors.As(err, &request) && strings.HasPrefix(request.URL, "http://") {
		scheme = "http"
	}
	name, value := proxyVariable(scheme)
	var answer *proxyAnswer
	var dialed *net.OpError
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("the proxy %s, which %s names, %w", proxyAddress(value), name, answer)
	case request != nil && strings.HasPrefix(request.Err.Error(), "invalid proxy address"):
		return fmt.Errorf("%s is %q, which is not the address of a proxy", name, secret.Mask(value))
	case errors.As(err, &dialed) && dialed.Op == "proxyconnect":
		return fmt.Errorf("the proxy %s, which %s names: %w", proxyAddress(value), name, Cause(dialed.Err))
	}
	return nil
}

// proxyVariable returns the environment variable that names the proxy for URLs of a scheme, and
// its value.
func proxyVariable(scheme string) (name, value string) {
	name = strings.ToUpper(scheme) + "_PROXY"
	for _, spelt := range []string{name, strings.ToLower(name)} {
		if value := os.Getenv(spelt); value != "" {
			return spelt, value
		}
	}
	return name, ""
}

// proxyAddress returns the address of a proxy without its credentials.
func proxyAddress(value string) string {
	if u, err := url.Parse(value); err == nil && u.Host != "" && u.Port() != "" {
		return u.Host
	}
	return secret.Mask(value)
}

// proxyHint returns what to do about a proxy.
func proxyHint(host string) string {
	return "set the variable to a proxy that runs, unset it, or list " + host + " in NO_PROXY"
}
