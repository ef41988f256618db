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
  {"name":"cloud-sql-proxy","image":"(^|/)(cloud-sql-proxy(:[^/]*)?|cloudsql-proxy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(cloud-sql-proxy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["wait"],"mesh":"cloud-sql-proxy","termFlag":"--exit-zero-on-sigterm","variablePrefix":"CSQL_PROXY_","probe":{"path":"/startup","port":9090,"needs":["--health-check","--http-address=0.0.0.0"],"moved":["--http-address","--http-port","--config-file"]}},
  {"name":"cloud-sql-proxy-v1","image":"(^|/)(gce-proxy(:[^/]*)?|cloud_sql_proxy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(cloud_sql_proxy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","mesh":"cloud-sql-proxy"},
  {"name":"alloydb-auth-proxy","image":"(^|/)(alloydb-auth-proxy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(alloydb-auth-proxy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","mesh":"cloud-sql-proxy","termFlag":"--exit-zero-sigterm","variablePrefix":"ALLOYDB_PROXY_","probe":{"path":"/startup","port":9090,"needs":["--health-check","--http-address=0.0.0.0"],"moved":["--http-address","--http-port","--config-file"]}},
  {"name":"vault-agent","image":"(^|/)(vault(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(vault)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","subcommand":"(^\\s*|(^|[\\s/;&|])(vault)\\s+)(-\\S*\\s+[^-\\s]\\S*\\s+)*agent(\\s*$|\\s*[;&|]|\\s+[^a-zA-Z\\s])","once":["-exit-after-auth","--exit-after-auth"],"mesh":"vault-agent"},
  {"name":"envoy","image":"(^|/)(envoy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(envoy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["--mode validate"],"mesh":"envoy"},
  {"name":"fluent-bit","image":"(^|/)(fluent-bit(:[^/]*)?|fluentbit(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(fluent-bit)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["--dry-run","-d","--daemon"]},
  {"name":"fluentd","image":"(^|/)(fluentd(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(fluentd)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["-d","--daemon"]},
  {"name":"filebeat","image":"(^|/)(filebeat(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(filebeat)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["--once","-once","test","export","setup"]},
  {"name":"metricbeat","image":"(^|/)(metricbeat(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(metricbeat)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"vector","image":"(^|/)(vector(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(vector)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["validate","test","list","generate","generate-schema","convert-config","graph","vrl"]},
  {"name":"promtail","image":"(^|/)(promtail(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(promtail)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"grafana-agent","image":"(^|/)(grafana-agent(:[^/]*)?|grafana/agent(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(grafana-agent)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"alloy","image":"(^|/)(alloy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(alloy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"telegraf","image":"(^|/)(telegraf(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(telegraf)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["--once","--test"]},
  {"name":"otel-collector","image":"(^|/)(otel-collector(:[^/]*)?|opentelemetry-collector[^/:]*(:[^/]*)?|otelcol[^/:]*(:[^/]*)?|aws-otel-collector(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(otelcol|otelcol-contrib|otelcol-k8s|awscollector)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["validate","components"]},
  {"name":"jaeger-agent","image":"(^|/)(jaeger-agent(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(jaeger-agent)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"datadog-agent","image":"(^|/)(datadog-agent(:[^/]*)?|datadog/agent(:[^/]*)?|datadoghq/agent(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(datadog-agent)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"aws-xray-daemon","image":"(^|/)(aws-xray-daemon(:[^/]*)?|xray-daemon(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(xray)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"cloudwatch-agent","image":"(^|/)(cloudwatch-agent(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(amazon-cloudwatch-agent)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"oauth2-proxy","image":"(^|/)(oauth2-proxy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(oauth2-proxy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"haproxy","image":"(^|/)(haproxy(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(haproxy)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["-c","-v","-vv","-D"],"termFlag":"-W"},
  {"name":"pgbouncer","image":"(^|/)(pgbouncer(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(pgbouncer)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["-d","--daemon"]},
  {"name":"proxysql","image":"(^|/)(proxysql(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(proxysql)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"prometheus","image":"(^|/)(prometheus(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(prometheus)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","probe":{"path":"/-/ready","port":9090,"moved":["--web.listen-address","--web.external-url","--web.route-prefix","--web.config.file"]}},
  {"name":"pushgateway","image":"(^|/)(pushgateway(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(pushgateway|prometheus-pushgateway)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","probe":{"path":"/-/ready","port":9091,"moved":["--web.listen-address","--web.external-url","--web.route-prefix","--web.config.file"]}},
  {"name":"statsd-exporter","image":"(^|/)(statsd-exporter(:[^/]*)?|statsd_exporter(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(statsd_exporter|statsd-exporter)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"tailscale","image":"(^|/)(tailscale(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(containerboot|tailscaled)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"git-sync","image":"(^|/)(git-sync(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(git-sync)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","once":["--one-time","-one-time"],"onceVariables":["GITSYNC_ONE_TIME","GIT_SYNC_ONE_TIME"]},
  {"name":"dind","image":"(^|/)(docker:[^/:]*dind[^/:]*|docker-dind(:[^/]*)?|dind(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(dockerd|dockerd-entrypoint\\.sh)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"kubectl-proxy","image":"(^|/)(kubectl(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(kubectl)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$","subcommand":"(^\\s*|(^|[\\s/;&|])(kubectl)\\s+)(-\\S*\\s+[^-\\s]\\S*\\s+)*proxy(\\s*$|\\s*[;&|]|\\s+[^a-zA-Z\\s])"},
  {"name":"pause","image":"(^|/)(pause(:[^/]*)?|pause-amd64(:[^/]*)?|pause-arm64(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(pause)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"},
  {"name":"gcsfuse","image":"(^|/)(gcs-fuse-csi-driver-sidecar-mounter(:[^/]*)?)$","program":"^(([^&]|&&|[<>]&|&>)*(;|\\n|&&|\\|\\|))?\\s*((exec|do|then|else)\\s+)*([^\\s;&|]*/)?(gcs-fuse-csi-driver-sidecar-mounter)([\\s;|]([^&]|&&|[<>]&|&>)*)?(&\\s*wait(\\s[^&]*)?)?$"}
]
{{- end -}}

{{/*
What is the same for all helpers: shells whose scripts are looked into, arguments with which
every program says something and ends, and words that say yes in a variable. JSON.
*/}}
{{- define "jobmesh._helpers.words" -}}
{"shells":["sh","bash","ash","dash","zsh","ksh"],"once":["--version","--help"],"yes":["y","yes","true","on","1"]}
{{- end -}}
