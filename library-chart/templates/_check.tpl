{{/*
Everything that can be wrong with a pod spec. Params: $call with settings and
target; stores the container to wrap as $call.container.
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
  {{- include "jobmesh._check.names" . -}}
{{- end -}}
{{- range list (list "os" "name") (list "nodeSelector" "kubernetes.io/os") -}}
  {{- $field := index $spec (first .) -}}
  {{- if kindIs "map" $field -}}
    {{- if get $field (last .) | toString | eq "windows" -}}
      {{- include "jobmesh._errors.add" (list $call "the pod asks for windows nodes; jobmesh has no Windows binary; set enabled: false for it") -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Chooses the container to wrap: the named one, or the only one. */}}
{{- define "jobmesh._check.choose" -}}
{{- $call := . -}}
{{- $containers := dict -}}
{{- $names := list -}}
{{- range $i, $container := .target.containers -}}
  {{- $name := "" -}}
  {{- if kindIs "map" $container -}}
    {{- $name = $container.name -}}
  {{- end -}}
  {{- if and (kindIs "string" $name) $name -}}
    {{- $names = append $names $name -}}
    {{- $_ := set $containers $name $container -}}
  {{- else -}}
    {{- include "jobmesh._errors.add" (list $call (printf "containers[%d] has no name" $i)) -}}
  {{- end -}}
{{- end -}}
{{- $selected := default $names .settings.containers -}}
{{- if gt (len $selected) 1 -}}
  {{- if not .settings.containers -}}
    {{- include "jobmesh._errors.add" (list $call (printf "the pod has %d containers (%s); name the one that decides when the job is done, as in containers: [%s]" (len $names) (join ", " $names) (first $names))) -}}
  {{- end -}}
{{- else -}}
  {{- range $name := $selected -}}
    {{- if hasKey $containers $name -}}
      {{- $_ := set $call "container" (get $containers $name) -}}
      {{- include "jobmesh._check.container" $call -}}
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
{{- end -}}
{{- end -}}

{{/* The chosen container has a command that can be wrapped, and room for the mount. */}}
{{- define "jobmesh._check.container" -}}
{{- $call := . -}}
{{- $container := .container -}}
{{- $name := $container.name -}}
{{- $command := $container.command -}}
{{- $mountPath := .settings.mountPath -}}
{{- if not $command -}}
  {{- $image := default "that it does not name" $container.image -}}
  {{- include "jobmesh._errors.add" (list $call (printf "container %q has no command, and a template cannot read the ENTRYPOINT of image %v; set command" $name $image)) -}}
{{- else if not (kindIs "slice" $command) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "command of container %q must be a list, got %s" $name (include "jobmesh._errors.kind" $command))) -}}
{{- else -}}
  {{- range $i, $word := $command -}}
    {{- if not (kindIs "string" $word) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "command[%d] of container %q is a %s, not a string; quote it" $i $name (include "jobmesh._errors.value" $word))) -}}
    {{- end -}}
  {{- end -}}
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
    {{- $path := toString .mountPath | clean -}}
    {{- if hasPrefix (print $mountPath "/") (print $path "/") -}}
      {{- include "jobmesh._errors.add" (list $call (printf "container %q mounts volume %q at %s, which jobmesh needs; set mountPath" $name (toString .name) $path)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* The names that injection adds are free. */}}
{{- define "jobmesh._check.names" -}}
{{- $call := . -}}
{{- $volume := include "jobmesh._volumeName" .settings -}}
{{- range default list .target.volumes -}}
  {{- if kindIs "map" . -}}
    {{- if toString .name | eq $volume -}}
      {{- include "jobmesh._errors.add" (list $call (printf "volume %q exists already and is not from jobmesh; rename it" $volume)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if eq .settings.delivery "initContainer" -}}
  {{- range default list .target.initContainers -}}
    {{- if kindIs "map" . -}}
      {{- if toString .name | eq "jobmesh-install" -}}
        {{- include "jobmesh._errors.add" (list $call "init container \"jobmesh-install\" exists already and is not from jobmesh; rename it") -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}
