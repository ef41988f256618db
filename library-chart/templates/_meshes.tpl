{{/* Written by `make generate` from internal/mesh. */}}
{{/*
The meshes, a row each. JSON, because it is read for every Job and fromJson is
ten times faster than fromYaml here.

  env                variables of a wrapped container, which carry pod annotations,
                     as they are printed. JOBMESH_POD_<MESH> is the first of them, and
                     the one that the injector of the mesh sets on a pod it put a proxy
                     into; without any, nobody injects the proxy, and it has to be named.
  wrap               what a pod has to ask the mesh for, so that its proxy can be
                     stopped at once.
  native             what asks for a native sidecar. nativeSince is the first release that
                     hears it, or that needs not be asked, and nativeDefault the first one
                     whose proxy is a native sidecar by default, on kubelets of
                     nativeKubelet and newer.
  optOut             what keeps the proxy out.
  skipOutboundPorts  annotation with the ports that bypass the proxy.
  container          the name of the proxy's container.
  killCommand        a command in that container that ends the proxy, for Argo Workflows,
                     whose executor needs one where there is no shell.
  redirects          the traffic of every container goes through the proxy.
  hook               what mode hook asks. ready lists readiness checks, any one of which
                     will do: a GET of url, whose answer has to be body where that is
                     there. stop is the stop request. A token goes into the header where
                     the variable is set. native is
                     a word of the shell and the pattern that it matches where the
                     annotations say that the proxy is a native sidecar.
*/}}
{{- define "jobmesh._meshes" -}}
{
  "alloydb-auth-proxy": {
    "env": [],
    "redirects": false,
    "hook": {"ready": [{"url": "http://127.0.0.1:9090/startup", "body": "ok"}], "stop": "POST http://127.0.0.1:9091/quitquitquit"}
  },
  "cloud-sql-proxy": {
    "env": [],
    "redirects": false,
    "hook": {"ready": [{"url": "http://127.0.0.1:9090/startup", "body": "ok"}], "stop": "POST http://127.0.0.1:9091/quitquitquit"}
  },
  "consul": {
    "env": [{"name": "JOBMESH_POD_CONSUL", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['consul.hashicorp.com/connect-inject-status']"}}}, {"name": "JOBMESH_POD_CONSUL_NATIVE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['consul.hashicorp.com/enable-consul-dataplane-as-sidecar']"}}}],
    "wrap": {"annotations": {"consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds": "0"}},
    "native": {"annotations": {"consul.hashicorp.com/enable-consul-dataplane-as-sidecar": "true"}},
    "nativeSince": "1.9",
    "optOut": {"annotations": {"consul.hashicorp.com/connect-inject": "false"}},
    "skipOutboundPorts": "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports",
    "redirects": true,
    "hook": {"ready": [{"url": "http://127.0.0.1:19000/ready"}], "stop": "POST http://127.0.0.1:20600/graceful_shutdown", "native": ["$JOBMESH_POD_CONSUL_NATIVE", "1 | t | T | true | TRUE | True"]}
  },
  "dapr": {
    "env": [{"name": "JOBMESH_POD_DAPR", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['dapr.io/enabled']"}}}, {"name": "JOBMESH_POD_DAPR_NATIVE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['dapr.io/enable-native-sidecar']"}}}],
    "native": {"annotations": {"dapr.io/enable-native-sidecar": "true"}},
    "nativeSince": "1.18",
    "optOut": {"annotations": {"dapr.io/enabled": "false"}},
    "redirects": false,
    "hook": {"ready": [{"url": "http://127.0.0.1:3500/v1.0/healthz/outbound"}], "stop": "POST http://127.0.0.1:3500/v1.0/shutdown", "tokenHeader": "dapr-api-token", "tokenVariable": "DAPR_API_TOKEN", "native": ["$JOBMESH_POD_DAPR_NATIVE", "1 | [yY] | [yY][eE][sS] | [oO][nN] | [tT][rR][uU][eE]"]}
  },
  "envoy": {
    "env": [],
    "redirects": false,
    "hook": {"ready": [{"url": "http://127.0.0.1:15000/ready"}], "stop": "POST http://127.0.0.1:15000/quitquitquit"}
  },
  "istio": {
    "env": [{"name": "JOBMESH_POD_ISTIO", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['sidecar.istio.io/status']"}}}],
    "native": {"annotations": {"sidecar.istio.io/nativeSidecar": "true"}},
    "nativeSince": "1.24",
    "nativeDefault": "1.27",
    "nativeKubelet": "1.33",
    "optOut": {"annotations": {"sidecar.istio.io/inject": "false"}, "labels": {"sidecar.istio.io/inject": "false"}},
    "skipOutboundPorts": "traffic.sidecar.istio.io/excludeOutboundPorts",
    "redirects": true,
    "hook": {"ready": [{"url": "http://127.0.0.1:15021/healthz/ready"}], "stop": "POST http://127.0.0.1:15020/quitquitquit", "native": ["${JOBMESH_POD_ISTIO%%]*}", "*'\"initContainers\":['*'\"istio-proxy\"'*"]}
  },
  "kuma": {
    "env": [{"name": "JOBMESH_POD_KUMA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['kuma.io/sidecar-injected']"}}}],
    "nativeSince": "2.14",
    "nativeDefault": "2.14",
    "optOut": {"labels": {"kuma.io/sidecar-injection": "disabled"}},
    "skipOutboundPorts": "traffic.kuma.io/exclude-outbound-ports",
    "redirects": true,
    "hook": {"ready": [{"url": "http://127.0.0.1:9902/ready", "body": "LIVE"}, {"url": "http://127.0.0.1:9901/ready"}], "stop": "POST http://127.0.0.1:9901/quitquitquit"}
  },
  "linkerd": {
    "env": [{"name": "JOBMESH_POD_LINKERD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['linkerd.io/proxy-version']"}}}, {"name": "JOBMESH_POD_LINKERD_NATIVE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['config.linkerd.io/proxy-enable-native-sidecar']"}}}, {"name": "JOBMESH_POD_LINKERD_NATIVE_ALPHA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['config.alpha.linkerd.io/proxy-enable-native-sidecar']"}}}, {"name": "JOBMESH_POD_LINKERD_NATIVE_BETA", "valueFrom": {"fieldRef": {"fieldPath": "metadata.annotations['config.beta.linkerd.io/proxy-enable-native-sidecar']"}}}],
    "wrap": {"annotations": {"config.linkerd.io/proxy-admin-shutdown": "enabled", "config.linkerd.io/shutdown-grace-period": "5s"}},
    "native": {"annotations": {"config.alpha.linkerd.io/proxy-enable-native-sidecar": "true", "config.beta.linkerd.io/proxy-enable-native-sidecar": "true", "config.linkerd.io/proxy-enable-native-sidecar": "true"}},
    "nativeSince": "2.15",
    "nativeDefault": "2.20",
    "optOut": {"annotations": {"linkerd.io/inject": "disabled"}},
    "skipOutboundPorts": "config.linkerd.io/skip-outbound-ports",
    "container": "linkerd-proxy",
    "killCommand": "[\"/usr/lib/linkerd/linkerd-await\",\"--shutdown\",\"--\",\"/usr/lib/linkerd/linkerd-await\",\"--version\"]",
    "redirects": true,
    "hook": {"ready": [{"url": "http://127.0.0.1:4191/ready"}], "stop": "POST http://127.0.0.1:4191/shutdown", "native": ["${JOBMESH_POD_LINKERD_NATIVE:-${JOBMESH_POD_LINKERD_NATIVE_BETA:-$JOBMESH_POD_LINKERD_NATIVE_ALPHA}}", "1 | t | T | true | TRUE | True"]}
  },
  "vault-agent": {
    "env": [],
    "redirects": false,
    "hook": {"stop": "POST http://127.0.0.1:8200/agent/v1/quit"}
  }
}
{{- end -}}
