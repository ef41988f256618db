{{/*
A call collects its mistakes and fails once. `helm lint` ignores fail and continues, so
nothing behind a mistake may rely on the value that was wrong.

Adds a mistake. Params: (list $call TEXT). The text starts with $call.object, where that is set.
*/}}
{{- define "jobmesh._errors.add" -}}
{{- $call := index . 0 -}}
{{- $text := index . 1 -}}
{{- with $call.object -}}
  {{- $text = printf "%s: %s" . $text -}}
{{- end -}}
{{- $_ := set $call "errors" (append (default list $call.errors) $text) -}}
{{- end -}}

{{/* Fails with all mistakes of $call, if there are any. */}}
{{- define "jobmesh._errors.fail" -}}
{{- if .errors -}}
  {{- $place := .template -}}
  {{- with .define -}}
    {{- $place = printf "%s (%s)" $place . -}}
  {{- end -}}
  {{- fail (printf "%s: %s" $place (uniq .errors | join "; ")) -}}
{{- end -}}
{{- end -}}

{{/* Prints what a value is, in the terms of YAML: null, a map, a list, or its kind and content as JSON. */}}
{{- define "jobmesh._errors.value" -}}
{{- $kind := include "jobmesh._errors.kind" . -}}
{{- if has $kind (list "null" "map" "list") -}}
  {{- $kind -}}
{{- else -}}
  {{- $kind }} ({{ toJson . }}){{- "" -}}
{{- end -}}
{{- end -}}

{{/* Prints the kind of a value, in the terms of YAML. */}}
{{- define "jobmesh._errors.kind" -}}
{{- $kind := kindOf . -}}
{{- get (dict "invalid" "null" "slice" "list" "bool" "boolean" "int" "number" "int64" "number" "float64" "number") $kind | default $kind -}}
{{- end -}}
