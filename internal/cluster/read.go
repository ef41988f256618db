package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	apidiscovery "k8s.io/api/apidiscovery/v2"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
)

// fromCache asks for a list from the memory of the API server, so that it does not read etcd.
var fromCache = metav1.ListOptions{ResourceVersion: "0"}

func (c *Cluster) Job(ctx context.Context, namespace, name string) (*batchv1.Job, error) {
	return c.core.BatchV1().Jobs(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (c *Cluster) CronJob(ctx context.Context, namespace, name string) (*batchv1.CronJob, error) {
	return c.core.BatchV1().CronJobs(namespace).Get(ctx, name, metav1.GetOptions{})
}

// Pod reads a pod as it is now, and not as a cache has it.
func (c *Cluster) Pod(ctx context.Context, namespace, name string) (*corev1.Pod, error) {
	return c.core.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
}

func (c *Cluster) ReadNamespace(ctx context.Context, name string) (*corev1.Namespace, error) {
	return c.core.CoreV1().Namespaces().Get(ctx, name, metav1.GetOptions{})
}

// Jobs reads the Jobs of a namespace, or of all namespaces if it is empty.
func (c *Cluster) Jobs(ctx context.Context, namespace string) ([]batchv1.Job, error) {
	list, err := c.core.BatchV1().Jobs(namespace).List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// CronJobs reads the CronJobs of a namespace, or of all namespaces if it is empty.
func (c *Cluster) CronJobs(ctx context.Context, namespace string) ([]batchv1.CronJob, error) {
	list, err := c.core.BatchV1().CronJobs(namespace).List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// JobPods reads the pods of these Jobs, or of all Jobs if there are none.
func (c *Cluster) JobPods(ctx context.Context, namespace string, jobs ...string) ([]corev1.Pod, error) {
	options := fromCache
	options.LabelSelector = batchv1.JobNameLabel + " in (" + strings.Join(jobs, ",") + ")"
	if len(jobs) == 0 {
		options.LabelSelector = batchv1.JobNameLabel
	}
	return c.pods(ctx, namespace, options)
}

// RunningPods reads the pods that are meant to end and have neither succeeded nor failed, of a
// namespace, or of all namespaces if it is empty.
func (c *Cluster) RunningPods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	options := fromCache
	options.FieldSelector = "status.phase!=Succeeded,status.phase!=Failed,spec.restartPolicy!=Always"
	return c.pods(ctx, namespace, options)
}

// Pods reads the pods of a namespace, or of all namespaces if it is empty.
func (c *Cluster) Pods(ctx context.Context, namespace string) ([]corev1.Pod, error) {
	return c.pods(ctx, namespace, fromCache)
}

func (c *Cluster) pods(ctx context.Context, namespace string, options metav1.ListOptions) ([]corev1.Pod, error) {
	list, err := c.core.CoreV1().Pods(namespace).List(ctx, options)
	if err != nil {
		return nil, err
	}
	for i := range list.Items {
		list.Items[i].ManagedFields = nil // they are a third of a pod, and nothing here reads them
	}
	return list.Items, nil
}

func (c *Cluster) Nodes(ctx context.Context) ([]corev1.Node, error) {
	list, err := c.core.CoreV1().Nodes().List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

func (c *Cluster) Namespaces(ctx context.Context) ([]corev1.Namespace, error) {
	list, err := c.core.CoreV1().Namespaces().List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// Events reads the events about one object.
func (c *Cluster) Events(ctx context.Context, namespace, kind, name string) ([]corev1.Event, error) {
	list, err := c.core.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{
		FieldSelector: "involvedObject.kind=" + kind + ",involvedObject.name=" + name, Limit: eventsRead,
	})
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// eventsRead bounds how many events of one object are read.
const eventsRead = 200

// Quotas reads the quotas of a namespace, or of all namespaces if it is empty.
func (c *Cluster) Quotas(ctx context.Context, namespace string) ([]corev1.ResourceQuota, error) {
	list, err := c.core.CoreV1().ResourceQuotas(namespace).List(ctx, fromCache)
	if err != nil {
		return nil, err
	}
	return list.Items, nil
}

// EachPod calls visit with every pod of a namespace, or of all namespaces if it is empty. If the
// server streams lists from its memory (sendInitialEvents, on by default since 1.34), the pods come
// one by one; otherwise, or if the stream breaks off, they come as one list. If a pod is deleted or
// changed before the stream is complete, forget is called with it, and then visit again if it still
// exists. Before a list, forget is called with nil, since visit may have seen some pods already.
func (c *Cluster) EachPod(ctx context.Context, namespace string, visit func(*corev1.Pod), forget func(*corev1.Pod)) error {
	if c.streamPods(ctx, namespace, visit, forget) {
		return nil
	}
	forget(nil)
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

// streamPods returns false if the server cannot stream, if a right is missing, or if the stream
// breaks.
func (c *Cluster) streamPods(ctx context.Context, namespace string, visit, forget func(*corev1.Pod)) bool {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	yes := true
	events, err := c.core.CoreV1().Pods(namespace).Watch(ctx, metav1.ListOptions{
		SendInitialEvents: &yes, AllowWatchBookmarks: true, ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	if err != nil {
		return false
	}
	defer events.Stop()
	for event := range events.ResultChan() {
		pod, ok := event.Object.(*corev1.Pod)
		switch {
		case !ok:
			return false
		case event.Type == watch.Bookmark && pod.Annotations[metav1.InitialEventsAnnotationKey] == "true":
			return true
		case event.Type == watch.Added:
			pod.ManagedFields = nil
			visit(pod)
		case event.Type == watch.Modified:
			pod.ManagedFields = nil
			forget(pod)
			visit(pod)
		case event.Type == watch.Deleted:
			forget(pod)
		}
	}
	return false
}

// A Resource says where the objects of a kind are read.
type Resource struct {
	Group, Version, Kind string
	// plural is the name in the URL as the server has given it; it is empty if the server was not
	// asked.
	plural string
	// cluster is set if the server has said that the objects are in no namespace.
	cluster bool
}

// Everywhere tells whether the server has said that the objects are in no namespace.
func (r Resource) Everywhere() bool { return r.cluster }

// Plural is the name in the URL. If the server was not asked for it, it is derived from the kind by
// the same rule as in other clients of Kubernetes. The result is right for all kinds in the table
// of kinds.
func (r Resource) Plural() string {
	if r.plural != "" {
		return r.plural
	}
	plural, _ := meta.UnsafeGuessKindToResource(schema.GroupVersionKind{Kind: r.Kind})
	return plural.Resource
}

// aggregated asks for all kinds in one answer, which servers give since 1.27. Older servers answer
// with the names of their groups.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList,application/json"

// Kinds are all kinds of a server, except those of the core group (Pod and others).
type Kinds struct {
	// resources has one entry for each kind. groups has one version for each group, and is used if
	// the server does not name its kinds.
	resources map[schema.GroupKind]Resource
	groups    map[string]string
}

// Asked tells whether a server was asked for its kinds, and has answered.
func (k Kinds) Asked() bool { return k.resources != nil || k.groups != nil }

// Version is the version in which a server has a kind; it is empty if the server does not have the
// kind. Of a server before 1.27 only the groups are known, so that the kind may still be missing.
func (k Kinds) Version(group, kind string) string { return k.Resource(group, "", kind).Version }

// Resource says where the objects of a kind are read. version is used if the server does not say
// that it has the kind.
func (k Kinds) Resource(group, version, kind string) Resource {
	if r, known := k.resources[schema.GroupKind{Group: group, Kind: kind}]; known {
		return r
	}
	if known := k.groups[group]; known != "" {
		version = known
	}
	return Resource{Group: group, Version: version, Kind: kind}
}

// Kinds asks the server for its kinds, in one request. For each kind it takes the version that the
// server prefers among those that have the kind.
func (c *Cluster) Kinds(ctx context.Context) (Kinds, error) {
	var found struct {
		Groups []metav1.APIGroup                `json:"groups"` // of old servers
		Items  []apidiscovery.APIGroupDiscovery `json:"items"`
	}
	if err := c.rawAs(ctx, aggregated, "/apis", &found); err != nil {
		return Kinds{}, err
	}
	var kinds Kinds
	if found.Items == nil {
		kinds.groups = map[string]string{}
		for _, g := range found.Groups {
			kinds.groups[g.Name] = g.PreferredVersion.Version
		}
		return kinds, nil
	}
	kinds.resources = map[schema.GroupKind]Resource{}
	for _, g := range found.Items {
		for _, v := range g.Versions { // the preferred version comes first
			for _, r := range v.Resources {
				if r.ResponseKind == nil {
					continue
				}
				of := schema.GroupKind{Group: g.Name, Kind: r.ResponseKind.Kind}
				if _, better := kinds.resources[of]; !better {
					kinds.resources[of] = Resource{g.Name, v.Version, of.Kind, r.Resource, r.Scope == apidiscovery.ScopeCluster}
				}
			}
		}
	}
	return kinds, nil
}

// ServerVersion is the version that the API server reports, such as v1.37.2.
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

// Objects reads all objects of a kind in a namespace, or in all namespaces if it is empty.
func (c *Cluster) Objects(ctx context.Context, r Resource, namespace string) ([]unstructured.Unstructured, error) {
	var list struct {
		Items []map[string]any `json:"items"`
	}
	if err := c.listAs(ctx, runtime.ContentTypeJSON, path(r, namespace), &list); err != nil {
		return nil, err
	}
	var objects []unstructured.Unstructured
	for _, item := range list.Items {
		o := unstructured.Unstructured{Object: item}
		o.SetAPIVersion(r.Group + "/" + r.Version) // the items of a list may lack it
		o.SetKind(r.Kind)
		objects = append(objects, o)
	}
	return objects, nil
}

// metadataOnly asks a server for only the metadata of objects.
const metadataOnly = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json"

// Metadata reads the metadata of all objects of a kind in a namespace. If the namespace is empty or
// the kind has none, it reads the whole cluster. A label selector that is not empty filters the
// objects.
func (c *Cluster) Metadata(ctx context.Context, r Resource, namespace, selector string) ([]metav1.PartialObjectMetadata, error) {
	var list metav1.PartialObjectMetadataList
	request := c.list(metadataOnly, path(r, namespace))
	if selector != "" {
		request.Param("labelSelector", selector)
	}
	err := read(ctx, request, &list)
	return list.Items, err
}

func path(r Resource, namespace string) string {
	if namespace == "" || r.cluster {
		return fmt.Sprintf("/apis/%s/%s/%s", r.Group, r.Version, r.Plural())
	}
	return fmt.Sprintf("/apis/%s/%s/namespaces/%s/%s", r.Group, r.Version, namespace, r.Plural())
}

// raw reads one document as JSON.
func (c *Cluster) raw(ctx context.Context, path string, into any) error {
	return c.rawAs(ctx, runtime.ContentTypeJSON, path, into)
}

func (c *Cluster) rawAs(ctx context.Context, accept, path string, into any) error {
	return read(ctx, c.core.Discovery().RESTClient().Get().AbsPath(path).SetHeader("Accept", accept), into)
}

// listAs reads a list as the API server has it in memory.
func (c *Cluster) listAs(ctx context.Context, accept, path string, into any) error {
	return read(ctx, c.list(accept, path), into)
}

func (c *Cluster) list(accept, path string) *rest.Request {
	return c.core.Discovery().RESTClient().Get().AbsPath(path).Param("resourceVersion", fromCache.ResourceVersion).SetHeader("Accept", accept)
}

func read(ctx context.Context, request *rest.Request, into any) error {
	text, err := request.Do(ctx).Raw()
	if err != nil {
		return err
	}
	return json.Unmarshal(text, into)
}
