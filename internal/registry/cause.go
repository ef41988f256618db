package registry

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/url"
	"syscall"
)

// cause says in a few words why a request got no answer, with what to try. The
// errors of Go's client open with the whole URL, which for a blob is a signed
// address of somebody's storage.
func cause(err error) (hints []string, reason error) {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	var request *url.Error
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return nil, errors.New("host " + name.Name + " is not known to the DNS")
	case errors.As(err, &certificate):
		return []string{"SSL_CERT_FILE=/path/to/ca.pem names the authorities to trust"},
			errors.New("its certificate is not trusted: " + certificate.Err.Error())
	case errors.Is(err, http.ErrSchemeMismatch):
		return []string{"allow it with --plain-http"}, errors.New("it does not speak TLS")
	case errors.Is(err, syscall.ECONNREFUSED):
		return nil, errors.New("nothing listens there (connection refused)")
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return nil, errors.New("no answer in time")
	case errors.As(err, &request):
		return nil, request.Err
	}
	return nil, err
}
