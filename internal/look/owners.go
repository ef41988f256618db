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

// mostSteps bounds how far owners are followed upwards. Kubernetes lets nobody make a circle
// of them by accident, but somebody may write one.
const mostSteps = 8

// A lineage knows which object was made by which other one: a pod by a Job, the Job by a
// JobSet, the JobSet by an object of a kind that nobody here has heard of.
type lineage struct {
	cluster *cluster.Cluster
	ns      string
	// kinds are those of the server, where they were asked for; what they do not have is taken
	// from the references themselves.
	kinds  cluster.Kinds
	owners map[types.UID][]metav1.OwnerReference
	// read are the kinds of which the owners are known.
	read map[schema.GroupKind]bool
	// denied are the names of kinds that may not be read, in the plural, and left are those that
	// would have been too many.
	denied, left []string
	// asked counts the requests.
	asked int
}

// lineageOf begins with pods and Jobs, as far as they were read.
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

// add notes the owners of an object. Those that no object can be are left out, since whoever
// may make a pod may write any text there.
func (l *lineage) add(uid types.UID, owners []metav1.OwnerReference) {
	if uid == "" {
		return
	}
	l.owners[uid] = slices.DeleteFunc(slices.Clone(owners), func(r metav1.OwnerReference) bool { return !running.CanOwn(r) })
}

// above are all owners of an object that are known, the nearest first.
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

// mostOwners bounds the owners of one object. An object has one or two of them as a rule.
const mostOwners = 64

// made tells whether an object with these owners was made by another one, itself or through
// others.
func (l *lineage) made(owners []metav1.OwnerReference, by types.UID) bool {
	return slices.ContainsFunc(l.above(owners), func(r metav1.OwnerReference) bool { return r.UID == by })
}

// climb reads, kind by kind, the owners of what owns what is known, until nothing new is named
// or the kinds are too many. wanted says whether more is to be known of an owner.
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

// readKind reads who has made the objects of a kind.
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

// unread are the kinds of owners of which nobody knows yet who has made them, the one with the
// most objects first. Kinds of the core group are left out: none of them makes pods that end.
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
	// An object may be named in two versions; one of them is enough.
	seen := map[schema.GroupKind]bool{}
	return slices.DeleteFunc(kinds, func(r cluster.Resource) bool {
		of := schema.GroupKind{Group: r.Group, Kind: r.Kind}
		twice := seen[of]
		seen[of] = true
		return twice
	})
}

// groupVersion takes an apiVersion apart. The core group has no name.
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

// word is the hit as people type it.
func (h hit) word() string {
	group, _ := groupVersion(h.APIVersion)
	return wordOf(group, h.Kind) + "/" + h.Name
}

// names tells whether a target names an owner.
func (t Target) names(r metav1.OwnerReference) bool {
	group, _ := groupVersion(r.APIVersion)
	return t.Name == r.Name && (t.Row == nil || t.Row.Kind == r.Kind && t.Row.Group == group)
}

// above tells whether a target may be among those that have made an owner: it is not that owner
// itself, and of another kind, where its kind is known.
func (t Target) above(r metav1.OwnerReference) bool {
	group, _ := groupVersion(r.APIVersion)
	return !t.names(r) && (t.Row == nil || t.Row.Kind != r.Kind || t.Row.Group != group)
}

// apart leaves out of hits in one namespace those that another one of them has made: a RayJob
// and its Job, which have one name, are one thing to people.
func (l *lineage) apart(hits []hit) []hit {
	return slices.DeleteFunc(slices.Clone(hits), func(h hit) bool {
		return slices.ContainsFunc(hits, func(other hit) bool { return other.UID != h.UID && l.made(l.owners[h.UID], other.UID) })
	})
}

// hits are the objects that a target names among the owners of pods and Jobs, each once.
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
