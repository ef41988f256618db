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
func cause(err error) (reason error, hints []string) {
	var name *net.DNSError
	var certificate *tls.CertificateVerificationError
	var timeout net.Error
	var request *url.Error
	switch {
	case errors.As(err, &name) && name.IsNotFound:
		return errors.New("host " + name.Name + " is not known to the DNS"), nil
	case errors.As(err, &certificate):
		return errors.New("its certificate is not trusted: " + certificate.Err.Error()),
			[]string{"SSL_CERT_FILE=/path/to/ca.pem names the authorities to trust"}
	case errors.Is(err, http.ErrSchemeMismatch):
		return errors.New("it does not speak TLS"), []string{"a registry that is not on this machine has to be reached by HTTPS"}
	case errors.Is(err, syscall.ECONNREFUSED):
		return errors.New("nothing listens there (connection refused)"), nil
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return errors.New("no answer in time"), nil
	case errors.As(err, &request):
		return request.Err, nil
	}
	return err, nil
}
