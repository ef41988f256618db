package publish

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

// New returns a publisher that finds credentials where docker and podman keep
// them. plainHTTP allows it for registries that are not on this machine.
func New(plainHTTP bool) *Publisher {
	keys := &keychain{from: authn.DefaultKeychain}
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
	return &Publisher{
		keys:     keys,
		Progress: func(int, int, Step) {},
		options: []remote.Option{
			remote.WithTransport(retrying),
			remote.WithAuthFromKeychain(keys),
			remote.WithRetryBackoff(remote.Backoff{Steps: 1}),
			remote.WithUserAgent("jobmesh"),
		},
	}
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

	mu        sync.Mutex
	anonymous bool
}

func (k *keychain) Resolve(target authn.Resource) (authn.Authenticator, error) {
	return k.ResolveContext(context.Background(), target)
}

// ResolveContext is what go-containerregistry calls where it is there.
func (k *keychain) ResolveContext(ctx context.Context, target authn.Resource) (authn.Authenticator, error) {
	found, err := authn.Resolve(ctx, k.from, target)
	k.mu.Lock()
	defer k.mu.Unlock()
	k.anonymous = err == nil && found == authn.Anonymous
	return found, err
}

// source says which credentials were used, never the credentials.
func (k *keychain) source() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.anonymous {
		return "no credentials were found for it in the files of docker and podman"
	}
	return "with the credentials that the files of docker or podman have for it"
}

// explain turns an error of the client into one sentence with an exit code.
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
	return fault.New(fault.Registry, fmt.Errorf("%s: %s: %w", repo.Name(), phase, err))
}

// ignoreMissing takes "not there" for an answer.
func ignoreMissing(err error) error {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound {
		return nil
	}
	return err
}
