{{- define "job.podSpec" -}}
restartPolicy: {{ .Values.restartPolicy }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
containers:
  {{- include "job.container" (list . "main" .Values.command) | nindent 2 }}
  {{- with .Values.first }}
  {{- include "job.container" (list $ "first" .) | nindent 2 }}
  {{- end }}
volumes:
  - {name: scratch, emptyDir: {}}
{{- end }}

{{- define "job.container" -}}
- name: {{ index . 1 }}
  image: {{ (first .).Values.image }}
  command: {{ toJson (last .) }}
  securityContext:
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    readOnlyRootFilesystem: true
  volumeMounts:
    - {name: scratch, mountPath: /scratch}
{{- end }}
