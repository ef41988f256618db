{{/*
The labels that go with jobmesh.podSpec on the same pod. Only mode optOut has any:
Istio and Kuma read a label there. jobmesh.manifests adds them by itself.

Usage:
    metadata:
      labels:
        {{- include "jobmesh.podLabels" $ | nindent 8 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. The same settings as in the call of jobmesh.podSpec

Prints, in mode optOut for Kuma:
  kuma.io/sidecar-injection: disabled

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.podLabels" -}}
{{- include "jobmesh._podMetadata.print" (list "jobmesh.podLabels" "labels" .) -}}
{{- end -}}
