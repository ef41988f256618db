{{/* Written by `make generate` from VERSION. */}}
{{/*
Version of these templates, which is also the default tag of the image.

Usage:
{{ include "jobmesh.version" $ }}

Params:
  CONTEXT  Any  Not used

Prints:
  0.1.0

Errors: none.
*/}}
{{- define "jobmesh.version" -}}
0.1.0
{{- end -}}
