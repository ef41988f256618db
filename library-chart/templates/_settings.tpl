{{/*
Stores the settings of a call as $call.settings: the values of the library in this chart,
overridden by global.jobmesh, overridden by the settings in the call. image, wrapper,
annotations and entrypoints are merged key by key, everything else is replaced. null is as if
the key were not written: Helm 3 removes such a key from the values and Helm 4 does not, so
these templates contain the defaults too. It also stores $call.enabled, $call.wraps (the mode
changes the command), $call.moves (containers become native sidecars), $call.startsFirst (no
proxy starts after them), $call.meshes (the rows of the table that apply) and $call.kept: a
dict for what follows from the settings alone.

Helm checks the values against the schema, but neither global nor the settings of a call, and
users can skip that check; so the kinds of all of them are checked here. Unknown keys are
refused only in global and in calls: two charts of a release may contain two versions of this
library, Helm then uses the templates of one for both, and older templates must work with
newer values.

Merging takes more time than everything else, and most Jobs of a chart have the same settings.
So the result is cached in the root context of the dependency, which belongs to this library
and ends with the rendering. The key is everything that was merged, so a value that is changed
between two calls is noticed.
*/}}
{{- define "jobmesh._settings" -}}
{{- $call := . -}}
{{- with .root -}}
  {{- /* An alias hides the name of the dependency, but not its annotations. The second annotation is that of jobmesh 0.1. */ -}}
  {{- $keys := list -}}
  {{- $library := dict -}}
  {{- range $key, $chart := default dict .Subcharts -}}
    {{- if or (index $chart.Chart.Annotations "jobmesh.dev/library") (index $chart.Chart.Annotations "jobmesh/library") -}}
      {{- $keys = append $keys $key -}}
      {{- $library = $chart -}}
    {{- end -}}
  {{- end -}}
  {{- $global := kindIs "map" .Values.global | ternary .Values.global dict -}}
  {{- $input := toJson (list (omit (default dict $library.Values) "global") $global.imageRegistry $global.jobmesh $call.options) -}}
  {{- $known := get (default dict $library.known) $input -}}
  {{- if and $known $input -}}
    {{- range $key, $value := $known -}}
      {{- $_ := set $call $key $value -}}
    {{- end -}}
  {{- else -}}
    {{- include "jobmesh._settings.resolve" (dict "call" $call "root" . "keys" $keys "library" $library "global" $global) -}}
    {{- if not $call.errors -}}
      {{- $_ := set $library "known" (set (default dict $library.known) $input (pick $call "settings" "enabled" "wraps" "moves" "startsFirst" "meshes" "kept")) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Params: dict of call, root, keys (of the dependencies that are this library), library (root context of the last), global. */}}
{{- define "jobmesh._settings.resolve" -}}
{{- $call := .call -}}
{{- if not (hasKey .library "defaults") -}}
  {{- $_ := set .library "defaults" (include "jobmesh._settings.defaults" . | fromYaml | toJson) -}}
{{- end -}}
{{- $defaults := fromJson .library.defaults -}}
{{- /* Helm merges maps key by key, and keeps or removes nulls. */ -}}
{{- $sources := list (dict "from" .library.Values "fill" true) -}}
{{- if gt (len .keys) 1 -}}
  {{- include "jobmesh._errors.add" (list $call (printf "more than one dependency of this chart is jobmesh (%s)" (join ", " .keys))) -}}
{{- else if not .keys -}}
  {{- /* These templates come from another chart of the release. */ -}}
  {{- $sources = list (dict "from" .root.Values.jobmesh "name" "values of jobmesh" "fill" true) -}}
{{- end -}}
{{- with .global.imageRegistry -}}
  {{- $sources = append $sources (dict "from" (dict "image" (dict "registry" .)) "prefix" "global.imageRegistry: ") -}}
{{- end -}}
{{- $sources = append $sources (dict "from" .global.jobmesh "name" "global.jobmesh" "prefix" "global.jobmesh." "strict" true) -}}
{{- $sources = append $sources (dict "from" $call.options "strict" true) -}}
{{- $settings := $defaults -}}
{{- $kinds := include "jobmesh._settings.kinds" . | fromJson -}}
{{- range $sources -}}
  {{- if kindIs "map" .from -}}
    {{- include "jobmesh._settings.merge" (list (set . "kinds" $kinds) $call $settings .from "") -}}
  {{- else if not (kindIs "invalid" .from) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s must be a map, got %s" .name (include "jobmesh._errors.kind" .from))) -}}
  {{- end -}}
{{- end -}}
{{- /* Every pod needs these. */ -}}
{{- $defaults = fromJson .library.defaults -}}
{{- range list "mode" "mesh" "delivery" "mountPath" "wrapperPath" -}}
  {{- if not (get $settings .) -}}
    {{- $_ := set $settings . (get $defaults .) -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $settings "mountPath" (clean $settings.mountPath) -}}
{{- $_ := set $settings "wrapperPath" (clean $settings.wrapperPath) -}}
{{- /* A missing key does not mean false: values of another version may lack it. */ -}}
{{- $_ := set $call "enabled" (ne (toString $settings.enabled) "false") -}}
{{- $_ := set $call "settings" $settings -}}
{{- $_ := set $call "kept" dict -}}
{{- include "jobmesh._settings.check" $call -}}
{{- $_ := set $call "wraps" (and $call.enabled (has $settings.mode (list "wrap" "hook"))) -}}
{{- $_ := set $call "moves" (and $call.enabled (not (empty $settings.sidecars))) -}}
{{- end -}}

{{/*
Merges one map into a dict, and leaves out values of the wrong kind.
Params: (list SOURCE $call INTO FROM PATH), where SOURCE is a dict of kinds, strict
and prefix (for messages), and PATH leads to the map. The first branch is for nearly every
key: a function call in a template takes almost a microsecond, and this runs for every Job.
*/}}
{{- define "jobmesh._settings.merge" -}}
{{- $source := first . -}}
{{- $call := index . 1 -}}
{{- $into := index . 2 -}}
{{- $path := last . -}}
{{- $kinds := $source.kinds -}}
{{- $prefix := default "" $source.prefix -}}
{{- $any := get $kinds (print $path "*") -}}
{{- range $key, $value := index . 3 -}}
  {{- $name := $key -}}
  {{- if $path -}}
    {{- $name = print $path $key -}}
  {{- end -}}
  {{- $want := or (get $kinds $name) $any -}}
  {{- $kind := kindOf $value -}}
  {{- if and (eq $kind "map") (eq $want "map") -}}
    {{- $copy := deepCopy $value -}}
    {{- $under := get $into $key -}}
    {{- include "jobmesh._settings.fill" (list $copy (ternary $under dict (and (not (empty $source.fill)) (kindIs "map" $under)))) -}}
    {{- $_ := set $into $key $copy -}}
  {{- else if eq $kind $want -}}
    {{- $_ := set $into $key $value -}}
  {{- else if eq $kind "invalid" -}}
    {{- /* null is as if the key were not written. */ -}}
  {{- else if and (eq $kind "map") (eq $want "merged map") -}}
    {{- if not (get $into $key) -}}
      {{- $_ := set $into $key dict -}}
    {{- end -}}
    {{- if $value -}}
      {{- include "jobmesh._settings.merge" (list $source $call (get $into $key) $value (print $name ".")) -}}
    {{- end -}}
  {{- else if and (contains "|" $want) (or (splitList "|" $want | first | eq $kind) (splitList "|" $want | rest | has $value)) -}}
    {{- $_ := set $into $key $value -}}
  {{- else if $want -}}
    {{- $words := dict "bool" "a boolean" "string" "a string" "slice" "a list" "map" "a map" "merged map" "a map" -}}
    {{- $want = or (get $words $want) (trimAll "|" $want | replace "slice|" "a list|" | replace "|" " or ") -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s must be %s, got %s" (print $prefix $name) $want (include "jobmesh._errors.value" $value))) -}}
  {{- else if $source.strict -}}
    {{- include "jobmesh._errors.add" (list $call (printf "unknown setting %q" (print $prefix $name))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Adds to a map the keys of another one that it lacks, or has with the value null. Params: (list MAP OTHER). */}}
{{- define "jobmesh._settings.fill" -}}
{{- $map := first . -}}
{{- range $key, $value := last . -}}
  {{- if or (not (hasKey $map $key)) (kindIs "invalid" (get $map $key)) -}}
    {{- $_ := set $map $key $value -}}
  {{- else if and (kindIs "map" $value) (kindIs "map" (get $map $key)) -}}
    {{- include "jobmesh._settings.fill" (list (get $map $key) $value) -}}
  {{- end -}}
{{- end -}}
{{- range $key, $value := $map -}}
  {{- if kindIs "invalid" $value -}}
    {{- $_ := unset $map $key -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Prints the forms of strings, and of list items: a pattern, and words for it. With a string of
another form the wrapper would end with a usage error. values.schema.json has the same patterns.
*/}}
{{- define "jobmesh._settings.forms" -}}
{
  "wrapper": {
    {{- /* >>> wrapper forms: written by make generate from internal/wrapflags */}}
    "readyUrl": ["^(https?://.|none$)", "none or a URL such as http://127.0.0.1:4191/ready"],
    "stop": ["^[A-Z]+ https?://.", "'METHOD URL', as in POST http://127.0.0.1:4191/shutdown"],
    "stopProcess": ["^[^/=]+(=(SIG)?[A-Z]+[12]?)?$", "the name of a process, without a path, and the signal where it is not TERM, as in pgbouncer=INT"],
    "readyTimeout": ["^(0|([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+)$", "a duration such as 500ms, 30s or 2m"],
    "detectTimeout": ["^(0|([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+)$", "a duration such as 500ms, 30s or 2m"],
    "stopTimeout": ["^[1-9][0-9]*(\\.[0-9]+)?(ms|s|m|h)([0-9]+(ms|s|m|h))*$", "a duration such as 500ms, 30s or 2m"],
    "killAfter": ["^(0|([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+)$", "a duration such as 500ms, 30s or 2m"],
    "waitFor": ["^(tcp|tls|https?)://.", "a URL such as tcp://database:5432, tls://broker:5671 or http://queue:8080/ready"],
    "waitForTimeout": ["^(0|([0-9]+(\\.[0-9]+)?(ns|us|ms|s|m|h))+)$", "a duration such as 500ms, 30s or 2m"]
    {{- /* <<< wrapper forms */}}
  },
  "kubeVersion": ["^v?[0-9]+\\.[0-9]+", "a version such as 1.33"],
  "meshVersion": ["^([a-z]+-)?v?[0-9]+\\.[0-9]+", "a version such as 2.20"],
  "skipOutboundPorts": ["^([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])$", "a port"]
}
{{- end -}}

{{/*
Checks what the kinds do not express: the items of lists, values that must not be empty, and
values that exclude each other. Stores $call.meshes.
*/}}
{{- define "jobmesh._settings.check" -}}
{{- $call := . -}}
{{- $settings := .settings -}}
{{- $wrapper := default dict $settings.wrapper -}}
{{- $meshes := include "jobmesh._meshes" . | fromJson -}}
{{- $selected := $meshes -}}
{{- if ne $settings.mesh "auto" -}}
  {{- $selected = dict -}}
  {{- if ne $settings.mesh "none" -}}
    {{- range splitList "," $settings.mesh -}}
      {{- if hasKey $meshes . -}}
        {{- $_ := set $selected . (get $meshes .) -}}
      {{- else -}}
        {{- include "jobmesh._errors.add" (list $call (printf "mesh must be auto or none or %s, got %q" (keys $meshes | sortAlpha | join " or ") $settings.mesh)) -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $_ := set $call "meshes" $selected -}}
{{- if or (ne $settings.mode "wrap") $settings.sidecars -}}
  {{- include "jobmesh._settings.native" $call -}}
{{- end -}}
{{- if ne $settings.mode "wrap" -}}
  {{- include "jobmesh._settings.mode" $call -}}
{{- end -}}
{{- if or $wrapper $settings.skipOutboundPorts $settings.kinds $settings.kubeVersion $settings.meshVersion -}}
  {{- $forms := include "jobmesh._settings.forms" . | fromJson -}}
  {{- range $key, $value := $wrapper -}}
    {{- include "jobmesh._settings.form" (list $call (print "wrapper." $key) $value (get $forms.wrapper $key)) -}}
  {{- end -}}
  {{- include "jobmesh._settings.form" (list $call "skipOutboundPorts" $settings.skipOutboundPorts $forms.skipOutboundPorts) -}}
  {{- include "jobmesh._settings.form" (list $call "kubeVersion" $settings.kubeVersion $forms.kubeVersion) -}}
  {{- include "jobmesh._settings.form" (list $call "meshVersion" $settings.meshVersion $forms.meshVersion) -}}
  {{- include "jobmesh._settings.form" (list $call "kinds" $settings.kinds (include "jobmesh._kinds.form" . | fromJsonArray)) -}}
  {{- if and (eq $settings.mesh "none") (or $wrapper.readyUrl $wrapper.stop $wrapper.stopProcess) -}}
    {{- include "jobmesh._errors.add" (list $call "mesh none contradicts wrapper.readyUrl, wrapper.stop and wrapper.stopProcess: without a proxy there is nothing to ask") -}}
  {{- end -}}
  {{- if and $wrapper.stop $wrapper.stopProcess -}}
    {{- include "jobmesh._errors.add" (list $call "wrapper.stop contradicts wrapper.stopProcess: choose one way to stop the proxy") -}}
  {{- end -}}
{{- end -}}
{{- if kindIs "slice" $settings.containers -}}
  {{- include "jobmesh._settings.strings" (list $call "containers" $settings.containers) -}}
  {{- /* The names are looked up in a dict, which only accepts strings. */ -}}
  {{- $names := list -}}
  {{- range uniq $settings.containers -}}
    {{- if kindIs "string" . -}}
      {{- $names = append $names . -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $settings "containers" $names -}}
{{- end -}}
{{- range $container, $words := $settings.entrypoints -}}
  {{- include "jobmesh._settings.strings" (list $call (print "entrypoints." $container) $words) -}}
{{- end -}}
{{- range $settings.image.pullSecrets -}}
  {{- if not (or (kindIs "string" .) (kindIs "map" .)) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "image.pullSecrets must hold names or {name: ...}, got %s" (include "jobmesh._errors.value" .))) -}}
  {{- end -}}
{{- end -}}
{{- range list "mountPath" "wrapperPath" -}}
  {{- $path := get $settings . -}}
  {{- if or (not (hasPrefix "/" $path)) (eq $path "/") -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s must be an absolute path other than /, got %q" . $path)) -}}
  {{- end -}}
{{- end -}}
{{- if not $settings.image.repository -}}
  {{- include "jobmesh._errors.add" (list $call "image.repository is empty") -}}
{{- else if not (regexMatch "^((\\[[0-9A-Fa-f:]+\\]|[\\w.-]+)(:[0-9]+)?/)?[\\w.-]+(/[\\w.-]+)*(:[\\w.-]+|@sha256:[0-9a-f]{64})$" (include "jobmesh._image" $settings)) -}}
  {{- /* What was given is not repeated: a password may stand in it. */ -}}
  {{- include "jobmesh._errors.add" (list $call "image: registry, repository, tag and digest make no reference, as registry.example.com:5000/team/image:tag is one; a scheme and a user have no place there") -}}
{{- end -}}
{{- end -}}

{{/*
Decides by versions about native sidecars. Replaces mode auto by the mode that it means, and
stores $call.startsFirst. Params: $call with settings and meshes.
*/}}
{{- define "jobmesh._settings.native" -}}
{{- $call := . -}}
{{- $settings := .settings -}}
{{- $named := ne $settings.mesh "auto" -}}
{{- /* From this release on, Kubernetes has native sidecars by default. */ -}}
{{- $since := "1.29" -}}
{{- $cluster := or (not $settings.kubeVersion) (include "jobmesh._settings.atLeast" (list $settings.kubeVersion $since)) -}}
{{- /* These proxies are native sidecars: because they are asked for, or by default. */ -}}
{{- $asked := $named -}}
{{- $default := $named -}}
{{- range .meshes -}}
  {{- $asked = and $asked .nativeSince (include "jobmesh._settings.atLeast" (list $settings.meshVersion .nativeSince)) -}}
  {{- $default = and $default .nativeDefault (include "jobmesh._settings.atLeast" (list $settings.meshVersion .nativeDefault)) (or (not .nativeKubelet) (include "jobmesh._settings.atLeast" (list $settings.kubeVersion .nativeKubelet))) -}}
{{- end -}}
{{- if eq $settings.mode "auto" -}}
  {{- $native := and $asked $settings.kubeVersion $cluster (or .meshes $settings.sidecars) -}}
  {{- $_ := set $settings "mode" (ternary "native" "wrap" (not (empty $native))) -}}
{{- end -}}
{{- $_ := set . "startsFirst" (or $default (has $settings.mode (list "native" "optOut"))) -}}
{{- if not $cluster -}}
  {{- if $settings.sidecars -}}
    {{- include "jobmesh._errors.add" (list . (printf "sidecars needs Kubernetes %s, where native sidecars are on by default, and kubeVersion says %s" $since $settings.kubeVersion)) -}}
  {{- else if eq $settings.mode "native" -}}
    {{- include "jobmesh._errors.add" (list . (printf "mode native needs Kubernetes %s, where native sidecars are on by default, and kubeVersion says %s" $since $settings.kubeVersion)) -}}
  {{- end -}}
{{- end -}}
{{- if and (eq $settings.mode "native") $settings.sidecars (not $named) -}}
  {{- /* Nothing is asked of a mesh. */ -}}
  {{- $_ := set . "meshes" dict -}}
{{- end -}}
{{- if kindIs "slice" $settings.sidecars -}}
  {{- include "jobmesh._settings.strings" (list . "sidecars" $settings.sidecars) -}}
  {{- $names := list -}}
  {{- range uniq $settings.sidecars -}}
    {{- if kindIs "string" . -}}
      {{- $names = append $names . -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $settings "sidecars" $names -}}
{{- end -}}
{{- end -}}

{{/* Prints something if a version is not older than another one. Params: (list VERSION OTHER); a text that does not start with a number is older. */}}
{{- define "jobmesh._settings.atLeast" -}}
{{- $have := regexFind "[0-9]+\\.[0-9]+" (first .) | default "0.0" | splitList "." -}}
{{- $want := splitList "." (last .) -}}
{{- $major := sub (first $have | atoi) (first $want | atoi) -}}
{{- if or (gt $major 0) (and (eq $major 0) (ge (last $have | atoi) (last $want | atoi))) -}}
  yes
{{- end -}}
{{- end -}}

{{/* Checks that the mode can do something for the mesh. Params: $call with settings and meshes. */}}
{{- define "jobmesh._settings.mode" -}}
{{- $call := . -}}
{{- $settings := .settings -}}
{{- $mode := $settings.mode -}}
{{- if and (eq $mode "native") $settings.sidecars (has $settings.mesh (list "auto" "none")) -}}
  {{- /* Without a mesh, there still are sidecars to move. */ -}}
{{- else if and (has $mode (list "native" "hook")) (has $settings.mesh (list "auto" "none")) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "mode %s needs the name of a mesh, as in mesh: linkerd, got %q" $mode $settings.mesh)) -}}
{{- else if ne $settings.mesh "auto" -}}
  {{- range $mesh, $row := .meshes -}}
    {{- $version := $call.settings.meshVersion -}}
    {{- if not (or (get $row $mode) (and $version (eq $mode "native") (get $row "nativeDefault"))) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "mode %s has nothing to set on a pod for mesh %s" $mode $mesh)) -}}
    {{- else if and $version (eq $mode "native") (not (include "jobmesh._settings.atLeast" (list $version (get $row "nativeSince")))) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "mode native needs %s %s, which makes native sidecars, and meshVersion says %s" $mesh (get $row "nativeSince") $version)) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- if and (eq $mode "hook") (gt (len .meshes) 1) (ne $settings.mesh "auto") -}}
  {{- include "jobmesh._errors.add" (list $call (printf "mode hook is for one mesh, got %q" $settings.mesh)) -}}
{{- end -}}
{{- if eq $mode "hook" -}}
  {{- /* >>> hook keys: written by make generate from internal/wrapflags */ -}}
  {{- $keys := list "readyUrl" "stop" "readyTimeout" "onReadyTimeout" "stopWhen" -}}
  {{- /* <<< hook keys */ -}}
  {{- range $key, $value := $settings.wrapper -}}
    {{- if and $value (not (has $key $keys)) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "wrapper.%s is not for mode hook, which has no wrapper" $key)) -}}
    {{- end -}}
  {{- end -}}
  {{- with (default dict $settings.wrapper).readyTimeout -}}
    {{- if not (regexMatch "^(0|([0-9]+h)?([0-9]+m)?([0-9]+s)?)$" .) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "wrapper.readyTimeout must be whole seconds in mode hook, as in 1m30s, got %q" .)) -}}
    {{- end -}}
  {{- end -}}
  {{- range (default dict $settings.wrapper).stop -}}
    {{- if not (or (hasPrefix "POST " (toString .)) (hasPrefix "GET " (toString .))) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "wrapper.stop must be POST or GET in mode hook, got %q" (toString .))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Checks that a value, or each item of a list, has its form. "" and null count as not set. Params: (list $call NAME VALUE FORM). */}}
{{- define "jobmesh._settings.form" -}}
{{- $call := first . -}}
{{- $name := index . 1 -}}
{{- $value := index . 2 -}}
{{- $form := last . -}}
{{- if and $value $form -}}
  {{- range kindIs "slice" $value | ternary $value (list $value) -}}
    {{- $text := kindIs "string" . | ternary . (toJson .) -}}
    {{- if not (regexMatch (first $form) $text) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "%s must %s %s, got %s" $name (kindIs "slice" $value | ternary "hold" "be") (last $form) (include "jobmesh._errors.value" .))) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Checks that a list only has strings. Params: (list $call NAME LIST). */}}
{{- define "jobmesh._settings.strings" -}}
{{- $call := first . -}}
{{- $name := index . 1 -}}
{{- range last . -}}
  {{- if not (kindIs "string" .) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s must hold strings, got %s" $name (include "jobmesh._errors.value" .))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}
