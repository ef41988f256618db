package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/jobmesh/jobmesh/internal/fault"
)

const again = "run the command again"

// Explain turns an error of a call into one sentence with an exit code. The parameter phase
// says what was requested, such as manifest; hints are what to try where the registry refuses
// just that.
func (c *Client) Explain(repo name.Repository, phase string, err error, hints ...string) error {
	var known *fault.Error
	var busy *busyError
	var certificate *tls.CertificateVerificationError
	var answer *transport.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, errTooMuch), errors.Is(err, errNoList):
		return fault.New(fault.Verification, fmt.Errorf("%s: the answer to the %s %w", repo.Name(), phase, Cause(err)))
	case errors.As(err, &busy):
		return fault.New(fault.Registry, fmt.Errorf("%s %s (%s)", repo.Name(), busy, phase), "wait that long; then "+again)
	// This comes before the answers: to an address of this machine the client then tries plain
	// HTTP, and what a TLS server answers to that does not help.
	case errors.As(err, &certificate):
		hint := "the certificate must be for the host in the reference"
		if unknown := (x509.UnknownAuthorityError{}); errors.As(err, &unknown) {
			hint = "name the file of your certificate authority: SSL_CERT_FILE=ca.pem jobmesh ..."
		}
		return fault.New(fault.Registry, fmt.Errorf("registry %s: its certificate is not accepted: %w", repo.RegistryStr(), certificate.Err), hint)
	// Where plain HTTP is tried as well, the second error says more.
	case errors.Is(err, errPlainHTTP), errors.Is(err, http.ErrSchemeMismatch) && repo.Scheme() == "https":
		return fault.New(fault.Registry, fmt.Errorf("registry %s speaks plain HTTP only", repo.RegistryStr()), "allow it with --plain-http")
	case errors.Is(err, errNoReferrers):
		return fault.New(fault.Registry, fmt.Errorf("registry %s has no referrers API, which --referrers required demands", repo.RegistryStr()),
			"without that flag the list of referrers is kept under a tag")
	case errors.As(err, &answer):
		return c.refused(repo, phase, answer, hints)
	case errors.Is(err, http.ErrSchemeMismatch):
		return fault.New(fault.Registry, fmt.Errorf("registry %s does not speak TLS", repo.RegistryStr()), "allow plain HTTP with --plain-http")
	case strings.Contains(err.Error(), "SSRF protection"):
		return fault.New(fault.Registry, fmt.Errorf("%s: %s: the registry sends this to a private address of another host, which is not followed: %w", repo.Name(), phase, Cause(err)),
			"let the registry answer with relative locations (http.relativeurls: true for distribution) or with a host name")
	}
	if cause := proxyCause(err); cause != nil {
		return fault.New(fault.Registry, fmt.Errorf("%s: %s: %w", repo.Name(), phase, cause), proxyHint(repo.RegistryStr()))
	}
	var page *pageError
	if errors.As(err, &page) {
		return fault.New(fault.Registry, fmt.Errorf("%s: %s: %w", repo.Name(), phase, page), page.hint(repo))
	}
	hint := again
	if host := (*net.DNSError)(nil); errors.As(err, &host) && host.IsNotFound || errors.Is(err, syscall.ECONNREFUSED) {
		hint = "is " + repo.RegistryStr() + " the name and port of the registry, and does it run?"
	}
	return fault.New(fault.Registry, fmt.Errorf("%s: %s: %w", repo.Name(), phase, Cause(err)), hint)
}

// Cause says in a few words why a request got no answer. The errors of Go's HTTP client start
// with the whole URL, which for a blob is a signed address of a storage service.
func Cause(err error) error {
	var host *net.DNSError
	var timeout net.Error
	var request *url.Error
	if cause := proxyCause(err); cause != nil {
		return cause
	}
	switch {
	case errors.As(err, &host) && host.IsNotFound:
		return errors.New("host " + host.Name + " is not known to the DNS")
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there (connection refused)")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time")
	case errors.As(err, &request):
		return request.Err
	}
	return err
}

// refused explains an answer with an error status.
func (c *Client) refused(repo name.Repository, phase string, answer *transport.Error, hints []string) error {
	who, said := repo.Name(), ""
	// A token service or a storage service is another host than the registry.
	if r := answer.Request; r != nil && r.URL.Host != repo.RegistryStr() && !strings.HasSuffix(r.URL.Host, "."+repo.RegistryStr()) {
		who = r.URL.Host + ", where " + repo.RegistryStr() + " sends its clients,"
	}
	for _, d := range answer.Errors {
		said += ": " + strings.TrimSpace(string(d.Code)+" "+d.Message)
	}
	if page := pageIn(answer); page != nil {
		said, hints = ": "+page.Error(), []string{page.hint(repo)}
	}
	switch code := answer.StatusCode; {
	case code == http.StatusForbidden && pageIn(answer) != nil:
		return fault.New(fault.Registry, fmt.Errorf("%s refused the %s with %d%s", who, phase, code, said), hints...)
	case code == http.StatusForbidden && !c.keys.isAnonymous(repo.RegistryStr()):
		return fault.New(fault.Auth, fmt.Errorf("%s refused the %s with %d, %s%s", who, phase, code, c.keys.source(repo.RegistryStr()), said),
			"this account may not do that in "+repo.RepositoryStr()+": whoever runs "+repo.RegistryStr()+" can allow it")
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		source := c.keys.source(repo.RegistryStr())
		return fault.New(fault.Auth, fmt.Errorf("%s refused the %s with %d, %s%s", who, phase, code, source, said),
			"docker login "+repo.RegistryStr())
	case code == http.StatusTooManyRequests:
		return fault.New(fault.Registry, fmt.Errorf("%s limits requests: 429, %d times (%s)%s", who, tries, phase, said), "wait; then "+again)
	case code >= 500:
		return fault.New(fault.Registry, fmt.Errorf("%s refused the %s with %d, %d times%s", who, phase, code, tries, said), again)
	default:
		return fault.New(fault.Registry, fmt.Errorf("%s refused the %s with %d%s", who, phase, code, said), hints...)
	}
}

// IgnoreMissing returns nil for the answer "not found", and any other error as it is.
func IgnoreMissing(err error) error {
	if IsMissing(err) {
		return nil
	}
	return err
}

// IsMissing tells whether an error is the answer "not found".
func IsMissing(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

// IsRefusal distinguishes a plain refusal from missing credentials and from a server in
// trouble.
func IsRefusal(err error) bool {
	var answer *transport.Error
	if !errors.As(err, &answer) {
		return false
	}
	switch answer.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusTooManyRequests:
		return false
	}
	return answer.StatusCode < 500
}

// IsTransport distinguishes a failed connection from wrong content.
func IsTransport(err error) bool {
	var answer *transport.Error
	var request *url.Error
	return errors.As(err, &answer) || errors.As(err, &request) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, io.ErrUnexpectedEOF)
}
