{{/*
Determines what injection mounts. Params: $call with settings, members (the number of wrapped
containers), target, and longRunning (a container runs for as long as the pod); stores

  coordinated  whether the last of several containers is the one to stop the proxy
  mounts       volume mounts of a wrapped container
  volumes      and their volumes

A volume has another name for each delivery: under server-side apply, a volume that
changes its source under its old name ends up with both sources.
*/}}
{{- define "jobmesh._mounts" -}}
{{- $settings := .settings -}}
{{- $mounts := list -}}
{{- $volumes := list -}}
{{- $stops := not .longRunning -}}
{{- with $settings.wrapper -}}
  {{- $stops = or (and $stops (not .stopWhen)) (has .stopWhen (list "always" "success")) -}}
{{- end -}}
{{- $_ := set . "coordinated" (and (eq $settings.mode "wrap") (gt .members 1) $stops (ne $settings.mesh "none")) -}}
{{- if ne $settings.mode "wrap" -}}
  {{- /* The image has the shell already. */ -}}
{{- else if eq $settings.delivery "imageVolume" -}}
  {{- $source := dict "reference" (include "jobmesh._image" $settings) -}}
  {{- with $settings.image.pullPolicy -}}
    {{- $_ := set $source "pullPolicy" . -}}
  {{- end -}}
  {{- $volumes = append $volumes (dict "name" "jobmesh-image" "image" $source) -}}
  {{- $mounts = append $mounts (dict "name" "jobmesh-image" "mountPath" $settings.mountPath "readOnly" true) -}}
{{- else if eq $settings.delivery "initContainer" -}}
  {{- $volumes = append $volumes (dict "name" "jobmesh" "emptyDir" (default dict $settings.emptyDir)) -}}
  {{- $mounts = append $mounts (dict "name" "jobmesh" "mountPath" $settings.mountPath "readOnly" true) -}}
{{- end -}}
{{- if .coordinated -}}
  {{- /* The folder holds one or two empty files for each container. */ -}}
  {{- $volumes = append $volumes (dict "name" "jobmesh-state" "emptyDir" (dict "sizeLimit" "1Mi")) -}}
  {{- $mounts = append $mounts (dict "name" "jobmesh-state" "mountPath" (print $settings.mountPath "-state")) -}}
{{- end -}}
{{- if and (eq $settings.mode "wrap") (ne $settings.mesh "none") -}}
  {{- /* The annotations of its pod tell the wrapper which proxy was injected, and whether as a native sidecar. */ -}}
  {{- $item := dict "path" "annotations" "fieldRef" (dict "fieldPath" "metadata.annotations") -}}
  {{- $volumes = append $volumes (dict "name" "jobmesh-pod" "downwardAPI" (dict "items" (list $item))) -}}
  {{- $mounts = append $mounts (dict "name" "jobmesh-pod" "mountPath" (print $settings.mountPath "-pod") "readOnly" true) -}}
{{- end -}}
{{- $_ := set . "volumes" $volumes -}}
{{- $_ := set . "mounts" $mounts -}}
{{- end -}}
