{{/* A value as an expression of CEL. Literals of CEL have one type each, so what is in a list or a map is dyn. */}}
{{- define "jobmesh-policy.cel" -}}
{{- if kindIs "map" . -}}
  {{- $items := list -}}
  {{- range $key, $value := . -}}
    {{- $items = append $items (printf "%s: dyn(%s)" (toJson $key) (include "jobmesh-policy.cel" $value)) -}}
  {{- end -}}
  {{- printf "{%s}" (join ", " $items) -}}
{{- else if kindIs "slice" . -}}
  {{- $items := list -}}
  {{- range . -}}
    {{- $items = append $items (printf "dyn(%s)" (include "jobmesh-policy.cel" .)) -}}
  {{- end -}}
  {{- printf "[%s]" (join ", " $items) -}}
{{- else -}}
  {{- toJson . -}}
{{- end -}}
{{- end -}}

{{/* A key as a part of a path of JSON Patch. */}}
{{- define "jobmesh-policy.escaped" -}}
{{- . | replace "~" "~0" | replace "/" "~1" -}}
{{- end -}}
