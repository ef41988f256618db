{{/*
Prints whole manifests: every pod template whose pods end is injected, in its pod spec and its
metadata. Every other document stays as it is, to the byte. No indentation has to change: two
lines around a template are enough, and one line for the output of another library chart.

The kinds in docs/kinds.md are injected, also in a List: Job, CronJob and others whose pods
end, a Pod that is a Helm hook or test, and the kinds that `kinds` names.

Usage:
{{- include "jobmesh.manifests" (list $ "shop.migration") }}
{{- define "shop.migration" }}
apiVersion: batch/v1
kind: Job
...
{{- end }}

Usage over another library chart:
{{- include "jobmesh.manifests" (list $ "bjw-s.common.loader.all") }}

Params:
  CONTEXT   Dict    Required. The root context, or a dict that has it under "root"
  NAME      String  Required. Name of the define that prints the manifests
  SETTINGS  Dict    Optional. Values that override the chart's for this call

Prints: the documents, in their order.

Errors: those of jobmesh.podSpec, each with the kind and name of its object in front;
a document that is not a YAML mapping; a string that Helm's toYaml would lose; a Job
without a pod template; in the modes native and optOut, an annotation or label that
contradicts the mode.
*/}}
{{- define "jobmesh.manifests" -}}
{{- $call := dict "template" "jobmesh.manifests" "want" "a list" -}}
{{- include "jobmesh._call.define" (list $call .) -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._call.text" $call -}}
{{- if and $call.enabled (hasKey $call "text") -}}
  {{- include "jobmesh._manifests.kinds" $call -}}
  {{- /* Parsing takes most of the time, and only a document with one of these words can have a kind to inject. */ -}}
  {{- $words := concat (include "jobmesh._kinds.words" $call | splitList "|") (default list $call.settings.kinds) -}}
  {{- $separator := "(?m)^---(?:$|[ \t\r])" -}}
  {{- $separators := regexFindAll $separator $call.text -1 -}}
  {{- $number := 0 -}}
  {{- range $i, $document := regexSplit $separator $call.text -1 -}}
    {{- if $i -}}
      {{- index $separators (sub $i 1) -}}
    {{- end -}}
    {{- $number = add $number (ternary 1 0 (trim $document | ne "")) -}}
    {{- $interesting := false -}}
    {{- range $words -}}
      {{- $interesting = or $interesting (contains (toString .) $document) -}}
    {{- end -}}
    {{- if $interesting -}}
      {{- include "jobmesh._manifests.document" (list $call $document (printf "document %d" $number)) -}}
    {{- else -}}
      {{- $document -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- $call.text -}}
{{- end -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- end -}}

{{/*
Injects objects that are given, and printed, as JSON. `jobmesh inject` uses it, because it reads
and writes YAML itself: JSON takes a tenth of the time, and loses no string.

Params: (list ROOT OBJECTS), where OBJECTS is a list of strings. For each of them it prints the
JSON of a dict on one line: "object" is the injected object, and "mistakes" are its mistakes.
*/}}
{{- define "jobmesh._manifests.json" -}}
{{- $call := dict "template" "jobmesh.manifests" "root" (first .) -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- include "jobmesh._manifests.kinds" $call -}}
{{- range last . -}}
  {{- $object := fromJson . -}}
  {{- include "jobmesh._manifests.object" (list $call $object "it") -}}
  {{- dict "object" $object "mistakes" (default list $call.errors | uniq) | toJson }}
  {{- $_ := unset $call "errors" }}
{{ end -}}
{{- end -}}

{{/* Stores the kinds to inject, with their rows, as $call.kept.kinds. */}}
{{- define "jobmesh._manifests.kinds" -}}
{{- $call := . -}}
{{- if not (hasKey .kept "kinds") -}}
  {{- $kinds := dict -}}
  {{- range $kind, $templates := include "jobmesh._kinds" . | fromJson -}}
    {{- if or (ne (first $templates).inject "named") (has (base $kind) $call.settings.kinds) -}}
      {{- $_ := set $kinds $kind $templates -}}
    {{- end -}}
  {{- end -}}
  {{- $_ := set .kept "kinds" $kinds -}}
{{- end -}}
{{- end -}}

{{/* Prints one document, injected or unchanged. Params: (list $call TEXT PLACE). */}}
{{- define "jobmesh._manifests.document" -}}
{{- $call := first . -}}
{{- $text := index . 1 -}}
{{- $place := last . -}}
{{- $object := fromYaml $text -}}
{{- $_ := set $call "changed" false -}}
{{- if hasKey $object "Error" -}}
  {{- include "jobmesh._errors.add" (list $call (printf "%s is not a YAML mapping: %s" $place $object.Error)) -}}
  {{- /* `helm lint` goes on after a mistake, and would report YAML that nobody wrote. */ -}}
  {{- $text = "" -}}
{{- else -}}
  {{- include "jobmesh._manifests.object" (list $call $object $place) -}}
{{- end -}}
{{- if $call.changed -}}
  {{- $_ := set $call "object" (include "jobmesh._manifests.name" $object) -}}
  {{- $printed := include "jobmesh._print" (list $call $object "") -}}
  {{- $_ := unset $call "object" -}}
  {{- if not $call.errors -}}
    {{- $text = printf "\n%s\n" $printed -}}
  {{- end -}}
{{- end -}}
{{- $text -}}
{{- end -}}

{{/* Injects one object in place; $call.changed says whether it was changed. Params: (list $call OBJECT PLACE). */}}
{{- define "jobmesh._manifests.object" -}}
{{- $call := first . -}}
{{- $object := index . 1 -}}
{{- $place := last . -}}
{{- $kind := printf "%s/%v" (toString $object.apiVersion | dir) $object.kind -}}
{{- $metadata := ternary $object.metadata dict (kindIs "map" $object.metadata) -}}
{{- $annotations := ternary $metadata.annotations dict (kindIs "map" $metadata.annotations) -}}
{{- if and (eq $kind "./List") (kindIs "slice" $object.items) -}}
  {{- range $i, $item := $object.items -}}
    {{- if kindIs "map" $item -}}
      {{- include "jobmesh._manifests.object" (list $call $item (printf "items[%d] of %s" $i $place)) -}}
    {{- end -}}
  {{- end -}}
{{- else if hasKey $call.kept.kinds $kind -}}
  {{- $name := include "jobmesh._manifests.name" $object -}}
  {{- range get $call.kept.kinds $kind -}}
    {{- /* A Pod that is not a hook is a long-running one; Helm tests are hooks. */ -}}
    {{- if or (ne .inject "hook") (hasKey $annotations "helm.sh/hook") -}}
      {{- include "jobmesh._manifests.templates" (list $call . $object $name $place) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/* Prints the kind and name of an object, as they stand in front of a message. */}}
{{- define "jobmesh._manifests.name" -}}
{{- $metadata := ternary .metadata dict (kindIs "map" .metadata) -}}
{{- printf "%s %q" .kind (default $metadata.generateName $metadata.name | default "" | toString) -}}
{{- end -}}

{{/*
Injects, in place, the pod templates of an object to which one row of its kind leads.
Params: (list $call ROW OBJECT NAME PLACE).
*/}}
{{- define "jobmesh._manifests.templates" -}}
{{- $call := first . -}}
{{- $row := index . 1 -}}
{{- $object := index . 2 -}}
{{- $found := dict "templates" list -}}
{{- include "jobmesh._manifests.find" (list $found $row.path $object (index . 3)) -}}
{{- $whole := $found.templates -}}
{{- $_ := set $call "fills" $row.fills -}}
{{- range $found.templates -}}
  {{- $_ := set $call "object" .name -}}
  {{- if eq $row.form "argo" -}}
    {{- include "jobmesh._manifests.argo" (list $call $row $object .template) -}}
  {{- else if kindIs "map" .template.spec -}}
    {{- include "jobmesh._manifests.restart" (list $call $row $object .) -}}
    {{- include "jobmesh._manifests.inject" (list $call .template .template.spec) -}}
    {{- $_ := unset $call "restartPolicy" -}}
  {{- else -}}
    {{- $whole = list -}}
  {{- end -}}
  {{- $_ := unset $call "object" -}}
{{- end -}}
{{- $_ := unset $call "fills" -}}
{{- if not (or $whole $row.optional) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "%s is a %s without %s" (last .) $object.kind (append $row.path "spec" | join "." | replace ".[]" "[]"))) -}}
{{- end -}}
{{- end -}}

{{/*
Stores the restartPolicy of a template's pods as $call.restartPolicy: the author's, in the pod
spec or beside the template, or else the default of the kind. Kubeflow also has ExitCode, for
which its operator creates pods with Never.
Params: (list $call ROW OBJECT FOUND), FOUND as of _manifests.find.
*/}}
{{- define "jobmesh._manifests.restart" -}}
{{- $call := first . -}}
{{- $row := index . 1 -}}
{{- $version := get (index . 2) "apiVersion" | toString | base -}}
{{- $found := last . -}}
{{- $said := $found.template.spec.restartPolicy -}}
{{- if $row.owner -}}
  {{- $said = get $found.parent $row.owner -}}
{{- end -}}
{{- $default := get (default dict $row.restartIn) $version | default $row.restart -}}
{{- $_ := set $call "restartPolicy" (default $default $said | default "" | toString | replace "ExitCode" "Never") -}}
{{- end -}}

{{/*
Collects the values at the end of a path in FOUND.templates, as dicts of template, name,
and parent, the innermost map around it. The name contains the name of each list item on the
way, or its index where it has no name, and the key of each map value. Params: (list FOUND PATH NODE NAME).
*/}}
{{- define "jobmesh._manifests.find" -}}
{{- $found := first . -}}
{{- $path := index . 1 -}}
{{- $node := index . 2 -}}
{{- $name := last . -}}
{{- if not $path -}}
  {{- if kindIs "map" $node -}}
    {{- $_ := set $found "templates" (append $found.templates (dict "template" $node "name" $name "parent" $found.parent)) -}}
  {{- end -}}
{{- else if eq (first $path) "[]" -}}
  {{- range $key, $item := ternary $node list (or (kindIs "slice" $node) (kindIs "map" $node)) -}}
    {{- if kindIs "map" $item -}}
      {{- include "jobmesh._manifests.find" (list $found (rest $path) $item (printf "%s, %v" $name (ternary $key $item.name (kindIs "string" $key)))) -}}
    {{- else if kindIs "slice" $item -}}
      {{- include "jobmesh._manifests.find" (list $found (rest $path) $item $name) -}}
    {{- end -}}
  {{- end -}}
{{- else if kindIs "map" $node -}}
  {{- $_ := set $found "parent" $node -}}
  {{- include "jobmesh._manifests.find" (list $found (rest $path) (get $node (first $path)) $name) -}}
{{- end -}}
{{- end -}}

{{/* Injects a pod template in place. Params: (list $call TEMPLATE SPEC). */}}
{{- define "jobmesh._manifests.inject" -}}
{{- $call := first . -}}
{{- if or $call.wraps $call.moves -}}
  {{- $_ := set $call "target" (last .) -}}
  {{- include "jobmesh._inject" $call -}}
{{- end -}}
{{- include "jobmesh._podMetadata.add" (dict "call" $call "template" (index . 1)) -}}
{{- $_ := set $call "changed" true -}}
{{- end -}}

{{/*
Injects a template of Argo in place, unless Argo makes no pod from it. It ignores
`containers`: all containers that do the work are wrapped. Argo restarts no container. Its
executor ends the proxy when the work has ended and its own container has reported that,
through the proxy. So the wrapper only waits for the proxy, unless the proxy redirects no
traffic. Of a template whose work the executor does itself, only the metadata change.
Params: (list $call ROW OBJECT TEMPLATE).
*/}}
{{- define "jobmesh._manifests.argo" -}}
{{- $call := first . -}}
{{- $row := index . 1 -}}
{{- $template := last . -}}
{{- $workflow := index . 2 -}}
{{- $above := true -}}
{{- range $row.path -}}
  {{- $above = and $above (ne . "templates") -}}
  {{- if $above -}}
    {{- $workflow = get $workflow . -}}
  {{- end -}}
{{- end -}}
{{- $containers := list -}}
{{- $unnamed := dict -}}
{{- if kindIs "map" $template.container -}}
  {{- $unnamed = $template.container -}}
{{- else if kindIs "map" $template.script -}}
  {{- $unnamed = $template.script -}}
{{- else if kindIs "map" $template.containerSet -}}
  {{- $containers = $template.containerSet.containers -}}
{{- end -}}
{{- $named := hasKey $unnamed "name" -}}
{{- /* Argo passes the source of a script as an argument, so the image's CMD is not used. */ -}}
{{- $argued := or (not (kindIs "map" $template.script)) $unnamed.command $unnamed.args -}}
{{- if $unnamed -}}
  {{- $containers = list $unnamed -}}
  {{- if not $named -}}
    {{- /* This is the name that Argo gives it in the pod. */ -}}
    {{- $_ := set $unnamed "name" "main" -}}
  {{- end -}}
  {{- if not $argued -}}
    {{- $_ := set $unnamed "args" (list "source") -}}
  {{- end -}}
{{- end -}}
{{- if $containers -}}
  {{- $spec := dict "restartPolicy" "Never" "containers" $containers "securityContext" (default $workflow.securityContext $template.securityContext) -}}
  {{- $fields := dict "initContainers" $template "volumes" $template "imagePullSecrets" $workflow -}}
  {{- range $field, $from := $fields -}}
    {{- if hasKey $from $field -}}
      {{- $_ := set $spec $field (get $from $field) -}}
    {{- end -}}
  {{- end -}}
  {{- $redirects := false -}}
  {{- range $call.meshes -}}
    {{- $redirects = or $redirects .redirects -}}
  {{- end -}}
  {{- $_ := set $call "only" true -}}
  {{- $_ := set $call "executor" $redirects -}}
  {{- if $call.wraps -}}
    {{- $_ := set $call "target" $spec -}}
    {{- include "jobmesh._inject" $call -}}
  {{- end -}}
  {{- $_ := unset $call "only" -}}
  {{- $_ := unset $call "executor" -}}
  {{- range $field, $into := $fields -}}
    {{- if hasKey $spec $field -}}
      {{- $_ := set $into $field (get $spec $field) -}}
    {{- end -}}
  {{- end -}}
  {{- if and $unnamed (not $named) -}}
    {{- $_ := unset $unnamed "name" -}}
  {{- end -}}
  {{- if not $argued -}}
    {{- $_ := unset $unnamed "args" -}}
  {{- end -}}
{{- end -}}
{{- if or $containers (kindIs "map" $template.data) (kindIs "map" $template.resource) -}}
  {{- include "jobmesh._manifests.argo.metadata" (list $call $row $workflow $template) -}}
{{- end -}}
{{- end -}}

{{/*
Adds to the metadata of an Argo template the annotations and labels for the mesh, and how the
executor ends a proxy without a shell. The metadata that the workflow has for all its templates
count as if they stood here. Params: (list $call ROW WORKFLOW TEMPLATE).
*/}}
{{- define "jobmesh._manifests.argo.metadata" -}}
{{- $call := first . -}}
{{- $row := index . 1 -}}
{{- $workflow := index . 2 -}}
{{- $template := last . -}}
{{- $inherited := list $workflow.podMetadata -}}
{{- if kindIs "map" $workflow.templateDefaults -}}
  {{- $inherited = append $inherited $workflow.templateDefaults.metadata -}}
{{- end -}}
{{- $kill := dict -}}
{{- if $call.wraps -}}
  {{- range $call.meshes -}}
    {{- if .killCommand -}}
      {{- $_ := set $kill (print $row.killCommand .container) .killCommand -}}
    {{- end -}}
  {{- end -}}
{{- else -}}
  {{- /* The mode has to apply, whatever the workflow says; a template's metadata win over those of the workflow. */ -}}
  {{- $inherited = list -}}
{{- end -}}
{{- include "jobmesh._podMetadata.add" (dict "call" $call "template" $template "inherited" $inherited "annotations" $kill) -}}
{{- $_ := set $call "changed" true -}}
{{- end -}}
