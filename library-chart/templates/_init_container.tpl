{{/*
The init container that brings the wrapper into the pod, and clears the state of several
containers, as an item of a list; put it first. Nothing where another delivery or mode
needs none, and where jobmesh is disabled. Beside jobmesh.command.

With delivery inImage it prints nothing, since it does not know the image. Where a
restartPolicyRule of yours restarts all containers of such a pod, and several are wrapped,
add an init container with the command [/jobmesh-wrap, install, --state-dir=/jobmesh-state].

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
  {{- if and (eq $call.settings.mode "wrap") (ne $call.settings.delivery "inImage") -}}
    {{- include "jobmesh._inject.initContainer" $call -}}
    {{- with $call.initContainer -}}
      {{- include "jobmesh._snippet.print" (list $call (list .) "initContainers") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
