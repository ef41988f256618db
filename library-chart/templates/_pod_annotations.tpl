{{/*
The annotations that go with jobmesh.podSpec on the same pod: what the mesh needs
so that the wrapper can stop its proxy, and those of the values. Nothing where
jobmesh is disabled. jobmesh.manifests adds them by itself.

Usage:
    metadata:
      annotations:
        {{- include "jobmesh.podAnnotations" $ | nindent 8 }}
{{ include "jobmesh.podAnnotations" (list $ (dict "mesh" "linkerd")) }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. The same settings as in the call of jobmesh.podSpec

Prints:
  config.linkerd.io/proxy-admin-shutdown: enabled

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.podAnnotations" -}}
{{- $call := dict "template" "jobmesh.podAnnotations" -}}
{{- include "jobmesh._call.context" (list $call .) -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- if $call.enabled -}}
  {{- include "jobmesh._podAnnotations" $call -}}
  {{- with $call.podAnnotations -}}
    {{- toYaml . -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Stores the annotations as $call.podAnnotations. Those of the values win. */}}
{{- define "jobmesh._podAnnotations" -}}
{{- $annotations := dict -}}
{{- range .meshes -}}
  {{- range $key, $value := .podAnnotations -}}
    {{- $_ := set $annotations $key $value -}}
  {{- end -}}
{{- end -}}
{{- range $key, $value := .settings.annotations -}}
  {{- $_ := set $annotations $key $value -}}
{{- end -}}
{{- $_ := set . "podAnnotations" $annotations -}}
{{- end -}}
