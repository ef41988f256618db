{{/*
Finds every mistake in a pod spec. Params: $call with settings,
target and, where the kind of the object determines them, restartPolicy, fills (who writes a
missing command) and executor (somebody else ends the proxy, and needs it until then).
Stores the containers to wrap as $call.containers, $call.longRunning where a container runs
for as long as the pod, and what _mounts stores.
*/}}
{{- define "jobmesh._check" -}}
{{- $call := . -}}
{{- $spec := .target -}}
{{- $lists := true -}}
{{- range $key := list "containers" "initContainers" "volumes" "imagePullSecrets" -}}
  {{- with get $spec $key -}}
    {{- if not (kindIs "slice" .) -}}
      {{- $lists = false -}}
      {{- include "jobmesh._errors.add" (list $call (printf "%s must be a list, got %s" $key (include "jobmesh._errors.kind" .))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $lists -}}
  {{- if $spec.containers -}}
    {{- include "jobmesh._check.choose" . -}}
  {{- else if or (hasKey $spec "spec") (hasKey $spec "template") (hasKey $spec "kind") -}}
    {{- include "jobmesh._errors.add" (list $call "got a pod template or a whole object; pass the pod spec only") -}}
  {{- else -}}
    {{- include "jobmesh._errors.add" (list $call "the pod spec has no containers") -}}
  {{- end -}}
  {{- if eq .settings.mode "wrap" -}}
    {{- include "jobmesh._check.names" . -}}
  {{- end -}}
{{- end -}}
{{- include "jobmesh._check.windows" . -}}
{{- end -}}

{{/* Checks that the pod does not ask for Windows nodes. */}}
{{- define "jobmesh._check.windows" -}}
{{- $call := . -}}
{{- $spec := .target -}}
{{- range $key, $field := dict "name" $spec.os "kubernetes.io/os" $spec.nodeSelector -}}
  {{- if kindIs "map" $field -}}
    {{- if get $field $key | toString | eq "windows" -}}
      {{- include "jobmesh._errors.add" (list $call "the pod asks for windows nodes; jobmesh has no Windows binary; set enabled: false for it") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Chooses the containers to wrap: the named ones, all, or the only one. */}}
{{- define "jobmesh._check.choose" -}}
{{- $call := . -}}
{{- $containers := dict -}}
{{- $names := list -}}
{{- $ending := list "Never" "OnFailure" -}}
{{- $policy := default .target.restartPolicy .restartPolicy | toString -}}
{{- $_ := set . "longRunning" (default false .executor) -}}
{{- range $i, $container := .target.containers -}}
  {{- $name := "" -}}
  {{- if kindIs "map" $container -}}
    {{- $name = $container.name -}}
  {{- end -}}
  {{- if and (kindIs "string" $name) $name -}}
    {{- $names = append $names $name -}}
    {{- $_ := set $containers $name $container -}}
    {{- if not (has (default $policy $container.restartPolicy | toString) $ending) -}}
      {{- if has $policy $ending -}}
        {{- include "jobmesh._errors.add" (list $call (printf "container %q has restartPolicy %v and is started again whenever it ends, so its pod never does; remove it, or move the container to initContainers" $name $container.restartPolicy)) -}}
      {{- end -}}
      {{- $_ := set $call "longRunning" true -}}
    {{- end -}}
  {{- else -}}
    {{- include "jobmesh._errors.add" (list $call (printf "containers[%d] has no name" $i)) -}}
  {{- end -}}
{{- end -}}
{{- $selected := $names -}}
{{- if or (kindIs "string" .settings.containers) .only -}}
  {{- /* All containers are wrapped. */ -}}
{{- else if .settings.containers -}}
  {{- $selected = .settings.containers -}}
{{- else if .unsure -}}
  {{- /* A mistake in the sidecars: it is not known which containers would be left. */ -}}
  {{- $selected = list -}}
{{- else if gt (len $names) 1 -}}
  {{- $selected = list -}}
  {{- include "jobmesh._errors.add" (list $call (printf "the pod has %d containers (%s); name those that decide when the job is done, as in containers: [%s], or set containers: all" (len $names) (join ", " $names) (first $names))) -}}
{{- end -}}
{{- if and (eq .settings.mode "hook") (gt (len $selected) 1) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "mode hook wraps one container of a pod, got %d (%s)" (len $selected) (join ", " $selected))) -}}
{{- end -}}
{{- $chosen := list -}}
{{- range $name := $selected -}}
  {{- if hasKey $containers $name -}}
    {{- $chosen = append $chosen (get $containers $name) -}}
  {{- else -}}
    {{- $text := printf "no container %q; the pod has: %s" $name (join ", " $names) -}}
    {{- range default list $call.target.initContainers -}}
      {{- if kindIs "map" . -}}
        {{- if toString .name | eq $name -}}
          {{- $text = printf "%q is an init container, which is not wrapped; the pod has: %s" $name (join ", " $names) -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- include "jobmesh._errors.add" (list $call $text) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $call "containers" $chosen -}}
{{- $_ := set $call "members" (len $selected) -}}
{{- include "jobmesh._mounts" $call -}}
{{- range $chosen -}}
  {{- include "jobmesh._check.container" (list $call .) -}}
{{- end -}}
{{- end -}}

{{/* Checks that a container has a command that can be wrapped, and no mounts in the way. Params: (list $call CONTAINER). */}}
{{- define "jobmesh._check.container" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- $name := $container.name -}}
{{- range $key := list "command" "args" -}}
  {{- $words := get $container $key -}}
  {{- if not (or $words (kindIs "slice" $words)) -}}
    {{- /* It is not set, or empty. */ -}}
  {{- else if not (kindIs "slice" $words) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s of container %q must be a list, got %s" $key $name (include "jobmesh._errors.kind" $words))) -}}
  {{- else -}}
    {{- range $i, $word := $words -}}
      {{- if not (kindIs "string" $word) -}}
        {{- include "jobmesh._errors.add" (list $call (printf "%s[%d] of container %q is a %s, not a string; quote it" $key $i $name (include "jobmesh._errors.value" $word))) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and $call.fills (not $container.command) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "container %q has no command, and %s would write one over the wrapper; set command" $name $call.fills)) -}}
{{- else if not $container.command -}}
  {{- include "jobmesh._entrypoint" (list $call $container) -}}
{{- end -}}
{{- if $container.restartPolicyRules -}}
  {{- include "jobmesh._restart" (list $call $container) -}}
{{- end -}}
{{- range $key := list "volumeMounts" "env" -}}
  {{- with get $container $key -}}
    {{- if not (kindIs "slice" .) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "%s of container %q must be a list, got %s" $key $name (include "jobmesh._errors.kind" .))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range ternary $container.volumeMounts list (kindIs "slice" $container.volumeMounts) -}}
  {{- if kindIs "map" . -}}
    {{- $volume := toString .name -}}
    {{- $path := toString .mountPath | clean -}}
    {{- range $call.mounts -}}
      {{- $own := print .mountPath "/" -}}
      {{- $theirs := print (trimSuffix "/" $path) "/" -}}
      {{- if or (hasPrefix $own $theirs) (hasPrefix $theirs $own) -}}
        {{- include "jobmesh._errors.add" (list $call (printf "container %q mounts volume %q at %s, which jobmesh needs; set mountPath" $name $volume $path)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The names that injection adds are free. */}}
{{- define "jobmesh._check.names" -}}
{{- $call := . -}}
{{- range default list .target.volumes -}}
  {{- if kindIs "map" . -}}
    {{- $name := toString .name -}}
    {{- range $call.mounts -}}
      {{- if eq .name $name -}}
        {{- include "jobmesh._errors.add" (list $call (printf "volume %q exists already and is not from jobmesh; rename it" $name)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if or .coordinated (eq .settings.delivery "initContainer") -}}
  {{- range default list .target.initContainers -}}
    {{- if kindIs "map" . -}}
      {{- if toString .name | eq "jobmesh-install" -}}
        {{- include "jobmesh._errors.add" (list $call "init container \"jobmesh-install\" exists already and is not from jobmesh; rename it") -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
