package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/nearest"
	"github.com/jobmesh/jobmesh/internal/printable"
)

// explainConfig says what is wrong with the kubeconfig.
func (f *Flags) explainConfig(err error, loader clientcmd.ClientConfig) error {
	if wrong := f.unknownName(loader); wrong != nil {
		return wrong
	}
	var missing *fs.PathError
	switch {
	case errors.As(err, &missing):
		return fault.New(fault.Usage, fmt.Errorf("kubeconfig %s: %w", missing.Path, missing.Err), "--kubeconfig names another file")
	case clientcmd.IsEmptyConfig(err):
		return fault.New(fault.Usage, errors.New("no cluster is known: there is no kubeconfig, and jobmesh does not run in a pod"),
			"export KUBECONFIG=FILE, or --kubeconfig FILE", "kubectl config view shows what kubectl reads")
	}
	return fault.New(fault.Usage, fmt.Errorf("kubeconfig: %s", oneLine(err)), "kubectl config view shows what kubectl reads")
}

// unknownName finds a context, cluster or user that was asked for, or that the current context
// names, and that is not in the kubeconfig.
func (f *Flags) unknownName(loader clientcmd.ClientConfig) error {
	raw, err := loader.RawConfig()
	if err != nil {
		return nil
	}
	for _, asked := range []struct {
		flag, name, list string
		known            []string
	}{
		{"context", cmp.Or(*f.config.Context, raw.CurrentContext), "get-contexts", slices.Sorted(maps.Keys(raw.Contexts))},
		{"cluster", *f.config.ClusterName, "get-clusters", slices.Sorted(maps.Keys(raw.Clusters))},
		{"user", *f.config.AuthInfoName, "get-users", slices.Sorted(maps.Keys(raw.AuthInfos))},
	} {
		if asked.name == "" || slices.Contains(asked.known, asked.name) || asked.flag == "context" && len(asked.known) == 0 && *f.config.Context == "" {
			continue
		}
		var hints []string
		if near, ok := nearest.Guess(asked.name, asked.known); ok {
			hints = append(hints, "did you mean --"+asked.flag+" "+near+"?")
		}
		if len(asked.known) > 0 {
			hints = append(hints, "the "+asked.flag+"s are "+printable.Text(strings.Join(asked.known, ", ")))
		}
		return fault.New(fault.Usage, fmt.Errorf("%s %q is not in the kubeconfig", asked.flag, asked.name), append(hints, "kubectl config "+asked.list)...)
	}
	return nil
}

// Explain turns an error of the API into one sentence with a matching exit code. what is the object
// that was asked for. verb is the verb of jobmesh whose rights the hint names.
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

// IsDenied tells whether an error says that the user lacks a right.
func IsDenied(err error) bool { return apierrors.IsForbidden(err) }

// IsGone tells whether an error says that the object does not exist.
func IsGone(err error) bool { return apierrors.IsNotFound(err) }

// denied returns what the server says about a missing right, without the object that stands before
// it.
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

// inner returns an error without the method and the URL that net/http puts before it.
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

// oneLine returns the text of an error, made safe to print.
func oneLine(err error) string {
	return printable.WithoutPasswords(printable.Text(strings.TrimSpace(err.Error())))
}

// ExplainDial says in a few words why a port of a pod cannot be reached.
func (c *Cluster) ExplainDial(err error) error {
	switch {
	case isTimeout(err):
		return fault.New(fault.Registry, errors.New("the port-forward was not set up in time"))
	case IsDenied(err):
		return fault.New(fault.Auth, errors.New("port-forward is not allowed (create pods/portforward)"), "jobmesh rbac rescue prints the rights that this needs")
	}
	return errors.New(oneLine(inner(err)))
}
