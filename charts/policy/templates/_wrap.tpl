{{/*
The variables of a policy that say which containers of a pod are wrapped, and how, behind
those of jobmesh-policy.pod; wrap and tell share them. What is written into the pod is what
the library chart prints: jobmesh-policy.printed. Params: dict of root and argo, whether the
pod is one of an executor that ends the others, in CEL.

  work      names of the containers that are neither moved nor the proxy of a mesh
  names     names of the containers that are wrapped
  picked    where they stand
  lasting   some container runs as long as the pod, so that nobody stops the proxy
  stops     --stop-when of each, "" for none
  codes     --restart-codes of each
  images    the key of each one's image in known, "" where it has a command
  commands  what each one starts, and args, what an image gives it where it has none
  paths     folders that the wrapper needs in them, with a slash behind
  taken     names of volumes and init containers that it needs, and that are there
  skip      nothing is to be done and nothing to be said
  left      why the pod stays as it is, "" where it does not
*/}}
{{- define "jobmesh-policy.wrapped" -}}
{{- $root := .root -}}
{{- $printed := include "jobmesh-policy.printed" $root | fromJson -}}
{{- $ends := include "jobmesh-policy._tables.ends" $root -}}
{{- $outlives := include "jobmesh-policy.outlives" $root -}}
{{- $said := dig "wrapper" "stopWhen" "" (include "jobmesh-policy.settings" $root | fromJson) | default "" -}}
- name: argo
  expression: {{ .argo | quote }}
- name: work
  expression: 'variables.spec.containers.map(c, c.name).filter(n, !(n in variables.moved) && !(n in variables.proxies))'
- name: names
  expression: >-
    size(variables.named) > 0 ? (variables.named.all(n, n == "all") ? variables.work : variables.named) :
    variables.argo ? ("main" in variables.work ? ["main"] : variables.work.filter(n, n != "wait")) :
    size(variables.work) == 1 ? variables.work : []
- name: picked
  expression: 'lists.range(size(variables.spec.containers)).filter(i, variables.spec.containers[i].name in variables.names)'
- name: policy
  expression: 'has(variables.spec.restartPolicy) ? variables.spec.restartPolicy : "Always"'
- name: policies
  expression: 'variables.spec.containers.map(c, has(c.restartPolicy) ? c.restartPolicy : variables.policy)'
- name: lasting
  expression: >-
    variables.argo || lists.range(size(variables.policies)).exists(i, variables.spec.containers[i].name in variables.work && !(variables.policies[i] in {{ $ends }}))
- name: stops
  expression: >-
    {{ if $said -}}
    variables.picked.map(i, {{ toJson $said }})
    {{- else -}}
    variables.picked.map(i, variables.lasting ? "never" : variables.policies[i] == "Never" ? "" : variables.policies[i] == "OnFailure" ? "success" : "never")
    {{- end }}
- name: rules
  expression: >-
    lists.range(size(variables.picked)).map(n, variables.stops[n] != "never" && has(variables.spec.containers[variables.picked[n]].restartPolicyRules) ?
    variables.spec.containers[variables.picked[n]].restartPolicyRules.filter(r, has(r.exitCodes)) : [])
- name: ins
  expression: 'variables.rules.map(r, r.filter(rule, rule.exitCodes.operator == "In").map(rule, rule.exitCodes.values).flatten())'
- name: notIn
  expression: 'variables.rules.map(r, r.filter(rule, rule.exitCodes.operator == "NotIn").map(rule, rule.exitCodes.values))'
- name: listed
  expression: >-
    lists.range(size(variables.rules)).map(n, (size(variables.notIn[n]) == 0 ? variables.ins[n] :
    variables.notIn[n][0].filter(v, variables.notIn[n].all(l, v in l) && !(v in variables.ins[n]))).map(v, int(v)).distinct().sort())
- name: codes
  expression: >-
    variables.rules.all(r, size(r) == 0) ? variables.picked.map(i, "") :
    lists.range(size(variables.rules)).map(n, (size(variables.notIn[n]) == 0 ? "" : "!") + variables.listed[n].map(v, string(v)).join(","))
- name: known
  expression: {{ include "jobmesh-policy.images" $root | quote }}
- name: images
  expression: >-
    variables.picked.map(i, has(variables.spec.containers[i].command) && size(variables.spec.containers[i].command) > 0 ? "" :
    !has(variables.spec.containers[i].image) ? "?" :
    variables.spec.containers[i].image in variables.known ? variables.spec.containers[i].image :
    variables.spec.containers[i].image.contains("@") ? "@" + variables.spec.containers[i].image.split("@")[1] : "?")
- name: commands
  expression: >-
    lists.range(size(variables.picked)).map(n, variables.images[n] == "" ? variables.spec.containers[variables.picked[n]].command :
    variables.images[n] in variables.known ? variables.known[variables.images[n]].entrypoint : [])
- name: argued
  expression: 'variables.picked.map(i, has(variables.spec.containers[i].args) && size(variables.spec.containers[i].args) > 0)'
- name: args
  expression: >-
    lists.range(size(variables.picked)).map(n, !variables.argued[n] && variables.images[n] in variables.known ? variables.known[variables.images[n]].cmd : [])
- name: coordinated
  expression: >-
    {{ if $printed.several.state -}}
    size(variables.picked) > 1 && {{ empty $said | ternary "!variables.lasting" "true" }}
    {{- else -}}
    false
    {{- end }}
- name: skip
  expression: >-
    variables.spec.containers.exists(c, has(c.command) && size(c.command) > 0 && (c.command[0].endsWith("/jobmesh-wrap") || c.command[0] == "jobmesh-wrap" ||
    size(c.command) > 3 && c.command[0] == "/bin/sh" && c.command[3] == "jobmesh-hook")) ||
    has(variables.spec.hostNetwork) && variables.spec.hostNetwork ||
    has(variables.spec.os) && variables.spec.os.name == "windows" ||
    has(variables.spec.nodeSelector) && "kubernetes.io/os" in variables.spec.nodeSelector && variables.spec.nodeSelector["kubernetes.io/os"] == "windows" ||
    ({{ include "jobmesh-policy._tables.meshOut" $root | replace "\n" " " }})
- name: paths
  expression: 'variables.coordinated ? {{ $printed.several.paths | toJson }} : {{ $printed.one.paths | toJson }}'
- name: taken
  expression: >-
    (has(variables.spec.volumes) ? variables.spec.volumes.map(v, v.name) : []).filter(n, n in (variables.coordinated ? {{ $printed.several.names | toJson }} : {{ $printed.one.names | toJson }})) +
    {{ if $printed.one.init -}}
    variables.inits.map(c, c.name).filter(n, n == "jobmesh-install")
    {{- else -}}
    (variables.coordinated ? variables.inits.map(c, c.name).filter(n, n == "jobmesh-install") : [])
    {{- end }}
- name: left
  expression: >-
    variables.skip ? "" :
    size(variables.picked) == 0 && size(variables.named) == 0 ?
    "{{ $outlives }}: nothing says which of " + variables.work.join(", ") + " do the work; annotate the pod template with jobmesh.dev/containers: all, or with the names of those that do, such as " + (size(variables.work) > 0 ? variables.work[0] : "main") :
    variables.names.exists(n, !(n in variables.work)) ?
    "{{ $outlives }}: jobmesh.dev/containers names " + variables.names.filter(n, !(n in variables.work)).join(", ") + ", and the pod has " + variables.work.join(", ") :
    variables.policy in {{ $ends }} && variables.lasting && !variables.argo ?
    "JM114: it never ends: a container has restartPolicy Always; remove that, or move the container to initContainers" :
    lists.range(size(variables.codes)).exists(n, variables.codes[n] == "!" || variables.policies[variables.picked[n]] == "OnFailure" && size(variables.rules[n]) > 0 && (0 in variables.listed[n]) != variables.codes[n].startsWith("!")) ?
    "JM114: it never ends: restartPolicyRules start a container again after every exit code; remove them" :
    variables.images.exists(k, k != "" && !(k in variables.known)) ?
    "{{ $outlives }}: a container has no command, and what its image runs is not known; set command, or have whoever installed jobmesh-policy add the image to its value images" :
    lists.range(size(variables.picked)).exists(n, !variables.argued[n] && size(variables.commands[n]) + size(variables.args[n]) == 0) ?
    "{{ $outlives }}: a container has no command, and its image has neither ENTRYPOINT nor CMD; set command" :
    size(variables.taken) > 0 ?
    "{{ $outlives }}: " + variables.taken.join(", ") + " exists already, and jobmesh needs the name; rename it" :
    variables.picked.exists(i, has(variables.spec.containers[i].volumeMounts) && variables.spec.containers[i].volumeMounts.exists(m, variables.paths.exists(p,
    p.startsWith(m.mountPath.endsWith("/") ? m.mountPath : m.mountPath + "/") || (m.mountPath + "/").startsWith(p)))) ?
    "{{ $outlives }}: a container mounts a volume where jobmesh needs the folder; set jobmesh.mountPath of jobmesh-policy" : ""
{{- end -}}

{{/* The settings of the library chart, of which those in global win, as JSON. */}}
{{- define "jobmesh-policy.settings" -}}
{{- $global := get (.Values.global | default dict) "jobmesh" | default dict -}}
{{- mergeOverwrite (deepCopy .Values.jobmesh) $global | toJson -}}
{{- end -}}

{{/* What a pod risks whose command is not wrapped, with the rule of lint for it. */}}
{{- define "jobmesh-policy.outlives" -}}
JM101: the pod is not wrapped, so a mesh's proxy may outlive it{{ if include "jobmesh-policy.nativizes" . }} unless the proxy becomes a native sidecar{{ end }}
{{- end -}}

{{/*
What the library chart prints for a pod, as JSON, with and without several containers, from
which the policy writes its expressions.

  one, several  dicts of argv, volumes and mounts; names of the volumes, and paths, their folders
                with a slash behind; init, a list, is their init container, and state says
                whether several are coordinated
  annotations   those of the pod
*/}}
{{- define "jobmesh-policy.printed" -}}
{{- $rule := dict "action" "Restart" "exitCodes" (dict "operator" "In" "values" (list 77)) -}}
{{- $base := dict "enabled" true "mode" "wrap" "delivery" (include "jobmesh-policy.delivery" .) "sidecars" list "containers" list -}}
{{- $printed := dict -}}
{{- range $name, $containers := dict "one" list "several" (list "JOBMESH-A" "JOBMESH-B") -}}
  {{- $settings := merge (dict "containers" $containers) $base -}}
  {{- $ofCommand := merge (dict "restartPolicy" "OnFailure" "restartPolicyRules" (list $rule) "container" "JOBMESH-A") $settings -}}
  {{- $argv := include "jobmesh.command" (list $ (list "JOBMESH-COMMAND") $ofCommand) | fromJsonArray -}}
  {{- $volumes := include "jobmesh.volume" (list $ $settings) | fromYamlArray -}}
  {{- $mounts := include "jobmesh.volumeMount" (list $ $settings) | fromYamlArray -}}
  {{- $init := include "jobmesh.initContainer" (list $ $settings) | fromYamlArray -}}
  {{- $names := list -}}
  {{- $paths := list -}}
  {{- range $mounts -}}
    {{- $names = append $names .name -}}
    {{- $paths = append $paths (print .mountPath "/") -}}
  {{- end -}}
  {{- $_ := set $printed $name (dict "argv" $argv "volumes" $volumes "mounts" $mounts "names" $names "paths" $paths "init" $init "state" (regexMatch `"--state-dir=` (toJson $argv))) -}}
{{- end -}}
{{- $_ := set $printed "annotations" (include "jobmesh.podAnnotations" (list $ $base) | fromYaml) -}}
{{- toJson $printed -}}
{{- end -}}
