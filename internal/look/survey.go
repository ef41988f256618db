package look

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/survey"
)

// identities are the kinds of policies with which a mesh requires an identity.
var identities = []cluster.Resource{
	{Group: "security.istio.io", Kind: "AuthorizationPolicy"},
	{Group: "policy.linkerd.io", Kind: "AuthorizationPolicy"},
}

// Survey reads what is needed to judge all Jobs of the cluster's namespace, or of all namespaces:
// one list for each of six kinds, one for each other kind that the cluster has, and where a namespace
// has the label of jobmesh-policy one or two lists of policies. notes say what could not be read. It
// fails if nothing could be read.
func Survey(ctx context.Context, c *cluster.Cluster) (facts survey.Facts, notes []string, err error) {
	ns := c.Namespace()
	var mutex sync.Mutex
	var denied error
	read := 0
	// try runs one request. If the request is denied, try notes what is lost by that.
	try := func(what, lost string, request func() error) error {
		err := request()
		mutex.Lock()
		defer mutex.Unlock()
		switch {
		case err == nil:
			read++
		case cluster.IsDenied(err):
			denied = c.Explain(err, what, "lint")
			notes = append(notes, what+" may not be read, so "+lost)
		default:
			return c.Explain(err, what, "lint")
		}
		return nil
	}
	facts.Namespaces, facts.Identities, facts.Labelled = map[string]lint.Namespace{}, map[string]bool{}, map[string]bool{}
	group, groupCtx := errgroup.WithContext(ctx)
	add := func(what, lost string, request func(context.Context) error) {
		group.Go(func() error { return try(what, lost, func() error { return request(groupCtx) }) })
	}
	add("pods", "what is stuck, and which meshes there are, is not known", func(ctx context.Context) error {
		return c.EachPod(ctx, ns, func(p *corev1.Pod) {
			facts.Proxies = append(facts.Proxies, survey.ProxiesOf(p)...)
			if p.Spec.RestartPolicy != corev1.RestartPolicyAlways && !running.HasEnded(p) {
				facts.Pods = append(facts.Pods, *p)
			}
		}, func(p *corev1.Pod) {
			if p == nil {
				facts.Proxies, facts.Pods = nil, nil
				return
			}
			// The proxies of the pod are kept: they still show what the injector makes.
			facts.Pods = slices.DeleteFunc(facts.Pods, func(known corev1.Pod) bool {
				return known.Namespace == p.Namespace && known.Name == p.Name
			})
		})
	})
	add("Jobs", "those without an owner are not judged", func(ctx context.Context) (err error) {
		facts.Jobs, err = c.Jobs(ctx, ns)
		return err
	})
	add("CronJobs", "they are not judged", func(ctx context.Context) (err error) {
		facts.CronJobs, err = c.CronJobs(ctx, ns)
		return err
	})
	add("nodes", "the oldest kubelet is not known", func(ctx context.Context) error {
		nodes, err := c.Nodes(ctx)
		facts.Nodes = running.NodesOf(nodes)
		return err
	})
	add("namespaces", "where a mesh is on is not known", func(ctx context.Context) error {
		all, err := c.Namespaces(ctx)
		for _, n := range all {
			facts.Namespaces[n.Name] = lint.Namespace{Labels: n.Labels, Annotations: n.Annotations}
		}
		return err
	})
	add("resource quotas", "pods that one would refuse are not known", func(ctx context.Context) (err error) {
		facts.Quotas, err = c.Quotas(ctx, ns)
		return err
	})
	var version string
	var kinds cluster.Kinds
	group.Go(func() (err error) {
		if version, err = c.ServerVersion(groupCtx); err != nil && !cluster.IsDenied(err) {
			return c.Explain(err, "version of the server", "lint")
		}
		if kinds, err = c.Kinds(groupCtx); err != nil && !cluster.IsDenied(err) {
			return c.Explain(err, "kinds of the server", "lint")
		}
		return nil
	})
	if err := group.Wait(); err != nil {
		return facts, nil, err
	}
	if read == 0 {
		return facts, nil, denied
	}
	facts.Server, _ = mesh.ParseVersion(version) // it is unknown if the server reports something else
	for name, namespace := range facts.Namespaces {
		if namespace.OptedIn() && (ns == "" || ns == name) {
			facts.Labelled[name] = true
		}
	}
	others, otherCtx := errgroup.WithContext(ctx)
	if len(facts.Labelled) > 0 {
		others.Go(func() (err error) {
			if facts.Engine, facts.Installed, err = policiesOf(otherCtx, c, facts.Server, kinds, func() bool { return true }); err != nil {
				return c.Explain(err, "policies of jobmesh-policy", "lint")
			}
			return nil
		})
	}
	var everywhere []string
	for _, r := range present(kinds) {
		if r.Everywhere() && ns != "" {
			everywhere = append(everywhere, r.Kind)
			continue
		}
		others.Go(func() error {
			return try(r.Plural(), "they are not judged", func() error {
				found, err := c.Objects(otherCtx, r, ns)
				if cluster.IsGone(err) {
					return nil // the server has the group, but not this kind
				}
				mutex.Lock()
				defer mutex.Unlock()
				keep(&facts, r, found)
				return err
			})
		})
	}
	if err := others.Wait(); err != nil {
		return facts, nil, err
	}
	if len(everywhere) > 0 {
		notes = append(notes, fmt.Sprintf("objects of kind %s are in no namespace, and are judged with -A alone", strings.Join(everywhere, ", ")))
	}
	facts.Now = c.Now()
	if text := ClockNote(c); text != "" {
		notes = append(notes, text)
	}
	return facts, notes, nil
}

// custom returns the kinds that are read if a cluster has them.
func custom() []cluster.Resource {
	var all []cluster.Resource
	for i := range kind.Table {
		if row := &kind.Table[i]; !builtIn(row) && ends(row) {
			all = append(all, cluster.Resource{Group: row.Group, Kind: row.Kind})
		}
	}
	return append(all, identities...)
}

// present returns the custom kinds that a cluster has.
func present(kinds cluster.Kinds) []cluster.Resource {
	var found []cluster.Resource
	for _, r := range custom() {
		if there := kinds.Resource(r.Group, "", r.Kind); there.Version != "" {
			found = append(found, there)
		}
	}
	return found
}

func keep(facts *survey.Facts, r cluster.Resource, found []unstructured.Unstructured) {
	for _, policy := range identities {
		if r.Group != policy.Group {
			continue
		}
		for _, o := range found {
			facts.Identities[o.GetNamespace()] = true
		}
		return
	}
	facts.Others = append(facts.Others, found...)
}
