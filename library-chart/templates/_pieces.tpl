{{/*
Prints a wrapped command, as a JSON list, for charts that keep the layout of
their pod spec. Use it together with jobmesh.env, jobmesh.volumeMount, jobmesh.volume and
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
not a list of strings; no restartPolicy; no name where there are several containers.
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
{{- /* The JSON will be parsed as YAML, which does not allow all of its characters. */ -}}
{{- include "jobmesh._print.find" (list $call $command "command") -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- toJson $command -}}
{{- end -}}

{{/* Checks that a command is a list of strings, and not empty. Params: (list $call COMMAND). */}}
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

{{/*
Prints the init container that copies the wrapper into the pod, and clears the state of
several containers, as an item of a list; put it first. It prints nothing where the delivery or
the mode needs no init container, and where jobmesh is disabled. For use with jobmesh.command.

With delivery inImage it prints nothing, because it does not know the image. Where one of your
restartPolicyRules restarts all containers of such a pod, and several are wrapped,
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

{{/*
Prints the volumes of the pod, as items of a list: that of the wrapper, that of the pod's
annotations, and one for the state of several containers. For use with jobmesh.command.

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

{{/*
Prints the volume mounts of a wrapped container, as items of a list. For use with
jobmesh.command.

Usage:
    volumeMounts:
      {{- include "jobmesh.volumeMount" $ | nindent 6 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints:
  - mountPath: /jobmesh
    name: jobmesh
    readOnly: true
  - mountPath: /jobmesh-pod
    name: jobmesh-pod
    readOnly: true

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.volumeMount" -}}
{{- $call := dict "template" "jobmesh.volumeMount" -}}
{{- include "jobmesh._snippet" (list $call .) -}}
{{- if and $call.wraps $call.mounts (not $call.errors) -}}
  {{- include "jobmesh._snippet.print" (list $call $call.mounts "volumeMounts") -}}
{{- end -}}
{{- end -}}

{{/*
Prints environment variables that tell the wrapper which proxy was injected, as items of a list.
They are for pods that cannot have the volume jobmesh-pod, which jobmesh.volume and
jobmesh.volumeMount print and which serves the same purpose. For use with jobmesh.command.

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

{{/*
Prints the reference of the wrapper's image: by digest where one is set, and otherwise
by tag.

Usage:
{{ include "jobmesh.image" $ }}
{{ include "jobmesh.image" (list $ (dict "image" (dict "tag" "1.10"))) }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. Values that override the chart's for this call

Prints:
  ghcr.io/jobmesh/jobmesh-wrap:0.1.0

Errors: no root context; unknown or ill-typed settings; image.repository empty.
*/}}
{{- define "jobmesh.image" -}}
{{- $call := dict "template" "jobmesh.image" -}}
{{- include "jobmesh._call.context" (list $call .) -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- if not $call.errors -}}
  {{- include "jobmesh._image" $call.settings -}}
{{- end -}}
{{- end -}}

{{/* Prints the reference. Params: the settings. */}}
{{- define "jobmesh._image" -}}
{{- with .image.registry -}}{{ . }}/{{- end -}}
{{- .image.repository -}}
{{- if .image.digest -}}@{{ .image.digest }}{{- else -}}:{{ default (include "jobmesh.version" .) .image.tag }}{{- end -}}
{{- end -}}

{{/*
Prepares the pieces that are printed one by one. They do not see the pod spec, so the
caller passes what would follow from it. Stores the same in $call as _mounts.
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
