{{/*
Reference of the image that holds the wrapper: by digest where one is set, else
by tag.

Usage:
{{ include "jobmesh.image" $ }}
{{ include "jobmesh.image" (list $ (dict "image" (dict "tag" "1.10"))) }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints:
  ghcr.io/jobmesh/jobmesh-wrap:0.1.0

Errors: no root context; unknown or ill-typed settings; image.repository empty.
*/}}
{{- define "jobmesh.image" -}}
{{- $call := dict "template" "jobmesh.image" -}}
{{- include "jobmesh._call.context" (list $call .) -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- if not $call.errors -}}
  {{- include "jobmesh._image" $call.settings -}}
{{- end -}}
{{- end -}}

{{/* The reference, from settings. */}}
{{- define "jobmesh._image" -}}
{{- with .image.registry -}}{{ . }}/{{- end -}}
{{- .image.repository -}}
{{- if .image.digest -}}@{{ .image.digest }}{{- else -}}:{{ default (include "jobmesh.version" .) .image.tag }}{{- end -}}
{{- end -}}
