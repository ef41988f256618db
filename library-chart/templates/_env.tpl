{{/*
Environment variables that tell the wrapper which proxy was injected, as items of a list,
for pods that cannot have the volume jobmesh-pod, which jobmesh.volume and
jobmesh.volumeMount print and which tells it too. Beside jobmesh.command.

Usage:
    env:
      {{- include "jobmesh.env" $ | nindent 6 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints, one for each mesh:
  - name: JOBMESH_POD_ISTIO
    valueFrom:
      fieldRef:
        fieldPath: metadata.annotations['sidecar.istio.io/status']

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.env" -}}
{{- $call := dict "template" "jobmesh.env" -}}
{{- include "jobmesh._snippet" (list $call .) -}}
{{- if and $call.wraps (not $call.errors) -}}
  {{- include "jobmesh._inject.env" $call -}}
  {{- with $call.kept.env -}}
    {{- include "jobmesh._snippet.print" (list $call . "env") -}}
  {{- end -}}
{{- end -}}
{{- end -}}
