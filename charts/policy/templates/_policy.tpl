{{/* Name of a policy of the release. Params: (list $ NAME). */}}
{{- define "jobmesh-policy.name" -}}
{{- printf "%s-%s" ((first .).Release.Name | trunc 53 | trimSuffix "-") (last .) -}}
{{- end -}}

{{- define "jobmesh-policy.labels" -}}
app.kubernetes.io/name: jobmesh-policy
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ include "jobmesh.version" $ | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Whose kinds the policies are. */}}
{{- define "jobmesh-policy.api" -}}
{{- eq .Values.engine "kyverno" | ternary "policies.kyverno.io/v1" "admissionregistration.k8s.io/v1" -}}
{{- end -}}

{{/* Prints something if nativize is there: where nobody has said, it is where the engine can have it. */}}
{{- define "jobmesh-policy.nativizes" -}}
{{- if kindIs "bool" .Values.nativize | ternary .Values.nativize (eq .Values.engine "kubernetes") -}}
yes
{{- end -}}
{{- end -}}

{{/* How the wrapper comes into pods: image volumes are there from Kubernetes 1.35 on. */}}
{{- define "jobmesh-policy.delivery" -}}
{{- if ne .Values.delivery "auto" -}}
{{- .Values.delivery -}}
{{- else -}}
{{- semverCompare ">=1.35.0-0" .Capabilities.KubeVersion.Version | ternary "imageVolume" "initContainer" -}}
{{- end -}}
{{- end -}}

{{/*
Gives a value that is null its default, as if nobody had written it: Helm leaves the key out
then, before it looks into the schema.
*/}}
{{- define "jobmesh-policy.defaulted" -}}
{{- $values := .Values -}}
{{- range $key, $default := include "jobmesh-policy._tables.defaults" . | fromJson -}}
  {{- if get $values $key | kindIs "invalid" | or (not (hasKey $values $key)) -}}
    {{- $_ := set $values $key $default -}}
  {{- end -}}
{{- end -}}
{{- end -}}

{{/*
What is wrong with the cluster or the values, in one message. Every template calls it first.
*/}}
{{- define "jobmesh-policy.check" -}}
{{- include "jobmesh-policy.defaulted" . -}}
{{- $call := dict "template" "jobmesh-policy" -}}
{{- $kubernetes := .Capabilities.KubeVersion.Version -}}
{{- $elsewhere := "the library chart or `jobmesh inject`, which need nothing in the cluster" -}}
{{- if semverCompare "<1.29.0-0" $kubernetes -}}
  {{- include "jobmesh._errors.add" (list $call (printf "Kubernetes %s is too old for these policies, which need 1.36, or 1.29 with engine kyverno; there, use %s" $kubernetes $elsewhere)) -}}
{{- else if and (eq .Values.engine "kubernetes") (semverCompare "<1.36.0-0" $kubernetes) -}}
  {{- include "jobmesh._errors.add" (list $call (printf "Kubernetes %s has no mutating admission policies, which came with 1.36; set engine: kyverno where Kyverno runs, or use %s" $kubernetes $elsewhere)) -}}
{{- end -}}
{{- if and .Values.nativize (eq .Values.engine "kyverno") -}}
  {{- include "jobmesh._errors.add" (list $call "engine kyverno cannot have nativize: true, since Kyverno does not look at a pod again after the webhooks of the meshes; leave nativize out, or set engine: kubernetes on Kubernetes 1.36") -}}
{{- end -}}
{{- $images := include "jobmesh-policy.images" . -}}
{{- if gt (len $images) 90000 -}}
  {{- include "jobmesh._errors.add" (list $call (printf "images has %d characters as an expression, and the API server reads 100000 at most; leave out images whose pods have a command" (len $images))) -}}
{{- end -}}
{{- include "jobmesh._errors.fail" $call -}}
{{- end -}}

{{/*
What images run, as a map of CEL by the words of pods, or by "@" and digest; a reference with
a tag and a digest has both. The kubelet expands $(NAME) in a command and takes $$ for one $,
but not in that of an image; so words with either get their dollar signs twice.
*/}}
{{- define "jobmesh-policy.images" -}}
{{- $known := dict -}}
{{- range $reference, $image := .Values.images -}}
  {{- $parts := splitList "@" $reference -}}
  {{- $fields := list -}}
  {{- range $field := list "entrypoint" "cmd" -}}
    {{- $words := list -}}
    {{- range get $image $field | default list -}}
      {{- $words = append $words (regexMatch "[$][$(]" . | ternary (replace "$" "$$" .) .) -}}
    {{- end -}}
    {{- $fields = append $fields (printf "%q: %s" $field (toJson $words)) -}}
  {{- end -}}
  {{- $value := printf "{%s}" (join ", " $fields) -}}
  {{- if eq (len $parts) 1 -}}
    {{- $_ := set $known $reference $value -}}
  {{- else -}}
    {{- $_ := set $known (last $parts | print "@") $value -}}
    {{- if contains ":" (first $parts | base) -}}
      {{- $_ := set $known (first $parts) $value -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $items := list -}}
{{- range $key, $value := $known -}}
  {{- $items = append $items (printf "%s: %s" (toJson $key) $value) -}}
{{- end -}}
{{- printf "{%s}" (join ", " $items) -}}
{{- end -}}

{{/*
What holds for both policies that change pods: pods of Jobs and of the other owners, and
pods that are Helm hooks, when they are made, but those that opted out. These conditions are
the same before and after the webhooks; what a webhook adds is looked at in the expressions,
since a policy that did not match before the webhooks is not asked again after them.
*/}}
{{- define "jobmesh-policy.podsOfJobs" -}}
matchConstraints:
  {{- with include "jobmesh-policy.namespaces" . }}
  {{- . | nindent 2 }}
  {{- end }}
  resourceRules:
    - apiGroups: [""]
      apiVersions: [v1]
      operations: [CREATE]
      resources: [pods]
matchConditions:
  - name: works
    expression: >-
      has(object.metadata.ownerReferences) && size(object.metadata.ownerReferences) > 0 ?
      object.metadata.ownerReferences.exists(o, has(o.controller) && o.controller &&
      ((o.apiVersion.contains("/") ? o.apiVersion.split("/")[0] : "") + "/" + o.kind) in {{ prepend .Values.owners "batch/Job" | uniq | toJson }}) :
      has(object.metadata.annotations) && "helm.sh/hook" in object.metadata.annotations
  - name: not-opted-out
    expression: >-
      !(has(object.metadata.labels) && "jobmesh.dev/inject" in object.metadata.labels && object.metadata.labels["jobmesh.dev/inject"] == "disabled") &&
      !(has(object.metadata.annotations) && "jobmesh.dev/inject" in object.metadata.annotations && object.metadata.annotations["jobmesh.dev/inject"] == "disabled")
{{- end -}}

{{/* The namespaces, as a field of what a policy of Kyverno looks at; it has no binding. */}}
{{- define "jobmesh-policy.namespaces" -}}
{{- if eq .Values.engine "kyverno" -}}
namespaceSelector: {{- toYaml .Values.namespaces | nindent 2 }}
{{- end -}}
{{- end -}}

{{/* The binding of a policy to the namespaces. Params: (list $ KIND NAME), and a field beside them. */}}
{{- define "jobmesh-policy.binding" -}}
{{- $root := first . -}}
{{- $name := include "jobmesh-policy.name" (list $root (index . 2)) -}}
apiVersion: admissionregistration.k8s.io/v1
kind: {{ index . 1 }}
metadata:
  name: {{ $name }}
  labels: {{- include "jobmesh-policy.labels" $root | nindent 4 }}
spec:
  policyName: {{ $name }}
  matchResources:
    namespaceSelector: {{- toYaml $root.Values.namespaces | nindent 6 }}
{{- end -}}
