// Package why says of a Job, or of anything that makes pods that are meant to end, whether
// it finishes and, where it does not, why: a function of what was read from the cluster.
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

// Facts are what was read.
type Facts struct {
	// Object is what was asked about.
	Object lint.Object
	// CronJob is set where that is one.
	CronJob *batchv1.CronJob
	// Suspended is set where the object is of another kind and says so itself.
	Suspended bool
	// Jobs are the Jobs of the object, itself where it is one. Pods are theirs, and its own.
	Jobs []batchv1.Job
	Pods []corev1.Pod
	// Owner is the Job of a pod that was asked about by itself, nil where it has none.
	Owner *batchv1.Job
	// Template is the object as lint reads it, for what has no pods. Its Node is nil where it
	// was not read.
	Template manifest.Object
	// Events are those of Jobs without pods, by the name of the Job.
	Events map[string][]corev1.Event
	// Nodes are all of the cluster, none where they may not be read.
	Nodes []running.Node
	// Namespaces are those that were read.
	Namespaces map[string]lint.Namespace
	// Engine is who applies jobmesh-policy in the namespace, where that has the label for it.
	// Policies say what they make of an object; they are asked where Engine changes pods.
	Engine   running.Engine
	Policies lint.Admitter
	// Helpers are programs of the user's own, of which no cluster says what they are.
	Helpers []sidecar.Helper
	// Now is the time by the clock of the server.
	Now time.Time
	// Program is how the reader calls jobmesh, as in "kubectl jobmesh".
	Program string
}
