{{/*
The volumes of the pod, as items of a list: that of the wrapper, that of the pod's
annotations, and one for the state of several containers. Beside jobmesh.command.

Usage:
    volumes:
      {{- include "jobmesh.volume" $ | nindent 6 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints:
  - emptyDir: {sizeLimit: 16Mi}
    name: jobmesh
  - downwardAPI: {items: [{path: annotations, fieldRef: {fieldPath: metadata.annotations}}]}
    name: jobmesh-pod

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.volume" -}}
{{- $call := dict "template" "jobmesh.volume" -}}
{{- include "jobmesh._snippet" (list $call .) -}}
{{- if and $call.wraps $call.volumes (not $call.errors) -}}
  {{- include "jobmesh._snippet.print" (list $call $call.volumes "volumes") -}}
{{- end -}}
{{- end -}}
