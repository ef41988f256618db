package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/watch"
)

// fromCache asks for what the API server has in memory, which does not reach etcd.
var fromCache = metav1.ListOptions{ResourceVersion: "0"}

// Job reads one.
func (c *Cluster) Job(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	return c.core.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
}

// CronJob reads one.
func (c *Cluster) CronJob(ctx context.Context, namespace, name string) (*batchv1.CronJob, error) {
	return c.core.BatchV1().CronJobs(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Pod reads one, as it is now and not as a cache has it.
func (c *Cluster) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return c.core.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

// ReadNamespace reads one.
func (c *Cluster) ReadNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	return c.core.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
}

// Jobs reads those of a namespace, of all where it is empty.
func (c *Cluster) Jobs(ctx context.Context, namespace string) ([]batchv1.Job, error) {
	list, err := c.core.BatchV1().Jobs(namespace).List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// CronJobs reads those of a namespace, of all where it is empty.
func (c *Cluster) CronJobs(ctx context.Context, namespace string) ([]batchv1.CronJob, error) {
	list, err := c.core.BatchV1().CronJobs(namespace).List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// JobPods reads the pods of these Jobs.
func (c *Cluster) JobPods(ctx context.Context, namespace string, jobs ...string) ([]corev1.Pod, error) {
	options := fromCache
	options.LabelSelector = batchv1.JobNameLabel + " in (" + strings.Join(jobs, ",") + ")"
	if len(jobs) == 0 {
		options.LabelSelector = batchv1.JobNameLabel
	}
	return c.pods(ctx, namespace, options)
}

// RunningPods reads the pods of a namespace, of all where it is empty, that are meant to end
// and have neither succeeded nor failed.
func (c *Cluster) RunningPods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	options := fromCache
	options.FieldSelector = "status.phase!=Succeeded,status.phase!=Failed,spec.restartPolicy!=Always"
	return c.pods(ctx, namespace, options)
}

// Pods reads those of a namespace.
func (c *Cluster) Pods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	return c.pods(ctx, namespace, fromCache)
}

func (c *Cluster) pods(ctx context.Context, namespace string, options metav1.ListOptions) ([]corev1.Pod, error) {
	list, err := c.core.CoreV1().Pods(namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		list.Items[i].ManagedFields = nil // nothing here reads them, and they are a third of a pod
	}
	return list.Items, nil
}

// Nodes reads all.
func (c *Cluster) Nodes(ctx context.Context) ([]corev1.Node, error) {
	list, err := c.core.CoreV1().Nodes().List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Namespaces reads all.
func (c *Cluster) Namespaces(ctx context.Context) ([]corev1.Namespace, error) {
	list, err := c.core.CoreV1().Namespaces().List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Events reads those about one object.
func (c *Cluster) Events(ctx context.Context, namespace, kind, name string) ([]corev1.Event, error) {
	list, err := c.core.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name, Limit: eventsRead,
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// eventsRead bounds the events of one object: the last few say why it does not start.
const eventsRead = 200

// Quotas reads those of a namespace, of all where it is empty.
func (c *Cluster) Quotas(ctx context.Context, namespace string) ([]corev1.ResourceQuota, error) {
	list, err := c.core.CoreV1().ResourceQuotas(namespace).List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// EachPod shows every pod of a namespace, of all where it is empty, to visit. Where the server
// streams lists from its memory (sendInitialEvents, on by default since 1.34), there is only
// one in memory at a time; elsewhere it is a list. again is called where visit is called for
// pods that it has seen already.
func (c *Cluster) EachPod(ctx context.Context, namespace string, visit func(*corev1.Pod), again func()) error {
	done, err := c.streamPods(ctx, namespace, visit)
	if done || ctx.Err() != nil {
		return err
	}
	again()
	list, err := c.core.CoreV1().Pods(namespace).List(ctx, fromCache)
	if err != nil {
		return err
	}
	for i := range list.Items {
		list.Items[i].ManagedFields = nil
		visit(&list.Items[i])
	}
	return nil
}

// streamPods is false where the server, or a right, does not let it.
func (c *Cluster) streamPods(ctx context.Context, namespace string, visit func(*corev1.Pod)) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	yes := true
	events, err := c.core.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return false, nil
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		switch {
		case !ok:
			return false, nil
		case event.Type == watch.Bookmark && pod.Annotations[metav1.InitialEventsAnnotationKey] == "true":
			return true, nil
		case event.Type == watch.Added:
			pod.ManagedFields = nil
			visit(pod)
		}
	}
	return false, nil
}

// A Resource is where objects of a kind are read.
type Resource struct{ Group, Version, Kind string }

// Plural is the name in the URL. It holds for all kinds in the table of kinds.
func (r Resource) Plural() string { return strings.ToLower(r.Kind) + "s" }

// GroupVersion is the version of an API group that the server likes best, empty where it does
// not have the group.
func (c *Cluster) GroupVersion(ctx context.Context, group string) (string, error) {
	var found metav1.APIGroup
	err := c.raw(ctx, "/apis/"+group, &found)
	if apierrors.IsNotFound(err) {
		return "", nil
	}
	return found.PreferredVersion.Version, err
}

// GroupVersions are the API groups of the server, with the version that it likes best.
func (c *Cluster) GroupVersions(ctx context.Context) (map[string]string, error) {
	var found metav1.APIGroupList
	if err := c.raw(ctx, "/apis", &found); err != nil {
		return nil, err
	}
	versions := map[string]string{}
	for _, g := range found.Groups {
		versions[g.Name] = g.PreferredVersion.Version
	}
	return versions, nil
}

// ServerVersion is what the API server says of itself, as in v1.37.2.
func (c *Cluster) ServerVersion(ctx context.Context) (string, error) {
	var said struct {
		GitVersion string `json:"gitVersion"`
	}
	err := c.raw(ctx, "/version", &said)
	return said.GitVersion, err
}

// Object reads one object of any kind.
func (c *Cluster) Object(ctx context.Context, r Resource, namespace, name string) (*unstructured.Unstructured, error) {
	var o unstructured.Unstructured
	err := c.raw(ctx, path(r, namespace)+"/"+name, &o.Object)
	return &o, err
}

// Objects reads all objects of a kind in a namespace, in all where it is empty.
func (c *Cluster) Objects(ctx context.Context, r Resource, namespace string) ([]unstructured.Unstructured, error) {
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := c.raw(ctx, path(r, namespace), &list); err != nil {
		return nil, err
	}
	var objects []unstructured.Unstructured
	for _, item := range list.Items {
		o := unstructured.Unstructured{Object: item}
		o.SetAPIVersion(r.Group + "/" + r.Version) // items of a list need not say it
		o.SetKind(r.Kind)
		objects = append(objects, o)
	}
	return objects, nil
}

func path(r Resource, namespace string) string {
	if namespace == "" {
		return fmt.Sprintf("/apis/%s/%s/%s", r.Group, r.Version, r.Plural())
	}
	return fmt.Sprintf("/apis/%s/%s/namespaces/%s/%s", r.Group, r.Version, namespace, r.Plural())
}

// raw reads JSON.
func (c *Cluster) raw(ctx context.Context, path string, into any) error {
	text, err := c.core.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", "application/json").Do(ctx).Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
