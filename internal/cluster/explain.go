package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/nearest"
	"github.com/jobmesh/jobmesh/internal/printable"
)

// explainConfig says what is wrong with the kubeconfig.
func (f *Flags) explainConfig(err error, loader clientcmd.ClientConfig) error {
	name := *f.config.Context
	if clientcmd.IsContextNotFound(err) || strings.Contains(err.Error(), "does not exist") && name != "" {
		known := contexts(loader)
		if name == "" {
			if raw, wrong := loader.RawConfig(); wrong == nil {
				name = raw.CurrentContext
			}
		}
		var hints []string
		if near, ok := nearest.Guess(name, known); ok {
			hints = append(hints, "did you mean --context "+near+"?")
		}
		if len(known) > 0 {
			hints = append(hints, "the contexts are "+printable.Text(joined(known)))
		}
		return fault.New(fault.Usage, fmt.Errorf("context %q is not in the kubeconfig", name), append(hints, "kubectl config get-contexts")...)
	}
	var missing *fs.PathError
	switch {
	case errors.As(err, &missing):
		return fault.New(fault.Usage, fmt.Errorf("kubeconfig %s: %w", missing.Path, missing.Err), "--kubeconfig names another file")
	case clientcmd.IsEmptyConfig(err):
		return fault.New(fault.Usage, errors.New("no cluster is known: there is no kubeconfig, and this is no pod"),
			"export KUBECONFIG=FILE, or --kubeconfig FILE", "kubectl config view shows what kubectl reads")
	}
	return fault.New(fault.Usage, fmt.Errorf("kubeconfig: %s", oneLine(err)), "kubectl config view shows what kubectl reads")
}

// Explain makes one sentence of an error of the API, with the exit code that it deserves.
// what is the thing that was asked for. verb is the one of jobmesh, whose rights the hint
// names.
func (c *Cluster) Explain(err error, what, verb string) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	switch {
	case errors.As(err, &known):
		return err
	case errors.Is(err, context.Canceled):
		return err
	case apierrors.IsUnauthorized(err):
		return fault.New(fault.Auth, fmt.Errorf("%s: the cluster does not accept the credentials; a token may have expired", what), "kubectl auth whoami", "log in again, or --context names another context")
	case apierrors.IsForbidden(err):
		return fault.New(fault.Auth, fmt.Errorf("%s: %s", what, denied(err)), "jobmesh rbac "+verb+" prints the rights that this needs")
	case apierrors.IsNotFound(err):
		return fault.New(fault.Usage, fmt.Errorf("%s: there is none", what), "-n names another namespace, --context another cluster")
	case isLogin(err):
		return fault.New(fault.Auth, fmt.Errorf("%s: %s", what, oneLine(inner(err))), "the kubeconfig names the program that gets the credentials; run it by hand")
	case isTimeout(err):
		return fault.New(fault.Registry, fmt.Errorf("%s: the cluster at %s does not answer in time", what, c.host()), "--request-timeout 2m waits longer", "kubectl cluster-info")
	}
	return fault.New(fault.Registry, fmt.Errorf("%s: the cluster at %s: %s", what, c.host(), oneLine(inner(err))), "kubectl cluster-info")
}

// IsDenied tells whether an error says that somebody may not ask.
func IsDenied(err error) bool { return apierrors.IsForbidden(err) }

// IsGone tells whether an error says that the object is not there.
func IsGone(err error) bool { return apierrors.IsNotFound(err) }

// denied is what the server says of a right that is missing, without the object, which
// stands before it.
func denied(err error) string {
	text := oneLine(err)
	if _, after, ok := strings.Cut(text, ": "); ok && strings.Contains(after, "cannot ") {
		return after
	}
	return text
}

func isLogin(err error) bool {
	return strings.Contains(err.Error(), "getting credentials: ")
}

func isTimeout(err error) bool {
	var slow net.Error
	return errors.Is(err, context.DeadlineExceeded) || apierrors.IsTimeout(err) || apierrors.IsServerTimeout(err) || errors.As(err, &slow) && slow.Timeout() ||
		strings.Contains(err.Error(), http.ErrHandlerTimeout.Error()) || strings.Contains(err.Error(), "Client.Timeout exceeded")
}

// inner is an error without the method and the URL that net/http puts before it.
func inner(err error) error {
	var at *url.Error
	if errors.As(err, &at) {
		return at.Err
	}
	return err
}

func (c *Cluster) host() string {
	host := printable.WithoutPasswords(c.config.Host)
	if _, rest, ok := strings.Cut(host, "://"); ok {
		host = rest
	}
	return printable.Text(host)
}

// oneLine is the text of an error, fit to be shown.
func oneLine(err error) string {
	return printable.WithoutPasswords(printable.Text(strings.TrimSpace(err.Error())))
}

// ExplainDial says in a few words why a port of a pod cannot be reached.
func (c *Cluster) ExplainDial(err error) error {
	text := oneLine(inner(err))
	switch {
	case isTimeout(err):
		return fault.New(fault.Registry, errors.New("the port-forward does not come about in time"))
	case IsDenied(err) || strings.Contains(text, "orbidden"):
		return fault.New(fault.Auth, errors.New("port-forward is not allowed (create pods/portforward)"), "jobmesh rbac rescue prints the rights that this needs")
	}
	return errors.New(text)
}
