package sidecar

// Where a row has measured among its sources, the program was run for jobmesh and told to end,
// and its exit code was read.
const measured = "measured"

// table has all rows. Where a program or an image matches two rows, the first one wins.
var table = []Helper{
	{
		Name: "cloud-sql-proxy", Title: "Cloud SQL Auth Proxy",
		Checked: "2.27.0", Sources: []string{measured, "https://github.com/GoogleCloudPlatform/cloud-sql-proxy/blob/v2.27.0/cmd/root.go"},
		Images: []string{"cloud-sql-proxy", "cloudsql-proxy"}, Programs: []string{"cloud-sql-proxy"},
		Mesh: "cloud-sql-proxy", ReadyNeeds: "--health-check", VariablePrefix: "CSQL_PROXY_", Once: []string{"wait"},
		Probe: &Probe{Needs: []string{"--health-check", "--http-address=0.0.0.0"}, Moved: []string{"--http-address", "--http-port", "--config-file"}},
		Takes: []string{"--max-sigterm-delay", "--min-sigterm-delay"},
		Ends: []Ending{
			{Code: 0, Needs: "--quitquitquit"},
			{Signal: "SIGTERM", Code: 0, Needs: "--exit-zero-on-sigterm"},
			{Signal: "SIGTERM", Code: 143},
		},
		Flags: []Flag{
			{"--quitquitquit", "serves the stop request, on --admin-port"},
			{"--health-check", "serves readiness, on --http-port"},
			{"--exit-zero-on-sigterm", "ends with 0 on SIGTERM"},
		},
	},
	{
		Name: "cloud-sql-proxy-v1", Title: "Cloud SQL Auth Proxy 1",
		Checked: "1.x", Sources: []string{
			"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/388",
			"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/828",
		},
		Images: []string{"gce-proxy", "cloud_sql_proxy"}, Programs: []string{"cloud_sql_proxy"},
		Mesh: "cloud-sql-proxy", OnlyProcess: true,
		Ends:  []Ending{{Signal: "SIGTERM", Code: Unknown}},
		Flags: []Flag{{"-term_timeout", "waits so long for open connections on SIGTERM"}},
		Note:  "It has no stop request. SIGTERM gives 2 while connections are open.",
	},
	{
		Name: "alloydb-auth-proxy", Title: "AlloyDB Auth Proxy",
		Checked: "1.17.1", Sources: []string{measured},
		Images: []string{"alloydb-auth-proxy"}, Programs: []string{"alloydb-auth-proxy"},
		// The ports and paths are those of cloud-sql-proxy.
		Mesh: "cloud-sql-proxy", ReadyNeeds: "--health-check", VariablePrefix: "ALLOYDB_PROXY_",
		Probe: &Probe{Needs: []string{"--health-check", "--http-address=0.0.0.0"}, Moved: []string{"--http-address", "--http-port", "--config-file"}},
		Takes: []string{"--max-sigterm-delay", "--min-sigterm-delay"},
		Ends: []Ending{
			{Code: 0, Needs: "--quitquitquit"},
			{Signal: "SIGTERM", Code: 0, Needs: "--exit-zero-sigterm"},
			{Signal: "SIGTERM", Code: 143},
		},
		Flags: []Flag{
			{"--quitquitquit", "serves the stop request"},
			{"--health-check", "serves readiness"},
			{"--exit-zero-sigterm", "ends with 0 on SIGTERM"},
		},
	},
	{
		Name: "vault-agent", Title: "Vault Agent",
		Checked: "Vault 1.14.0", Sources: []string{measured, "https://github.com/hashicorp/vault/blob/main/command/agent_test.go"},
		Images: []string{"vault"}, Programs: []string{"vault"}, Subcommand: "agent",
		Mesh: "vault-agent", Once: []string{"-exit-after-auth", "--exit-after-auth"},
		Ends: []Ending{{Code: 0, Needs: "the quit endpoint in its configuration"}, {Signal: "SIGTERM", Code: 0}},
	},
	{
		Name: "envoy", Title: "Envoy",
		Checked: "1.39.3", Sources: []string{measured},
		Images: []string{"envoy"}, Programs: []string{"envoy"},
		Mesh: "envoy", Once: []string{"--mode validate"},
		Ends: []Ending{{Code: 0}, {Signal: "SIGTERM", Code: 0}},
	},
	{
		Name: "fluent-bit", Title: "Fluent Bit",
		Checked: "2bb32027", Sources: []string{"https://github.com/fluent/fluent-bit/blob/2bb32027eaabcf7cd2ea0017966fea2e9738d995/src/fluent-bit.c"},
		Images: []string{"fluent-bit", "fluentbit"}, Programs: []string{"fluent-bit"},
		Once:  []string{"--dry-run", "-d", "--daemon"},
		Ends:  []Ending{{Signal: "SIGTERM", Code: 0}},
		Ready: "http://127.0.0.1:2020/api/v1/health", ReadyNeeds: "its HTTP server and its health check",
	},
	{
		Name: "fluentd", Title: "Fluentd",
		Checked: "1.18", Sources: []string{"https://docs.fluentd.org/deployment/rpc", "https://docs.fluentd.org/deployment/signals"},
		Images: []string{"fluentd"}, Programs: []string{"fluentd"}, Once: []string{"-d", "--daemon"},
		Ends: []Ending{
			{Request: "GET http://127.0.0.1:24444/api/processes.flushBuffersAndKillWorkers", Code: Unknown, Needs: "rpc_endpoint 127.0.0.1:24444"},
			{Signal: "SIGTERM", Code: Unknown},
		},
	},
	{
		Name: "filebeat", Title: "Filebeat",
		Checked: "7.9", Sources: []string{"https://www.elastic.co/guide/en/beats/filebeat/7.9/command-line-options.html"},
		Images: []string{"filebeat"}, Programs: []string{"filebeat"},
		Once: []string{"--once", "-once", "test", "export", "setup"},
	},
	{Name: "metricbeat", Title: "Metricbeat", Images: []string{"metricbeat"}, Programs: []string{"metricbeat"}},
	{
		Name: "vector", Title: "Vector",
		Checked: "4212e7e4", Sources: []string{"https://github.com/vectordotdev/vector/blob/4212e7e435761cca891e944beac86362e3c29ad0/src/cli.rs"},
		Images: []string{"vector"}, Programs: []string{"vector"},
		Once: []string{"validate", "test", "list", "generate", "generate-schema", "convert-config", "graph", "vrl"},
	},
	{Name: "promtail", Title: "Promtail", Images: []string{"promtail"}, Programs: []string{"promtail"}},
	{Name: "grafana-agent", Title: "Grafana Agent", Images: []string{"grafana-agent", "grafana/agent"}, Programs: []string{"grafana-agent"}},
	{Name: "alloy", Title: "Grafana Alloy", Images: []string{"alloy"}, Programs: []string{"alloy"}},
	{
		Name: "telegraf", Title: "Telegraf",
		Checked: "1.26", Sources: []string{"https://docs.influxdata.com/telegraf/v1.26/commands"},
		Images: []string{"telegraf"}, Programs: []string{"telegraf"},
		Once: []string{"--once", "--test"},
	},
	{
		Name: "otel-collector", Title: "OpenTelemetry Collector",
		Checked: "0199c0c6", Sources: []string{"https://github.com/open-telemetry/opentelemetry-collector/blob/0199c0c6622aac0b9c9144dc6ccb3a4a7c410a6b/otelcol/collector.go"},
		Images:   []string{"otel-collector", "opentelemetry-collector*", "otelcol*", "aws-otel-collector"},
		Programs: []string{"otelcol", "otelcol-contrib", "otelcol-k8s", "awscollector"},
		Once:     []string{"validate", "components"},
		Ends:     []Ending{{Signal: "SIGTERM", Code: 0}},
		Ready:    "http://127.0.0.1:13133/", ReadyNeeds: "the extension health_check",
	},
	{Name: "jaeger-agent", Title: "Jaeger Agent", Images: []string{"jaeger-agent"}, Programs: []string{"jaeger-agent"}},
	{
		Name: "datadog-agent", Title: "Datadog Agent",
		Images: []string{"datadog-agent", "datadog/agent", "datadoghq/agent"}, Programs: []string{"datadog-agent"},
		Note: "On SIGTERM it loses the last metrics (DataDog/datadog-agent#3940).",
	},
	{Name: "aws-xray-daemon", Title: "AWS X-Ray daemon", Images: []string{"aws-xray-daemon", "xray-daemon"}, Programs: []string{"xray"}},
	{Name: "cloudwatch-agent", Title: "CloudWatch agent", Images: []string{"cloudwatch-agent"}, Programs: []string{"amazon-cloudwatch-agent"}},
	{Name: "oauth2-proxy", Title: "OAuth2 Proxy", Images: []string{"oauth2-proxy"}, Programs: []string{"oauth2-proxy"}},
	{
		Name: "haproxy", Title: "HAProxy",
		Checked: "2.6.12", Sources: []string{measured},
		Images: []string{"haproxy"}, Programs: []string{"haproxy"},
		Once: []string{"-c", "-v", "-vv", "-D"},
		Ends: []Ending{
			{Signal: "SIGUSR1", Code: 0, Needs: "-W"}, {Signal: "SIGTERM", Code: 0, Needs: "-W"},
			{Signal: "SIGTERM", Code: 143},
		},
		Flags: []Flag{{"-W", "starts a master, which answers the signals"}},
	},
	{
		Name: "pgbouncer", Title: "PgBouncer",
		Checked: "1.18.0", Sources: []string{measured, "https://github.com/pgbouncer/pgbouncer/pull/902"},
		Images: []string{"pgbouncer"}, Programs: []string{"pgbouncer"}, Once: []string{"-d", "--daemon"},
		Ends: []Ending{{Signal: "SIGINT", Code: 0}, {Signal: "SIGTERM", Code: 1}},
		Note: "Since 1.23 SIGTERM waits until all clients have gone.",
	},
	{
		Name: "proxysql", Title: "ProxySQL",
		Checked: "2.0.5", Sources: []string{"https://github.com/sysown/proxysql/issues/2560"},
		Images: []string{"proxysql"}, Programs: []string{"proxysql"},
		Note: "In its image it does not end on SIGTERM: the kubelet kills it after the grace period.",
	},
	{
		Name: "prometheus", Title: "Prometheus",
		Checked: "2.42.0", Sources: []string{measured},
		Images: []string{"prometheus"}, Programs: []string{"prometheus"},
		Ends: []Ending{
			{Request: "POST http://127.0.0.1:9090/-/quit", Code: 0, Needs: "--web.enable-lifecycle"},
			{Signal: "SIGTERM", Code: 0},
		},
		Ready: "http://127.0.0.1:9090/-/ready",
		Probe: &Probe{Moved: []string{"--web.listen-address", "--web.external-url", "--web.route-prefix", "--web.config.file"}},
		Flags: []Flag{{"--web.enable-lifecycle", "serves the stop request; else it is answered with 403"}},
	},
	{
		Name: "pushgateway", Title: "Prometheus Pushgateway",
		Checked: "1.5.1", Sources: []string{measured},
		Images: []string{"pushgateway"}, Programs: []string{"pushgateway", "prometheus-pushgateway"},
		Ends: []Ending{
			{Request: "PUT http://127.0.0.1:9091/-/quit", Code: 0, Needs: "--web.enable-lifecycle"},
			{Signal: "SIGTERM", Code: 0},
		},
		Ready: "http://127.0.0.1:9091/-/ready",
		Probe: &Probe{Moved: []string{"--web.listen-address", "--web.external-url", "--web.route-prefix", "--web.config.file"}},
		Flags: []Flag{{"--web.enable-lifecycle", "serves the stop request; else it is answered with 403"}},
	},
	{Name: "statsd-exporter", Title: "StatsD exporter", Images: []string{"statsd-exporter", "statsd_exporter"}, Programs: []string{"statsd_exporter", "statsd-exporter"}},
	{Name: "tailscale", Title: "Tailscale", Images: []string{"tailscale"}, Programs: []string{"containerboot", "tailscaled"}},
	{
		Name: "git-sync", Title: "git-sync",
		Checked: "4.1.0", Sources: []string{"https://github.com/kubernetes/git-sync"},
		Images: []string{"git-sync"}, Programs: []string{"git-sync"},
		Once: []string{"--one-time", "-one-time"}, OnceVariables: []string{"GITSYNC_ONE_TIME", "GIT_SYNC_ONE_TIME"},
	},
	{
		Name: "dind", Title: "Docker in Docker",
		Images: []string{"docker:*dind*", "docker-dind", "dind"}, Programs: []string{"dockerd", "dockerd-entrypoint.sh"},
	},
	{
		Name: "kubectl-proxy", Title: "kubectl proxy",
		Images: []string{"kubectl"}, Programs: []string{"kubectl"}, Subcommand: "proxy",
	},
	{
		Name: "pause", Title: "The pause container of Kubernetes",
		Images: []string{"pause", "pause-amd64", "pause-arm64"}, Programs: []string{"pause"},
	},
	{
		Name: "gcsfuse", Title: "Cloud Storage FUSE, as GKE injects it",
		Checked: "GKE 1.29", Sources: []string{"https://github.com/GoogleCloudPlatform/gcs-fuse-csi-driver"},
		Images: []string{"gcs-fuse-csi-driver-sidecar-mounter"}, Programs: []string{"gcs-fuse-csi-driver-sidecar-mounter"},
		EndedBy: "the CSI driver of the node, by a file that the program looks for every 5 s",
		Note:    "On nodes from 1.29 it is a native sidecar, unless gke-gcsfuse/enable-native-sidecar says otherwise.",
	},
}
