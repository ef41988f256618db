{{/*
Makes native sidecars of containers: init containers with restartPolicy Always, which
Kubernetes starts before all containers behind them, and ends when the others have ended
(https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/).

Params: $call with settings and target, which is changed in place; stores

  native     names of the containers that are native sidecars now, for --native
  lastMoved  the last container that was moved, "" for none
  unsure     set where the names have mistakes, so that nothing was moved
*/}}
{{- define "jobmesh._sidecars" -}}
{{- $call := . -}}
{{- $spec := .target -}}
{{- $inits := ternary $spec.initContainers list (kindIs "slice" $spec.initContainers) -}}
{{- $moved := list -}}
{{- $left := list -}}
{{- $names := list -}}
{{- range ternary $spec.containers list (kindIs "slice" $spec.containers) -}}
  {{- if kindIs "map" . -}}
    {{- $names = append $names (toString .name) -}}
  {{- end -}}
  {{- if include "jobmesh._sidecars.chosen" (list $call .) -}}
    {{- $moved = append $moved . -}}
  {{- else -}}
    {{- $left = append $left . -}}
  {{- end -}}
{{- end -}}
{{- $before := len (default list .errors) -}}
{{- include "jobmesh._sidecars.asked" (list $call $names $inits) -}}
{{- if $left -}}
  {{- /* At least one container is left for the work. */ -}}
{{- else if kindIs "string" .settings.sidecars -}}
  {{- /* Without another container, a program of the table is the work itself. */ -}}
  {{- $moved = list -}}
{{- else if $moved -}}
  {{- include "jobmesh._errors.add" (list $call (printf "sidecars names every container of the pod (%s); leave one to do the work" (join ", " $names))) -}}
{{- end -}}
{{- if gt (len (default list .errors)) $before -}}
  {{- $_ := set . "unsure" true -}}
{{- else if $moved -}}
  {{- include "jobmesh._check.windows" . -}}
  {{- $places := dict -}}
  {{- range $moved -}}
    {{- $place := include "jobmesh._sidecars.place" (list $spec . $inits) -}}
    {{- include "jobmesh._sidecars.convert" (list $call .) -}}
    {{- $_ := set $places $place (append (default list (get $places $place)) .) -}}
    {{- $_ := set $call "native" (append $call.native (toString .name)) -}}
  {{- end -}}
  {{- $all := list -}}
  {{- range $i, $init := append $inits nil -}}
    {{- range get $places (toString $i) | default list -}}
      {{- $all = append $all . -}}
      {{- $_ := set $call "lastMoved" (toString .name) -}}
    {{- end -}}
    {{- if lt $i (len $inits) -}}
      {{- $all = append $all $init -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $spec "initContainers" $all -}}
  {{- $_ := set $spec "containers" $left -}}
{{- end -}}
{{- end -}}

{{/* Prints something if a container is to be moved. Params: (list $call CONTAINER). */}}
{{- define "jobmesh._sidecars.chosen" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- if not (kindIs "map" $container) -}}
  {{- /* Another check reports this. */ -}}
{{- else if kindIs "slice" $call.settings.sidecars -}}
  {{- if has (toString $container.name) $call.settings.sidecars -}}
    yes
  {{- end -}}
{{- else -}}
  {{- $helper := include "jobmesh._sidecars.helper" . | fromJson -}}
  {{- if not $helper -}}
    {{- /* The table does not have the program. */ -}}
  {{- else if has (toString $container.name) (kindIs "slice" $call.settings.containers | ternary $call.settings.containers list) -}}
    {{- /* The user says that this container does the work. */ -}}
  {{- else if not (include "jobmesh._sidecars.once" (list $call $container $helper)) -}}
    yes
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Reads the tables of helpers once for each call: the rows as $call.kept.helpers, and what is
the same for all of them as $call.kept.words. Params: $call.
*/}}
{{- define "jobmesh._sidecars.tables" -}}
{{- if not (hasKey .kept "helpers") -}}
  {{- $_ := set .kept "helpers" (include "jobmesh._helpers" . | fromJsonArray) -}}
  {{- $_ := set .kept "words" (include "jobmesh._helpers.words" . | fromJson) -}}
{{- end -}}
{{- end -}}

{{/*
Prints something if the program of a helper does one thing and ends. A script may start it
several times, and then each of these runs has to end.
Params: (list $call CONTAINER HELPER).
*/}}
{{- define "jobmesh._sidecars.once" -}}
{{- $call := first . -}}
{{- $container := index . 1 -}}
{{- $helper := last . -}}
{{- include "jobmesh._sidecars.tables" $call -}}
{{- $given := list -}}
{{- range regexSplit "[;&|\n]" (include "jobmesh._sidecars.text" $container | replace "\\\n" " ") -1 -}}
  {{- $started := false -}}
  {{- $arguments := list -}}
  {{- range regexReplaceAll "\\s+" . " " | splitList " " -}}
    {{- if $started -}}
      {{- $arguments = append $arguments . -}}
    {{- else -}}
      {{- $started = regexMatch $helper.program (base .) -}}
    {{- end -}}
  {{- end -}}
  {{- if $started -}}
    {{- $given = append $given (join " " $arguments) -}}
  {{- end -}}
{{- end -}}
{{- if not $given -}}
  {{- /* The image starts the program. */ -}}
  {{- $given = list (include "jobmesh._sidecars.text" $container) -}}
{{- end -}}
{{- $endless := false -}}
{{- range $given -}}
  {{- $line := include "jobmesh._sidecars.line" . -}}
  {{- $once := false -}}
  {{- range concat $call.kept.words.once (default list $helper.once) -}}
    {{- $once = or $once (contains (printf " %s " .) $line) -}}
  {{- end -}}
  {{- $endless = or $endless (not $once) -}}
{{- end -}}
{{- if not $endless -}}
  yes
{{- end -}}
{{- range ternary $container.env list (kindIs "slice" $container.env) -}}
  {{- if and (kindIs "map" .) $helper.onceVariables -}}
    {{- if and (has .name $helper.onceVariables) (has (toString .value | lower) $call.kept.words.yes) -}}
      yes
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Reports mistakes in the names of sidecars. Params: (list $call NAMES INIT_CONTAINERS). */}}
{{- define "jobmesh._sidecars.asked" -}}
{{- $call := first . -}}
{{- $names := index . 1 -}}
{{- $inits := last . -}}
{{- $asked := kindIs "slice" $call.settings.sidecars | ternary $call.settings.sidecars list -}}
{{- range $name := $asked -}}
  {{- if has $name $names -}}
    {{- if and (kindIs "slice" $call.settings.containers) (has $name $call.settings.containers) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "container %q is in containers and in sidecars; it either does the work or serves it" $name)) -}}
    {{- end -}}
  {{- else -}}
    {{- $text := printf "sidecars: no container %q; the pod has: %s" $name (join ", " $names) -}}
    {{- range $inits -}}
      {{- if kindIs "map" . -}}
        {{- if ne (toString .name) $name -}}
          {{- /* This is another init container. */ -}}
        {{- else if eq (toString .restartPolicy) "Always" -}}
          {{- $text = "" -}}
          {{- $_ := set $call "native" (append $call.native $name) -}}
        {{- else -}}
          {{- $text = printf "sidecars: %q is an init container already, which ends before the containers start; if it serves them, give it restartPolicy: Always" $name -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
    {{- if $text -}}
      {{- include "jobmesh._errors.add" (list $call $text) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Prints how many init containers stay in front of a sidecar: those in front of the first one
that is not a native sidecar; or, where one of the others writes into a volume of the
sidecar, all up to the last such one. Params: (list SPEC CONTAINER INIT_CONTAINERS).
*/}}
{{- define "jobmesh._sidecars.place" -}}
{{- $spec := first . -}}
{{- $container := index . 1 -}}
{{- $inits := last . -}}
{{- $mounted := list -}}
{{- range ternary $container.volumeMounts list (kindIs "slice" $container.volumeMounts) -}}
  {{- if kindIs "map" . -}}
    {{- $mounted = append $mounted (toString .name) -}}
  {{- end -}}
{{- end -}}
{{- $writable := list -}}
{{- range ternary $spec.volumes list (kindIs "slice" $spec.volumes) -}}
  {{- if kindIs "map" . -}}
    {{- if and (has (toString .name) $mounted) (not (or .configMap .secret .downwardAPI .projected .image)) -}}
      {{- $writable = append $writable (toString .name) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $place := len $inits -}}
{{- $written := 0 -}}
{{- range $i, $init := $inits -}}
  {{- if kindIs "map" $init -}}
    {{- if ne (toString $init.restartPolicy) "Always" -}}
      {{- $place = min $place $i -}}
      {{- range ternary $init.volumeMounts list (kindIs "slice" $init.volumeMounts) -}}
        {{- if kindIs "map" . -}}
          {{- if and (has (toString .name) $writable) (not .readOnly) -}}
            {{- $written = add $i 1 -}}
          {{- end -}}
        {{- end -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- max $place $written -}}
{{- end -}}

{{/* Makes a native sidecar of a container, in place. Params: (list $call CONTAINER). */}}
{{- define "jobmesh._sidecars.convert" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- $helper := include "jobmesh._sidecars.helper" . | fromJson -}}
{{- $_ := set $container "restartPolicy" "Always" -}}
{{- $_ := unset $container "restartPolicyRules" -}}
{{- if and (ne $call.settings.mesh "auto") (hasKey $call.meshes (default "" $helper.mesh)) -}}
  {{- $_ := set $call "native" (append $call.native $helper.mesh) -}}
{{- end -}}
{{- /* A short flag, such as HAProxy's -W, also changes how the program runs, so it is left to the
       author: the exit code of a native sidecar does not count. */ -}}
{{- if hasPrefix "--" (default "" $helper.termFlag) -}}
  {{- $_ := include "jobmesh._sidecars.flags" (list $container $helper (list $helper.termFlag)) -}}
{{- end -}}
{{- if and $call.startsFirst (not $container.startupProbe) -}}
  {{- $probe := $container.readinessProbe -}}
  {{- with $helper.probe -}}
    {{- if not $probe -}}
      {{- /* A flag that has the needed value already does not move the endpoint. */ -}}
      {{- $line := include "jobmesh._sidecars.text" $container | include "jobmesh._sidecars.line" -}}
      {{- $moved := default list .moved -}}
      {{- range default list .needs -}}
        {{- if contains (printf " %s " . | replace "=" " ") $line -}}
          {{- $moved = without $moved (splitList "=" . | first) -}}
        {{- end -}}
      {{- end -}}
      {{- $set := include "jobmesh._sidecars.given" (list $container $helper $moved) -}}
      {{- $answers := include "jobmesh._sidecars.flags" (list $container $helper .needs $set) -}}
      {{- if and $answers (not $set) -}}
        {{- $probe = dict "httpGet" (dict "path" .path "port" (int .port)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
  {{- if kindIs "map" $probe -}}
    {{- $_ := set $container "startupProbe" (merge (dict "successThreshold" 1 "periodSeconds" 1 "failureThreshold" 120) $probe) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Adds flags to a program that the image or the command starts directly, and prints something
if the program then has them. Params: (list CONTAINER HELPER FLAGS [KEEP]); with KEEP set,
nothing is changed.
*/}}
{{- define "jobmesh._sidecars.flags" -}}
{{- $container := first . -}}
{{- $helper := index . 1 -}}
{{- $keep := gt (len .) 3 | ternary (last .) "" -}}
{{- $direct := not $container.command -}}
{{- if kindIs "slice" $container.command -}}
  {{- $direct = or $direct (regexMatch $helper.program (first $container.command | toString | base)) -}}
{{- end -}}
{{- $args := ternary $container.args list (kindIs "slice" $container.args) -}}
{{- $given := list -}}
{{- $all := true -}}
{{- range index . 2 | default list -}}
  {{- if include "jobmesh._sidecars.given" (list $container $helper (list (splitList "=" . | first))) -}}
    {{- /* The author has set the flag. */ -}}
  {{- else if and $direct (not $keep) -}}
    {{- $given = append $given . -}}
  {{- else -}}
    {{- $all = false -}}
  {{- end -}}
{{- end -}}
{{- if $given -}}
  {{- $_ := set $container "args" (concat $given $args) -}}
{{- end -}}
{{- if $all -}}
  yes
{{- end -}}
{{- end -}}

{{/* Prints something if a container has one of some flags, or its variable. Params: (list CONTAINER HELPER FLAGS). */}}
{{- define "jobmesh._sidecars.given" -}}
{{- $container := first . -}}
{{- $helper := index . 1 -}}
{{- $line := include "jobmesh._sidecars.text" $container | include "jobmesh._sidecars.line" -}}
{{- range $flag := last . | default list -}}
  {{- if contains (printf " %s " $flag) $line -}}
    yes
  {{- end -}}
  {{- range ternary $container.env list (kindIs "slice" $container.env) -}}
    {{- if and (kindIs "map" .) $helper.variablePrefix -}}
      {{- if eq (toString .name) (trimPrefix "--" $flag | upper | replace "-" "_" | print $helper.variablePrefix) -}}
        yes
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints the words of command and args of a container. */}}
{{- define "jobmesh._sidecars.text" -}}
{{- concat (ternary .command list (kindIs "slice" .command)) (ternary .args list (kindIs "slice" .args)) | join " " -}}
{{- end -}}

{{/*
Prints the words of a command line with one space around each. --flag=value becomes --flag
value, --flag=true becomes --flag, and --flag=false becomes --flag:false, which is not found.
*/}}
{{- define "jobmesh._sidecars.line" -}}
{{- $line := print " " (regexReplaceAll "\\s+" (toString .) " ") " " -}}
{{- $line | replace "=true " " " | replace "=false " ":false " | replace "=" " " -}}
{{- end -}}

{{/*
Prints the row of the helper that a container runs, as JSON; {} for any other program. The
program decides where it is known. The image decides where there is no command, or only a
script in a file of the image. Params: (list $call CONTAINER).
*/}}
{{- define "jobmesh._sidecars.helper" -}}
{{- $call := first . -}}
{{- $container := last . -}}
{{- include "jobmesh._sidecars.tables" $call -}}
{{- $image := toString $container.image | lower | splitList "@" | first -}}
{{- $command := ternary $container.command list (kindIs "slice" $container.command) -}}
{{- $started := "" -}}
{{- if $command -}}
  {{- $words := concat $command (ternary $container.args list (kindIs "slice" $container.args)) -}}
  {{- $started = first $words | toString | base -}}
  {{- if has $started $call.kept.words.shells -}}
    {{- /* The script, or the file that has it, is the first word that is neither a flag nor the value of -o. */ -}}
    {{- $before := "" -}}
    {{- $found := false -}}
    {{- range rest $words -}}
      {{- if not (or $found (regexMatch "^[-+]" (toString .)) (regexMatch "^[-+][a-z]{0,6}o$" $before)) -}}
        {{- $started = toString . -}}
        {{- $found = true -}}
      {{- end -}}
      {{- $before = toString . -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $hidden := or (not $command) (hasSuffix ".sh" $started) -}}
{{- $line := include "jobmesh._sidecars.text" $container | include "jobmesh._sidecars.line" -}}
{{- $found := dict -}}
{{- range $call.kept.helpers -}}
  {{- if not $found -}}
    {{- $runs := or (regexMatch .program $started) (and $hidden (regexMatch .image $image)) -}}
    {{- if and $runs (or (not .subcommand) (regexMatch .subcommand $line)) -}}
      {{- $found = . -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- toJson $found -}}
{{- end -}}
