{{/*
Injects one pod spec.

Params: $call with settings, meshes, kept and target: a copy of the pod spec, which is
changed in place. Containers that become native sidecars are moved first. Everything else is
checked before anything is changed, except that a command may have been looked up. A pod with
a wrapped container is left as it is, so that rendering twice equals rendering once, also
where the inner call had other settings.
*/}}
{{- define "jobmesh._inject" -}}
{{- $call := . -}}
{{- $_ := set . "native" list -}}
{{- $_ := set . "lastMoved" "" -}}
{{- $_ := set . "unsure" false -}}
{{- if not (include "jobmesh._inject.done" .) -}}
  {{- if and .moves (not .only) -}}
    {{- include "jobmesh._sidecars" . -}}
  {{- end -}}
  {{- if .wraps -}}
    {{- include "jobmesh._check" . -}}
  {{- end -}}
  {{- if and .wraps (not .errors) -}}
    {{- range .containers -}}
      {{- include "jobmesh._inject.container" (list $call .) -}}
    {{- end -}}
    {{- if eq .settings.mode "wrap" -}}
      {{- include "jobmesh._inject.pod" . -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints something if a container of $call.target is wrapped, wherever the wrapper is. */}}
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
{{- include "jobmesh._restart" . -}}
{{- include "jobmesh._wrapper" (list $call $container.name) -}}
{{- $_ := set $container "command" (concat $call.argv $container.command) -}}
{{- with $call.mounts -}}
  {{- $_ := set $container "volumeMounts" (concat (default list $container.volumeMounts) .) -}}
{{- end -}}
{{- if eq $call.settings.mode "hook" -}}
  {{- /* The shell of mode hook reads environment variables. */ -}}
  {{- include "jobmesh._inject.env" $call -}}
  {{- $own := list -}}
  {{- range $container.env -}}
    {{- if kindIs "map" . -}}
      {{- $own = append $own .name -}}
    {{- end -}}
  {{- end -}}
  {{- range $call.kept.env -}}
    {{- if not (has .name $own) -}}
      {{- $_ := set $container "env" (append (default list $container.env) .) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Stores the environment variables that pass the pod's annotations to a container, as $call.kept.env. */}}
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
{{- include "jobmesh._inject.initContainer" . -}}
{{- $install := .initContainer -}}
{{- $last := .lastMoved -}}
{{- if and $install $last -}}
  {{- $inits := list -}}
  {{- range $spec.initContainers -}}
    {{- $inits = append $inits . -}}
    {{- if eq (toString .name) $last -}}
      {{- $inits = append $inits $install -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $spec "initContainers" $inits -}}
{{- else if $install -}}
  {{- $_ := set $spec "initContainers" (prepend (default list $spec.initContainers) $install) -}}
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

{{/*
Stores the init container as $call.initContainer, unless there is nothing for it to do. It
copies the wrapper, and clears the marks of an earlier run in the state folder of several
containers: when the exit code of a container restarts all containers, the volumes stay
as they are, and init containers run again (Kubernetes 1.35, KEP 5532).

Params: $call with settings, target, coordinated, and containers where they are known.
*/}}
{{- define "jobmesh._inject.initContainer" -}}
{{- $call := . -}}
{{- $settings := .settings -}}
{{- $copies := eq $settings.delivery "initContainer" -}}
{{- if or $copies .coordinated -}}
  {{- $args := list "install" -}}
  {{- $mounts := list -}}
  {{- if .coordinated -}}
    {{- $state := print $settings.mountPath "-state" -}}
    {{- $args = append $args (print "--state-dir=" $state) -}}
    {{- $mounts = append $mounts (dict "name" "jobmesh-state" "mountPath" $state) -}}
  {{- end -}}
  {{- if $copies -}}
    {{- $args = append $args $settings.mountPath -}}
    {{- $mounts = prepend $mounts (dict "name" "jobmesh" "mountPath" $settings.mountPath) -}}
  {{- end -}}
  {{- $init := dict "name" "jobmesh-install" "args" $args "volumeMounts" $mounts -}}
  {{- with $settings.resources -}}
    {{- $_ := set $init "resources" . -}}
  {{- end -}}
  {{- if eq $settings.delivery "inImage" -}}
    {{- include "jobmesh._inject.inImage" (list $call $init) -}}
  {{- else -}}
    {{- $_ := set $init "image" (include "jobmesh._image" $settings) -}}
    {{- with $settings.image.pullPolicy -}}
      {{- $_ := set $init "imagePullPolicy" . -}}
    {{- end -}}
    {{- with $settings.securityContext -}}
      {{- $context := . -}}
      {{- $root := false -}}
      {{- if kindIs "map" $call.target.securityContext -}}
        {{- $root = get $call.target.securityContext "runAsUser" | toString | eq "0" -}}
      {{- end -}}
      {{- if and $root $context.runAsNonRoot (not (hasKey $context "runAsUser")) -}}
        {{- /* The kubelet refuses a container that has runAsNonRoot and inherits the user root; 65532 is the user of the image. */ -}}
        {{- $context = merge (dict "runAsUser" 65532) $context -}}
      {{- end -}}
      {{- $_ := set $init "securityContext" $context -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set . "initContainer" $init -}}
{{- else -}}
  {{- $_ := unset . "initContainer" -}}
{{- end -}}
{{- end -}}

{{/*
Adds what an init container needs that runs the wrapper in the image of the first wrapped
container. It runs as the same user, because nothing else is known about that image.
Params: (list $call INIT_CONTAINER).
*/}}
{{- define "jobmesh._inject.inImage" -}}
{{- $call := first . -}}
{{- $init := last . -}}
{{- $container := first $call.containers -}}
{{- $_ := set $init "command" (list $call.settings.wrapperPath) -}}
{{- range $key := list "image" "imagePullPolicy" -}}
  {{- with get $container $key -}}
    {{- $_ := set $init $key . -}}
  {{- end -}}
{{- end -}}
{{- $context := omit (default dict $call.settings.securityContext) "runAsNonRoot" "runAsUser" "runAsGroup" -}}
{{- with $container.securityContext -}}
  {{- if kindIs "map" . -}}
    {{- $context = merge (pick . "runAsNonRoot" "runAsUser" "runAsGroup" "seLinuxOptions") $context -}}
  {{- end -}}
{{- end -}}
{{- with $context -}}
  {{- $_ := set $init "securityContext" . -}}
{{- end -}}
{{- end -}}
