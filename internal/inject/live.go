package inject

import "github.com/jobmesh/jobmesh/internal/manifest"

// liveNote returns a remark on an object that was read from a cluster, and "" for any other
// object.
func liveNote(o manifest.Object) string {
	row := o.KindOf()
	if row == nil || !row.Immutable || manifest.Get(o.Node, "metadata", "uid") == nil {
		return ""
	}
	return "it was read from a cluster, and the pod template of a " + o.Kind + " cannot be changed there (JM512): kubectl replace --force -f FILE deletes the object and creates it again"
}
