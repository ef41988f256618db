{{/*
Stores the metadata that a pod needs beside its spec as $call.kept.podMetadata: a dict of
"annotations" and "labels". Params: $call with settings, meshes and kept.
*/}}
{{- define "jobmesh._podMetadata" -}}
{{- if not (hasKey .kept "podMetadata") -}}
  {{- include "jobmesh._podMetadata.find" . -}}
{{- end -}}
{{- end -}}

{{- define "jobmesh._podMetadata.find" -}}
{{- $call := . -}}
{{- $settings := .settings -}}
{{- $metadata := dict "annotations" dict "labels" dict -}}
{{- /* A proxy that the shell of mode hook stops has to accept the stop request, as in mode wrap. */ -}}
{{- $mode := ternary "wrap" $settings.mode (eq $settings.mode "hook") -}}
{{- $ports := list -}}
{{- if ne $mode "optOut" -}}
  {{- range $settings.skipOutboundPorts -}}
    {{- /* Helm reads every number as a float, and toString would print some of them as 5e+03. */ -}}
    {{- $ports = append $ports (kindIs "string" . | ternary . (printf "%d" (int .))) -}}
  {{- end -}}
{{- end -}}
{{- range .meshes -}}
  {{- range $field, $entries := index . $mode -}}
    {{- range $key, $value := $entries -}}
      {{- $_ := set (get $metadata $field) $key $value -}}
    {{- end -}}
  {{- end -}}
  {{- if and $ports .skipOutboundPorts -}}
    {{- $_ := set $metadata.annotations .skipOutboundPorts (join "," $ports) -}}
  {{- end -}}
{{- end -}}
{{- range $key, $value := $settings.annotations -}}
  {{- $_ := set $metadata.annotations $key $value -}}
{{- end -}}
{{- $_ := set .kept "podMetadata" $metadata -}}
{{- end -}}

{{/* Prints one field of that dict. Params: (list TEMPLATE FIELD ARGUMENTS). */}}
{{- define "jobmesh._podMetadata.print" -}}
{{- $call := dict "template" (first .) -}}
{{- $field := index . 1 -}}
{{- include "jobmesh._call.context" (list $call (last .)) -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- if and $call.enabled (not $call.errors) -}}
  {{- include "jobmesh._podMetadata" $call -}}
  {{- with get $call.kept.podMetadata $field -}}
    {{- include "jobmesh._snippet.print" (list $call . $field) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Adds that dict to a pod template. The author's annotations and labels stay. One that
contradicts the mode is a mistake, because the Job would hang.
Params: dict of call, template and, optionally, annotations, which are added too, and
inherited, a list of metadata that the pod has unless the template overrides them.
*/}}
{{- define "jobmesh._podMetadata.add" -}}
{{- $call := .call -}}
{{- $template := .template -}}
{{- $inherited := .inherited -}}
{{- include "jobmesh._podMetadata" $call -}}
{{- $metadata := $call.kept.podMetadata -}}
{{- if .annotations -}}
  {{- $metadata = dict "annotations" (merge dict .annotations $metadata.annotations) "labels" $metadata.labels -}}
{{- end -}}
{{- range $field, $entries := $metadata -}}
  {{- range $inherited -}}
    {{- if kindIs "map" . -}}
      {{- if get . $field | kindIs "map" -}}
        {{- range $key, $_ := get . $field -}}
          {{- $entries = omit $entries $key -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if $entries -}}
    {{- $parent := $template -}}
    {{- range list "metadata" $field -}}
      {{- if not (get $parent .) -}}
        {{- $_ := set $parent . dict -}}
      {{- end -}}
      {{- if kindIs "map" (get $parent .) -}}
        {{- $parent = get $parent . -}}
      {{- else -}}
        {{- include "jobmesh._errors.add" (list $call (printf "%s of the pod template must be a mapping, got %s" . (get $parent . | include "jobmesh._errors.value"))) -}}
        {{- $parent = dict -}}
      {{- end -}}
    {{- end -}}
    {{- $asked := dict -}}
    {{- if not $call.wraps -}}
      {{- range $call.meshes -}}
        {{- $asked = merge $asked (get . $call.settings.mode | default dict | dig $field dict) -}}
      {{- end -}}
    {{- end -}}
    {{- range $key, $value := $entries -}}
      {{- if not (hasKey $parent $key) -}}
        {{- $_ := set $parent $key $value -}}
      {{- else if and (hasKey $asked $key) (ne (get $parent $key | toString) $value) -}}
        {{- include "jobmesh._errors.add" (list $call (printf "the pod template has %s %s: %v, which contradicts mode %s; remove it" (trimSuffix "s" $field) $key (get $parent $key) $call.settings.mode)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
