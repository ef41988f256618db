package why

import (
	"slices"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/running"
)

// admitted returns the findings about an object. Where the policies change its pods, it judges the
// changed pods.
func (j *judge) admitted(linter *lint.Linter, o manifest.Object) ([]lint.Finding, error) {
	if !j.changes(o.Namespace) {
		return linter.Check(o), nil
	}
	as, err := j.Policies.Admit([]manifest.Object{o})
	if err != nil {
		return nil, err
	}
	return linter.CheckAdmitted(o, as[0]), nil
}

func (j *judge) changes(namespace string) bool {
	return j.Engine.Changes() && j.Policies != nil && j.Namespaces[namespace].OptedIn()
}

// useless says why the label of the namespace does not help against what hangs.
func (j *judge) useless(namespace string) []string {
	if !j.Namespaces[namespace].OptedIn() {
		return nil
	}
	label := "The label " + lint.PolicyLabel + " of namespace " + namespace
	switch j.Engine {
	case running.NoEngine:
		return []string{label + " does nothing: jobmesh-policy is not installed in this cluster."}
	case running.TooOld:
		return []string{label + " does nothing: mutating admission policies came with Kubernetes " + native.Policies.String() + "."}
	}
	return nil
}

// unjudged says that the forecast is about pods as they are written, because it is not known what
// becomes of them.
func (j *judge) unjudged(namespace string) []string {
	switch {
	case !j.Namespaces[namespace].OptedIn():
	case j.Engine == running.InKyverno:
		return []string{"Kyverno applies jobmesh-policy in namespace " + namespace + "; what it makes of the pods is not judged here."}
	case j.Engine == running.NotAsked:
		return []string{"Whether jobmesh-policy changes the pods of namespace " + namespace + ", as its label asks, was not read."}
	}
	return nil
}

// unchanged says why a pod that hangs, or will hang, differs from what the policies would have
// made.
func (j *judge) unchanged(p *running.Pod, job *batchv1.Job) ([]string, error) {
	_, moved := p.Annotations[mesh.NativeAnnotation]
	if moved || slices.ContainsFunc(p.Containers, func(c running.Container) bool { return c.Wrapped }) {
		return nil, nil // it was changed, by the policies or by its author
	}
	if !j.changes(p.Namespace) {
		return j.useless(p.Namespace), nil
	}
	if job == nil {
		job = j.Owner
	}
	linter, short := j.forecaster(p)
	o, err := made(short, job)
	if err != nil {
		return nil, err
	}
	as, err := j.Policies.Admit([]manifest.Object{o})
	if err != nil {
		return nil, err
	}
	if len(hanging(linter.CheckAdmitted(o, as[0]))) == 0 {
		where := ""
		if j.Engine == running.Presumed {
			where = ", if it is installed,"
		}
		return []string{"By the label " + lint.PolicyLabel + " of its namespace, jobmesh-policy" + where + " makes such a pod end; " +
			"this one was made before that, or the policy has failed."}, nil
	}
	for _, t := range as[0].Templates {
		if t.Left != "" {
			return []string{"jobmesh-policy does not help: " + t.Left + "."}, nil
		}
	}
	return nil, nil
}

// made returns the object from which a pod was made: its Job, or the pod itself if it has no Job.
func made(p *corev1.Pod, job *batchv1.Job) (manifest.Object, error) {
	if job != nil {
		short := &batchv1.Job{Spec: job.Spec}
		short.APIVersion, short.Kind = "batch/v1", "Job"
		short.ObjectMeta = metav1.ObjectMeta{Name: job.Name, Namespace: job.Namespace, Labels: job.Labels, Annotations: job.Annotations}
		return running.Object(short)
	}
	p.APIVersion, p.Kind, p.ManagedFields = "v1", "Pod", nil
	return running.Object(p)
}
