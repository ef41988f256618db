{{/*
Whole manifests: every pod template that ends is injected, pod spec and pod
metadata; every other document stays as it is, to the byte. Nothing is indented
anew, so a template is covered by two lines around it, and another library chart's
output by one.

Injected are Job, CronJob, a Pod that is a Helm hook or test, KEDA's ScaledJob,
JobSet, the templates with a container of Argo's Workflow, WorkflowTemplate,
ClusterWorkflowTemplate and CronWorkflow, all of these in a List, and the kinds
named in `kinds`.

Usage:
{{- include "jobmesh.manifests" (list $ "shop.migration") }}
{{- define "shop.migration" }}
apiVersion: batch/v1
kind: Job
...
{{- end }}

Usage over another library chart:
{{- include "jobmesh.manifests" (list $ "bjw-s.common.loader.all") }}

Params:
  CONTEXT   Dict    Required. The root context, or a dict that has it under "root"
  NAME      String  Required. Name of the define that prints the manifests
  SETTINGS  Dict    Optional. Values that override the chart's for this call

Prints: the documents, in their order.

Errors: those of jobmesh.podSpec, each opened by the kind and name of its object;
a document that is no YAML mapping; a Job without a pod template; in the modes
native and optOut, an annotation or label of the author that undoes the mode.
*/}}
{{- define "jobmesh.manifests" -}}
{{- $call := dict "template" "jobmesh.manifests" "want" "a list" -}}
{{- include "jobmesh._call.define" (list $call .) -}}
{{- include "jobmesh._settings" $call -}}
{{- if and $call.enabled (hasKey $call "text") -}}
  {{- if not (hasKey $call.kept "kinds") -}}
    {{- $kinds := include "jobmesh._manifests.kinds" $call | fromJson -}}
    {{- range $call.settings.kinds -}}
      {{- $_ := set $kinds (print "apps/" .) (get $kinds "batch/Job") -}}
    {{- end -}}
    {{- $_ := set $call.kept "kinds" $kinds -}}
  {{- end -}}
  {{- /* Parsing costs most, and only these names can be of interest. */ -}}
  {{- $names := concat (list "Job" "Pod" "List" "Workflow") (default list $call.settings.kinds) | join "|" -}}
  {{- $separator := "(?m)^---(?:$|[ \t\r])" -}}
  {{- $separators := regexFindAll $separator $call.text -1 -}}
  {{- $number := 0 -}}
  {{- range $i, $document := regexSplit $separator $call.text -1 -}}
    {{- if $i -}}
      {{- index $separators (sub $i 1) -}}
    {{- end -}}
    {{- $number = add $number (ternary 1 0 (trim $document | ne "")) -}}
    {{- if regexMatch $names $document -}}
      {{- include "jobmesh._manifests.document" (list $call $document (printf "document %d" $number)) -}}
    {{- else -}}
      {{- $document -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- $call.text -}}
{{- end -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- end -}}

{{/*
Where the pod templates are in each kind, by API group and kind: a path of keys,
where [] stands for every item of a list. A Pod is its own. A template of Argo has
one container and the volumes of a pod, but no pod spec.
*/}}
{{- define "jobmesh._manifests.kinds" -}}
{
  "batch/Job": ["spec", "template"],
  "batch/CronJob": ["spec", "jobTemplate", "spec", "template"],
  "keda.sh/ScaledJob": ["spec", "jobTargetRef", "template"],
  "jobset.x-k8s.io/JobSet": ["spec", "replicatedJobs", "[]", "template", "spec", "template"],
  "argoproj.io/Workflow": ["spec", "templates", "[]"],
  "argoproj.io/WorkflowTemplate": ["spec", "templates", "[]"],
  "argoproj.io/ClusterWorkflowTemplate": ["spec", "templates", "[]"],
  "argoproj.io/CronWorkflow": ["spec", "workflowSpec", "templates", "[]"],
  "./Pod": []
}
{{- end -}}

{{/* One document, injected or to the byte. Params: (list $call TEXT PLACE). */}}
{{- define "jobmesh._manifests.document" -}}
{{- $call := first . -}}
{{- $text := index . 1 -}}
{{- $place := last . -}}
{{- $object := fromYaml $text -}}
{{- $_ := set $call "changed" false -}}
{{- if hasKey $object "Error" -}}
  {{- include "jobmesh._errors.add" (list $call (printf "%s is not a YAML mapping: %s" $place $object.Error)) -}}
  {{- /* `helm lint`, which goes on, would complain of YAML that nobody wrote. */ -}}
  {{- $text = "" -}}
{{- else -}}
  {{- include "jobmesh._manifests.object" (list $call $object $place) -}}
{{- end -}}
{{- if and $call.changed (not $call.errors) -}}
  {{- printf "\n%s\n" (toYaml $object) -}}
{{- else -}}
  {{- $text -}}
{{- end -}}
{{- end -}}

{{/* One object, changed in place; $call.changed says whether it was. Params: (list $call OBJECT PLACE). */}}
{{- define "jobmesh._manifests.object" -}}
{{- $call := first . -}}
{{- $object := index . 1 -}}
{{- $place := last . -}}
{{- $kind := printf "%s/%v" (toString $object.apiVersion | dir) $object.kind -}}
{{- $metadata := ternary $object.metadata dict (kindIs "map" $object.metadata) -}}
{{- $annotations := ternary $metadata.annotations dict (kindIs "map" $metadata.annotations) -}}
{{- if and (eq $kind "./List") (kindIs "slice" $object.items) -}}
  {{- range $i, $item := $object.items -}}
    {{- if kindIs "map" $item -}}
      {{- include "jobmesh._manifests.object" (list $call $item (printf "items[%d] of %s" $i $place)) -}}
    {{- end -}}
  {{- end -}}
{{- else if not (hasKey $call.kept.kinds $kind) -}}
  {{- /* Not ours. */ -}}
{{- else if and (eq $kind "./Pod") (not (hasKey $annotations "helm.sh/hook")) -}}
  {{- /* A Pod of its own is a long-running one; helm tests are hooks. */ -}}
{{- else -}}
  {{- $path := get $call.kept.kinds $kind -}}
  {{- $name := printf "%s %q" $object.kind (default $metadata.generateName $metadata.name | default "" | toString) -}}
  {{- $found := dict "templates" list -}}
  {{- include "jobmesh._manifests.find" (list $found $path $object $name) -}}
  {{- range $found.templates -}}
    {{- $_ := set $call "object" .name -}}
    {{- if hasPrefix "argoproj.io/" $kind -}}
      {{- include "jobmesh._manifests.argo" (list $call .template (index $found "parent")) -}}
    {{- else if kindIs "map" .template.spec -}}
      {{- include "jobmesh._manifests.inject" (list $call .template .template.spec) -}}
    {{- else -}}
      {{- $_ := set $found "templates" list -}}
    {{- end -}}
    {{- $_ := unset $call "object" -}}
  {{- end -}}
  {{- if not (or $found.templates (hasPrefix "argoproj.io/" $kind)) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s is a %s without %s" $place $object.kind (append $path "spec" | join "." | replace ".[]" "[]"))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Collects what is at the end of a path in FOUND.templates, as dicts of template and
name, and in FOUND.parent the map that holds the last list. Items of a list add
their own name. Params: (list FOUND PATH NODE NAME).
*/}}
{{- define "jobmesh._manifests.find" -}}
{{- $found := first . -}}
{{- $path := index . 1 -}}
{{- $node := index . 2 -}}
{{- $name := last . -}}
{{- if not $path -}}
  {{- if kindIs "map" $node -}}
    {{- $_ := set $found "templates" (append $found.templates (dict "template" $node "name" $name)) -}}
  {{- end -}}
{{- else if eq (first $path) "[]" -}}
  {{- range ternary $node list (kindIs "slice" $node) -}}
    {{- if kindIs "map" . -}}
      {{- include "jobmesh._manifests.find" (list $found (rest $path) . (printf "%s, %v" $name .name)) -}}
    {{- end -}}
  {{- end -}}
{{- else if kindIs "map" $node -}}
  {{- $_ := set $found "parent" $node -}}
  {{- include "jobmesh._manifests.find" (list $found (rest $path) (get $node (first $path)) $name) -}}
{{- end -}}
{{- end -}}

{{/* Injects a pod template, in place. Params: (list $call TEMPLATE SPEC). */}}
{{- define "jobmesh._manifests.inject" -}}
{{- $call := first . -}}
{{- if $call.wraps -}}
  {{- $_ := set $call "target" (last .) -}}
  {{- include "jobmesh._inject" $call -}}
{{- end -}}
{{- include "jobmesh._podMetadata.add" (dict "call" $call "template" (index . 1)) -}}
{{- $_ := set $call "changed" true -}}
{{- end -}}

{{/*
Injects a template of Argo, in place; those without a container run no pod of ours.
`containers` is not asked: there is one. Argo restarts no container.
Params: (list $call TEMPLATE WORKFLOW_SPEC).
*/}}
{{- define "jobmesh._manifests.argo" -}}
{{- $call := first . -}}
{{- $template := index . 1 -}}
{{- $workflow := last . -}}
{{- if kindIs "map" $template.container -}}
  {{- $container := $template.container -}}
  {{- $named := hasKey $container "name" -}}
  {{- if not $named -}}
    {{- /* What Argo calls it in the pod. */ -}}
    {{- $_ := set $container "name" "main" -}}
  {{- end -}}
  {{- $spec := dict "restartPolicy" "Never" "containers" (list $container) "securityContext" (default $workflow.securityContext $template.securityContext) -}}
  {{- $fields := dict "initContainers" $template "volumes" $template "imagePullSecrets" $workflow -}}
  {{- range $field, $from := $fields -}}
    {{- if hasKey $from $field -}}
      {{- $_ := set $spec $field (get $from $field) -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $call "only" true -}}
  {{- include "jobmesh._manifests.inject" (list $call $template $spec) -}}
  {{- $_ := unset $call "only" -}}
  {{- range $field, $into := $fields -}}
    {{- if hasKey $spec $field -}}
      {{- $_ := set $into $field (get $spec $field) -}}
    {{- end -}}
  {{- end -}}
  {{- if not $named -}}
    {{- $_ := unset $container "name" -}}
  {{- end -}}
{{- end -}}
{{- end -}}
