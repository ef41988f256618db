{{/*
The command of a container that has none: setting one cancels both the ENTRYPOINT
and the CMD of the image, so both have to be known.

  args set       ENTRYPOINT, and the args stay
  args not set   ENTRYPOINT, and CMD as args

They come from `entrypoints` in the settings, whose list is both together, or from
jobmesh.lock.yaml in the chart of the caller:

  images:
    - image: redis:7
      digest: sha256:...
      entrypoint: [docker-entrypoint.sh]
      cmd: [redis-server]

The kubelet expands $(NAME) and $$ in the command of a container, but not in that of an
image. So the dollar signs in such words of the lock file are doubled.

Params: (list $call CONTAINER), where CONTAINER is a part of a copy of the spec. Sets its
command, and its args where CMD is needed. It is a mistake if neither source has the image.
*/}}
{{- define "jobmesh._entrypoint" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- $name := $container.name -}}
{{- $image := default "that it does not name" $container.image | toString -}}
{{- $words := get (default dict $call.settings.entrypoints) $name -}}
{{- if $words -}}
  {{- $_ := set $container "command" $words -}}
{{- else -}}
  {{- $found := false -}}
  {{- range $entry := include "jobmesh._entrypoint.lock" $call | fromJsonArray -}}
    {{- if and (not $found) (eq (toString $entry.image) $image) -}}
      {{- $found = true -}}
      {{- $known := true -}}
      {{- range $key := list "entrypoint" "cmd" -}}
        {{- $list := get $entry $key -}}
        {{- $valid := or (kindIs "slice" $list) (not $list) -}}
        {{- $words := list -}}
        {{- range ternary $list list (kindIs "slice" $list) -}}
          {{- $valid = and $valid (kindIs "string" .) -}}
          {{- $words = append $words (regexMatch "[$][$(]" (toString .) | ternary (toString . | replace "$" "$$") .) -}}
        {{- end -}}
        {{- $_ := set $entry $key $words -}}
        {{- if not $valid -}}
          {{- $known = false -}}
          {{- $_ := unset $entry $key -}}
          {{- include "jobmesh._errors.add" (list $call (printf "jobmesh.lock.yaml: %s of image %s must be a list of strings; write it anew with jobmesh resolve" $key $image)) -}}
        {{- end -}}
      {{- end -}}
      {{- if not $container.args -}}
        {{- $_ := set $container "args" (default list $entry.cmd) -}}
      {{- end -}}
      {{- if and $known (not (or $entry.entrypoint $container.args)) -}}
        {{- include "jobmesh._errors.add" (list $call (printf "container %q has no command, and image %s has neither ENTRYPOINT nor CMD; set command" $name $image)) -}}
      {{- end -}}
      {{- $_ := set $container "command" (default list $entry.entrypoint) -}}
    {{- end -}}
  {{- end -}}
  {{- if not $found -}}
    {{- include "jobmesh._errors.add" (list $call (printf "container %q has no command, and a template cannot read the ENTRYPOINT of image %s; set command, or entrypoints.%s, or write jobmesh.lock.yaml with jobmesh resolve" $name $image $name)) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Prints the images of the lock file, as a JSON list of maps. It is only read where an image
is looked up, because parsing it takes as long as everything else together.
*/}}
{{- define "jobmesh._entrypoint.lock" -}}
{{- $call := . -}}
{{- $images := list -}}
{{- $text := "" -}}
{{- with .root.Files -}}
  {{- $text = .Get "jobmesh.lock.yaml" -}}
{{- end -}}
{{- if $text -}}
  {{- $lock := fromYaml $text -}}
  {{- if hasKey $lock "Error" -}}
    {{- include "jobmesh._errors.add" (list $call (printf "jobmesh.lock.yaml is not a YAML mapping: %s" $lock.Error)) -}}
  {{- else if not (kindIs "slice" $lock.images) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "jobmesh.lock.yaml: images must be a list, got %s" (include "jobmesh._errors.kind" $lock.images))) -}}
  {{- else -}}
    {{- range $lock.images -}}
      {{- if kindIs "map" . -}}
        {{- $images = append $images . -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toJson $images -}}
{{- end -}}
