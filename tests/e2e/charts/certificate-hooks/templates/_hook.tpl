{{/* A hook Job whose image has the command, and the chart the arguments. Params: (list $ NAME EVENTS ARGS). */}}
{{- define "certificate-hooks.job" -}}
{{- $root := first . -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $root.Release.Name }}-admission-{{ index . 1 }}
  annotations:
    helm.sh/hook: {{ index . 2 }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  template:
    metadata:
      name: {{ $root.Release.Name }}-admission-{{ index . 1 }}
      labels: {app.kubernetes.io/component: admission-webhook}
      annotations: {{ toJson $root.Values.podAnnotations }}
    spec:
      restartPolicy: OnFailure
      serviceAccountName: {{ $root.Release.Name }}-admission
      nodeSelector: {kubernetes.io/os: linux}
      containers:
        - name: {{ index . 1 }}
          image: {{ $root.Values.image }}
          imagePullPolicy: IfNotPresent
          args: {{ toJson (index . 3) }}
          env:
            - name: POD_NAMESPACE
              valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
          securityContext:
            allowPrivilegeEscalation: false
            capabilities: {drop: [ALL]}
            readOnlyRootFilesystem: true
            runAsGroup: 65532
            runAsNonRoot: true
            runAsUser: 65532
            seccompProfile: {type: RuntimeDefault}
{{- end }}
