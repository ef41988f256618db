{{/*
The volume mounts of a wrapped container, as items of a list. Beside
jobmesh.command.

Usage:
    volumeMounts:
      {{- include "jobmesh.volumeMount" $ | nindent 6 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints:
  - mountPath: /jobmesh
    name: jobmesh
    readOnly: true
  - mountPath: /jobmesh-pod
    name: jobmesh-pod
    readOnly: true

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.volumeMount" -}}
{{- $call := dict "template" "jobmesh.volumeMount" -}}
{{- include "jobmesh._snippet" (list $call .) -}}
{{- if and $call.wraps $call.mounts (not $call.errors) -}}
  {{- include "jobmesh._snippet.print" (list $call $call.mounts "volumeMounts") -}}
{{- end -}}
{{- end -}}
