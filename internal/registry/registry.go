// Package registry talks to container registries: with the credentials of docker and podman,
// over plain HTTP to this machine only, with retries where they can help, and with one sentence
// for each failure.
package registry

import (
	"context"
	"errors"
	"net"
	"net/http"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/jobmesh/jobmesh/internal/secret"
)

// A Client talks to registries.
type Client struct {
	// PlainHTTP allows plain HTTP to registries that are not on this machine.
	PlainHTTP bool
	// Backoff is the time between retries where the server asks for none.
	Backoff retry.Backoff

	options   []remote.Option
	keys      *keychain
	referrers *referrersTransport
}

// New returns a client that uses the credentials of docker and podman. The parameter plainHTTP
// allows plain HTTP to registries that are not on this machine.
func New(plainHTTP bool) *Client {
	c := NewWith(authn.DefaultKeychain, plainHTTP)
	c.keys.place = place
	return c
}

// NewWith returns a client that takes its credentials from a keychain.
func NewWith(from authn.Keychain, plainHTTP bool) *Client {
	c := &Client{
		PlainHTTP: plainHTTP,
		Backoff:   defaultBackoff,
		keys:      &keychain{from: from, place: func(string) string { return "the caller" }},
	}
	// The retries of oras's transport end with the context. Those of go-containerregistry do
	// not, so they are off. There is no separate limit for the headers of an answer: the
	// context has one, and some registries scan before they answer. This transport is below the
	// one that retries, because "no referrers" is not a failure.
	c.referrers = &referrersTransport{next: guarded{ProxyAware(remote.DefaultTransport.(*http.Transport).Clone()), plainHTTP}}
	transport := retrying(c.referrers, func() retry.Backoff { return c.Backoff })
	c.options = reusing(
		remote.WithTransport(transport),
		remote.WithAuthFromKeychain(c.keys),
		remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
		remote.WithUserAgent("jobmesh"),
	)
	return c
}

// reusing returns options by which calls share what they learn about a repository. Without them
// each call asks again which credentials the repository wants.
func reusing(options ...remote.Option) []remote.Option {
	puller, pullErr := remote.NewPuller(options...)
	pusher, pushErr := remote.NewPusher(options...)
	if err := errors.Join(pullErr, pushErr); err != nil {
		panic(err) // cannot happen: the options do not contradict each other
	}
	return []remote.Option{remote.Reuse(puller), remote.Reuse(pusher)}
}

// Options returns the options for go-containerregistry's calls, whose requests end with ctx.
func (c *Client) Options(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, c.options...)
}

// guarded refuses plain HTTP to anything but this machine. Without it go-containerregistry
// falls back to plain HTTP for private addresses, without asking.
type guarded struct {
	next      http.RoundTripper
	plainHTTP bool
}

// errPlainHTTP says that a request would have been sent unencrypted.
var errPlainHTTP = errors.New("speaks plain HTTP only")

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !g.plainHTTP && !isLoopback(r.URL.Hostname()) {
		return nil, errPlainHTTP
	}
	// A registry may repeat the header in its answer, so it is masked.
	secret.HideHeader(r.Header.Get("Authorization"))
	return g.next.RoundTrip(r)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
