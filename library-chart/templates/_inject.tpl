{{/*
Injection into one pod spec.

Params: $call with settings, meshes, kept and target: a pod spec, a dict of our own
that is changed in place; with standIns, the words of jobmesh._podSpec.print go into
it. Everything is checked before anything is changed, but for a command that was
looked up. A pod that has a wrapped container is done and left as it is, so that
rendering twice equals once, also where the inner call had settings of its own.
*/}}
{{- define "jobmesh._inject" -}}
{{- $call := . -}}
{{- if not (include "jobmesh._inject.done" .) -}}
  {{- include "jobmesh._check" . -}}
  {{- if not .errors -}}
    {{- range .containers -}}
      {{- include "jobmesh._inject.container" (list $call .) -}}
    {{- end -}}
    {{- if eq .settings.mode "wrap" -}}
      {{- include "jobmesh._inject.pod" . -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints something if a container of $call.target is wrapped, wherever its wrapper is. */}}
{{- define "jobmesh._inject.done" -}}
{{- $call := . -}}
{{- range ternary .target.containers list (kindIs "slice" .target.containers) -}}
  {{- if kindIs "map" . -}}
    {{- if .command -}}
      {{- include "jobmesh._inject.wrapped" (list $call .command) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints something if a command starts with the wrapper, or with the shell of mode hook. Params: (list $call COMMAND). */}}
{{- define "jobmesh._inject.wrapped" -}}
{{- $command := last . -}}
{{- if kindIs "slice" $command -}}
  {{- $first := first $command | toString -}}
  {{- if or (hasSuffix "/jobmesh-wrap" $first) (eq $first "jobmesh-wrap" (first .).settings.wrapperPath) -}}
    yes
  {{- else if and (eq $first "/bin/sh") (gt (len $command) 3) -}}
    {{- if index $command 3 | toString | eq "jobmesh-hook" -}}
      yes
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Wraps the command of a container that _check has chosen; args stay. Params: (list $call CONTAINER). */}}
{{- define "jobmesh._inject.container" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- include "jobmesh._wrapper" (list $call $container.name) -}}
{{- $_ := set $container "command" (concat $call.argv $container.command) -}}
{{- with $call.mounts -}}
  {{- $_ := set $container "volumeMounts" (concat (default list $container.volumeMounts) .) -}}
{{- end -}}
{{- include "jobmesh._inject.env" $call -}}
{{- $own := list -}}
{{- range $container.env -}}
  {{- if kindIs "map" . -}}
    {{- if hasPrefix "JOBMESH_POD_" (toString .name) -}}
      {{- $own = append $own .name -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $env := $call.kept.env -}}
{{- if $own -}}
  {{- /* The author knows better. */ -}}
  {{- $env = list -}}
  {{- range $call.kept.env -}}
    {{- if not (has .name $own) -}}
      {{- $env = append $env . -}}
    {{- end -}}
  {{- end -}}
{{- else if and $env $call.standIns -}}
  {{- $env = list "jobmesh.podSpec/env" -}}
{{- end -}}
{{- if $env -}}
  {{- $_ := set $container "env" (concat (default list $container.env) $env) -}}
{{- end -}}
{{- end -}}

{{/* Stores the variables of a wrapped container as $call.kept.env: what the annotations of its pod say. */}}
{{- define "jobmesh._inject.env" -}}
{{- if not (hasKey .kept "env") -}}
  {{- $env := list -}}
  {{- range .meshes -}}
    {{- $env = concat $env .env -}}
  {{- end -}}
  {{- $_ := set .kept "env" $env -}}
{{- end -}}
{{- end -}}

{{/* Brings the wrapper into the pod. */}}
{{- define "jobmesh._inject.pod" -}}
{{- $spec := .target -}}
{{- $settings := .settings -}}
{{- if eq $settings.delivery "initContainer" -}}
  {{- include "jobmesh._inject.initContainer" . -}}
  {{- $_ := set $spec "initContainers" (prepend (default list $spec.initContainers) .initContainer) -}}
{{- end -}}
{{- with .volumes -}}
  {{- $_ := set $spec "volumes" (concat (default list $spec.volumes) .) -}}
{{- end -}}
{{- if ne $settings.delivery "inImage" -}}
  {{- with $settings.image.pullSecrets -}}
    {{- $secrets := default list $spec.imagePullSecrets -}}
    {{- range . -}}
      {{- $secret := ternary . (dict "name" .) (kindIs "map" .) -}}
      {{- if not (has $secret $secrets) -}}
        {{- $secrets = append $secrets $secret -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $spec "imagePullSecrets" $secrets -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Stores the init container as $call.initContainer. */}}
{{- define "jobmesh._inject.initContainer" -}}
{{- $spec := .target -}}
{{- $settings := .settings -}}
{{- if not (hasKey .kept "initContainers") -}}
  {{- $init := dict "name" "jobmesh-install" "image" (include "jobmesh._image" $settings) -}}
  {{- $_ := set $init "args" (list "install" $settings.mountPath) -}}
  {{- $_ := set $init "volumeMounts" (list (dict "name" "jobmesh" "mountPath" $settings.mountPath)) -}}
  {{- with $settings.image.pullPolicy -}}
    {{- $_ := set $init "imagePullPolicy" . -}}
  {{- end -}}
  {{- with $settings.resources -}}
    {{- $_ := set $init "resources" . -}}
  {{- end -}}
  {{- with $settings.securityContext -}}
    {{- $_ := set $init "securityContext" . -}}
  {{- end -}}
  {{- $_ := set .kept "initContainers" (list $init) -}}
{{- end -}}
{{- $init := first .kept.initContainers -}}
{{- $root := false -}}
{{- if kindIs "map" $spec.securityContext -}}
  {{- $root = get $spec.securityContext "runAsUser" | toString | eq "0" -}}
{{- end -}}
{{- $context := default dict $settings.securityContext -}}
{{- if and $root $context.runAsNonRoot (not (hasKey $context "runAsUser")) -}}
  {{- /* The kubelet starts no container that inherits root and says runAsNonRoot; this is the user of the image. */ -}}
  {{- $init = set (omit $init "securityContext") "securityContext" (merge (dict "runAsUser" 65532) $context) -}}
{{- else if .standIns -}}
  {{- $init = "jobmesh.podSpec/initContainers" -}}
{{- end -}}
{{- $_ := set . "initContainer" $init -}}
{{- end -}}
