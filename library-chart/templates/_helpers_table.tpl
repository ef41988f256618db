{{/* Written by `make generate` from internal/sidecar and internal/mesh. */}}
{{/*
The helpers, a row each, of which the first that fits a container is meant. JSON, because
fromJson is ten times faster than fromYaml.

  image           a regular expression for its image, without digest, in small letters
  program         one for a command line or a script that runs its program; subcommand is one
                  that the words have to match beside that
  once            arguments with which it does something once and ends, and onceVariables,
                  which say the same
  mesh            its row in the table of meshes
  termFlag        the flag with which it ends with 0 on SIGTERM, where it needs one.
                  variablePrefix opens the names of the variables that say the same as flags
  probe           where the kubelet can ask whether it is ready, given the flags of needs and
                  none of those of moved
*/}}
{{- define "jobmesh._helpers" -}}
[
  {"name":"cloud-sql-proxy","image":"(^|/)(cloud-sql-proxy(:[^/]*)?|cloudsql-proxy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(cloud-sql-proxy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["wait"],"mesh":"cloud-sql-proxy","termFlag":"--exit-zero-on-sigterm","variablePrefix":"CSQL_PROXY_","probe":{"path":"/startup","port":9090,"needs":["--health-check","--http-address=0.0.0.0"],"moved":["--http-address","--http-port","--config-file"]}},
  {"name":"cloud-sql-proxy-v1","image":"(^|/)(gce-proxy(:[^/]*)?|cloud_sql_proxy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(cloud_sql_proxy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","mesh":"cloud-sql-proxy"},
  {"name":"alloydb-auth-proxy","image":"(^|/)(alloydb-auth-proxy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(alloydb-auth-proxy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","mesh":"cloud-sql-proxy","termFlag":"--exit-zero-sigterm","variablePrefix":"ALLOYDB_PROXY_","probe":{"path":"/startup","port":9090,"needs":["--health-check","--http-address=0.0.0.0"],"moved":["--http-address","--http-port","--config-file"]}},
  {"name":"vault-agent","image":"(^|/)(vault(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(vault)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","subcommand":"(^ *|(^|[ /;&|])(vault) )(-[^ ]* ([^- ][^ ]* )?)*agent( -| *$| *[;&|])","once":["-exit-after-auth","--exit-after-auth"],"mesh":"vault-agent"},
  {"name":"envoy","image":"(^|/)(envoy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(envoy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["--mode validate"],"mesh":"envoy"},
  {"name":"fluent-bit","image":"(^|/)(fluent-bit(:[^/]*)?|fluentbit(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(fluent-bit)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["--dry-run","-d","--daemon"]},
  {"name":"fluentd","image":"(^|/)(fluentd(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(fluentd)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["-d","--daemon"]},
  {"name":"filebeat","image":"(^|/)(filebeat(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(filebeat)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["--once","-once","test","export","setup"]},
  {"name":"metricbeat","image":"(^|/)(metricbeat(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(metricbeat)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"vector","image":"(^|/)(vector(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(vector)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["validate","test","list","generate","generate-schema","convert-config","graph","vrl"]},
  {"name":"promtail","image":"(^|/)(promtail(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(promtail)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"grafana-agent","image":"(^|/)(grafana-agent(:[^/]*)?|grafana/agent(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(grafana-agent)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"alloy","image":"(^|/)(alloy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(alloy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"telegraf","image":"(^|/)(telegraf(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(telegraf)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["--once","--test"]},
  {"name":"otel-collector","image":"(^|/)(otel-collector(:[^/]*)?|opentelemetry-collector[^/:]*(:[^/]*)?|otelcol[^/:]*(:[^/]*)?|aws-otel-collector(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(otelcol|otelcol-contrib|otelcol-k8s|awscollector)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["validate","components"]},
  {"name":"jaeger-agent","image":"(^|/)(jaeger-agent(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(jaeger-agent)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"datadog-agent","image":"(^|/)(datadog-agent(:[^/]*)?|datadog/agent(:[^/]*)?|datadoghq/agent(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(datadog-agent)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"aws-xray-daemon","image":"(^|/)(aws-xray-daemon(:[^/]*)?|xray-daemon(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(xray)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"cloudwatch-agent","image":"(^|/)(cloudwatch-agent(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(amazon-cloudwatch-agent)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"oauth2-proxy","image":"(^|/)(oauth2-proxy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(oauth2-proxy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"haproxy","image":"(^|/)(haproxy(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(haproxy)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["-c","-v","-vv","-D"],"termFlag":"-W"},
  {"name":"pgbouncer","image":"(^|/)(pgbouncer(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(pgbouncer)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["-d","--daemon"]},
  {"name":"proxysql","image":"(^|/)(proxysql(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(proxysql)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"prometheus","image":"(^|/)(prometheus(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(prometheus)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","probe":{"path":"/-/ready","port":9090,"moved":["--web.listen-address","--web.external-url","--web.route-prefix","--web.config.file"]}},
  {"name":"pushgateway","image":"(^|/)(pushgateway(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(pushgateway|prometheus-pushgateway)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","probe":{"path":"/-/ready","port":9091,"moved":["--web.listen-address","--web.external-url","--web.route-prefix","--web.config.file"]}},
  {"name":"statsd-exporter","image":"(^|/)(statsd-exporter(:[^/]*)?|statsd_exporter(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(statsd_exporter|statsd-exporter)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"tailscale","image":"(^|/)(tailscale(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(containerboot|tailscaled)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"git-sync","image":"(^|/)(git-sync(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(git-sync)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","once":["--one-time","-one-time"],"onceVariables":["GITSYNC_ONE_TIME","GIT_SYNC_ONE_TIME"]},
  {"name":"dind","image":"(^|/)(docker:[^/:]*dind[^/:]*|docker-dind(:[^/]*)?|dind(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(dockerd|dockerd-entrypoint\\.sh)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"kubectl-proxy","image":"(^|/)(kubectl(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(kubectl)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)","subcommand":"(^ *|(^|[ /;&|])(kubectl) )(-[^ ]* ([^- ][^ ]* )?)*proxy( -| *$| *[;&|])"},
  {"name":"pause","image":"(^|/)(pause(:[^/]*)?|pause-amd64(:[^/]*)?|pause-arm64(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(pause)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"},
  {"name":"gcsfuse","image":"(^|/)(gcs-fuse-csi-driver-sidecar-mounter(:[^/]*)?)$","program":"(^|[;&|({\\n]|(exec|do|then|else)\\s)\\s*([^\\s;&|]*/)?(gcs-fuse-csi-driver-sidecar-mounter)([\\s)]([^;&\\n]|\\\\\\n|[<>]&|&>)*)?($|[;\\n]|&&|&\\s*wait(\\s[^;&|\\n]*)?\\s*$)"}
]
{{- end -}}

{{/*
What is the same for all helpers: shells whose scripts are looked into, arguments with which
every program says something and ends, and words that say yes in a variable. JSON.
*/}}
{{- define "jobmesh._helpers.words" -}}
{"shells":["sh","bash","ash","dash","zsh","ksh"],"once":["--version","--help"],"yes":["y","yes","true","on","1"]}
{{- end -}}
