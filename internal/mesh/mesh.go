// Package mesh is the table of service meshes: how a pod shows that a proxy
// was injected, how that proxy says it is ready, and how it is asked to stop.
//
// It holds facts only and imports nothing heavy, because the wrapper links it.
package mesh

import "strings"

// A Mesh is one row of the table. All addresses are on the pod's loopback.
type Mesh struct {
	// Name is the value of --mesh.
	Name string
	// Annotation is set on the pod where the mesh's proxy is injected; its
	// value is handed to the wrapper through the downward API as the variable
	// Variable(). Empty for a proxy that nobody injects.
	Annotation string
	// Ready lists the URLs of the readiness check. A GET answered with
	// 200-299 by any one of them means that the proxy is ready. Empty where a
	// proxy has no such check.
	Ready []string
	// Detect lists URLs at which the proxy is known by any answer of 200-299
	// or 503, for a wrapper that nobody told about it; Ready where empty.
	Detect []string
	// Stop is "METHOD URL", the request on which the proxy exits.
	Stop string
	// TokenHeader is sent with the stop request, with the value of the
	// variable TokenVariable, where that is set.
	TokenHeader, TokenVariable string
	// StopDisabled tells the user what to change when the stop request is
	// answered with 404, that is, when the endpoint is switched off.
	StopDisabled string
	// StopElsewhere says who stops the proxy where nobody listens at the stop
	// URL. Empty where that is nobody.
	StopElsewhere string
	// Natives are pod annotations that ask for a native sidecar, the one that
	// wins first.
	Natives []Annotation
	// native reports, from the value of Annotation, whether the proxy runs as
	// a native sidecar. Nil where it cannot tell.
	native func(annotation string) bool
}

// An Annotation is one more pod annotation that the wrapper is told.
type Annotation struct {
	Name     string
	Variable string
}

var table = []Mesh{
	{
		Name:       "linkerd",
		Annotation: "linkerd.io/proxy-version",
		Ready:      []string{"http://127.0.0.1:4191/ready"},
		Stop:       "POST http://127.0.0.1:4191/shutdown",
		// Off by default since Linkerd 2.16 (linkerd2 PR 12705).
		StopDisabled: "annotate the pod with config.linkerd.io/proxy-admin-shutdown: enabled",
		Natives: []Annotation{
			{"config.linkerd.io/proxy-enable-native-sidecar", "JOBMESH_POD_LINKERD_NATIVE"},
			{"config.beta.linkerd.io/proxy-enable-native-sidecar", "JOBMESH_POD_LINKERD_NATIVE_BETA"},
			{"config.alpha.linkerd.io/proxy-enable-native-sidecar", "JOBMESH_POD_LINKERD_NATIVE_ALPHA"},
		},
	},
	{
		Name:       "istio",
		Annotation: "sidecar.istio.io/status",
		// 15021 is the listener the kubelet probes; it works where the agent's
		// own port has been moved.
		Ready: []string{"http://127.0.0.1:15021/healthz/ready"},
		// The agent answers before its Envoy is up, and so before the wrapper
		// could take that Envoy for one without an agent.
		Detect: []string{"http://127.0.0.1:15020/healthz/ready", "http://127.0.0.1:15021/healthz/ready"},
		// The agent, not Envoy's admin port: the agent would report Envoy's
		// exit as its own failure (Istio 1.3 and newer have this endpoint).
		Stop:         "POST http://127.0.0.1:15020/quitquitquit",
		StopDisabled: "Istio has this endpoint since 1.3; look at the annotation status.sidecar.istio.io/port",
		native:       istioNative,
	},
	{
		Name:       "kuma",
		Annotation: "kuma.io/sidecar-injected",
		Ready:      []string{"http://127.0.0.1:9902/ready", "http://127.0.0.1:9901/ready"},
		Stop:       "POST http://127.0.0.1:9901/quitquitquit",
		// Since Kuma 2.14 the admin port is a Unix socket, out of reach.
		StopElsewhere: "Kuma's control plane stops it when the pod's other containers have ended",
	},
	{
		Name:         "consul",
		Annotation:   "consul.hashicorp.com/connect-inject-status",
		Ready:        []string{"http://127.0.0.1:19000/ready"},
		Stop:         "POST http://127.0.0.1:20600/graceful_shutdown",
		StopDisabled: "annotate the pod with consul.hashicorp.com/enable-sidecar-proxy-lifecycle: \"true\"",
	},
	{
		Name:       "dapr",
		Annotation: "dapr.io/enabled",
		Ready:      []string{"http://127.0.0.1:3500/v1.0/healthz/outbound"},
		Stop:       "POST http://127.0.0.1:3500/v1.0/shutdown",
		// Wanted where API tokens are on.
		TokenHeader: "dapr-api-token", TokenVariable: "DAPR_API_TOKEN",
	},
	{
		Name:  "envoy",
		Ready: []string{"http://127.0.0.1:15000/ready"},
		Stop:  "POST http://127.0.0.1:15000/quitquitquit",
	},
	{
		Name:         "cloud-sql-proxy",
		Ready:        []string{"http://127.0.0.1:9090/startup"},
		Stop:         "POST http://127.0.0.1:9091/quitquitquit",
		StopDisabled: "start the proxy with --health-check and --quitquitquit",
	},
	{
		Name:         "vault-agent",
		Stop:         "POST http://127.0.0.1:8200/agent/v1/quit",
		StopDisabled: "annotate the pod with vault.hashicorp.com/agent-enable-quit: \"true\"",
	},
}

// All returns the meshes in table order. The caller must not change it.
func All() []Mesh { return table }

// Names returns the mesh names in table order.
func Names() []string {
	names := make([]string, len(table))
	for i := range table {
		names[i] = table[i].Name
	}
	return names
}

// ByName returns the mesh of that name.
func ByName(name string) (Mesh, bool) {
	for _, m := range table {
		if m.Name == name {
			return m, true
		}
	}
	return Mesh{}, false
}

// Variable is the name of the environment variable that carries the value of
// the mesh's pod annotation into the wrapped container; empty where there is
// no annotation.
func (m *Mesh) Variable() string {
	if m.Annotation == "" {
		return ""
	}
	return "JOBMESH_POD_" + strings.ToUpper(m.Name)
}

// Native reports whether the pod's annotations show the proxy to run as a
// native sidecar, which the kubelet stops by itself and restarts when anybody
// else does. lookup returns the value of a variable.
func (m *Mesh) Native(lookup func(variable string) string) bool {
	for _, a := range m.Natives {
		// Linkerd takes a boolean here, where its neighbours take "enabled".
		if value := lookup(a.Variable); value != "" {
			return value == "true"
		}
	}
	return m.native != nil && m.native(lookup(m.Variable()))
}

// Injected reports whether an annotation's value says that a proxy was
// injected. The downward API gives an empty value for an annotation that is
// not there.
func Injected(annotation string) bool {
	return annotation != "" && annotation != "false"
}
