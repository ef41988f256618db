package look

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/running"
)

// betweenPods is how many kinds between the pods and the named object one call may read, such as
// the Workflows between pods and a CronWorkflow.
const betweenPods = 10

// Found holds the pods that rescue looks at, with the nodes that decide something about them.
type Found struct {
	Pods  []corev1.Pod
	Nodes []running.Node
}

// Pods reads the pods that are meant to end and have not ended, of the cluster's namespace or of
// all namespaces. If there are targets, it returns only their pods: pods with that name, and pods
// that an object with that name has made, directly or through others. It fails if a target does not
// exist, or if a name belongs to several unrelated objects in one namespace.
func Pods(ctx context.Context, c *cluster.Cluster, targets []Target) (Found, error) {
	var found Found
	var err error
	if found.Pods, err = c.RunningPods(ctx, c.Namespace()); err != nil {
		return found, c.Explain(err, podsIn(c), "rescue")
	}
	if len(targets) > 0 {
		if found.Pods, err = of(ctx, c, found.Pods, targets); err != nil {
			return found, err
		}
	}
	if slices.ContainsFunc(found.Pods, asksNode) {
		nodes, err := c.Nodes(ctx)
		if err != nil && !cluster.IsDenied(err) {
			return found, c.Explain(err, "nodes", "rescue")
		}
		found.Nodes = running.NodesOf(nodes) // without nodes, a container that may be restarted is left alone
	}
	return found, nil
}

func podsIn(c *cluster.Cluster) string {
	if c.Namespace() == "" {
		return "pods in all namespaces"
	}
	return "pods in namespace " + c.Namespace()
}

// asksNode tells whether a pod has a container with its own restart policy or rules, so that its
// node decides whether the container is restarted.
func asksNode(p corev1.Pod) bool {
	return slices.ContainsFunc(slices.Concat(p.Spec.InitContainers, p.Spec.Containers), func(c corev1.Container) bool {
		return len(c.RestartPolicyRules) > 0 || c.RestartPolicy != nil && *c.RestartPolicy != corev1.ContainerRestartPolicyAlways
	})
}

// of returns the pods of the targets.
func of(ctx context.Context, c *cluster.Cluster, pods []corev1.Pod, targets []Target) ([]corev1.Pod, error) {
	jobs, err := c.Jobs(ctx, c.Namespace())
	if err != nil && !cluster.IsDenied(err) {
		return nil, c.Explain(err, "Jobs", "rescue")
	}
	l := lineageOf(c, c.Namespace(), cluster.Kinds{}, pods, jobs)
	above := func(r metav1.OwnerReference) bool {
		return slices.ContainsFunc(targets, func(t Target) bool { return t.above(r) })
	}
	if len(l.unread(above)) > 0 {
		if l.kinds, err = c.Kinds(ctx); err != nil && !cluster.IsDenied(err) {
			return nil, c.Explain(err, "kinds of the server", "rescue")
		}
		if err := l.climb(ctx, betweenPods, above); err != nil {
			return nil, c.Explain(err, "owners of "+podsIn(c), "rescue")
		}
	}
	wanted := make([]bool, len(pods))
	for _, t := range targets {
		if err := l.one(t, pods, jobs); err != nil {
			return nil, err
		}
		n := 0
		for i := range pods {
			if t.names(asOwner("v1", "Pod", &pods[i])) || slices.ContainsFunc(l.above(pods[i].OwnerReferences), t.names) {
				wanted[i] = true
				n++
			}
		}
		if n == 0 {
			if err := l.absent(ctx, t, jobs); err != nil {
				return nil, err
			}
		}
	}
	var kept []corev1.Pod
	for i := range pods {
		if wanted[i] {
			kept = append(kept, pods[i])
		}
	}
	return kept, nil
}

// asOwner returns an object as the objects that it has made refer to it.
func asOwner(apiVersion, kind string, o metav1.Object) metav1.OwnerReference {
	return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: o.GetName(), UID: o.GetUID()}
}

// one fails if a target names several unrelated objects in one namespace.
func (l *lineage) one(t Target, pods []corev1.Pod, jobs []batchv1.Job) error {
	hits := map[string][]hit{}
	for _, h := range l.hits(t, pods, jobs) {
		hits[h.namespace] = append(hits[h.namespace], h)
	}
	for i := range pods {
		if p := asOwner("v1", "Pod", &pods[i]); t.names(p) {
			hits[pods[i].Namespace] = append(hits[pods[i].Namespace], hit{p, pods[i].Namespace})
		}
	}
	for namespace, all := range hits {
		all = l.apart(all)
		if len(all) < 2 {
			continue
		}
		var names []string
		for _, h := range all {
			names = append(names, h.word())
		}
		slices.Sort(names)
		return ambiguous(t.Name+" in namespace "+namespace, names, "rescue")
	}
	return nil
}

// absent returns an error if a target without running pods does not exist. If rescue looks in all
// namespaces, only Jobs are searched.
func (l *lineage) absent(ctx context.Context, t Target, jobs []batchv1.Job) error {
	for i := range jobs {
		if t.Row == nil && l.ns != "" {
			break // other kinds may have an object of that name too
		}
		self := asOwner(batchv1.SchemeGroupVersion.String(), "Job", &jobs[i])
		if t.names(self) || slices.ContainsFunc(l.above(jobs[i].OwnerReferences), t.names) {
			return nil
		}
	}
	missing := fault.New(fault.Usage, fmt.Errorf("%s: there is no such object among the %s", t.Name, podsIn(l.cluster)), "-n names another namespace, -A is all of them")
	if l.ns == "" {
		return missing
	}
	_, err := (&looker{cluster: l.cluster, ns: l.ns, verb: "rescue"}).find(ctx, t)
	switch {
	case err != nil:
		return err
	case len(l.denied) > 0:
		return fault.New(fault.Auth, fmt.Errorf("%s has no pods of its own, and what it has made by %s is not seen: they may not be listed", t.Name, strings.Join(l.denied, ", ")),
			"jobmesh rbac rescue prints the rights that this needs")
	case len(l.left) > 0:
		return fault.New(fault.Usage, errors.New(t.Name+" has no pods of its own, and what it has made by "+strings.Join(l.left, ", ")+" was not read"), "name the objects below it")
	}
	return nil
}
