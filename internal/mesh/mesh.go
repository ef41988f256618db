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
	// Annotation is set on the pod by the mesh's injector; its value is handed
	// to the wrapper through the downward API as the variable Variable().
	Annotation string
	// Ready lists the URLs of the readiness check. A GET answered with
	// 200-299 by any one of them means that the proxy is ready.
	Ready []string
	// Stop is "METHOD URL", the request on which the proxy exits.
	Stop string
	// StopDisabled tells the user what to change when the stop request is
	// answered with 404, that is, when the endpoint is switched off.
	StopDisabled string
	// native reports, from the annotation's value, whether the proxy runs as a
	// native sidecar. Nil where the annotation cannot tell.
	native func(annotation string) bool
}

var table = []Mesh{
	{
		Name:       "linkerd",
		Annotation: "linkerd.io/proxy-version",
		Ready:      []string{"http://127.0.0.1:4191/ready"},
		Stop:       "POST http://127.0.0.1:4191/shutdown",
		// Off by default since Linkerd 2.16 (linkerd2 PR 12705).
		StopDisabled: "annotate the pod with config.linkerd.io/proxy-admin-shutdown: enabled",
	},
	{
		Name:       "istio",
		Annotation: "sidecar.istio.io/status",
		// 15021 is the listener the kubelet probes; it works where the agent's
		// own port has been moved.
		Ready: []string{"http://127.0.0.1:15021/healthz/ready"},
		// The agent, not Envoy's admin port: the agent would report Envoy's
		// exit as its own failure (istio 1.3 and newer have this endpoint).
		Stop:         "POST http://127.0.0.1:15020/quitquitquit",
		StopDisabled: "Istio has this endpoint since 1.3; check the annotation status.sidecar.istio.io/port",
		native:       istioNative,
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
// the mesh's pod annotation into the wrapped container.
func (m Mesh) Variable() string {
	return "JOBMESH_POD_" + strings.ToUpper(strings.ReplaceAll(m.Name, "-", "_"))
}

// Native reports whether the annotation's value shows the proxy to run as a
// native sidecar, which the kubelet stops by itself and restarts when anybody
// else does.
func (m Mesh) Native(annotation string) bool {
	return m.native != nil && m.native(annotation)
}

// Injected reports whether an annotation's value says that a proxy was
// injected. The downward API gives an empty value for an annotation that is
// not there.
func Injected(annotation string) bool {
	return annotation != "" && annotation != "false"
}
