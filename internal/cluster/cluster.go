// Package cluster talks to a running Kubernetes cluster. It is the only package that imports
// client-go: the other packages decide over values that were read here, or ask for one action.
//
// It finds the cluster and the user as kubectl does: by kubectl's flags, the merged files of
// KUBECONFIG, contexts, credential plugins, proxies, impersonation, and the service account of a
// pod. An error is one sentence with a hint and an exit code of the command line: Usage if the
// configuration or a name is wrong, Registry if the network or the server fails, Auth if the user
// may not do something.
package cluster

import (
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"github.com/spf13/pflag"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/cli-runtime/pkg/genericclioptions"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/klog/v2"
)

// usualTimeout bounds one request unless the user sets a limit, so that a cluster that does not
// answer can be told from a slow one.
const usualTimeout = "30s"

// perSecond and burst limit the requests of one client. They are far above what a verb needs; the
// limits of the server itself apply all the same.
const (
	perSecond = 200
	burst     = 400
)

// Flags are the flags by which kubectl selects a cluster.
type Flags struct {
	config *genericclioptions.ConfigFlags
	all    bool
}

// NewFlags returns flags with their default values.
func NewFlags() *Flags {
	config := genericclioptions.NewConfigFlags(true)
	timeout := usualTimeout
	config.Timeout = &timeout
	// These flags of kubectl are left out: the kubeconfig has the same settings, and nothing here
	// keeps a cache.
	config.CacheDir, config.BearerToken, config.CertFile, config.KeyFile, config.CAFile = nil, nil, nil, nil, nil
	config.APIServer, config.TLSServerName, config.Insecure, config.DisableCompression, config.ProxyURL = nil, nil, nil, nil, nil
	config.ImpersonateUserExtra = nil
	return &Flags{config: config}
}

// Register adds the flags to a flag set. scoped also adds --all-namespaces.
func (f *Flags) Register(flags *pflag.FlagSet, scoped bool) {
	own := pflag.NewFlagSet("", pflag.ContinueOnError)
	f.config.AddFlags(own)
	own.VisitAll(func(flag *pflag.Flag) {
		if flags.Lookup(flag.Name) == nil { // a verb may have its own flag of that name with another meaning
			flag.Usage = usages[flag.Name]
			flags.AddFlag(flag)
		}
	})
	if scoped {
		flags.BoolVarP(&f.all, "all-namespaces", "A", false, "in all namespaces")
	}
}

// usages are help texts in the style of the other flags of jobmesh.
var usages = map[string]string{
	"kubeconfig":      "`FILE` that says where the cluster is (default $KUBECONFIG, then ~/.kube/config, then the pod's own service account)",
	"as":              "`USER` to ask as, by impersonation",
	"as-uid":          "`UID` to ask as",
	"as-group":        "`GROUP` to ask as, repeatable",
	"cluster":         "`NAME` of the cluster in the kubeconfig",
	"user":            "`NAME` of the user in the kubeconfig",
	"context":         "`NAME` of the context in the kubeconfig",
	"namespace":       "`NAME` of the namespace (default that of the context)",
	"request-timeout": "`TIME` that one request may take, such as 10s; 0 is for ever",
}

// Names returns the names of all flags, for verbs that also work without a cluster.
func Names() []string {
	names := append(slices.Collect(maps.Keys(usages)), "all-namespaces")
	slices.Sort(names)
	return names
}

// A Cluster is a connection to one cluster. To make it takes no request.
type Cluster struct {
	core      kubernetes.Interface
	config    *rest.Config
	namespace string
	clock     *clock
}

// Connect finds the cluster that the flags select, without a request to it.
func (f *Flags) Connect() (*Cluster, error) {
	klog.SetLogger(logr.Discard()) // every error that matters is returned
	loader := f.config.ToRawKubeConfigLoader()
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, f.explainConfig(err, loader)
	}
	if raw, err := loader.RawConfig(); err == nil && len(raw.Clusters) == 0 && config.BearerTokenFile == "" {
		// Neither a kubeconfig nor a pod's service account, which is a file, names a cluster.
		// kubectl would ask localhost:8080.
		return nil, f.explainConfig(clientcmd.ErrEmptyConfig, loader)
	}
	namespace, _, err := loader.Namespace()
	if err != nil {
		return nil, f.explainConfig(err, loader)
	}
	c := &Cluster{namespace: namespace, clock: &clock{}}
	if f.all {
		c.namespace = ""
	}
	config.QPS, config.Burst = perSecond, burst
	config.UserAgent = "jobmesh"
	config.WarningHandler = rest.NoWarnings{}
	config.ContentType, config.AcceptContentTypes = runtime.ContentTypeProtobuf, runtime.ContentTypeProtobuf+","+runtime.ContentTypeJSON
	c.config = rest.CopyConfig(config) // a copy without the wrapper of the next line, because streams do not use it
	config.Wrap(c.clock.around)
	if c.core, err = kubernetes.NewForConfig(config); err != nil {
		return nil, f.explainConfig(err, loader)
	}
	return c, nil
}

// Namespace is the namespace that the user chose; it is empty for all namespaces.
func (c *Cluster) Namespace() string { return c.namespace }

// Now is the time by the clock of the server, to a second. Ages are computed from times that the
// server has written, and the local clock may be wrong.
func (c *Cluster) Now() time.Time { return c.clock.now() }

// ClockOff is how far the local clock is ahead of the server's clock. It is 0 if they differ by
// less than a minute.
func (c *Cluster) ClockOff() time.Duration {
	if off := c.clock.behind(); off.Abs() >= time.Minute {
		return -off
	}
	return 0
}

// Requests counts the requests that have been answered or have failed so far.
func (c *Cluster) Requests() int {
	c.clock.mutex.Lock()
	defer c.clock.mutex.Unlock()
	return c.clock.requests
}

// A clock wraps the transport, and learns the time of the server from the Date header of the first
// answer that has one. It also counts the answers.
type clock struct {
	mutex    sync.Mutex
	requests int
	// late is what must be added to the local clock. It is known once the server has sent its time.
	late  time.Duration
	known bool
}

func (c *clock) around(next http.RoundTripper) http.RoundTripper { return &timed{c, next} }

type timed struct {
	clock *clock
	next  http.RoundTripper
}

func (t *timed) RoundTrip(r *http.Request) (*http.Response, error) {
	began := time.Now()
	response, err := t.next.RoundTrip(r)
	t.clock.mutex.Lock()
	defer t.clock.mutex.Unlock()
	t.clock.requests++
	if err != nil || t.clock.known {
		return response, err
	}
	if said, wrong := http.ParseTime(response.Header.Get("Date")); wrong == nil {
		// The header has whole seconds, and was written between began and now.
		t.clock.late, t.clock.known = said.Add(time.Second/2).Sub(began.Add(time.Since(began)/2)), true
	}
	return response, err
}

func (c *clock) behind() time.Duration {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.late
}

func (c *clock) now() time.Time {
	late := c.behind()
	if late.Abs() < 2*time.Second {
		late = 0 // the header has whole seconds, so a smaller difference means nothing
	}
	return time.Now().Add(late)
}
