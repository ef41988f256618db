// Package registry is how jobmesh speaks to container registries: with the
// credentials that docker and podman keep, in plain HTTP to this machine only,
// trying again what may pass, and with one sentence for what does not.
package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"oras.land/oras-go/v2/registry/remote/retry"

	"github.com/jobmesh/jobmesh/internal/fault"
)

// A Client speaks to registries.
type Client struct {
	// PlainHTTP allows it for registries that are not on this machine.
	PlainHTTP bool

	options []remote.Option
	keys    *keychain
}

// New returns a client that finds credentials where docker and podman keep
// them. plainHTTP allows it for registries that are not on this machine.
func New(plainHTTP bool) *Client {
	return NewWith(authn.DefaultKeychain, plainHTTP)
}

// NewWith returns a client that takes its credentials from a keychain.
func NewWith(from authn.Keychain, plainHTTP bool) *Client {
	keys := &keychain{from: from}
	base := remote.DefaultTransport.(*http.Transport).Clone()
	base.ResponseHeaderTimeout = time.Minute
	// oras's transport honours Retry-After and ends with its context, which
	// go-containerregistry's own retry does not; so that one is off.
	retrying := retry.NewTransport(guarded{base, plainHTTP})
	retrying.Policy = func() retry.Policy {
		return &retry.GenericPolicy{
			Retryable: worthAnotherTry,
			Backoff:   retry.ExponentialBackoff(250*time.Millisecond, 2, 0.1),
			MinWait:   200 * time.Millisecond,
			MaxWait:   30 * time.Second,
			MaxRetry:  4,
		}
	}
	return &Client{
		PlainHTTP: plainHTTP,
		keys:      keys,
		options: []remote.Option{
			remote.WithTransport(retrying),
			remote.WithAuthFromKeychain(keys),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
			remote.WithUserAgent("jobmesh"),
		},
	}
}

// Options are what go-containerregistry's calls need, for requests under ctx.
func (c *Client) Options(ctx context.Context) []remote.Option {
	return append([]remote.Option{remote.WithContext(ctx)}, c.options...)
}

// worthAnotherTry adds to oras's predicate the connections that break off.
func worthAnotherTry(answer *http.Response, err error) (bool, error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) {
		return true, nil
	}
	return retry.DefaultPredicate(answer, err)
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
	return g.next.RoundTrip(r)
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// A keychain remembers where the credentials came from, so that a refusal can
// say what was tried.
type keychain struct {
	from authn.Keychain

	mu sync.Mutex
	// anonymous has the registries for which there were none.
	anonymous map[string]bool
}

func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext is what go-containerregistry calls where it is there.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	found, err := authn.Resolve(ctx, k.from, target)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anonymous == nil {
		k.anonymous = map[string]bool{}
	}
	k.anonymous[target.RegistryStr()] = err == nil && found == authn.Anonymous
	return found, err
}

// source says which credentials a registry got, never the credentials.
func (k *keychain) source(registry string) string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anonymous[registry] {
		return "no credentials were found for it in the files of docker and podman"
	}
	return "with the credentials that the files of docker or podman have for it"
}

// Explain turns an error of a call into one sentence with an exit code. phase is
// what was asked, such as manifest.
func (c *Client) Explain(repo name.Repository, phase string, err error) error {
	return explain(repo, phase, err, c.keys.source(repo.RegistryStr()))
}

func explain(repo name.Repository, phase string, err error, source string) error {
	var known *fault.Error
	if errors.As(err, &known) {
		return err
	}
	if errors.Is(err, errPlainHTTP) {
		return fault.New(fault.Registry, fmt.Errorf("registry %s speaks plain HTTP only", repo.RegistryStr()), "allow it with --plain-http")
	}
	var answer *transport.Error
	if errors.As(err, &answer) {
		said := ""
		for _, d := range answer.Errors {
			said = ": " + string(d.Code) + " " + d.Message
		}
		switch answer.StatusCode {
		case http.StatusUnauthorized, http.StatusForbidden:
			return fault.New(fault.Auth, fmt.Errorf("%s refused the %s with %d, %s%s", repo.Name(), phase, answer.StatusCode, source, said),
				"docker login "+repo.RegistryStr())
		case http.StatusTooManyRequests:
			return fault.New(fault.Registry, fmt.Errorf("%s wants fewer requests (429)%s", repo.Name(), said), "try again later; it goes on where it stopped")
		}
		return fault.New(fault.Registry, fmt.Errorf("%s refused the %s with %d%s", repo.Name(), phase, answer.StatusCode, said))
	}
	hints, reason := cause(err)
	return fault.New(fault.Registry, fmt.Errorf("%s: %s: %w", repo.Name(), phase, reason), hints...)
}

// IgnoreMissing takes "not there" for an answer.
func IgnoreMissing(err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil
	}
	return err
}
