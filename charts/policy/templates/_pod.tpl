{{/*
The variables of a policy that describe a pod, as a list. An expression of CEL cannot name a
value, a policy can. Params: dict of root, metadata and spec, the last two in CEL.

  inits     the init containers
  asked     the containers that may be helpers: none where all others are proxies, since a helper
            serves somebody; nothing below is looked at of the rest
  suspects  where those stand among them that name a helper somewhere
  words     command and args of each one asked; shells, which of them start a shell, and scripts,
            where the words are among the first ones that may be its script or file
  started   what each one asked starts, and begins, the first 1000 characters of that, and
            behind them, if there are more, a sign that makes nothing of them a helper: the
            rest may do the work
  seen      strings that tell a helper, of each suspect: name, image, what is started, the
            line, variables
  proxies   names of the containers that are proxies of meshes
  helpers   names of those that are helpers and serve the others, where nativize is there
  moved     both, where nativize moves them, or has done so
*/}}
{{- define "jobmesh-policy.pod" -}}
{{- $root := .root -}}
- name: metadata
  expression: {{ .metadata | quote }}
- name: spec
  expression: {{ .spec | quote }}
- name: labels
  expression: 'has(variables.metadata.labels) ? variables.metadata.labels : {}'
- name: annotations
  expression: 'has(variables.metadata.annotations) ? variables.metadata.annotations : {}'
- name: inits
  expression: 'has(variables.spec.initContainers) ? variables.spec.initContainers : []'
- name: named
  expression: >-
    "jobmesh.dev/containers" in variables.annotations ?
    {{ include "jobmesh-policy.listed" "jobmesh.dev/containers" }}.map(n, n.trim()).filter(n, n != "") : []
- name: proxies
  expression: >-
    variables.spec.containers.map(c, c.name).filter(n, n in {{ include "jobmesh-policy._tables.proxies" $root }} && !(n in variables.named))
{{- if not (include "jobmesh-policy.nativizes" $root) }}
- name: moved
  expression: '[]'
{{- else }}
- name: asked
  expression: >-
    size(variables.spec.containers) - size(variables.proxies) < 2 ? [] :
    variables.spec.containers.filter(c, !(c.name in variables.named) && !(c.name in variables.proxies))
{{- if kindIs "string" $root.Values.sidecars }}
- name: words
  expression: >-
    variables.asked.map(c, (has(c.command) ? c.command : []) + (has(c.args) ? c.args : []))
- name: shells
  expression: >-
    lists.range(size(variables.words)).filter(i, has(variables.asked[i].command) && size(variables.asked[i].command) > 0 &&
    size(variables.words[i]) > 1 && variables.words[i][0].matches({{ include "jobmesh-policy._tables.shell" $root }}))
- name: scripts
  expression: >-
    lists.range(size(variables.words)).map(i, !(i in variables.shells) ? [] :
    lists.range([size(variables.words[i]), 8].min()).filter(k, k > 0 && !variables.words[i][k].startsWith("-") && !variables.words[i][k].startsWith("+") &&
    !(size(variables.words[i][k - 1]) < 9 && variables.words[i][k - 1].matches("^[-+][a-z]{0,6}o$"))))
- name: started
  expression: >-
    lists.range(size(variables.words)).map(i, string(!has(variables.asked[i].command) || size(variables.asked[i].command) == 0 ? "" :
    size(variables.scripts[i]) > 0 ? variables.words[i][variables.scripts[i][0]] : variables.words[i][0]))
- name: begins
  expression: 'variables.started.map(s, size(s) > 1000 ? s.substring(0, 1000) + " &" : s)'
- name: suspects
  expression: >-
    lists.range(size(variables.words)).filter(i, variables.asked[i].name in {{ include "jobmesh-policy._tables.oneByName" $root }} ||
    has(variables.asked[i].image) && variables.asked[i].image.lowerAscii().matches({{ include "jobmesh-policy._tables.suspect" $root }}) ||
    variables.begins[i].matches({{ include "jobmesh-policy._tables.suspect" $root }}))
- name: seen
  expression: >-
    variables.suspects.map(i, {
    "name": string(variables.asked[i].name),
    "image": has(variables.asked[i].image) ? string(variables.asked[i].image).lowerAscii().split("@")[0] : "",
    "started": variables.begins[i],
    "hidden": variables.started[i] == "" || variables.started[i].endsWith(".sh") ? "yes" : "",
    "line": " " + string((size(variables.scripts[i]) > 0 ? variables.started[i].split("& wait", 2)[0] : variables.words[i].join(" ")) + " ").replace("\n", " ").replace("=true ", " ").replace("=false ", ":false ").replace("=", " "),
    "once": !has(variables.asked[i].env) ? "" : " " + variables.asked[i].env.filter(e,
    e.name in {{ include "jobmesh-policy._tables.onceVariables" $root }} && has(e.value) &&
    e.value.lowerAscii() in ["1", "t", "true", "y", "yes", "on"]).map(e, e.name).join(" ") + " "})
- name: found
  expression: >-
    variables.seen.filter(s, s.name in {{ include "jobmesh-policy._tables.oneByName" $root }} ||
    {{ include "jobmesh-policy._tables.helper" $root | replace "\n" " " }}).map(s, s.name)
{{- else }}
- name: found
  expression: >-
    variables.asked.map(c, c.name).filter(n, n in {{ toJson $root.Values.sidecars }})
{{- end }}
- name: helpers
  expression: 'size(variables.asked) > 0 && size(variables.found) + size(variables.proxies) < size(variables.spec.containers) ? variables.found : []'
- name: moved
  expression: >-
    size(variables.proxies) == size(variables.spec.containers) ? [] : variables.proxies + variables.helpers
{{- end }}
{{- end -}}

{{/*
What an annotation lists, in its first 2000 characters: the API server takes far more time for
long lists than it counts, and drops warnings of more than 5 KB. A line may have one name.
*/}}
{{- define "jobmesh-policy.listed" -}}
{{- $said := printf "variables.annotations[%s]" (toJson .) -}}
(size({{ $said }}) > 2000 ? {{ $said }}.substring(0, 2000) : {{ $said }}).replace("\n", ",").split(",")
{{- end -}}
