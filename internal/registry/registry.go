// Package registry is how jobmesh speaks to container registries: with the
// credentials that docker and podman keep, in plain HTTP to this machine only,
// trying again what may pass, and with one sentence for what does not.
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

// A Client speaks to registries.
type Client struct {
	// PlainHTTP allows it for registries that are not on this machine.
	PlainHTTP bool
	// Backoff is the wait between tries where a server asks for none.
	Backoff retry.Backoff

	options   []remote.Option
	keys      *keychain
	referrers *referrersTransport
}

// New returns a client that finds credentials where docker and podman keep
// them. plainHTTP allows it for registries that are not on this machine.
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
	// oras's transport ends with its context, which go-containerregistry's own
	// retry does not; so that one is off. There is no limit for the headers of an
	// answer: that of the context holds, and some registries scan before they answer.
	// Below the one that tries again: what means "no referrers" is no failure.
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

// reusing makes options by which calls share what they find out about a repository:
// without it each of them asks anew which credentials it wants.
func reusing(options ...remote.Option) []remote.Option {
	puller, pullErr := remote.NewPuller(options...)
	pusher, pushErr := remote.NewPusher(options...)
	if err := errors.Join(pullErr, pushErr); err != nil {
		panic(err) // options that contradict each other
	}
	return []remote.Option{remote.Reuse(puller), remote.Reuse(pusher)}
}

// Options are what go-containerregistry's calls need, for requests under ctx.
func (c *Client) Options(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, c.options...)
}

// guarded refuses plain HTTP to anything but this machine. The client below it
// falls back to it for private addresses, without asking.
type guarded struct {
	next      http.RoundTripper
	plainHTTP bool
}

// errPlainHTTP is a request that would have gone out unencrypted.
var errPlainHTTP = errors.New("speaks plain HTTP only")

func (g guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == "http" && !g.plainHTTP && !isLoopback(r.URL.Hostname()) {
		return nil, errPlainHTTP
	}
	// A registry may repeat in its answer what it was told.
	secret.HideHeader(r.Header.Get("Authorization"))
	return g.next.RoundTrip(r)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
