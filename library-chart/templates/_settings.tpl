{{/*
The settings of a call: the values of the library in this chart, then
global.jobmesh, then the settings given with the call; the last one wins. image,
wrapper and annotations are merged key by key, everything else is replaced, and
null removes. Stored as $call.settings, with $call.enabled and $call.meshes (the
rows of the table that apply).

The schema has checked the values, but neither global nor what a call gives, and
nothing where it is skipped; so kinds are checked here for all of them. Unknown
keys are refused in global and in calls only: two charts of a release may bring
two versions of this library, Helm then uses the templates of one for both, and
older templates must work with newer values.
*/}}
{{- define "jobmesh._settings" -}}
{{- $call := . -}}
{{- with .root -}}
  {{- $sources := list -}}
  {{- /* An alias hides the name of the dependency, but not its annotations. */ -}}
  {{- $keys := list -}}
  {{- range $key, $chart := default dict .Subcharts -}}
    {{- if index $chart.Chart.Annotations "jobmesh/library" -}}
      {{- $keys = append $keys $key -}}
      {{- $sources = append $sources (dict "from" $chart.Values) -}}
    {{- end -}}
  {{- end -}}
  {{- if gt (len $keys) 1 -}}
    {{- include "jobmesh._errors.add" (list $call (printf "more than one dependency of this chart is jobmesh (%s)" (join ", " $keys))) -}}
  {{- else if not $keys -}}
    {{- /* Another chart of the release brought these templates, so Helm has merged no defaults here. */ -}}
    {{- $sources = list (dict "from" (include "jobmesh._settings.defaults" . | fromYaml)) (dict "from" .Values.jobmesh "name" "values of jobmesh") -}}
  {{- end -}}
  {{- if kindIs "map" .Values.global -}}
    {{- with .Values.global.imageRegistry -}}
      {{- $sources = append $sources (dict "from" (dict "image" (dict "registry" .)) "prefix" "global.imageRegistry: ") -}}
    {{- end -}}
    {{- $sources = append $sources (dict "from" .Values.global.jobmesh "name" "global.jobmesh" "prefix" "global.jobmesh." "strict" true) -}}
  {{- end -}}
  {{- $sources = append $sources (dict "from" $call.options "strict" true) -}}
  {{- $settings := dict -}}
  {{- $kinds := include "jobmesh._settings.kinds" . | fromJson -}}
  {{- range $sources -}}
    {{- if kindIs "map" .from -}}
      {{- include "jobmesh._settings.merge" (list (set . "kinds" $kinds) $call $settings .from "") -}}
    {{- else if not (kindIs "invalid" .from) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "%s must be a map, got %s" .name (include "jobmesh._errors.kind" .from))) -}}
    {{- end -}}
  {{- end -}}
  {{- /* Values of an older version of this chart, or a null, may lack what no pod can do without. */ -}}
  {{- range list "mesh" "delivery" "mountPath" "image" -}}
    {{- if not (get $settings .) -}}
      {{- $_ := set $settings . (get (include "jobmesh._settings.defaults" $call | fromYaml) .) -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set $settings "mountPath" (clean $settings.mountPath) -}}
  {{- /* A missing key is not a false: values of another version may not have it. */ -}}
  {{- $_ := set $call "enabled" (ne (toString $settings.enabled) "false") -}}
  {{- $_ := set $call "settings" $settings -}}
  {{- include "jobmesh._settings.check" $call -}}
{{- end -}}
{{- end -}}

{{/*
Merges one map into a dict of our own. Nothing of the wrong kind gets in.
Params: (list SOURCE $call INTO FROM PATH), where SOURCE is a dict of kinds, strict
and prefix (for messages), and PATH is what the keys are below. The first branch
is what nearly every key takes; a function call in a template costs most of a
microsecond, and this runs for every Job.
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
  {{- if eq $kind $want -}}
    {{- $_ := set $into $key $value -}}
  {{- else if eq $kind "invalid" -}}
    {{- $_ := unset $into $key -}}
  {{- else if and (eq $kind "map") (eq $want "merged map") -}}
    {{- if not (get $into $key) -}}
      {{- $_ := set $into $key dict -}}
    {{- end -}}
    {{- if $value -}}
      {{- include "jobmesh._settings.merge" (list $source $call (get $into $key) $value (print $name ".")) -}}
    {{- end -}}
  {{- else if and (contains "|" $want) (has $value (splitList "|" $want)) -}}
    {{- $_ := set $into $key $value -}}
  {{- else if $want -}}
    {{- $words := dict "bool" "a boolean" "string" "a string" "slice" "a list" "map" "a map" "merged map" "a map" -}}
    {{- $want = or (get $words $want) (trimAll "|" $want | replace "|" " or ") -}}
    {{- include "jobmesh._errors.add" (list $call (printf "%s must be %s, got %s" (print $prefix $name) $want (include "jobmesh._errors.value" $value))) -}}
  {{- else if $source.strict -}}
    {{- include "jobmesh._errors.add" (list $call (printf "unknown setting %q" (print $prefix $name))) -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
What each setting is: a kind, in the words of kindOf; a "merged map", which is
merged key by key, and "*" any key of it; or one of the words between bars, or "".
values.schema.json says the same, and a test holds them together.
*/}}
{{- define "jobmesh._settings.kinds" -}}
{
  "enabled": "bool",
  "mode": "|wrap|",
  "mesh": "string",
  "delivery": "|initContainer|imageVolume|",
  "containers": "slice",
  "wrapper": "merged map",
  "wrapper.readyUrl": "string",
  "wrapper.stop": "slice",
  "wrapper.readyTimeout": "string",
  "wrapper.onReadyTimeout": "|fail|run|",
  "wrapper.stopWhen": "|always|success|never|",
  "wrapper.stopTimeout": "string",
  "wrapper.logFormat": "|text|json|",
  "wrapper.quiet": "bool",
  "image": "merged map",
  "image.registry": "string",
  "image.repository": "string",
  "image.tag": "string",
  "image.digest": "string",
  "image.pullPolicy": "|Always|IfNotPresent|Never|",
  "image.pullSecrets": "slice",
  "mountPath": "string",
  "resources": "map",
  "securityContext": "map",
  "emptyDir": "map",
  "annotations": "merged map",
  "annotations.*": "string"
}
{{- end -}}

{{/*
What kinds do not say: what lists hold, and what may not be empty. Stores
$call.meshes.
*/}}
{{- define "jobmesh._settings.check" -}}
{{- $call := . -}}
{{- $settings := .settings -}}
{{- $meshes := include "jobmesh._meshes" . | fromJson -}}
{{- $selected := eq $settings.mesh "auto" | ternary $meshes (pick $meshes $settings.mesh) -}}
{{- $_ := set $call "meshes" $selected -}}
{{- if not (or $selected (eq $settings.mesh "none")) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "mesh must be auto or none or %s, got %q" (keys $meshes | sortAlpha | join " or ") $settings.mesh)) -}}
{{- end -}}
{{- range $name, $strings := dict "containers" $settings.containers "wrapper.stop" (default dict $settings.wrapper).stop -}}
  {{- range $strings -}}
    {{- if not (kindIs "string" .) -}}
      {{- include "jobmesh._errors.add" (list $call (printf "%s must hold strings, got %s" $name (include "jobmesh._errors.value" .))) -}}
      {{- $_ := unset $settings $name -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $settings.image.pullSecrets -}}
  {{- if not (or (kindIs "string" .) (kindIs "map" .)) -}}
    {{- include "jobmesh._errors.add" (list $call (printf "image.pullSecrets must hold names or {name: ...}, got %s" (include "jobmesh._errors.value" .))) -}}
  {{- end -}}
{{- end -}}
{{- if $settings.containers -}}
  {{- if gt (len $settings.containers) 1 -}}
    {{- include "jobmesh._errors.add" (list $call (printf "containers names %d containers (%s); one container of a pod can be wrapped" (len $settings.containers) (join ", " $settings.containers))) -}}
  {{- end -}}
{{- end -}}
{{- if not (regexMatch "^/[^/]" $settings.mountPath) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "mountPath must be an absolute path other than /, got %q" $settings.mountPath)) -}}
{{- end -}}
{{- if not $settings.image.repository -}}
  {{- include "jobmesh._errors.add" (list $call "image.repository is empty") -}}
{{- end -}}
{{- end -}}

{{/*
values.yaml once more, for a chart that uses these templates without having the
dependency itself. A test holds the two together.
*/}}
{{- define "jobmesh._settings.defaults" -}}
enabled: true
mode: wrap
mesh: auto
delivery: initContainer
containers: []
wrapper: {}
image:
  registry: ghcr.io
  repository: jobmesh/jobmesh-wrap
  tag: ""
  digest: ""
  pullPolicy: ""
  pullSecrets: []
mountPath: /jobmesh
resources:
  requests:
    cpu: 10m
    memory: 16Mi
  limits:
    cpu: 500m
    memory: 64Mi
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop:
      - ALL
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
emptyDir:
  sizeLimit: 16Mi
annotations: {}
{{- end -}}
