{{/*
What injection mounts. Params: $call with settings, members (how many containers
are wrapped) and target; stores

  coordinated  whether the last of several containers is the one to stop the proxy
  stopWhen     the flag as it follows from the pod, "" for the wrapper's default
  mounts       volume mounts of a wrapped container
  volumes      and their volumes

A volume has one name for each delivery: under server-side apply a volume that
changes its kind under its old name ends up with both kinds.
*/}}
{{- define "jobmesh._mounts" -}}
{{- $settings := .settings -}}
{{- $mounts := list -}}
{{- $volumes := list -}}
{{- /* With OnFailure the kubelet restarts a failed container, which needs the proxy again; with Always, also where it is not set, it restarts every one. */ -}}
{{- $restartPolicy := toString .target.restartPolicy -}}
{{- $stopWhen := "never" -}}
{{- if eq $restartPolicy "Never" -}}
  {{- $stopWhen = "" -}}
{{- else if eq $restartPolicy "OnFailure" -}}
  {{- $stopWhen = "success" -}}
{{- end -}}
{{- with $settings.wrapper -}}
  {{- $stopWhen = default $stopWhen .stopWhen -}}
{{- end -}}
{{- $_ := set . "stopWhen" $stopWhen -}}
{{- $_ := set . "coordinated" (and (eq $settings.mode "wrap") (gt .members 1) (ne $stopWhen "never") (ne $settings.mesh "none")) -}}
{{- if ne $settings.mode "wrap" -}}
  {{- /* The shell is there already. */ -}}
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
  {{- /* Empty files, one or two a container. */ -}}
  {{- $volumes = append $volumes (dict "name" "jobmesh-state" "emptyDir" (dict "sizeLimit" "1Mi")) -}}
  {{- $mounts = append $mounts (dict "name" "jobmesh-state" "mountPath" (print $settings.mountPath "-state")) -}}
{{- end -}}
{{- $_ := set . "volumes" $volumes -}}
{{- $_ := set . "mounts" $mounts -}}
{{- end -}}
