{{/* Written by `make generate` from internal/kind. */}}
{{/*
The pod templates of each kind that is injected, by API group and kind. JSON, because
fromJson is ten times faster than fromYaml.

  path      the keys that lead to it from the object. [] stands for every item of a
            list, or every value of a map. A Pod is its own template.
  inject    always; named: where the value kinds names the kind; hook: where the object
            is a Helm hook
  form      pod: it has metadata and spec; argo: it has containers or a script, and the
            volumes of a pod, but no pod spec
  optional  objects of the kind may be without it
  restart   the restartPolicy where nothing is said; restartIn, that of a version
  owner     the key beside the template whose value takes the place of restartPolicy
  fills     who writes a command into a container that has none
  killCommand  with the name of a container behind it, the annotation that says how the
            kind's controller ends that container
*/}}
{{- define "jobmesh._kinds" -}}
{
  "batch/Job": [{"path": ["spec", "template"], "inject": "always", "form": "pod", "optional": false}],
  "batch/CronJob": [{"path": ["spec", "jobTemplate", "spec", "template"], "inject": "always", "form": "pod", "optional": false}],
  "./Pod": [{"path": [], "inject": "hook", "form": "pod", "optional": false, "restart": "Always"}],
  "keda.sh/ScaledJob": [{"path": ["spec", "jobTargetRef", "template"], "inject": "always", "form": "pod", "optional": false}],
  "jobset.x-k8s.io/JobSet": [{"path": ["spec", "replicatedJobs", "[]", "template", "spec", "template"], "inject": "always", "form": "pod", "optional": false, "restart": "OnFailure"}],
  "argoproj.io/Workflow": [{"path": ["spec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "templates", "[]", "steps", "[]", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "templates", "[]", "dag", "tasks", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}],
  "argoproj.io/WorkflowTemplate": [{"path": ["spec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "templates", "[]", "steps", "[]", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "templates", "[]", "dag", "tasks", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}],
  "argoproj.io/ClusterWorkflowTemplate": [{"path": ["spec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "templates", "[]", "steps", "[]", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "templates", "[]", "dag", "tasks", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}],
  "argoproj.io/CronWorkflow": [{"path": ["spec", "workflowSpec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "workflowSpec", "templates", "[]", "steps", "[]", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}, {"path": ["spec", "workflowSpec", "templates", "[]", "dag", "tasks", "[]", "inline"], "inject": "always", "form": "argo", "optional": true, "restart": "Never", "killCommand": "workflows.argoproj.io/kill-cmd-"}],
  "apps/Deployment": [{"path": ["spec", "template"], "inject": "named", "form": "pod", "optional": false, "restart": "Always"}],
  "apps/StatefulSet": [{"path": ["spec", "template"], "inject": "named", "form": "pod", "optional": false, "restart": "Always"}],
  "apps/DaemonSet": [{"path": ["spec", "template"], "inject": "named", "form": "pod", "optional": false, "restart": "Always"}],
  "argoproj.io/AnalysisTemplate": [{"path": ["spec", "metrics", "[]", "provider", "job", "spec", "template"], "inject": "always", "form": "pod", "optional": true}],
  "argoproj.io/ClusterAnalysisTemplate": [{"path": ["spec", "metrics", "[]", "provider", "job", "spec", "template"], "inject": "always", "form": "pod", "optional": true}],
  "argoproj.io/AnalysisRun": [{"path": ["spec", "metrics", "[]", "provider", "job", "spec", "template"], "inject": "always", "form": "pod", "optional": true}],
  "ray.io/RayJob": [{"path": ["spec", "submitterPodTemplate"], "inject": "always", "form": "pod", "optional": true, "fills": "KubeRay"}],
  "batch.volcano.sh/Job": [{"path": ["spec", "tasks", "[]", "template"], "inject": "always", "form": "pod", "optional": false, "restart": "Always"}],
  "kubeflow.org/MPIJob": [{"path": ["spec", "mpiReplicaSpecs", "Launcher", "template"], "inject": "always", "form": "pod", "optional": true, "restart": "Never", "restartIn": {"v2beta1": "OnFailure"}, "owner": "restartPolicy"}],
  "kubeflow.org/PyTorchJob": [{"path": ["spec", "pytorchReplicaSpecs", "[]", "template"], "inject": "always", "form": "pod", "optional": true, "restart": "OnFailure", "owner": "restartPolicy"}],
  "kubeflow.org/TFJob": [{"path": ["spec", "tfReplicaSpecs", "[]", "template"], "inject": "always", "form": "pod", "optional": true, "restart": "Never", "owner": "restartPolicy"}],
  "trainer.kubeflow.org/TrainingRuntime": [{"path": ["spec", "template", "spec", "replicatedJobs", "[]", "template", "spec", "template"], "inject": "always", "form": "pod", "optional": false, "restart": "OnFailure", "fills": "Kubeflow Trainer"}],
  "trainer.kubeflow.org/ClusterTrainingRuntime": [{"path": ["spec", "template", "spec", "replicatedJobs", "[]", "template", "spec", "template"], "inject": "always", "form": "pod", "optional": false, "restart": "OnFailure", "fills": "Kubeflow Trainer"}]
}
{{- end -}}

{{/* A document of one of these kinds, but those to be named, has one of these words. */}}
{{- define "jobmesh._kinds.words" -}}
Job|Pod|Workflow|AnalysisTemplate|AnalysisRun|TrainingRuntime|List
{{- end -}}

{{/* What the value kinds holds: a pattern, and the words for it. */}}
{{- define "jobmesh._kinds.form" -}}
["^(Deployment|StatefulSet|DaemonSet)$", "Deployment, StatefulSet or DaemonSet"]
{{- end -}}
