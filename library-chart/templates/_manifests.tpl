{{/*
Whole manifests: every Job, CronJob, Pod that is a Helm hook or test, and KEDA
ScaledJob is injected, pod spec and pod annotations; every other document stays
as it is, to the byte. Nothing is indented anew, so a template is covered by two
lines around it, and another library chart's output by one.

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
a document that is no YAML mapping; a Job without a pod template.
*/}}
{{- define "jobmesh.manifests" -}}
{{- $call := dict "template" "jobmesh.manifests" "want" "a list" -}}
{{- include "jobmesh._call.define" (list $call .) -}}
{{- include "jobmesh._settings" $call -}}
{{- if and $call.enabled (hasKey $call "text") -}}
  {{- $separator := "(?m)^---(?:$|[ \t\r])" -}}
  {{- $separators := regexFindAll $separator $call.text -1 -}}
  {{- $number := 0 -}}
  {{- range $i, $document := regexSplit $separator $call.text -1 -}}
    {{- if $i -}}
      {{- index $separators (sub $i 1) -}}
    {{- end -}}
    {{- $number = add $number (ternary 1 0 (trim $document | ne "")) -}}
    {{- /* Parsing costs most, and only these names can be of interest. */ -}}
    {{- if regexMatch "Job|Pod" $document -}}
      {{- include "jobmesh._manifests.document" (dict "call" $call "text" $document "number" $number) -}}
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
Where the pod template is in each kind, by API group and kind; a Pod is its own.
*/}}
{{- define "jobmesh._manifests.kinds" -}}
{
  "batch/Job": ["spec", "template"],
  "batch/CronJob": ["spec", "jobTemplate", "spec", "template"],
  "keda.sh/ScaledJob": ["spec", "jobTargetRef", "template"],
  "./Pod": []
}
{{- end -}}

{{/* One document, injected or to the byte. Params: dict of call, text, number. */}}
{{- define "jobmesh._manifests.document" -}}
{{- $call := .call -}}
{{- $number := .number -}}
{{- $object := fromYaml .text -}}
{{- $kinds := include "jobmesh._manifests.kinds" . | fromJson -}}
{{- $kind := printf "%s/%v" (toString $object.apiVersion | dir) $object.kind -}}
{{- $metadata := ternary $object.metadata dict (kindIs "map" $object.metadata) -}}
{{- $annotations := ternary $metadata.annotations dict (kindIs "map" $metadata.annotations) -}}
{{- if hasKey $object "Error" -}}
  {{- include "jobmesh._errors.add" (list $call (printf "document %d is not a YAML mapping: %s" $number $object.Error)) -}}
{{- else if not (hasKey $kinds $kind) -}}
  {{- .text -}}
{{- else if and (eq $kind "./Pod") (not (hasKey $annotations "helm.sh/hook")) -}}
  {{- /* A Pod of its own is a long-running one; helm tests are hooks. */ -}}
  {{- .text -}}
{{- else -}}
  {{- $_ := set $call "object" (printf "%s %q" $object.kind (default $metadata.generateName $metadata.name | default "" | toString)) -}}
  {{- include "jobmesh._manifests.inject" (dict "call" $call "object" $object "path" (get $kinds $kind) "number" $number) -}}
  {{- $_ := unset $call "object" -}}
  {{- if $call.errors -}}
    {{- .text -}}
  {{- else -}}
    {{- printf "\n%s\n" (toYaml $object) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Injects the pod template of an object, in place. Params: dict of call, object, path, number. */}}
{{- define "jobmesh._manifests.inject" -}}
{{- $call := .call -}}
{{- $template := .object -}}
{{- range .path -}}
  {{- if kindIs "map" $template -}}
    {{- $template = get $template . -}}
  {{- end -}}
{{- end -}}
{{- if not (kindIs "map" $template) -}}
  {{- $template = dict -}}
{{- end -}}
{{- if kindIs "map" $template.spec -}}
  {{- $_ := set $call "target" $template.spec -}}
  {{- include "jobmesh._inject" $call -}}
  {{- include "jobmesh._manifests.annotate" (dict "call" $call "template" $template) -}}
{{- else -}}
  {{- $_ := unset $call "object" -}}
  {{- include "jobmesh._errors.add" (list $call (printf "document %d is a %s without %s" .number .object.kind (append .path "spec" | join "."))) -}}
{{- end -}}
{{- end -}}

{{/* Adds the pod annotations; those of the author stay. Params: dict of call, template. */}}
{{- define "jobmesh._manifests.annotate" -}}
{{- $call := .call -}}
{{- $parent := .template -}}
{{- include "jobmesh._podAnnotations" $call -}}
{{- if $call.podAnnotations -}}
  {{- range list "metadata" "annotations" -}}
    {{- if not (get $parent .) -}}
      {{- $_ := set $parent . dict -}}
    {{- end -}}
    {{- if kindIs "map" (get $parent .) -}}
      {{- $parent = get $parent . -}}
    {{- else -}}
      {{- include "jobmesh._errors.add" (list $call (printf "%s of the pod template must be a mapping, got %s" . (get $parent . | include "jobmesh._errors.value"))) -}}
    {{- end -}}
  {{- end -}}
  {{- range $key, $value := $call.podAnnotations -}}
    {{- if not (hasKey $parent $key) -}}
      {{- $_ := set $parent $key $value -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
