{{/*
Prints the injected pod spec of a Job, a CronJob or any other pod that ends: the command
is wrapped, and the wrapper is brought into the pod.

Usage, with the pod spec in a define (not inside if or range):
    spec: {{- include "jobmesh.podSpec" (list $ "shop.migrate") | nindent 6 }}
{{- define "shop.migrate" }}
restartPolicy: Never
containers:
  - name: migrate
    image: {{ .Values.image }}
    command: ["/app", "migrate"]
{{- end }}

Usage in a range, with the values that the define needs, and the root context under "root":
    spec: {{- include "jobmesh.podSpec" (list (dict "root" $ "job" $job) "shop.job") | nindent 6 }}

Usage with the pod spec as a value, and settings for this call:
    spec: {{- include "jobmesh.podSpec" (dict "root" $ "spec" .Values.podSpec "mesh" "linkerd") | nindent 6 }}

Params:
  CONTEXT   Dict            Required. The root context, or a dict that has it under "root"
  NAME      String          Required. Name of the define that prints the pod spec
  SETTINGS  Dict            Optional. Values that override the chart's for this call
  spec      String or Dict  Required in the dict form. The pod spec; every other key but "root" is a setting

Prints:
  containers:
  - command: [/jobmesh/jobmesh-wrap, --, /app, migrate]
    ...
  initContainers:
  - name: jobmesh-install
    ...
  volumes:
  - emptyDir: {sizeLimit: 16Mi}
    name: jobmesh
  - downwardAPI: {items: [{path: annotations, fieldRef: {fieldPath: metadata.annotations}}]}
    name: jobmesh-pod

Where jobmesh is disabled, and in the modes native and optOut without sidecars to move, the pod
spec is printed as it was written; jobmesh.podAnnotations and jobmesh.podLabels do the rest.

Errors: all mistakes of a call in one message that names the define, the container and the
fix: wrong arguments; unknown settings; a value that is not a pod spec; several containers
of which none is named; a command that is missing, also in `entrypoints` and
jobmesh.lock.yaml, or is not a list of strings; names and paths that are taken; a string
that Helm's toYaml would lose; Windows.
*/}}
{{- define "jobmesh.podSpec" -}}
{{- $call := dict "template" "jobmesh.podSpec" "want" "a list or a dict" -}}
{{- if and (kindIs "map" .) (not (include "jobmesh._call.isRoot" .)) -}}
  {{- include "jobmesh._call.spec" (list $call .) -}}
{{- else -}}
  {{- include "jobmesh._call.define" (list $call .) -}}
{{- end -}}
{{- include "jobmesh._settings" $call -}}
{{- include "jobmesh._call.text" $call -}}
{{- include "jobmesh._podSpec.inject" $call -}}
{{- $text := "" -}}
{{- if hasKey $call "injected" -}}
  {{- $text = include "jobmesh._print" (list $call $call.injected "") -}}
{{- end -}}
{{- if and $text (not $call.errors) -}}
  {{- /* The injected spec is printed. */ -}}
{{- else if hasKey $call "text" -}}
  {{- $text = trimAll "\r\n" $call.text -}}
{{- else if hasKey $call "spec" -}}
  {{- $text = include "jobmesh._print" (list $call $call.spec "") -}}
{{- end -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- $text -}}
{{- end -}}

{{/*
Stores the injected pod spec as $call.injected, unless the mode adds nothing to it, or jobmesh
is disabled. Text that is not a pod spec is dropped: `helm lint` goes on after a mistake, and
would report YAML that nobody wrote.
*/}}
{{- define "jobmesh._podSpec.inject" -}}
{{- $call := . -}}
{{- $specs := list -}}
{{- if not (or .wraps .moves) -}}
  {{- /* The spec is printed as it was written, without parsing it. */ -}}
{{- else if hasKey . "spec" -}}
  {{- /* The spec is copied, because it is often a part of .Values, which later templates read. */ -}}
  {{- $specs = list (toJson .spec | fromJson) -}}
{{- else if hasKey . "text" -}}
  {{- $documents := list .text -}}
  {{- if contains "---" .text -}}
    {{- $documents = regexSplit "(?m)^---(?:$|[ \t\r])" .text -1 -}}
  {{- end -}}
  {{- range $documents -}}
    {{- with fromYaml . -}}
      {{- $specs = append $specs . -}}
    {{- end -}}
  {{- end -}}
  {{- $specs = default (list dict) $specs -}}
{{- end -}}
{{- if gt (len $specs) 1 -}}
  {{- $_ := unset $call "text" -}}
  {{- include "jobmesh._errors.add" (list $call "the define prints more than one YAML document") -}}
{{- else -}}
  {{- range $specs -}}
    {{- if hasKey . "Error" -}}
      {{- $_ := unset $call "text" -}}
      {{- include "jobmesh._errors.add" (list $call (printf "the pod spec is not a YAML mapping: %s" .Error)) -}}
    {{- else -}}
      {{- $_ := set $call "target" . -}}
      {{- include "jobmesh._inject" $call -}}
      {{- if or $call.wraps $call.lastMoved -}}
        {{- $_ := set $call "injected" . -}}
      {{- end -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
Prints the annotations for a pod with jobmesh.podSpec: those by which the mode asks something
of the mesh, `skipOutboundPorts`, and the value `annotations`. It prints nothing where jobmesh
is disabled. jobmesh.manifests adds them itself, with the labels, and keeps those that the pod
template has already.

In mode wrap, they ask Linkerd to serve its stop request, and not to wait two minutes for
open connections when it is stopped; they ask Consul not to wait at all. A value of your own
in `annotations` replaces these.

In mode optOut also print jobmesh.podLabels: Kuma only reads a label, and Istio's label wins
over its annotation.

Usage:
    metadata:
      annotations:
        {{- include "jobmesh.podAnnotations" $ | nindent 8 }}
{{ include "jobmesh.podAnnotations" (list $ (dict "mesh" "linkerd")) }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. The same settings as in the call of jobmesh.podSpec

Prints:
  config.linkerd.io/proxy-admin-shutdown: enabled
  config.linkerd.io/shutdown-grace-period: 5s

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.podAnnotations" -}}
{{- include "jobmesh._podMetadata.print" (list "jobmesh.podAnnotations" "annotations" .) -}}
{{- end -}}

{{/*
Prints the labels for a pod with jobmesh.podSpec. Only mode optOut has any, because Istio and
Kuma read a label for it. jobmesh.manifests adds them itself.

Usage:
    metadata:
      labels:
        {{- include "jobmesh.podLabels" $ | nindent 8 }}

Params:
  CONTEXT   Dict  Required. The root context, or a dict that has it under "root"
  SETTINGS  Dict  Optional. The same settings as in the call of jobmesh.podSpec

Prints, in mode optOut for Kuma:
  kuma.io/sidecar-injection: disabled

Errors: no root context; unknown or ill-typed settings.
*/}}
{{- define "jobmesh.podLabels" -}}
{{- include "jobmesh._podMetadata.print" (list "jobmesh.podLabels" "labels" .) -}}
{{- end -}}
