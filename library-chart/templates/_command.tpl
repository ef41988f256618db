{{/*
A command under the wrapper, as a JSON list, for charts that keep the layout of
their pod spec. It goes with jobmesh.env, jobmesh.volumeMount, jobmesh.volume and
jobmesh.initContainer, in the same pod and with the same settings.

Usage:
    command: {{ include "jobmesh.command" (list $ (list "/app" "migrate") (dict "restartPolicy" "Never")) }}

Usage for one of several containers:
    command: {{ include "jobmesh.command" (list $ .Values.command (dict "restartPolicy" "Never" "containers" (list "a" "b") "container" "a")) }}

Params:
  CONTEXT   Dict    Required. The root context, or a dict that has it under "root"
  COMMAND   List    Required. The command; args stay where they are
  SETTINGS  Dict    Required. "restartPolicy" of the container, or else of the pod, from which it follows when the proxy is stopped; "restartPolicyRules" of the container, where it has some; "container", the name of this one, where `containers` has several; any value of the chart

Prints:
  ["/jobmesh/jobmesh-wrap","--","/app","migrate"]

Errors: wrong arguments; unknown or ill-typed settings; a command that is empty or
no list of strings; no restartPolicy; no name where there are several.
*/}}
{{- define "jobmesh.command" -}}
{{- $call := dict "template" "jobmesh.command" -}}
{{- $command := list -}}
{{- if include "jobmesh._call.isRoot" . -}}
  {{- include "jobmesh._errors.add" (list $call "got the root context alone; call it with (list $ COMMAND (dict \"restartPolicy\" \"Never\"))") -}}
{{- else if not (kindIs "slice" .) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "want a list, got %s" (include "jobmesh._errors.kind" .))) -}}
{{- else if not (has (len .) (list 2 3)) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "want (list $ COMMAND) and at most settings after them, got a list of %d" (len .))) -}}
{{- else -}}
  {{- include "jobmesh._call.root" (list $call (first .)) -}}
  {{- $command = index . 1 -}}
  {{- include "jobmesh._command.words" (list $call $command) -}}
  {{- if len . | eq 3 -}}
    {{- include "jobmesh._call.options" (list $call (last .)) -}}
  {{- end -}}
{{- end -}}
{{- $options := default dict $call.options -}}
{{- $_ := set $call "options" (omit $options "restartPolicy" "restartPolicyRules" "container") -}}
{{- $_ := set $call "target" (dict "restartPolicy" $options.restartPolicy) -}}
{{- include "jobmesh._snippet.settings" $call -}}
{{- if and $call.wraps (not $call.errors) -}}
  {{- if not (or $options.restartPolicy (default dict $call.settings.wrapper).stopWhen) -}}
    {{- include "jobmesh._errors.add" (list $call "settings must say the restartPolicy of the pod, from which it follows when the proxy is stopped, as in (dict \"restartPolicy\" \"Never\")") -}}
  {{- else if not (has $options.restartPolicy (list nil "" "Never" "OnFailure" "Always")) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "restartPolicy must be Never or OnFailure or Always, got %s" (include "jobmesh._errors.value" $options.restartPolicy))) -}}
  {{- end -}}
  {{- if and $call.coordinated (not (has $options.container $call.settings.containers)) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "settings must say which container this is, as in \"container\" %q; containers has: %s" (first $call.settings.containers) (join ", " $call.settings.containers))) -}}
  {{- end -}}
{{- end -}}
{{- if and $call.wraps (not $call.errors) (not (include "jobmesh._inject.wrapped" (list $call $command))) -}}
  {{- include "jobmesh._restart" (list $call (pick $options "restartPolicyRules" | merge (dict "name" (default "main" $options.container)))) -}}
  {{- include "jobmesh._wrapper" (list $call $options.container) -}}
  {{- $command = concat $call.argv $command -}}
{{- end -}}
{{- /* What reads the JSON reads it as YAML, which has not all of its characters. */ -}}
{{- include "jobmesh._print.find" (list $call $command "command") -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- toJson $command -}}
{{- end -}}

{{/* A command is a list of strings, and has some. Params: (list $call COMMAND). */}}
{{- define "jobmesh._command.words" -}}
{{- $call := first . -}}
{{- $command := last . -}}
{{- if not (kindIs "slice" $command) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "the second item must be the command, a list of strings, got %s" (include "jobmesh._errors.kind" $command))) -}}
{{- else if not $command -}}
  {{- include "jobmesh._errors.add" (list $call "the command is empty, and a template cannot read the ENTRYPOINT of an image") -}}
{{- else -}}
  {{- range $i, $word := $command -}}
    {{- if not (kindIs "string" $word) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "command[%d] is a %s, not a string; quote it" $i (include "jobmesh._errors.value" $word))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
