{{/* Prints the values of a CronJob or Job with the defaults, as JSON with "name" added. Params: (list $ NAME VALUES). */}}
{{- define "cronjobs.job" -}}
{{- $root := first . -}}
{{- $name := index . 1 -}}
{{- $job := deepCopy $root.Values.defaults -}}
{{- range $key, $value := last . -}}
  {{- if and (eq $key "env") $job.env -}}
    {{- $value = merge (deepCopy $value) $job.env -}}
  {{- end -}}
  {{- $_ := set $job $key $value -}}
{{- end -}}
{{- set $job "name" $name | toJson -}}
{{- end -}}

{{/* Prints the name of an object. It has at most 52 characters, because the controllers append to it. Params: (list $ PARTS...). */}}
{{- define "cronjobs.name" -}}
{{- $name := prepend (rest .) (first .).Release.Name | join "-" -}}
{{- if gt (len $name) 52 -}}
  {{- fail (printf "cronjobs: name %s has %d characters, and may have 52; use a shorter name of the release or the job" $name (len $name)) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{- define "cronjobs.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/name: {{ .root.Chart.Name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/component: {{ .job.name }}
{{- end -}}

{{/* Prints the injected spec of a Job. Params: dict of root, job. */}}
{{- define "cronjobs.jobSpec" -}}
{{- with pick .job "activeDeadlineSeconds" "backoffLimit" "completions" "parallelism" "ttlSecondsAfterFinished" }}
{{- toYaml . }}
{{- end }}
template:
  metadata:
    {{- /* The labels are merged as maps, in which the user's value wins; concatenated text would have a key twice. */ -}}
    {{- $labels := include "cronjobs.labels" . | fromYaml -}}
    {{- $labels = merge dict (default dict .job.podLabels) $labels (include "jobmesh.podLabels" (list .root .job.jobmesh) | fromYaml) }}
    labels: {{- toYaml $labels | nindent 6 }}
    {{- with merge dict (default dict .job.podAnnotations) (include "jobmesh.podAnnotations" (list .root .job.jobmesh) | fromYaml) }}
    annotations: {{- toYaml . | nindent 6 }}
    {{- end }}
  spec: {{- include "jobmesh.podSpec" (list . "cronjobs.podSpec" .job.jobmesh) | nindent 4 }}
{{- end -}}

{{- define "cronjobs.podSpec" -}}
{{- if not .job.image -}}
  {{- fail (printf "cronjobs: %s has no image; set it there or in defaults" .job.name) -}}
{{- end -}}
{{- toYaml (pick .job "restartPolicy" "serviceAccountName" "automountServiceAccountToken" "imagePullSecrets" "volumes" "nodeSelector" "tolerations" "affinity" "priorityClassName" "terminationGracePeriodSeconds") }}
{{- with .job.podSecurityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: {{ .job.name }}
    {{- toYaml (pick .job "image" "imagePullPolicy" "command" "args" "envFrom" "volumeMounts" "resources" "securityContext") | nindent 4 }}
    {{- with .job.env }}
    env:
      {{- range $name, $value := . }}
      - name: {{ $name }}
        {{- if kindIs "map" $value }}
        valueFrom: {{- toYaml $value | nindent 10 }}
        {{- else }}
        value: {{ $value | quote }}
        {{- end }}
      {{- end }}
    {{- end }}
{{- end -}}
