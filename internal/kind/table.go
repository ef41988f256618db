package kind

// Where the facts below were read.
const (
	batch    = "Kubernetes 1.37.2: pkg/apis/batch/validation"
	apps     = "Kubernetes 1.37.2: pkg/apis/apps/validation"
	core     = "Kubernetes 1.37.2: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation"
	keda     = "kedacore/keda 1bcb2aca: apis/keda/v1alpha1/scaledjob_types.go"
	jobset   = "kubernetes-sigs/jobset 01078527: pkg/webhooks/jobset_webhook.go"
	argo     = "argoproj/argo-workflows 2166a0c8: workflow/controller/workflowpod.go, docs/sidecar-injection.md"
	kuberay  = "ray-project/kuberay 05b2df3a: ray-operator/controllers/ray/common/job.go"
	volcano  = "volcano-sh/volcano 08812f68: pkg/webhooks/admission/jobs/mutate, which sets no restartPolicy"
	kubeflow = "kubeflow/training-operator 5fa872ff: pkg/apis/kubeflow.org/v1"
)

// What an author may say of restarts.
var (
	forJobs    = Restart{Policies: []string{"OnFailure", "Never"}}
	forServers = Restart{Policies: []string{"Always"}, Default: "Always"}
	forPods    = Restart{Policies: []string{"Always", "OnFailure", "Never"}, Default: "Always"}
)

// Why a template is left alone.
const (
	serves   = "its pods run until they are deleted"
	untested = "injection has not been tried there; a chart can use jobmesh.podSpec"
)

// Table holds the kinds that are known, in the order in which they are listed.
var Table = []Kind{
	{Group: "batch", Kind: "Job", Source: batch, Templates: []Template{
		{Path: []string{"spec", "template"}, Restart: forJobs, Inject: Always},
	}},
	{Group: "batch", Kind: "CronJob", Source: batch, Templates: []Template{
		{Path: []string{"spec", "jobTemplate", "spec", "template"}, Restart: forJobs, Inject: Always},
	}},
	{Kind: "Pod", Source: core, Templates: []Template{
		{Pods: ByPolicy, Restart: forPods, Inject: Hook},
	}},
	{Group: "keda.sh", Kind: "ScaledJob", Source: keda, Templates: []Template{
		{Path: []string{"spec", "jobTargetRef", "template"}, Restart: forJobs, Inject: Always},
	}},
	{Group: "jobset.x-k8s.io", Kind: "JobSet", Source: jobset, Templates: []Template{
		{Path: []string{"spec", "replicatedJobs", Every, "template", "spec", "template"},
			Restart: Restart{Policies: forJobs.Policies, Default: "OnFailure"}, Inject: Always},
	}},
	{Group: "argoproj.io", Kind: "Workflow", Source: argo, Templates: workflows("spec")},
	{Group: "argoproj.io", Kind: "WorkflowTemplate", Source: argo, Templates: workflows("spec")},
	{Group: "argoproj.io", Kind: "ClusterWorkflowTemplate", Source: argo, Templates: workflows("spec")},
	{Group: "argoproj.io", Kind: "CronWorkflow", Source: argo, Templates: workflows("spec", "workflowSpec")},

	{Group: "apps", Kind: "Deployment", Source: apps, Templates: server(Named, "")},
	{Group: "apps", Kind: "StatefulSet", Source: apps, Templates: server(Named, "")},
	{Group: "apps", Kind: "DaemonSet", Source: apps, Templates: server(Named, "")},
	{Group: "apps", Kind: "ReplicaSet", Source: apps, Templates: server(Never, serves)},
	{Kind: "ReplicationController", Source: core, Templates: server(Never, serves)},
	{Kind: "PodTemplate", Source: core, Templates: []Template{
		{Path: []string{"template"}, Pods: Serve, Restart: forPods, Inject: Never, Why: "it makes no pods by itself"},
	}},

	{Group: "ray.io", Kind: "RayJob", Source: kuberay, Templates: []Template{
		{Path: []string{"spec", "submitterPodTemplate"}, Optional: true, Restart: forJobs, Inject: Never, Why: untested},
	}},
	{Group: "batch.volcano.sh", Kind: "Job", Source: volcano, Templates: []Template{
		{Path: []string{"spec", "tasks", Every, "template"}, Restart: forPods, Inject: Never, Why: untested},
	}},
	{Group: "kubeflow.org", Kind: "MPIJob", Source: kubeflow, Templates: training("mpiReplicaSpecs", "Never")},
	{Group: "kubeflow.org", Kind: "PyTorchJob", Source: kubeflow, Templates: training("pytorchReplicaSpecs", "OnFailure")},
	{Group: "kubeflow.org", Kind: "TFJob", Source: kubeflow, Templates: training("tfReplicaSpecs", "Never")},
}

// workflows are the templates of Argo, below the field that holds the workflow. Argo makes
// every pod with restartPolicy Never, and its executor kills the containers that are left.
func workflows(path ...string) []Template {
	return []Template{{
		Path: append(path, "templates", Every), Optional: true, Form: Argo,
		Restart: Restart{Default: "Never"}, Sidecars: Controller, KillCommand: "workflows.argoproj.io/kill-cmd-", Inject: Always,
	}}
}

// server is the template of a workload that serves.
func server(inject Treatment, why string) []Template {
	return []Template{{
		Path: []string{"spec", "template"}, Pods: Serve, Restart: forServers, Sidecars: Kubelet, Inject: inject, Why: why,
	}}
}

// training are the templates of Kubeflow's training operator, one for each replica type.
func training(replicas, restarts string) []Template {
	return []Template{{
		Path:    []string{"spec", replicas, Every, "template"},
		Restart: Restart{Policies: []string{"Always", "OnFailure", "Never", "ExitCode"}, Default: restarts, Owner: "restartPolicy"},
		Inject:  Never, Why: untested,
	}}
}
