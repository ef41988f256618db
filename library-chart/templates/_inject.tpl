{{/*
Injection into one pod spec.

Params: $call with settings, meshes and target: a pod spec, a dict of our own that
is changed in place. Everything is checked before anything is changed. A pod that
has a wrapped container is done and left as it is, so that rendering twice equals
once, also where the inner call had settings of its own.
*/}}
{{- define "jobmesh._inject" -}}
{{- if not (include "jobmesh._inject.done" .target) -}}
  {{- include "jobmesh._check" . -}}
  {{- if not .errors -}}
    {{- include "jobmesh._inject.container" . -}}
    {{- include "jobmesh._inject.pod" . -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints something if a container of the pod spec starts with the wrapper, wherever that is. */}}
{{- define "jobmesh._inject.done" -}}
{{- range ternary .containers list (kindIs "slice" .containers) -}}
  {{- if kindIs "map" . -}}
    {{- with .command -}}
      {{- if kindIs "slice" . -}}
        {{- if first . | toString | base | eq "jobmesh-wrap" -}}
          yes
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Wraps the command of $call.container, which _check has chosen; args stay. */}}
{{- define "jobmesh._inject.container" -}}
{{- $container := .container -}}
{{- include "jobmesh._wrapper" . -}}
{{- $_ := set $container "command" (concat .argv $container.command) -}}
{{- $mount := dict "name" (include "jobmesh._volumeName" .settings) "mountPath" .settings.mountPath "readOnly" true -}}
{{- $_ := set $container "volumeMounts" (append (default list $container.volumeMounts) $mount) -}}
{{- $env := default list $container.env -}}
{{- $names := list -}}
{{- range $env -}}
  {{- if kindIs "map" . -}}
    {{- $names = append $names .name -}}
  {{- end -}}
{{- end -}}
{{- range $mesh, $row := .meshes -}}
  {{- $name := printf "JOBMESH_POD_%s" (upper $mesh) -}}
  {{- if not (has $name $names) -}}
    {{- $field := dict "fieldPath" (printf "metadata.annotations['%s']" $row.injected) -}}
    {{- $env = append $env (dict "name" $name "valueFrom" (dict "fieldRef" $field)) -}}
  {{- end -}}
{{- end -}}
{{- if $env -}}
  {{- $_ := set $container "env" $env -}}
{{- end -}}
{{- end -}}

{{/* Brings the wrapper into the pod. */}}
{{- define "jobmesh._inject.pod" -}}
{{- $spec := .target -}}
{{- $settings := .settings -}}
{{- $image := include "jobmesh._image" $settings -}}
{{- $name := include "jobmesh._volumeName" $settings -}}
{{- $volume := dict "name" $name -}}
{{- if eq $settings.delivery "imageVolume" -}}
  {{- $source := dict "reference" $image -}}
  {{- with $settings.image.pullPolicy -}}
    {{- $_ := set $source "pullPolicy" . -}}
  {{- end -}}
  {{- $_ := set $volume "image" $source -}}
{{- else -}}
  {{- $_ := set $volume "emptyDir" (default dict $settings.emptyDir) -}}
  {{- $init := dict "name" "jobmesh-install" "image" $image -}}
  {{- $_ := set $init "args" (list "install" $settings.mountPath) -}}
  {{- $_ := set $init "volumeMounts" (list (dict "name" $name "mountPath" $settings.mountPath)) -}}
  {{- with $settings.image.pullPolicy -}}
    {{- $_ := set $init "imagePullPolicy" . -}}
  {{- end -}}
  {{- with $settings.resources -}}
    {{- $_ := set $init "resources" . -}}
  {{- end -}}
  {{- with $settings.securityContext -}}
    {{- $context := . -}}
    {{- if and .runAsNonRoot (not (hasKey . "runAsUser")) (kindIs "map" $spec.securityContext) -}}
      {{- if get $spec.securityContext "runAsUser" | toString | eq "0" -}}
        {{- /* The kubelet starts no container that inherits root and says runAsNonRoot; this is the user of the image. */ -}}
        {{- $context = merge (dict "runAsUser" 65532) . -}}
      {{- end -}}
    {{- end -}}
    {{- $_ := set $init "securityContext" $context -}}
  {{- end -}}
  {{- $_ := set $spec "initContainers" (prepend (default list $spec.initContainers) $init) -}}
{{- end -}}
{{- $_ := set $spec "volumes" (append (default list $spec.volumes) $volume) -}}
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

{{/*
Name of the volume, from settings. One for each delivery: under server-side apply
a volume that changes its kind under its old name ends up with both kinds.
*/}}
{{- define "jobmesh._volumeName" -}}
{{- ternary "jobmesh-image" "jobmesh" (eq .delivery "imageVolume") -}}
{{- end -}}

{{/*
Stores as $call.argv what goes before the command of a container. Flags come in the
order below and only where they were asked for, but for two: --mesh where it is
not auto, and --stop-when, which follows from the restartPolicy of the pod. With
OnFailure the kubelet restarts a failed container, which needs the proxy again;
with Always (also where it is not set) it restarts every one.
*/}}
{{- define "jobmesh._wrapper" -}}
{{- $restartPolicy := toString .target.restartPolicy -}}
{{- $stopWhen := "never" -}}
{{- if eq $restartPolicy "Never" -}}
  {{- $stopWhen = "" -}}
{{- else if eq $restartPolicy "OnFailure" -}}
  {{- $stopWhen = "success" -}}
{{- end -}}
{{- $wrapper := default dict .settings.wrapper -}}
{{- $derived := dict "mesh" (eq .settings.mesh "auto" | ternary "" .settings.mesh) "stopWhen" $stopWhen -}}
{{- $argv := list (printf "%s/jobmesh-wrap" .settings.mountPath) -}}
{{- range $key := list "mesh" "readyUrl" "stop" "readyTimeout" "onReadyTimeout" "stopWhen" "stopTimeout" "logFormat" "quiet" -}}
  {{- with or (get $wrapper $key) (get $derived $key) -}}
    {{- $flag := print "--" (kebabcase $key) -}}
    {{- if kindIs "bool" . -}}
      {{- $argv = append $argv $flag -}}
    {{- else -}}
      {{- range kindIs "slice" . | ternary . (list .) -}}
        {{- $argv = append $argv (printf "%s=%s" $flag .) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $_ := set . "argv" (append $argv "--") -}}
{{- end -}}
