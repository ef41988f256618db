{{/*
The init container that brings the wrapper into the pod, as an item of a list; put
it first. Nothing where another delivery or mode needs none, and where jobmesh is
disabled. Beside jobmesh.command.

Usage:
    initContainers:
      {{- include "jobmesh.initContainer" $ | nindent 6 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints:
  - args: [install, /jobmesh]
    image: ghcr.io/jobmesh/jobmesh-wrap:0.1.0
    name: jobmesh-install
    ...

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.initContainer" -}}
{{- $call := dict "template" "jobmesh.initContainer" -}}
{{- include "jobmesh._snippet" (list $call .) -}}
{{- if and $call.wraps (not $call.errors) -}}
  {{- if and (eq $call.settings.mode "wrap") (eq $call.settings.delivery "initContainer") -}}
    {{- include "jobmesh._inject.initContainer" $call -}}
    {{- include "jobmesh._snippet.print" (list $call (list $call.initContainer) "initContainers") -}}
  {{- end -}}
{{- end -}}
{{- end -}}
