{{/*
The meshes, a row each. JSON, because it is read for every Job and fromJson is
ten times faster than fromYaml here.

  injected        pod annotation that the mesh's injector sets on a pod it put a
                  proxy into. It reaches the wrapper as JOBMESH_POD_<MESH>.
  podAnnotations  what a pod has to ask the mesh for, so that the wrapper can stop
                  the proxy. Linkerd's shutdown endpoint is off since 2.16.
*/}}
{{- define "jobmesh._meshes" -}}
{
  "istio": {
    "injected": "sidecar.istio.io/status",
    "podAnnotations": {}
  },
  "linkerd": {
    "injected": "linkerd.io/proxy-version",
    "podAnnotations": {"config.linkerd.io/proxy-admin-shutdown": "enabled"}
  }
}
{{- end -}}
