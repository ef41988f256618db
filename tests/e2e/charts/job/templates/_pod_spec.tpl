{{- define "job.podSpec" -}}
restartPolicy: {{ .Values.restartPolicy }}
securityContext:
  runAsNonRoot: true
  seccompProfile: {type: RuntimeDefault}
containers:
  - name: main
    image: {{ .Values.image }}
    command: {{ toJson .Values.command }}
    securityContext:
      allowPrivilegeEscalation: false
      capabilities: {drop: [ALL]}
      readOnlyRootFilesystem: true
    volumeMounts:
      - {name: scratch, mountPath: /scratch}
volumes:
  - {name: scratch, emptyDir: {}}
{{- end }}
