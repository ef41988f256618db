package inject

import "github.com/jobmesh/jobmesh/internal/manifest"

// liveNote is what to know of an object that was read from a cluster, "" for any other.
func liveNote(o manifest.Object) string {
	row := o.KindOf()
	if row == nil || !row.Immutable || manifest.Get(o.Node, "metadata", "uid") == nil {
		return ""
	}
	return "it is there already, and the pods of a " + o.Kind + " cannot be changed (JM512): kubectl replace --force -f FILE deletes it and makes it again"
}
