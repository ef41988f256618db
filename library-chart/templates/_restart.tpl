{{/*
Determines when the kubelet starts a container again in the same pod. Such a container needs
the proxy again, so the wrapper must not stop the proxy then.

The restartPolicy and the restartPolicyRules of a container (Kubernetes 1.35) win over the
restartPolicy of its pod:
https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5307-container-restart-policy

Stores in $call, for the container that is handled now,

  stopWhen      the value of that flag, "" for the default of the wrapper
  restartCodes  the value of that flag, as the rules give it, "" for none

Params: (list $call CONTAINER), with settings, target, longRunning and, where the kind of
the object overrides the pod spec, restartPolicy in $call.
*/}}
{{- define "jobmesh._restart" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- $policy := default (default $call.target.restartPolicy $call.restartPolicy) $container.restartPolicy | toString -}}
{{- $stopWhen := "never" -}}
{{- $codes := "" -}}
{{- if $call.longRunning -}}
  {{- /* Another container runs for as long as the pod, and needs the proxy. */ -}}
{{- else if eq $policy "Never" -}}
  {{- $stopWhen = "" -}}
{{- else if eq $policy "OnFailure" -}}
  {{- $stopWhen = "success" -}}
{{- end -}}
{{- with $call.settings.wrapper -}}
  {{- $stopWhen = default $stopWhen .stopWhen -}}
{{- end -}}
{{- if and $container.restartPolicyRules (ne $stopWhen "never") -}}
  {{- $codes = include "jobmesh._restart.codes" (list $call $container) -}}
  {{- $every := eq $codes "!" -}}
  {{- if eq $policy "OnFailure" -}}
    {{- $listed := trimPrefix "!" $codes | splitList "," | has "0" -}}
    {{- $every = or $every (ne $listed (hasPrefix "!" $codes)) -}}
  {{- end -}}
  {{- if $every -}}
    {{- include "jobmesh._errors.add" (list $call (printf "container %q is started again after every exit code, by its restartPolicyRules, so its pod never ends; remove them" $container.name)) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $call "stopWhen" $stopWhen -}}
{{- $_ := set $call "restartCodes" $codes -}}
{{- end -}}

{{/*
Prints the exit codes after which the rules of a container start it again, as one list:
"42,88" or, for every code but these, "!0,1"; "!" for every code. The first rule that
matches decides, but both existing actions start the container again, so the codes of
all rules are one set. Params: (list $call CONTAINER).
*/}}
{{- define "jobmesh._restart.codes" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- $listed := list -}}
{{- $but := false -}}
{{- if not (kindIs "slice" $container.restartPolicyRules) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "restartPolicyRules of container %q must be a list, got %s" $container.name (include "jobmesh._errors.kind" $container.restartPolicyRules))) -}}
{{- else -}}
  {{- range $i, $rule := $container.restartPolicyRules -}}
    {{- $exit := dict -}}
    {{- if kindIs "map" $rule -}}
      {{- $exit = ternary $rule.exitCodes dict (kindIs "map" $rule.exitCodes) -}}
    {{- end -}}
    {{- $operator := toString $exit.operator -}}
    {{- $codes := list -}}
    {{- $valid := and (has $operator (list "In" "NotIn")) (kindIs "slice" $exit.values) -}}
    {{- range ternary $exit.values list $valid -}}
      {{- $code := int64 . -}}
      {{- $valid = and $valid (has (kindOf .) (list "float64" "int" "int64")) (eq (float64 .) (float64 $code)) (ge $code 0) -}}
      {{- /* With spaces in front, the codes can be sorted as strings. */ -}}
      {{- $codes = append $codes (printf "%10d" $code) -}}
    {{- end -}}
    {{- if not (and $valid $codes (has (toString $rule.action) (list "Restart" "RestartAllContainers"))) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "restartPolicyRules[%d] of container %q is not a rule that jobmesh knows: it needs action Restart or RestartAllContainers, and exitCodes with operator In or NotIn and a list of values" $i $container.name)) -}}
    {{- else -}}
      {{- $notIn := eq $operator "NotIn" -}}
      {{- $kept := list -}}
      {{- if and $but $notIn -}}
        {{- range $listed -}}
          {{- $kept = has . $codes | ternary (append $kept .) $kept -}}
        {{- end -}}
      {{- else if $but -}}
        {{- range $listed -}}
          {{- $kept = has . $codes | ternary $kept (append $kept .) -}}
        {{- end -}}
      {{- else if $notIn -}}
        {{- $but = true -}}
        {{- range $codes -}}
          {{- $kept = has . $listed | ternary $kept (append $kept .) -}}
        {{- end -}}
      {{- else -}}
        {{- $kept = concat $listed $codes -}}
      {{- end -}}
      {{- $listed = uniq $kept -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if $but }}!{{ end -}}
{{- sortAlpha $listed | join "," | nospace -}}
{{- end -}}
