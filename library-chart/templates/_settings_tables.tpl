{{/* Written by `make generate` from values.schema.json and values.yaml. */}}

{{/*
What each setting is: a kind, in the words of kindOf; a "merged map", which is
merged key by key, and "*" any key of it; or one of the words between bars, or "",
or of the kind before the first bar. The name of a mesh is looked up in the table of
meshes.
*/}}
{{- define "jobmesh._settings.kinds" -}}
{
  "enabled": "bool",
  "mode": "|auto|wrap|native|optOut|hook|",
  "mesh": "string",
  "delivery": "|initContainer|imageVolume|inImage|",
  "wrapperPath": "string",
  "containers": "slice|all|",
  "entrypoints": "merged map",
  "entrypoints.*": "slice",
  "wrapper": "merged map",
  "wrapper.readyUrl": "string",
  "wrapper.stop": "slice",
  "wrapper.stopProcess": "string",
  "wrapper.readyTimeout": "string",
  "wrapper.onReadyTimeout": "|fail|run|",
  "wrapper.detectTimeout": "string",
  "wrapper.stopWhen": "|always|success|never|",
  "wrapper.stopTimeout": "string",
  "wrapper.killAfter": "string",
  "wrapper.onProxyLost": "|run|fail|",
  "wrapper.waitFor": "slice",
  "wrapper.waitForTimeout": "string",
  "wrapper.logFormat": "|text|json|",
  "wrapper.quiet": "bool",
  "image": "merged map",
  "image.registry": "string",
  "image.repository": "string",
  "image.tag": "string",
  "image.digest": "string",
  "image.pullPolicy": "|Always|IfNotPresent|Never|",
  "image.pullSecrets": "slice",
  "skipOutboundPorts": "slice",
  "sidecars": "slice|known|",
  "kubeVersion": "string",
  "meshVersion": "string",
  "kinds": "slice",
  "mountPath": "string",
  "resources": "map",
  "securityContext": "map",
  "emptyDir": "map",
  "annotations": "merged map",
  "annotations.*": "string"
}
{{- end -}}

{{/* The defaults. */}}
{{- define "jobmesh._settings.defaults" -}}
enabled: true
mode: wrap
mesh: auto
delivery: initContainer
wrapperPath: /jobmesh-wrap
containers: []
entrypoints: {}
wrapper: {}
image:
  registry: ghcr.io
  repository: jobmesh/jobmesh-wrap
  tag: ""
  digest: ""
  pullPolicy: ""
  pullSecrets: []
skipOutboundPorts: []
sidecars: []
kubeVersion: ""
meshVersion: ""
kinds: []
mountPath: /jobmesh
resources:
  requests:
    cpu: 10m
    memory: 16Mi
  limits:
    cpu: 500m
    memory: 64Mi
securityContext:
  allowPrivilegeEscalation: false
  capabilities:
    drop:
      - ALL
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  seccompProfile:
    type: RuntimeDefault
emptyDir:
  sizeLimit: 16Mi
annotations: {}
{{- end -}}
