{{/* Written by `make generate` from internal/mesh, internal/sidecar, internal/kind, internal/script and charts/policy/values.yaml. */}}
{{/*
What the policies know, in CEL.

  proxies     names of the containers of meshes' proxies
  inits       names of the init containers that redirect the traffic to them
  readyAfter  of the proxies, those whose readiness waits for the application where the
              pod has the annotation
  oneByName   names of helpers that injectors put into pods under this name
  shell       a regular expression for a shell whose scripts are looked into
  suspect     a regular expression for an image or a command line which names a helper, to
              spare most containers the next one
  helper      whether a container, told by the strings of s, is a helper that runs until it
              is told to end
  onceVariables  variables that say of a helper that it ends by itself
  meshOut     whether labels and annotations of a pod keep it out of a mesh, and ask for no
              other one
  ends        restart policies of pods that end
  defaults    the values of the chart, as JSON
  executors   owners whose executor ends the containers beside the work, and killCommands,
              the annotations with which it ends proxies that have no shell
*/}}
{{- define "jobmesh-policy._tables.proxies" -}}
["linkerd-proxy", "istio-proxy", "kuma-sidecar", "consul-dataplane", "daprd"]
{{- end -}}

{{- define "jobmesh-policy._tables.inits" -}}
["linkerd-init", "linkerd-network-validator", "istio-init", "istio-validation", "kuma-init", "kuma-validation", "consul-connect-inject-init"]
{{- end -}}

{{- define "jobmesh-policy._tables.readyAfter" -}}
{"daprd": "dapr.io/app-port"}
{{- end -}}

{{- define "jobmesh-policy._tables.oneByName" -}}
["vault-agent"]
{{- end -}}

{{- define "jobmesh-policy._tables.shell" -}}
r"(^|/)(sh|bash|ash|dash|zsh|ksh)$"
{{- end -}}

{{- define "jobmesh-policy._tables.suspect" -}}
r"alloy|awscollector|cloud-sql-proxy|cloud_sql_proxy|cloudsql-proxy|cloudwatch-agent|containerboot|datadog-agent|datadog/agent|datadoghq/agent|dind|docker|envoy|filebeat|fluent-bit|fluentbit|fluentd|gce-proxy|gcs-fuse-csi-driver-sidecar-mounter|git-sync|grafana-agent|grafana/agent|haproxy|jaeger-agent|kubectl|metricbeat|oauth2-proxy|opentelemetry-collector|otel-collector|otelcol|pause|pgbouncer|prometheus|promtail|proxysql|pushgateway|statsd-exporter|statsd_exporter|tailscale|telegraf|vault|vector|xray"
{{- end -}}

{{- define "jobmesh-policy._tables.helper" -}}
((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(cloud-sql-proxy|cloud_sql_proxy|alloydb-auth-proxy|envoy|fluent-bit|fluentd|filebeat|metricbeat|vector|promtail|grafana-agent|alloy|telegraf|otelcol|otelcol-contrib|otelcol-k8s|awscollector|jaeger-agent|datadog-agent|xray|amazon-cloudwatch-agent|oauth2-proxy|haproxy|pgbouncer|proxysql|prometheus|pushgateway|prometheus-pushgateway|statsd_exporter|statsd-exporter|containerboot|tailscaled|git-sync|dockerd|dockerd-entrypoint\.sh|pause|gcs-fuse-csi-driver-sidecar-mounter)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(cloud-sql-proxy(:[^/]*)?|cloudsql-proxy(:[^/]*)?|gce-proxy(:[^/]*)?|cloud_sql_proxy(:[^/]*)?|alloydb-auth-proxy(:[^/]*)?|envoy(:[^/]*)?|fluent-bit(:[^/]*)?|fluentbit(:[^/]*)?|fluentd(:[^/]*)?|filebeat(:[^/]*)?|metricbeat(:[^/]*)?|vector(:[^/]*)?|promtail(:[^/]*)?|grafana-agent(:[^/]*)?|grafana/agent(:[^/]*)?|alloy(:[^/]*)?|telegraf(:[^/]*)?|otel-collector(:[^/]*)?|opentelemetry-collector[^/:]*(:[^/]*)?|otelcol[^/:]*(:[^/]*)?|aws-otel-collector(:[^/]*)?|jaeger-agent(:[^/]*)?|datadog-agent(:[^/]*)?|datadog/agent(:[^/]*)?|datadoghq/agent(:[^/]*)?|aws-xray-daemon(:[^/]*)?|xray-daemon(:[^/]*)?|cloudwatch-agent(:[^/]*)?|oauth2-proxy(:[^/]*)?|haproxy(:[^/]*)?|pgbouncer(:[^/]*)?|proxysql(:[^/]*)?|prometheus(:[^/]*)?|pushgateway(:[^/]*)?|statsd-exporter(:[^/]*)?|statsd_exporter(:[^/]*)?|tailscale(:[^/]*)?|git-sync(:[^/]*)?|docker:[^/:]*dind[^/:]*|docker-dind(:[^/]*)?|dind(:[^/]*)?|pause(:[^/]*)?|pause-amd64(:[^/]*)?|pause-arm64(:[^/]*)?|gcs-fuse-csi-driver-sidecar-mounter(:[^/]*)?)$")) ||
  ((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(vault)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(vault(:[^/]*)?)$")) && s.line.matches(r"(^\s*|(^|[\s/;&|])(vault)\s+)(-\S*\s+[^-\s]\S*\s+)*agent(\s*$|\s*[;&|]|\s+[^a-zA-Z\s])")) ||
  ((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(kubectl)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(kubectl(:[^/]*)?)$")) && s.line.matches(r"(^\s*|(^|[\s/;&|])(kubectl)\s+)(-\S*\s+[^-\s]\S*\s+)*proxy(\s*$|\s*[;&|]|\s+[^a-zA-Z\s])"))) &&
!s.line.contains(" --version ") &&
!s.line.contains(" --help ") &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(cloud-sql-proxy)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(cloud-sql-proxy(:[^/]*)?|cloudsql-proxy(:[^/]*)?)$")) && (s.line.contains(" wait "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(vault)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(vault(:[^/]*)?)$")) && (s.line.contains(" -exit-after-auth ") || s.line.contains(" --exit-after-auth "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(envoy)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(envoy(:[^/]*)?)$")) && (s.line.contains(" --mode validate "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(fluent-bit)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(fluent-bit(:[^/]*)?|fluentbit(:[^/]*)?)$")) && (s.line.contains(" --dry-run ") || s.line.contains(" -d ") || s.line.contains(" --daemon "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(fluentd)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(fluentd(:[^/]*)?)$")) && (s.line.contains(" -d ") || s.line.contains(" --daemon "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(filebeat)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(filebeat(:[^/]*)?)$")) && (s.line.contains(" --once ") || s.line.contains(" -once ") || s.line.contains(" test ") || s.line.contains(" export ") || s.line.contains(" setup "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(vector)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(vector(:[^/]*)?)$")) && (s.line.contains(" validate ") || s.line.contains(" test ") || s.line.contains(" list ") || s.line.contains(" generate ") || s.line.contains(" generate-schema ") || s.line.contains(" convert-config ") || s.line.contains(" graph ") || s.line.contains(" vrl "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(telegraf)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(telegraf(:[^/]*)?)$")) && (s.line.contains(" --once ") || s.line.contains(" --test "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(otelcol|otelcol-contrib|otelcol-k8s|awscollector)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(otel-collector(:[^/]*)?|opentelemetry-collector[^/:]*(:[^/]*)?|otelcol[^/:]*(:[^/]*)?|aws-otel-collector(:[^/]*)?)$")) && (s.line.contains(" validate ") || s.line.contains(" components "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(haproxy)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(haproxy(:[^/]*)?)$")) && (s.line.contains(" -c ") || s.line.contains(" -v ") || s.line.contains(" -vv ") || s.line.contains(" -D "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(pgbouncer)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(pgbouncer(:[^/]*)?)$")) && (s.line.contains(" -d ") || s.line.contains(" --daemon "))) &&
!((s.started.matches(r"^(([^&]|&&|[<>]&|&>)*(;|\n|&&|\|\|))?\s*((exec|do|then|else)\s+)*([^\s;&|]*/)?(git-sync)([\s;|]([^&]|&&|[<>]&|&>)*)?(&\s*wait(\s[^&]*)?)?$") || s.hidden != "" && s.image.matches(r"(^|/)(git-sync(:[^/]*)?)$")) && (s.line.contains(" --one-time ") || s.line.contains(" -one-time ") || s.once.contains(" GITSYNC_ONE_TIME ") || s.once.contains(" GIT_SYNC_ONE_TIME ")))
{{- end -}}

{{- define "jobmesh-policy._tables.onceVariables" -}}
["GITSYNC_ONE_TIME", "GIT_SYNC_ONE_TIME"]
{{- end -}}

{{- define "jobmesh-policy._tables.meshOut" -}}
(("linkerd.io/inject" in variables.annotations ? variables.annotations["linkerd.io/inject"] in ["disabled"] : false) ||
  ("sidecar.istio.io/inject" in variables.labels ? variables.labels["sidecar.istio.io/inject"] in ["false"] : ("sidecar.istio.io/inject" in variables.annotations ? variables.annotations["sidecar.istio.io/inject"] in ["false"] : false)) ||
  ("kuma.io/sidecar-injection" in variables.labels ? variables.labels["kuma.io/sidecar-injection"] in ["disabled", "false"] : ("kuma.io/sidecar-injection" in variables.annotations ? variables.annotations["kuma.io/sidecar-injection"] in ["disabled", "false"] : false)) ||
  ("consul.hashicorp.com/connect-inject" in variables.annotations ? variables.annotations["consul.hashicorp.com/connect-inject"] in ["false"] : false) ||
  ("dapr.io/enabled" in variables.annotations ? variables.annotations["dapr.io/enabled"] in ["false"] : false)) &&
!(("linkerd.io/inject" in variables.annotations ? !(variables.annotations["linkerd.io/inject"] in ["disabled"]) : false) ||
  ("sidecar.istio.io/inject" in variables.labels ? !(variables.labels["sidecar.istio.io/inject"] in ["false"]) : ("sidecar.istio.io/inject" in variables.annotations ? !(variables.annotations["sidecar.istio.io/inject"] in ["false"]) : false)) ||
  ("kuma.io/sidecar-injection" in variables.labels ? !(variables.labels["kuma.io/sidecar-injection"] in ["disabled", "false"]) : ("kuma.io/sidecar-injection" in variables.annotations ? !(variables.annotations["kuma.io/sidecar-injection"] in ["disabled", "false"]) : false)) ||
  ("consul.hashicorp.com/connect-inject" in variables.annotations ? !(variables.annotations["consul.hashicorp.com/connect-inject"] in ["false"]) : false) ||
  ("dapr.io/enabled" in variables.annotations ? !(variables.annotations["dapr.io/enabled"] in ["false"]) : false))
{{- end -}}

{{- define "jobmesh-policy._tables.ends" -}}
["OnFailure", "Never"]
{{- end -}}

{{- define "jobmesh-policy._tables.defaults" -}}
{"delivery":"auto","engine":"kubernetes","failurePolicy":"Ignore","images":{},"jobmesh":{},"namespaces":{"matchLabels":{"jobmesh.dev/inject":"enabled"}},"nativize":null,"owners":[],"sidecars":"known","tell":true,"wrap":true}
{{- end -}}

{{- define "jobmesh-policy._tables.executors" -}}
["argoproj.io/Workflow", "argoproj.io/WorkflowTemplate", "argoproj.io/ClusterWorkflowTemplate", "argoproj.io/CronWorkflow"]
{{- end -}}

{{- define "jobmesh-policy._tables.killCommands" -}}
{"workflows.argoproj.io/kill-cmd-linkerd-proxy": "[\"/usr/lib/linkerd/linkerd-await\",\"--shutdown\",\"--\",\"/usr/lib/linkerd/linkerd-await\",\"--version\"]"}
{{- end -}}
