package look

import (
	"context"
	"fmt"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
)

// Pods reads the pods that are meant to end and have not, of the namespace of the cluster or
// of all. Where there are targets, only theirs: pods themselves, or what Jobs, CronJobs and
// other objects of that name have made. A target that there is not is an error.
func Pods(ctx context.Context, c *cluster.Cluster, targets []Target) ([]corev1.Pod, error) {
	where := "pods in namespace " + c.Namespace()
	if c.Namespace() == "" {
		where = "pods in all namespaces"
	}
	pods, err := c.RunningPods(ctx, c.Namespace())
	if err != nil {
		return nil, c.Explain(err, where, "rescue")
	}
	if len(targets) == 0 {
		return pods, nil
	}
	jobs, err := c.Jobs(ctx, c.Namespace())
	if err != nil && !cluster.IsDenied(err) {
		return nil, c.Explain(err, "Jobs", "rescue")
	}
	wanted := map[string]bool{}
	for _, t := range targets {
		n := 0
		for i := range pods {
			if p := &pods[i]; of(p, jobs, t) {
				wanted[p.Namespace+"/"+p.Name] = true
				n++
			}
		}
		if n == 0 && !exists(ctx, c, jobs, t) {
			return nil, fault.New(fault.Usage, fmt.Errorf("%s: there is no such object among the %s", t.Name, where), "-n names another namespace, -A is all of them")
		}
	}
	return slices.DeleteFunc(pods, func(p corev1.Pod) bool { return !wanted[p.Namespace+"/"+p.Name] }), nil
}

// of tells whether a pod is the target, or was made by it.
func of(p *corev1.Pod, jobs []batchv1.Job, t Target) bool {
	if named(t, "Pod", p.Name) || ownedByName(p.OwnerReferences, t) {
		return true
	}
	for _, job := range jobs {
		if job.Namespace == p.Namespace && owned(p, job.UID) && ownedByName(job.OwnerReferences, t) {
			return true
		}
	}
	return false
}

func ownedByName(owners []metav1.OwnerReference, t Target) bool {
	return slices.ContainsFunc(owners, func(o metav1.OwnerReference) bool { return named(t, o.Kind, o.Name) })
}

func named(t Target, kind, name string) bool {
	return t.Name == name && (t.Row == nil || strings.EqualFold(t.Row.Kind, kind))
}

// exists tells whether a target is there although it has no pod that runs.
func exists(ctx context.Context, c *cluster.Cluster, jobs []batchv1.Job, t Target) bool {
	for _, job := range jobs {
		if named(t, "Job", job.Name) || ownedByName(job.OwnerReferences, t) {
			return true
		}
	}
	if c.Namespace() == "" {
		return false
	}
	if _, err := c.Pod(ctx, c.Namespace(), t.Name); err == nil && (t.Row == nil || t.Row.Kind == "Pod") {
		return true
	}
	_, err := c.CronJob(ctx, c.Namespace(), t.Name)
	return err == nil && (t.Row == nil || t.Row.Kind == "CronJob")
}
