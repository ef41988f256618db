{{/* Written by `make generate` from internal/kind. */}}
{{/*
The pod templates of each kind that is injected, by API group and kind. JSON, because
fromJson is ten times faster than fromYaml.

  path      the keys that lead to it from the object. [] stands for every item of a
            list, or every value of a map. A Pod is its own template.
  inject    always; named: where the value kinds names the kind; hook: where the object
            is a Helm hook
  form      pod: it has metadata and spec; argo: it has one container, and the volumes
            of a pod, but no pod spec
  optional  objects of the kind may be without it
*/}}
{{- define "jobmesh._kinds" -}}
{
  "batch/Job": [{"path": ["spec", "template"], "inject": "always", "form": "pod", "optional": false}],
  "batch/CronJob": [{"path": ["spec", "jobTemplate", "spec", "template"], "inject": "always", "form": "pod", "optional": false}],
  "./Pod": [{"path": [], "inject": "hook", "form": "pod", "optional": false}],
  "keda.sh/ScaledJob": [{"path": ["spec", "jobTargetRef", "template"], "inject": "always", "form": "pod", "optional": false}],
  "jobset.x-k8s.io/JobSet": [{"path": ["spec", "replicatedJobs", "[]", "template", "spec", "template"], "inject": "always", "form": "pod", "optional": false}],
  "argoproj.io/Workflow": [{"path": ["spec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true}],
  "argoproj.io/WorkflowTemplate": [{"path": ["spec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true}],
  "argoproj.io/ClusterWorkflowTemplate": [{"path": ["spec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true}],
  "argoproj.io/CronWorkflow": [{"path": ["spec", "workflowSpec", "templates", "[]"], "inject": "always", "form": "argo", "optional": true}],
  "apps/Deployment": [{"path": ["spec", "template"], "inject": "named", "form": "pod", "optional": false}],
  "apps/StatefulSet": [{"path": ["spec", "template"], "inject": "named", "form": "pod", "optional": false}],
  "apps/DaemonSet": [{"path": ["spec", "template"], "inject": "named", "form": "pod", "optional": false}]
}
{{- end -}}

{{/* A document of one of these kinds, but those to be named, has one of these words. */}}
{{- define "jobmesh._kinds.words" -}}
Job|Pod|Workflow|List
{{- end -}}

{{/* What the value kinds holds: a pattern, and the words for it. */}}
{{- define "jobmesh._kinds.form" -}}
["^(Deployment|StatefulSet|DaemonSet)$", "Deployment, StatefulSet or DaemonSet"]
{{- end -}}
