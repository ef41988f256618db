package kind

import "slices"

// These are the sources of the facts in the table.
const (
	batch    = "Kubernetes 1.37.2: pkg/apis/batch/validation"
	apps     = "Kubernetes 1.37.2: pkg/apis/apps/validation"
	core     = "Kubernetes 1.37.2: pkg/apis/core/v1/defaults.go, pkg/apis/core/validation"
	keda     = "kedacore/keda 1bcb2aca: apis/keda/v1alpha1/scaledjob_types.go"
	jobset   = "kubernetes-sigs/jobset 01078527: pkg/webhooks/jobset_webhook.go"
	argo     = "argoproj/argo-workflows 2166a0c8: workflow/controller/workflowpod.go, docs/sidecar-injection.md"
	kuberay  = "ray-project/kuberay 05b2df3a: ray-operator/controllers/ray/common/job.go, ray-operator/controllers/ray/common/pod.go"
	rollouts = "argoproj/argo-rollouts: pkg/apis/rollouts/v1alpha1/analysis_types.go, metricproviders/job/job.go"
	trainer  = "kubeflow/trainer: pkg/apis/trainer/v1alpha1, whose template is that of a JobSet"
	mpi      = "kubeflow/mpi-operator 0b32af39: pkg/apis/kubeflow/v2beta1/default.go; kubeflow/training-operator 5fa872ff: pkg/apis/kubeflow.org/v1"
	spark    = "kubeflow/spark-operator: docs/api-docs.md"
	events   = "argoproj/argo-events: docs/sensors/triggers"
	tekton   = "tektoncd/pipeline: docs/taskruns.md, pkg/pod"
	others   = "the API references of Argo Rollouts, Knative and OpenShift"
	volcano  = "volcano-sh/volcano 08812f68: pkg/webhooks/admission/jobs/mutate, which sets no restartPolicy"
	kubeflow = "kubeflow/training-operator 5fa872ff: pkg/apis/kubeflow.org/v1"
)

// These are the restart settings of the kinds.
var (
	forJobs    = Restart{Policies: []string{"OnFailure", "Never"}}
	forServers = Restart{Policies: []string{"Always"}, Default: "Always"}
	forPods    = Restart{Policies: []string{"Always", "OnFailure", "Never"}, Default: "Always"}
)

// inJobs are the versions of a kind that makes Jobs in all of them.
var inJobs = []string{Every}

// These are the reasons why a template is left alone.
const (
	serves    = "its pods run until somebody deletes them"
	byKubeRay = "KubeRay writes the command of Ray's head and workers and deletes their pods; a native sidecar, or no proxy, is what helps there"
	bySpark   = "spark-submit makes these pods, whose driver has to end by itself; a native sidecar, or no proxy, is what helps there"
	byTekton  = "Tekton puts an entrypoint of its own before the steps, and ends the containers beside them"
	byTrigger = "it holds objects that a trigger makes: inject them by themselves"
	byRuntime = "its pods are those of its training runtime: inject that, and set no command here, which would replace the wrapped one"
	mpiWorker = "MPI's workers serve their launcher, and are deleted when that has ended"
)

// Table holds the known kinds, in the order in which they are listed to users.
var Table = []Kind{
	{Group: "batch", Kind: "Job", Immutable: true, Source: batch, Templates: []Template{
		{Path: []string{"spec", "template"}, Restart: forJobs, Jobs: inJobs, Inject: Always},
	}},
	{Group: "batch", Kind: "CronJob", Source: batch, Templates: []Template{
		{Path: []string{"spec", "jobTemplate", "spec", "template"}, Restart: forJobs, Jobs: inJobs, Inject: Always},
	}},
	{Kind: "Pod", Immutable: true, Source: core, Templates: []Template{
		{Pods: ByPolicy, Restart: forPods, Inject: Hook},
	}},
	{Group: "keda.sh", Kind: "ScaledJob", Source: keda, Templates: []Template{
		{Path: []string{"spec", "jobTargetRef", "template"}, Restart: forJobs, Jobs: inJobs, Inject: Always},
	}},
	{Group: "jobset.x-k8s.io", Kind: "JobSet", Immutable: true, Source: jobset, Templates: []Template{
		{Path: []string{"spec", "replicatedJobs", Every, "template", "spec", "template"},
			Restart: Restart{Policies: forJobs.Policies, Default: "OnFailure"}, Jobs: inJobs, Inject: Always},
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

	{Group: "argoproj.io", Kind: "AnalysisTemplate", Source: rollouts, Templates: analysis()},
	{Group: "argoproj.io", Kind: "ClusterAnalysisTemplate", Source: rollouts, Templates: analysis()},
	{Group: "argoproj.io", Kind: "AnalysisRun", Source: rollouts, Templates: analysis()},
	{Group: "ray.io", Kind: "RayJob", Source: kuberay, Templates: append([]Template{{
		Path: []string{"spec", "submitterPodTemplate"}, Optional: true, Restart: forJobs, Fills: "KubeRay", Jobs: inJobs, Inject: Always,
	}}, ray("spec", "rayClusterSpec")...)},
	{Group: "ray.io", Kind: "RayCluster", Source: kuberay, Templates: ray("spec")},
	{Group: "ray.io", Kind: "RayService", Source: kuberay, Templates: ray("spec", "rayClusterConfig")},
	{Group: "batch.volcano.sh", Kind: "Job", Source: volcano, Templates: []Template{
		{Path: []string{"spec", "tasks", Every, "template"}, Restart: forPods, Inject: Always},
	}},
	{Group: "kubeflow.org", Kind: "MPIJob", Source: mpi, Templates: []Template{
		inJobsOf("v2beta1", replica("mpiReplicaSpecs", "Launcher", Restart{Default: "Never", DefaultIn: map[string]string{"v2beta1": "OnFailure"}})),
		{Path: []string{"spec", "mpiReplicaSpecs", "Worker", "template"}, Optional: true, Pods: Serve, Restart: forServers,
			Sidecars: Kubelet, Inject: Never, Why: mpiWorker},
	}},
	{Group: "kubeflow.org", Kind: "PyTorchJob", Source: kubeflow, Templates: []Template{
		replica("pytorchReplicaSpecs", Every, Restart{Default: "OnFailure"}),
	}},
	{Group: "kubeflow.org", Kind: "TFJob", Source: kubeflow, Templates: []Template{
		replica("tfReplicaSpecs", Every, Restart{Default: "Never"}),
	}},
	{Group: "trainer.kubeflow.org", Kind: "TrainingRuntime", Source: trainer, Templates: runtime()},
	{Group: "trainer.kubeflow.org", Kind: "ClusterTrainingRuntime", Source: trainer, Templates: runtime()},
	{Group: "trainer.kubeflow.org", Kind: "TrainJob", Source: trainer, Templates: unjudged(byRuntime, "spec", "runtimeRef")},

	{Group: "sparkoperator.k8s.io", Kind: "SparkApplication", Source: spark, Templates: unjudged(bySpark, "spec", "driver")},
	{Group: "sparkoperator.k8s.io", Kind: "ScheduledSparkApplication", Source: spark, Templates: unjudged(bySpark, "spec", "template", "driver")},
	{Group: "argoproj.io", Kind: "Sensor", Source: events, Templates: slices.Concat(
		unjudged(byTrigger, "spec", "triggers", Every, "template", "k8s", "source", "resource"),
		unjudged(byTrigger, "spec", "triggers", Every, "template", "argoWorkflow", "source", "resource"),
	)},
	{Group: "tekton.dev", Kind: "TaskRun", Source: tekton, Templates: unjudged(byTekton, "spec")},
	{Group: "tekton.dev", Kind: "PipelineRun", Source: tekton, Templates: unjudged(byTekton, "spec")},
	{Group: "tekton.dev", Kind: "Task", Source: tekton, Templates: unjudged(byTekton, "spec")},
	{Group: "tekton.dev", Kind: "Pipeline", Source: tekton, Templates: unjudged(byTekton, "spec")},

	{Group: "argoproj.io", Kind: "Rollout", Source: others, Templates: optional(server(Never, serves))},
	{Group: "serving.knative.dev", Kind: "Service", Source: others, Templates: optional(server(Never, serves))},
	{Group: "apps.openshift.io", Kind: "DeploymentConfig", Source: others, Templates: optional(server(Never, serves))},
}

// Patterns are API groups whose objects contain what looks like a pod template, but describe no
// pods.
var Patterns = []string{"kyverno.io"}

// workflows returns the templates of Argo below the field that holds the workflow: those of its
// list, and those written inside a step or task. Argo creates every pod with restartPolicy
// Never, and its executor kills the containers that are left.
func workflows(path ...string) []Template {
	var all []Template
	for _, inline := range [][]string{nil, {"steps", Every, Every, "inline"}, {"dag", "tasks", Every, "inline"}} {
		all = append(all, Template{
			Path: slices.Concat(path, []string{"templates", Every}, inline), Optional: true, Form: Argo,
			Restart: Restart{Default: "Never"}, Sidecars: Controller, KillCommand: "workflows.argoproj.io/kill-cmd-", Inject: Always,
		})
	}
	return all
}

// server returns the template of a workload that serves.
func server(inject Treatment, why string) []Template {
	return []Template{{
		Path: []string{"spec", "template"}, Pods: Serve, Restart: forServers, Sidecars: Kubelet, Inject: inject, Why: why,
	}}
}

// optional returns the templates, marked as ones that an object may lack.
func optional(templates []Template) []Template {
	for i := range templates {
		templates[i].Optional = true
	}
	return templates
}

// analysis returns the Jobs that Argo Rollouts starts to measure a rollout.
func analysis() []Template {
	return []Template{{
		Path: []string{"spec", "metrics", Every, "provider", "job", "spec", "template"}, Optional: true, Restart: forJobs, Jobs: inJobs, Inject: Always,
	}}
}

// ray returns the pod templates of a Ray cluster, below the field that holds the cluster.
func ray(path ...string) []Template {
	return slices.Concat(
		unjudged(byKubeRay, slices.Concat(path, []string{"headGroupSpec", "template"})...),
		unjudged(byKubeRay, slices.Concat(path, []string{"workerGroupSpecs", Every, "template"})...),
	)
}

// replica returns the template of one sort of replicas of Kubeflow's training operator. The
// operator writes the restartPolicy that stands beside the template into the pods, whatever the
// template says.
func replica(replicas, sort string, r Restart) Template {
	r.Policies, r.Owner = []string{"Always", "OnFailure", "Never", "ExitCode"}, "restartPolicy"
	return Template{Path: []string{"spec", replicas, sort, "template"}, Optional: true, Restart: r, Inject: Always}
}

// inJobsOf is a template whose pods are those of Jobs in one version of the group.
func inJobsOf(version string, t Template) Template {
	t.Jobs = []string{version}
	return t
}

// runtime returns the templates of the JobSet that a training runtime makes. A TrainJob may
// replace the command.
func runtime() []Template {
	return []Template{{
		Path:    []string{"spec", "template", "spec", "replicatedJobs", Every, "template", "spec", "template"},
		Restart: Restart{Policies: forJobs.Policies, Default: "OnFailure"}, Fills: "Kubeflow Trainer", Jobs: inJobs, Inject: Always,
	}}
}

// unjudged returns a template of which jobmesh only knows that pods are made from it.
func unjudged(why string, path ...string) []Template {
	return []Template{{Path: path, Optional: true, Form: Other, Pods: Unjudged, Inject: Never, Why: why}}
}
