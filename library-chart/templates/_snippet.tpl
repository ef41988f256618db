{{/*
What the pieces share that are printed one by one. They see no pod spec, so what
would follow from it is asked of the caller. Stores in $call what _mounts does.
Params: (list $call CONTEXT_OR_LIST).
*/}}
{{- define "jobmesh._snippet" -}}
{{- $call := first . -}}
{{- include "jobmesh._call.context" (list $call (last .)) -}}
{{- include "jobmesh._snippet.settings" $call -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- end -}}

{{/* Prints a piece as YAML, or fails where that would lose a string. Params: those of jobmesh._print. */}}
{{- define "jobmesh._snippet.print" -}}
{{- include "jobmesh._print" . -}}
{{- include "jobmesh._errors.fail" (first .) -}}
{{- end -}}

{{/* Params: $call with root and options. */}}
{{- define "jobmesh._snippet.settings" -}}
{{- include "jobmesh._settings" . -}}
{{- if .settings -}}
  {{- if kindIs "string" .settings.containers -}}
    {{- include "jobmesh._errors.add" (list . "containers: all needs the pod spec, which this template does not see; name them") -}}
  {{- end -}}
  {{- if not .target -}}
    {{- $_ := set . "target" (dict "restartPolicy" "Never") -}}
  {{- end -}}
  {{- $_ := set . "longRunning" (not (has (toString .target.restartPolicy) (list "Never" "OnFailure"))) -}}
  {{- $_ := set . "members" (len .settings.containers) -}}
  {{- include "jobmesh._mounts" . -}}
{{- end -}}
{{- end -}}
