{{/*
The variables of a policy that describe a pod, as a list. An expression of CEL cannot name a
value, a policy can. Params: dict of root, metadata and spec, the last two in CEL.

  inits     the init containers
  words     command and args of each container
  seen      strings that tell a helper: name, image, what is started, the line, variables
  proxies   names of the containers that are proxies of meshes
  helpers   names of those that are helpers and serve the others
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
    variables.annotations["jobmesh.dev/containers"].split(",").map(n, n.trim()).filter(n, n != "") : []
- name: proxies
  expression: >-
    variables.spec.containers.map(c, c.name).filter(n, n in {{ include "jobmesh-policy._tables.proxies" $root }} && !(n in variables.named))
{{- if kindIs "string" $root.Values.sidecars }}
- name: words
  expression: >-
    variables.spec.containers.map(c, (has(c.command) ? c.command : []) + (has(c.args) ? c.args : []))
- name: started
  expression: >-
    lists.range(size(variables.words)).map(i, string(!has(variables.spec.containers[i].command) || size(variables.spec.containers[i].command) == 0 ? "" :
    size(variables.spec.containers[i].command) > 1 && variables.spec.containers[i].command[0].matches("(^|/)(ba|a|da)?sh$") ?
    variables.words[i][size(variables.words[i]) - 1] : variables.words[i][0]))
- name: seen
  expression: >-
    lists.range(size(variables.words)).map(i, {
    "name": string(variables.spec.containers[i].name),
    "image": has(variables.spec.containers[i].image) ? string(variables.spec.containers[i].image).lowerAscii().split("@")[0] : "",
    "started": size(variables.started[i]) > 1000 ? variables.started[i].substring(0, 1000) : variables.started[i],
    "hidden": variables.started[i] == "" || variables.started[i].endsWith(".sh") ? "yes" : "",
    "line": " " + string(variables.words[i].join(" ") + " ").replace("=true ", " ").replace("=", " "),
    "once": !has(variables.spec.containers[i].env) ? "" : " " + variables.spec.containers[i].env.filter(e,
    e.name in {{ include "jobmesh-policy._tables.onceVariables" $root }} && has(e.value) &&
    e.value.lowerAscii() in ["1", "t", "true", "y", "yes", "on"]).map(e, e.name).join(" ") + " "})
- name: found
  expression: >-
    variables.seen.filter(s, s.name in {{ include "jobmesh-policy._tables.oneByName" $root }} ||
    {{ include "jobmesh-policy._tables.helper" $root | replace "\n" " " }}).map(s, s.name).filter(n, !(n in variables.named) && !(n in variables.proxies))
{{- else }}
- name: found
  expression: >-
    variables.spec.containers.map(c, c.name).filter(n, n in {{ toJson $root.Values.sidecars }} && !(n in variables.named) && !(n in variables.proxies))
{{- end }}
- name: helpers
  expression: 'size(variables.found) + size(variables.proxies) < size(variables.spec.containers) ? variables.found : []'
- name: moved
  expression: >-
    {{ if $root.Values.nativize -}}
    size(variables.proxies) == size(variables.spec.containers) ? [] : variables.proxies + variables.helpers
    {{- else -}}
    []
    {{- end }}
{{- end -}}
