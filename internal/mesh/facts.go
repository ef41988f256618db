package mesh

// NativeAnnotation is an annotation of jobmesh. It names the containers of the pod that are
// native sidecars, where the mesh's own annotations do not say so.
const NativeAnnotation = "jobmesh.dev/native"

// These are labels and annotations that a single rule or a single injector reads, beside those
// that every row can have.
const (
	// IstioNamespace, IstioRevision and IstioDataplane are labels. Istio's webhook reads them
	// in an order of its own, which is in internal/native.
	IstioNamespace = "istio-injection"
	IstioRevision  = "istio.io/rev"
	IstioDataplane = "istio.io/dataplane-mode"
	// IstioConfig holds YAML with settings of one proxy.
	IstioConfig = "proxy.istio.io/config"
	// LinkerdWait keeps a classic proxy running for some seconds after a SIGTERM.
	LinkerdWait = "config.alpha.linkerd.io/proxy-wait-before-exit-seconds"
	// LinkerdGrace is how long the proxy waits for open connections before it ends; the default
	// is two minutes.
	LinkerdGrace = "config.linkerd.io/shutdown-grace-period"
	consulGrace  = "consul.hashicorp.com/sidecar-proxy-lifecycle-shutdown-grace-period-seconds"

	linkerdShutdown = "config.linkerd.io/proxy-admin-shutdown"
	vaultQuit       = "vault.hashicorp.com/agent-enable-quit"
)

// The two proxies of Google's databases have the same endpoints. The body of the answer counts,
// because other programs answer any request at that port with 200, such as Dapr's metrics.
const (
	authProxyReady = "http://127.0.0.1:9090/startup"
	authProxyStop  = "POST http://127.0.0.1:9091/quitquitquit"
	authProxyFlags = "start the proxy with --health-check and --quitquitquit"
)

// These say how a webhook reads a value that it does not know, in the words of rule JM303.
const (
	asAbsent = "absent"
	asError  = "an error: the webhook refuses the pod"
)

// table has all rows. Where two proxies run beside a container, the wrapper looks for them,
// waits for them and stops them in this order.
var table = []Mesh{
	{
		Name: "linkerd", Title: "Linkerd",
		Checked: "2.20 (proxy 2.366.0)",
		Sources: []string{
			"https://github.com/linkerd/linkerd2-proxy/tree/release/v2.366.0/linkerd/app/admin",
			"https://github.com/linkerd/linkerd2/blob/main/pkg/inject/inject.go",
		},
		Annotation: "linkerd.io/proxy-version",
		Ready:      []string{"http://127.0.0.1:4191/ready"},
		Stop:       "POST http://127.0.0.1:4191/shutdown",
		// The proxy has this endpoint since 2022 (linkerd2-proxy, linkerd/app/admin).
		StopSwitch: "http://127.0.0.1:4191/env.json?LINKERD2_PROXY_SHUTDOWN_ENDPOINT_ENABLED",
		// The stop request is off by default since Linkerd 2.16 (linkerd2 PR 12705).
		StopNeeds: Switch{
			Word: Word{
				Key: linkerdShutdown, Annotation: true, Read: Words, Exact: []string{"enabled", "disabled"}, Other: "off",
				Alike: []string{
					"linkerd.io/proxy-admin-shutdown", "config.linkerd.io/admin-shutdown",
					"config.linkerd.io/proxy-enable-shutdown", "config.linkerd.io/enable-shutdown-endpoint",
				},
			},
			Value: "enabled", Since: Version{2, 16}, Rule: "JM102",
		},
		StopDisabled: "annotate the pod with " + linkerdShutdown + ": enabled",
		Inject: Injection{
			Word: Word{
				Key: "linkerd.io/inject", Read: Words, Exact: []string{"enabled", "disabled", "ingress"},
				Other: "no: the webhook only injects on the words that it knows",
				Alike: []string{
					"linkerd.io/injected", "linkerd.io/injection", "linkerd.io/enabled", "config.linkerd.io/inject",
					"linkerd.io/sidecar-inject",
				},
			},
			Levels: []Level{PodAnnotation, NamespaceAnnotation},
			Yes:    []string{"enabled", "ingress"}, No: []string{"disabled"},
			OptOut: []Level{PodAnnotation},
			Spared: []string{"kube-system"},
		},
		// The injector does not look at the nodes. Linkerd has renamed the annotation twice,
		// and each release reads the names that it knows.
		Native: Native{
			Words: []NativeWord{
				{
					Name: "config.linkerd.io/proxy-enable-native-sidecar", Since: Version{2, 20},
					Source: "https://github.com/linkerd/linkerd2/pull/15267",
					Alike: []string{
						"linkerd.io/proxy-enable-native-sidecar", "config.linkerd.io/enable-native-sidecar",
						"config.linkerd.io/native-sidecar", "config.linkerd.io/proxy-native-sidecar",
					},
				},
				{
					Name: "config.beta.linkerd.io/proxy-enable-native-sidecar", Since: Version{2, 19}, Variable: "JOBMESH_POD_LINKERD_NATIVE_BETA",
					Source: "https://linkerd.io/2/reference/proxy-configuration/",
				},
				{
					Name: "config.alpha.linkerd.io/proxy-enable-native-sidecar", Since: Version{2, 15}, Variable: "JOBMESH_POD_LINKERD_NATIVE_ALPHA",
					Source: "https://linkerd.io/2.15/reference/proxy-configuration/",
				},
			},
			Read: GoBool, Other: asAbsent, Namespace: true,
			Setting: Version{2, 15}, SettingSource: "https://linkerd.io/2.15/reference/proxy-configuration/",
			Default:       Version{2, 20},
			DefaultSource: "https://github.com/linkerd/website/blob/main/linkerd.io/content/blog/2026/0623-announcing-linkerd-2.20/index.md",
		},
		// The proxy drains for up to two minutes after a stop, and the Job waits for it.
		Wrap:         []Setting{{linkerdShutdown, "enabled"}, {LinkerdGrace, "5s"}},
		Grace:        Grace{Key: LinkerdGrace, Seconds: 120, Unseen: true},
		SkipPorts:    Word{Key: "config.linkerd.io/skip-outbound-ports", Annotation: true},
		SkipNetworks: []string{"config.linkerd.io/skip-subnets"},
		User:         2102,
		Container:    "linkerd-proxy",
		Inits:        []string{"linkerd-init", "linkerd-network-validator"},
		Processes:    []string{"linkerd2-proxy", "linkerd-proxy"},
		DeafPorts:    []string{"4140", "4143", "4190", "4191"},
		// The image has no shell, but a program that runs another one, waits for its end and
		// then asks the proxy to stop. The only other program that is certain to be in the
		// image is that program itself.
		KillCommand: `["/usr/lib/linkerd/linkerd-await","--shutdown","--","/usr/lib/linkerd/linkerd-await","--version"]`,
		Rule:        "JM101",
		Domain:      "linkerd",
		Prefixes:    []string{"config.linkerd.io/", "config.alpha.linkerd.io/", "config.beta.linkerd.io/"},
		Words: []Word{{
			Key: LinkerdWait, Annotation: true,
			Alike: []string{"config.linkerd.io/proxy-wait-before-exit-seconds", "config.beta.linkerd.io/proxy-wait-before-exit-seconds"},
		}},
		Nearby: []string{"config.linkerd.io/skip-inbound-ports"},
	},
	{
		Name: "istio", Title: "Istio",
		Checked: "1.31 (eed52ebb66ad)",
		Sources: []string{
			"https://github.com/istio/istio/blob/eed52ebb66ad/pilot/cmd/pilot-agent/status/server.go",
			"https://github.com/istio/istio/blob/eed52ebb66ad/pkg/kube/inject/webhook.go",
			"https://github.com/istio/istio/blob/eed52ebb66ad/manifests/charts/istio-control/istio-discovery/files/injection-template.yaml",
		},
		Annotation: "sidecar.istio.io/status",
		// Port 15021 is the listener that the kubelet probes. It works where the agent's own
		// port has been moved.
		Ready: []string{"http://127.0.0.1:15021/healthz/ready"},
		// The agent answers before its Envoy runs. So the wrapper cannot take that Envoy for
		// one without an agent.
		Detect: []string{"http://127.0.0.1:15020/healthz/ready", "http://127.0.0.1:15021/healthz/ready"},
		// The request goes to the agent, which exits at once, and not to Envoy's admin port,
		// after which the agent would only notice that Envoy has ended. Istio 1.3 and newer
		// have this endpoint.
		Stop: "POST http://127.0.0.1:15020/quitquitquit",
		// The annotation status.sidecar.istio.io/port moves the agent's port, or turns it off
		// with 0. In the second case port 15021 answers 503 for ever. Envoy's own port stays
		// open: the agent exits with 0 after its Envoy was asked to stop.
		Fallback:     Fallback{Ready: "http://127.0.0.1:15000/ready", Stop: "POST http://127.0.0.1:15000/quitquitquit"},
		StopDisabled: "Istio has this endpoint since 1.3; look at the annotation status.sidecar.istio.io/port",
		Inject: Injection{
			// The webhook reads some other values as yes where the namespace is injected;
			// elsewhere it does not see them.
			Word: Word{
				Key: "sidecar.istio.io/inject", Read: Words, Exact: []string{"true", "false"},
				Other: "something that depends on the namespace",
				Alike: []string{"sidecar.istio.io/injection", "sidecar.istio.io/injected", "istio.io/inject", IstioNamespace},
			},
			Levels: []Level{PodLabel, PodAnnotation},
			Yes:    []string{"true"}, No: []string{"false"},
			OptOut: []Level{PodLabel, PodAnnotation},
			Spared: []string{"kube-system", "kube-public", "kube-node-lease", "local-path-storage"},
		},
		Native: Native{
			Words: []NativeWord{{
				Name: "sidecar.istio.io/nativeSidecar", Since: Version{1, 24},
				Source: "https://istio.io/latest/news/releases/1.24.x/announcing-1.24/change-notes/",
				Alike: []string{
					"sidecar.istio.io/native-side", "sidecar.istio.io/native-sidecar", "sidecar.istio.io/enableNativeSidecar",
					"sidecar.istio.io/nativeSidecars", "istio.io/nativeSidecar",
				},
			}},
			Read: ButFalse, Exact: []string{"true", "false"}, Other: "on: only the exact word false turns it off",
			Setting: Version{1, 19}, SettingSource: "https://istio.io/latest/blog/2023/native-sidecars/",
			// In mode auto the oldest kubelet of the cluster decides for all pods.
			Default: Version{1, 27}, DefaultKubelet: Version{1, 33},
			DefaultSource: "https://github.com/istio/istio/pull/56428",
			Status:        "initContainers",
		},
		Platforms: []Platform{
			{
				Name: "aks-new", Title: "the Istio add-on of AKS, in a cluster where it was installed anew", Revisions: true,
				Default: Version{1, 27}, Kubernetes: Version{1, 33},
				Source: "https://learn.microsoft.com/en-us/azure/aks/istio-native-sidecar",
			},
			{
				Name: "aks-upgraded", Title: "the Istio add-on of AKS, upgraded from an older revision", Revisions: true,
				Default: Version{1, 29}, Kubernetes: Version{1, 33},
				Source: "https://learn.microsoft.com/en-us/azure/aks/istio-native-sidecar",
			},
			{
				Name: "asm", Title: "Alibaba Cloud Service Mesh",
				Default: Version{1, 22}, Kubernetes: Version{1, 30},
				Source: "https://www.alibabacloud.com/help/en/asm/sidecar/deploying-grid-agents-using-native-sidecar-patterns",
			},
			{
				Name: "ossm-3.0", Title: "OpenShift Service Mesh 3.0", Version: Version{1, 24},
				Source: "https://docs.redhat.com/en/documentation/red_hat_openshift_service_mesh/3.0/html/release_notes/ossm-release-notes-version-support-tables",
			},
			{
				Name: "ossm-3.1", Title: "OpenShift Service Mesh 3.1", Version: Version{1, 26},
				Source: "https://docs.redhat.com/it/documentation/red_hat_openshift_service_mesh/3.1/html/release_notes/ossm-release-notes-version-support-tables",
			},
		},
		SkipPorts: Word{
			Key: "traffic.sidecar.istio.io/excludeOutboundPorts", Annotation: true,
			Alike: []string{"sidecar.istio.io/excludeOutboundPorts"},
		},
		SkipNetworks: []string{"traffic.sidecar.istio.io/excludeOutboundIPRanges"},
		User:         1337,
		Container:    "istio-proxy",
		Inits:        []string{"istio-init", "istio-validation"},
		Processes:    []string{"pilot-agent", "istio-proxy"},
		Client:       "pilot-agent",
		AdminPorts:   []string{"15000"},
		DeafPorts:    []string{"15001", "15006", "15021", "15090"},
		Shell:        true,
		Rule:         "JM101", WrittenRule: "JM105",
		Domain:   "istio",
		Prefixes: []string{"sidecar.istio.io/", "traffic.sidecar.istio.io/", "proxy.istio.io/", "inject.istio.io/"},
		Words: []Word{
			{Key: IstioConfig, Annotation: true},
			{Key: IstioDataplane, Label: true, Read: Words, Exact: []string{"ambient", "none"}, Other: asAbsent},
		},
		Nearby: []string{
			"sidecar.istio.io/status", "traffic.sidecar.istio.io/excludeInboundPorts",
			"traffic.sidecar.istio.io/includeOutboundPorts", "traffic.sidecar.istio.io/includeInboundPorts",
		},
	},
	{
		Name: "kuma", Title: "Kuma",
		Checked: "2.14.3",
		Sources: []string{
			"https://github.com/kumahq/kuma/blob/v2.14.3/pkg/plugins/runtime/k8s/webhooks/injector/injector.go",
			"https://github.com/kumahq/kuma/blob/v2.14.3/pkg/plugins/runtime/k8s/util/names.go",
			"https://github.com/kumahq/kuma/blob/v2.14.3/UPGRADE.md",
		},
		Annotation: "kuma.io/sidecar-injected",
		Ready:      []string{"http://127.0.0.1:9902/ready", "http://127.0.0.1:9901/ready"},
		// Up to Kuma 2.11 kuma-dp answers there, with READY before its Envoy exists. Since 2.14
		// Envoy itself answers, with LIVE once it is ready.
		ReadyBody: map[string]string{"http://127.0.0.1:9902/ready": "LIVE"},
		Stop:      "POST http://127.0.0.1:9901/quitquitquit",
		// Since Kuma 2.14 the admin port is a Unix socket that the wrapper cannot reach, and
		// the proxy is a native sidecar by default.
		StopElsewhere: "the kubelet or Kuma's control plane stops it when the pod's other containers have ended",
		// Kuma reads a label on the pod and on the namespace. Older releases read an annotation
		// of the same name.
		Inject: Injection{
			Word: Word{
				Key: "kuma.io/sidecar-injection", Read: Words, Exact: []string{"enabled", "disabled", "true", "false"}, Other: "no",
				Alike: []string{"kuma.io/sidecar-inject", "kuma.io/injection", "kuma.io/inject"},
			},
			Levels: []Level{PodLabel, PodAnnotation, NamespaceLabel, NamespaceAnnotation},
			Yes:    []string{"enabled", "true"}, No: []string{"disabled", "false"},
			OptOut: []Level{PodLabel},
		},
		Native: Native{
			Setting: Version{2, 7}, SettingSource: "https://github.com/kumahq/kuma/pull/9321",
			Default: Version{2, 14}, DefaultSource: "https://github.com/kumahq/kuma/pull/16502",
		},
		SkipPorts: Word{Key: "traffic.kuma.io/exclude-outbound-ports", Annotation: true},
		Container: "kuma-sidecar",
		Inits:     []string{"kuma-init", "kuma-validation"},
		Processes: []string{"kuma-dp"},
		DeafPorts: []string{"9902"},
		Domain:    "kuma",
		Prefixes:  []string{"traffic.kuma.io/"},
	},
	{
		Name: "consul", Title: "Consul",
		Checked: "consul-k8s 2.0.3 (consul-dataplane 2.0.1)",
		Sources: []string{
			"https://github.com/hashicorp/consul-k8s/blob/v2.0.3/control-plane/connect-inject/webhook/mesh_webhook.go",
			"https://github.com/hashicorp/consul-k8s/blob/v2.0.3/control-plane/connect-inject/webhook/consul_dataplane_sidecar.go",
		},
		Annotation: "consul.hashicorp.com/connect-inject-status",
		Ready:      []string{"http://127.0.0.1:19000/ready"},
		Stop:       "POST http://127.0.0.1:20600/graceful_shutdown",
		StopByGet:  true,
		// A dataplane that gets the request before it is ready takes it for done, and then ends
		// neither on a second request nor on a SIGTERM (consul-dataplane, run at 28a963a).
		StopAfterAnswer: true,
		StopDisabled:    "look at the annotation consul.hashicorp.com/sidecar-proxy-lifecycle-graceful-port, which moves the port",
		Inject: Injection{
			Word: Word{
				Key: "consul.hashicorp.com/connect-inject", Read: GoBool, Other: asError,
				Alike: []string{"consul.hashicorp.com/inject", "consul.hashicorp.com/connect-injection"},
			},
			Levels: []Level{PodAnnotation},
			No:     []string{"false"},
			OptOut: []Level{PodAnnotation},
		},
		Native: Native{
			Words: []NativeWord{{
				Name: "consul.hashicorp.com/enable-consul-dataplane-as-sidecar", Since: Version{1, 9},
				Source: "https://github.com/hashicorp/consul-k8s/pull/4678",
			}},
			Read: GoBool, Other: asAbsent,
			Setting: Version{1, 9}, SettingSource: "https://github.com/hashicorp/consul-k8s/pull/4678",
		},
		// The stop waits 30 s by default for open connections.
		Wrap:       []Setting{{consulGrace, "0"}},
		Grace:      Grace{Key: consulGrace, Seconds: 30},
		SkipPorts:  Word{Key: "consul.hashicorp.com/transparent-proxy-exclude-outbound-ports", Annotation: true},
		Container:  "consul-dataplane",
		Inits:      []string{"consul-connect-inject-init"},
		Processes:  []string{"consul-dataplane"},
		AdminPorts: []string{"20600"},
		Rule:       "JM108",
		Domain:     "consul",
		Prefixes:   []string{"consul.hashicorp.com/connect-", "consul.hashicorp.com/transparent-proxy", "consul.hashicorp.com/enable-"},
	},
	{
		Name: "dapr", Title: "Dapr",
		Checked: "1.18.1",
		Sources: []string{
			"https://github.com/dapr/dapr/blob/v1.18.1/pkg/injector/patcher/sidecar.go",
			"https://github.com/dapr/dapr/blob/v1.18.1/pkg/injector/patcher/sidecar_patcher.go",
			"https://github.com/dapr/dapr/blob/v1.18.1/pkg/injector/service/pod_patch.go",
		},
		Annotation: "dapr.io/enabled",
		Ready:      []string{"http://127.0.0.1:3500/v1.0/healthz/outbound"},
		Stop:       "POST http://127.0.0.1:3500/v1.0/shutdown",
		// The header is required where API tokens are on.
		TokenHeader: "dapr-api-token", TokenVariable: "DAPR_API_TOKEN",
		Inject: Injection{
			Word:      Word{Key: "dapr.io/enabled", Read: Truthy, Exact: []string{"true", "false"}, Other: "off", Alike: []string{"dapr.io/enable", "dapr.io/inject"}},
			Levels:    []Level{PodAnnotation},
			No:        []string{"false"},
			OptOut:    []Level{PodAnnotation},
			WhenAsked: true,
			// daprd is an ordinary server that does not redirect traffic, so its injector
			// ignores hostNetwork.
			HostNetwork: true,
		},
		Native: Native{
			Words: []NativeWord{{
				Name: "dapr.io/enable-native-sidecar", Since: Version{1, 18},
				Source: "https://github.com/dapr/dapr/blob/v1.18.1/docs/release_notes/v1.18.0.md",
			}},
			Read: Truthy, Other: "off",
			Setting: Version{1, 18}, SettingSource: "https://github.com/dapr/dapr/blob/v1.18.1/docs/release_notes/v1.18.0.md",
		},
		Container: "daprd",
		// The readiness probe asks /v1.0/healthz, which fails until the port of the application
		// is open.
		ReadyAfter: "dapr.io/app-port",
		Processes:  []string{"daprd"},
		Rule:       "JM107",
		Domain:     "dapr",
		Prefixes:   []string{"dapr.io/"},
		Nearby:     []string{"dapr.io/app-id"},
	},
	{
		Name: "envoy", Title: "Envoy",
		Checked:   "1.39.3",
		Sources:   []string{"https://www.envoyproxy.io/docs/envoy/v1.39.3/operations/admin"},
		Ready:     []string{"http://127.0.0.1:15000/ready"},
		Stop:      "POST http://127.0.0.1:15000/quitquitquit",
		Processes: []string{"envoy"},
		Shared:    true,
	},
	{
		Name: "cloud-sql-proxy", Title: "Cloud SQL Auth Proxy",
		Checked:      "2.27.0",
		Sources:      []string{"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/blob/v2.27.0/cmd/root.go"},
		Ready:        []string{authProxyReady},
		ReadyBody:    map[string]string{authProxyReady: "ok"},
		Stop:         authProxyStop,
		StopByGet:    true,
		StopDisabled: authProxyFlags,
		Processes:    []string{"cloud_sql_proxy", "cloud-sql-proxy"},
	},
	{
		Name: "alloydb-auth-proxy", Title: "AlloyDB Auth Proxy",
		Checked:      "1.17.1",
		Sources:      []string{"https://github.com/GoogleCloudPlatform/alloydb-auth-proxy/blob/v1.17.1/cmd/root.go"},
		Ready:        []string{authProxyReady},
		ReadyBody:    map[string]string{authProxyReady: "ok"},
		Stop:         authProxyStop,
		StopByGet:    true,
		StopDisabled: authProxyFlags,
		Processes:    []string{"alloydb-auth-proxy"},
		Alike:        "cloud-sql-proxy",
	},
	{
		Name: "vault-agent", Title: "Vault Agent",
		Checked: "Vault 1.14.0 (vault-k8s of 2026-08-06)",
		Sources: []string{
			"https://github.com/hashicorp/vault-k8s/blob/main/agent-inject/agent/annotations.go",
			"https://github.com/hashicorp/vault-k8s/blob/main/agent-inject/handler.go",
		},
		Stop: "POST http://127.0.0.1:8200/agent/v1/quit",
		StopNeeds: Switch{
			Word:  Word{Key: vaultQuit, Annotation: true, Read: GoBool, Other: asError},
			Value: "true", Rule: "JM109",
		},
		StopDisabled: "annotate the pod with " + vaultQuit + `: "true"`,
		Inject: Injection{
			Word:        Word{Key: "vault.hashicorp.com/agent-inject", Read: GoBool, Other: asError, Alike: []string{"vault.hashicorp.com/inject"}},
			Levels:      []Level{PodAnnotation},
			No:          []string{"false"},
			WhenAsked:   true,
			HostNetwork: true, // the injector ignores it
			InitOnly:    Word{Key: "vault.hashicorp.com/agent-pre-populate-only", Annotation: true, Read: GoBool, Other: asError},
		},
		Container: "vault-agent",
		Processes: []string{"vault agent"},
		Rule:      "JM109",
		Domain:    "vault",
		Prefixes:  []string{"vault.hashicorp.com/agent-"},
		Nearby: []string{
			"vault.hashicorp.com/agent-pre-populate", "vault.hashicorp.com/agent-inject-status", "vault.hashicorp.com/agent-init-first",
		},
	},
}
