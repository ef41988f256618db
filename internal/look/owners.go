package look

import (
	"cmp"
	"context"
	"slices"
	"strings"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/running"
)

// mostSteps bounds how far owners are followed upwards. Kubernetes makes no cycle of owners, but
// somebody may write one.
const mostSteps = 8

// A lineage knows which object was made by which other one: a pod by a Job, the Job by a JobSet,
// and the JobSet by an object of a kind that is in no table here.
type lineage struct {
	cluster *cluster.Cluster
	ns      string
	// kinds are the kinds of the server, if they were asked for. A kind that is not among them is
	// taken from the owner references.
	kinds  cluster.Kinds
	owners map[types.UID][]metav1.OwnerReference
	// read are the kinds whose owners are known.
	read map[schema.GroupKind]bool
	// denied are the plural names of the kinds that may not be read. left are the plural names of
	// the kinds that were not read because of the bound on requests.
	denied, left []string
	// asked counts the requests.
	asked int
}

// lineageOf starts a lineage with pods and Jobs that were read already.
func lineageOf(c *cluster.Cluster, ns string, kinds cluster.Kinds, pods []corev1.Pod, jobs []batchv1.Job) *lineage {
	l := &lineage{cluster: c, ns: ns, kinds: kinds, owners: map[types.UID][]metav1.OwnerReference{}, read: map[schema.GroupKind]bool{
		{Kind: "Pod"}: true, {Group: batchv1.GroupName, Kind: "Job"}: true,
	}}
	for i := range jobs {
		l.add(jobs[i].UID, jobs[i].OwnerReferences)
	}
	for i := range pods {
		l.add(pods[i].UID, pods[i].OwnerReferences)
	}
	return l
}

// add notes the owners of an object. References that cannot be real owners are left out, since
// whoever may create a pod may write any text there.
func (l *lineage) add(uid types.UID, owners []metav1.OwnerReference) {
	if uid == "" {
		return
	}
	l.owners[uid] = slices.DeleteFunc(slices.Clone(owners), func(r metav1.OwnerReference) bool { return !running.CanOwn(r) })
}

// above returns all known owners of an object, direct and indirect; the nearest come first.
func (l *lineage) above(owners []metav1.OwnerReference) []metav1.OwnerReference {
	var all []metav1.OwnerReference
	seen := map[types.UID]bool{}
	for level := owners; len(level) > 0 && len(all) < mostOwners; {
		var next []metav1.OwnerReference
		for _, r := range level {
			if !running.CanOwn(r) || seen[r.UID] {
				continue
			}
			seen[r.UID] = true
			all = append(all, r)
			next = append(next, l.owners[r.UID]...)
		}
		level = next
	}
	return all
}

// mostOwners bounds the owners of one object. An object usually has one or two.
const mostOwners = 64

// made tells whether an object with these owners was made by another object, directly or through
// others.
func (l *lineage) made(owners []metav1.OwnerReference, by types.UID) bool {
	return slices.ContainsFunc(l.above(owners), func(r metav1.OwnerReference) bool { return r.UID == by })
}

// climb reads the owners of the known owners, one kind after the other, until no new owner is named
// or the bound on kinds is reached. wanted tells whether the owners of an owner have to be known.
func (l *lineage) climb(ctx context.Context, most int, wanted func(metav1.OwnerReference) bool) error {
	for range mostSteps {
		kinds := l.unread(wanted)
		if len(kinds) == 0 {
			return nil
		}
		for _, r := range kinds {
			l.read[schema.GroupKind{Group: r.Group, Kind: r.Kind}] = true
			if most == 0 {
				l.left = append(l.left, r.Plural()+"."+r.Group)
				continue
			}
			most--
			if err := l.readKind(ctx, r); err != nil {
				return err
			}
		}
	}
	return nil
}

// readKind reads the owners of all objects of a kind.
func (l *lineage) readKind(ctx context.Context, r cluster.Resource) error {
	l.asked++
	objects, err := l.cluster.Metadata(ctx, r, l.ns, "")
	switch {
	case cluster.IsDenied(err):
		l.denied = append(l.denied, r.Plural()+"."+r.Group)
	case cluster.IsGone(err): // the server does not have the kind, or not in this version
	case err != nil:
		return err
	}
	for i := range objects {
		l.add(objects[i].UID, objects[i].OwnerReferences)
	}
	return nil
}

// unread returns the kinds of owners whose own owners are not known yet; the kind with the most
// references comes first. Kinds of the core group are left out: none of them makes pods that end.
func (l *lineage) unread(wanted func(metav1.OwnerReference) bool) []cluster.Resource {
	count := map[cluster.Resource]int{}
	for _, owners := range l.owners {
		for _, r := range owners {
			group, version := groupVersion(r.APIVersion)
			if _, known := l.owners[r.UID]; known || group == "" || l.read[schema.GroupKind{Group: group, Kind: r.Kind}] || !wanted(r) {
				continue
			}
			count[l.kinds.Resource(group, version, r.Kind)]++
		}
	}
	var kinds []cluster.Resource
	for r := range count {
		kinds = append(kinds, r)
	}
	slices.SortFunc(kinds, func(a, b cluster.Resource) int {
		return cmp.Or(cmp.Compare(count[b], count[a]), strings.Compare(a.Group+"/"+a.Kind+"/"+a.Version, b.Group+"/"+b.Kind+"/"+b.Version))
	})
	// The same kind may be named in two versions; one of them is enough.
	seen := map[schema.GroupKind]bool{}
	return slices.DeleteFunc(kinds, func(r cluster.Resource) bool {
		of := schema.GroupKind{Group: r.Group, Kind: r.Kind}
		twice := seen[of]
		seen[of] = true
		return twice
	})
}

// groupVersion splits an apiVersion. The name of the core group is empty.
func groupVersion(apiVersion string) (group, version string) {
	group, version, grouped := strings.Cut(apiVersion, "/")
	if !grouped {
		return "", group
	}
	return group, version
}

// A hit is an object that a target names.
type hit struct {
	metav1.OwnerReference
	namespace string
}

// word returns the hit as people type it.
func (h hit) word() string {
	group, _ := groupVersion(h.APIVersion)
	return wordOf(group, h.Kind) + "/" + h.Name
}

// names tells whether a target names an owner.
func (t Target) names(r metav1.OwnerReference) bool {
	group, _ := groupVersion(r.APIVersion)
	return t.Name == r.Name && (t.Row == nil || t.Row.Kind == r.Kind && t.Row.Group == group)
}

// above tells whether a target may be among the owners of an owner: the target is not that owner
// itself and, if its kind is known, it is of another kind.
func (t Target) above(r metav1.OwnerReference) bool {
	group, _ := groupVersion(r.APIVersion)
	return !t.names(r) && (t.Row == nil || t.Row.Kind != r.Kind || t.Row.Group != group)
}

// apart leaves out each hit that another hit in the same namespace has made. A RayJob and its Job,
// for example, have the same name, and are one thing to people.
func (l *lineage) apart(hits []hit) []hit {
	return slices.DeleteFunc(slices.Clone(hits), func(h hit) bool {
		return slices.ContainsFunc(hits, func(other hit) bool { return other.UID != h.UID && l.made(l.owners[h.UID], other.UID) })
	})
}

// hits returns the objects that a target names among the owners of pods and Jobs, each of them
// once.
func (l *lineage) hits(t Target, pods []corev1.Pod, jobs []batchv1.Job) []hit {
	var found []hit
	seen := map[types.UID]bool{}
	look := func(namespace string, owners []metav1.OwnerReference) {
		for _, r := range l.above(owners) {
			if t.names(r) && !seen[r.UID] {
				seen[r.UID] = true
				found = append(found, hit{r, namespace})
			}
		}
	}
	for i := range pods {
		look(pods[i].Namespace, pods[i].OwnerReferences)
	}
	for i := range jobs {
		look(jobs[i].Namespace, jobs[i].OwnerReferences)
	}
	return found
}
