{{/*
Stores the words in front of a command as $call.argv. Params: (list $call MEMBER), where
MEMBER is the name of its container; _mounts and _restart have been called before.

The flags are in the order of their documentation. A flag is only written where a setting
asks for it, or where it follows from the pod.
*/}}
{{- define "jobmesh._wrapper" -}}
{{- $call := first . -}}
{{- $settings := $call.settings -}}
{{- if eq $settings.mode "hook" -}}
  {{- include "jobmesh._hook" $call -}}
{{- else -}}
  {{- $derived := dict "stopWhen" $call.stopWhen "restartCodes" $call.restartCodes -}}
  {{- if ne $settings.mesh "auto" -}}
    {{- $_ := set $derived "mesh" $settings.mesh -}}
  {{- end -}}
  {{- if $call.coordinated -}}
    {{- $_ := set $derived "stateDir" (print $settings.mountPath "-state") -}}
    {{- $_ := set $derived "member" (last .) -}}
    {{- $_ := set $derived "members" (toString $call.members) -}}
  {{- end -}}
  {{- $path := $settings.wrapperPath -}}
  {{- if ne $settings.delivery "inImage" -}}
    {{- $path = print $settings.mountPath "/jobmesh-wrap" -}}
  {{- end -}}
  {{- with $call.native -}}
    {{- $_ := set $derived "native" (join "," (uniq .)) -}}
  {{- end -}}
  {{- $annotations := print $settings.mountPath "-pod" -}}
  {{- if and (ne (dir $path | printf "%s-pod") $annotations) (eq (base $path) "jobmesh-wrap") (ne $settings.mesh "none") -}}
    {{- /* By default the wrapper looks beside its own folder. Under the name of another program it takes that program's flags. */ -}}
    {{- $_ := set $derived "podAnnotations" (print $annotations "/annotations") -}}
  {{- end -}}
  {{- $argv := list $path -}}
  {{- $given := merge $derived (default dict $settings.wrapper) -}}
  {{- if gt (len $given) 2 | or $call.stopWhen $call.restartCodes -}}
    {{- /* >>> keys: written by make generate from internal/wrapflags */ -}}
    {{- $keys := list "mesh" "native" "podAnnotations" "readyUrl" "stop" "stopProcess" "restartCodes" "readyTimeout" "onReadyTimeout" "detectTimeout" "stopWhen" "stopTimeout" "killAfter" "onProxyLost" "waitFor" "waitForTimeout" "stateDir" "member" "members" "logFormat" "quiet" -}}
    {{- /* <<< keys */ -}}
    {{- range $key := $keys -}}
      {{- with get $given $key -}}
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
  {{- end -}}
  {{- $_ := set $call "argv" (append $argv "--") -}}
{{- end -}}
{{- end -}}
