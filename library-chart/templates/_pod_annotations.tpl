{{/*
The annotations that go with jobmesh.podSpec on the same pod: what the mode asks
of the mesh, `skipOutboundPorts`, and those of the values. Nothing where jobmesh is
disabled. jobmesh.manifests adds them by itself, and the labels too, and leaves what
the pod template has already.

In mode wrap, Linkerd is asked to serve its stop request, and not to wait two minutes
for open connections when it is stopped; Consul not to wait at all. A value of your
own in `annotations` replaces these.

In mode optOut, Kuma reads a label only, and Istio's label wins over its
annotation: print jobmesh.podLabels there too.

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
  config.linkerd.io/shutdown-grace-period: 5s

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.podAnnotations" -}}
{{- include "jobmesh._podMetadata.print" (list "jobmesh.podAnnotations" "annotations" .) -}}
{{- end -}}
