// Package why judges a Job, or any other object whose pods are meant to end: it says whether the
// object finishes and, if it does not, why. The verdict is a function of what was read from the
// cluster.
package why

import (
	"time"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// Facts hold what was read from the cluster.
type Facts struct {
	// Object is the object that the user asked about.
	Object lint.Object
	// CronJob is set if the object is a CronJob.
	CronJob *batchv1.CronJob
	// Suspended is set if the object is of another kind and its own spec suspends it.
	Suspended bool
	// Jobs are the Jobs of the object, or the object itself if it is a Job. Pods are the pods of
	// these Jobs and the pods that the object has made otherwise, directly or through other objects.
	Jobs []batchv1.Job
	Pods []corev1.Pod
	// Owner is the Job of a pod if the user asked about that pod; it is nil if the pod has none.
	Owner *batchv1.Job
	// Template is the object as lint reads it. It is used if the object has no pods. Its Node is
	// nil if the object was not read.
	Template manifest.Object
	// Events are the events of Jobs without pods, by the name of the Job.
	Events map[string][]corev1.Event
	// Nodes are all nodes of the cluster. It is empty if they may not be read.
	Nodes []running.Node
	// Namespaces are the namespaces that were read, by their names.
	Namespaces map[string]lint.Namespace
	// Engine says what applies jobmesh-policy in the namespace, if the namespace has the label for
	// it, and Installed which of its policies. Policies say what they make of an object; they are
	// asked only if Engine changes pods.
	Engine    running.Engine
	Installed running.Installed
	Policies  lint.Admitter
	// Helpers are the user's own programs. The cluster does not show how they behave.
	Helpers []sidecar.Helper
	// Now is the current time by the clock of the server.
	Now time.Time
	// Program is the command by which the reader calls jobmesh, such as "kubectl jobmesh".
	Program string
}
