package lint

import (
	"slices"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

// linkerdStartSeconds is the number of seconds after which the postStart hook of Linkerd's
// proxy, linkerd-await --timeout=2m, gives up waiting for the proxy.
const linkerdStartSeconds = 120

// start are the rules for Jobs that will not start, or wait without end.
var start = []Rule{
	{
		ID: "JM201", Severity: Warning,
		Title:   "no deadline for a proxy that never gets ready",
		Message: "if `{proxy}` never becomes ready this Job never fails: it has no activeDeadlineSeconds",
		Why: `A native sidecar starts before the containers, and they wait for it. One that never becomes ready leaves
the pod in Init. With restartPolicy Never nothing is counted against backoffLimit then, so only a deadline ends the Job.`,
		Fix:   "set activeDeadlineSeconds on the Job to the longest time that it may take",
		Links: []string{"https://github.com/kubernetes/enhancements/blob/master/keps/sig-node/753-sidecar-containers/README.md", "https://github.com/SREGym/SREGym/pull/881"},
		check: func(p *pod, r *reporter) {
			x, ok := p.nativeProxy()
			// A workflow of Argo may be given a deadline when it is submitted, so its manifest
			// need not have one.
			if ok && p.restartPolicy == "Never" && p.template.Row.Form != kind.Argo && p.deadline().node == nil {
				r.add(p.job, "", "proxy", x.name)
			}
		},
	},
	{
		ID: "JM202", Severity: Warning,
		Title:   "the deadline is shorter than the proxy's start",
		Message: "the deadline of {deadline} s may be used up by the start of `{proxy}` alone, which may take {allowance} s",
		Why: `Linkerd's proxy may take two minutes to become ready before it is started again. A deadline that is not
longer than that can end the Job before its command began.`,
		Fix:   "raise activeDeadlineSeconds above {allowance} s plus the time that the command takes",
		Links: []string{"https://linkerd.io/2/reference/proxy-configuration/"},
		check: func(p *pod, r *reporter) {
			x, ok := p.proxyOf("linkerd")
			allowance := linkerdStartSeconds
			for _, c := range p.work() {
				if w := c.reading.Wrapper; w != nil && !x.native.Yes && w.Name == wrapflags.JobmeshWrap && w.Bound > 0 {
					allowance = int(w.Bound.Seconds())
				}
			}
			at := p.deadline()
			deadline, err := strconv.Atoi(at.text())
			if ok && err == nil && deadline <= allowance {
				r.add(at, "", "deadline", at.text(), "proxy", x.name, "allowance", strconv.Itoa(allowance))
			}
		},
	},
	{
		ID: "JM203", Severity: Error,
		Title:   "a container waits for a proxy that will not come",
		Message: "container `{container}` waits for a proxy that will not come ({why})",
		Why: `The command is started when the proxy is ready. This pod gets none, so the wait ends in failure, or never.
A manifest that has to run both meshed and unmeshed needs a wrapper that can tell.`,
		Fix: "drop the wait, or bound it (linkerd-await --timeout 30s --timeout-fatal=false), or use the wrapper of `jobmesh inject`, which runs the command at once where there is no proxy",
		Links: []string{
			"https://github.com/linkerd/linkerd2/issues/8758", "https://github.com/linkerd/linkerd-await/pull/409",
		},
		check: func(p *pod, r *reporter) {
			for _, c := range p.apps {
				mesh := waitsFor(c)
				if _, comes := p.proxyOf(mesh); mesh == "" || comes {
					continue
				}
				if why := p.without(mesh); why != "" {
					r.add(p.commandOf(c), c.Name, "why", why)
				}
			}
		},
	},
	{
		ID: "JM204", Severity: Info,
		Title:   "a proxy is asked for on the host's network",
		Message: "{asked} asks for a proxy, which that mesh puts into no pod with hostNetwork: true",
		Why: `The proxy takes over the pod's network, which here is the node's. The webhooks of such meshes skip the pod;
linkerd inject refuses the whole stream that holds one.`,
		Fix:   "remove hostNetwork, or the {asked}",
		Links: []string{"https://linkerd.io/2/reference/cli/inject/"},
		check: func(p *pod, r *reporter) {
			if !p.hostNetwork {
				return
			}
			for _, m := range mesh.All() {
				read := p.injector(m.Name)
				read.HostNetwork, read.Default = false, false
				read.NamespaceAnnotations, read.NamespaceLabels = nil, nil
				if d := native.Injected(m.Name, read); d.Yes && !m.Inject.HostNetwork {
					r.add(p.spec.get("hostNetwork"), "", "asked", strings.TrimPrefix(d.By, "the pod's "))
					return
				}
			}
		},
	},
	{
		ID: "JM205", Severity: Warning,
		Title:   "an init container needs the network before the proxy",
		Message: "init container `{container}` needs the network, and runs before `{proxy}`",
		Why: `A classic proxy starts after all init containers. What they send is not in the mesh, and where the
traffic is redirected already, as with a CNI plugin, it goes nowhere.`,
		Fix:   "use a native sidecar, which starts first, or exclude the port (skip-outbound-ports, excludeOutboundPorts) or the proxy's user id",
		Links: []string{"https://linkerd.io/2-edge/features/native-sidecars/", "https://istio.io/latest/docs/setup/additional-setup/cni/", "https://github.com/GoogleCloudPlatform/gcs-fuse-csi-driver/issues/53"},
		check: func(p *pod, r *reporter) {
			p.mountsTooEarly(r)
			for _, x := range p.proxies {
				if x.native.Yes || rowOf(x.mesh).User == 0 || p.excludesTraffic() {
					continue
				}
				if at, ok := p.fetched(); ok {
					r.add(at, argoInit, "proxy", x.name)
					return
				}
				for _, c := range p.inits {
					user := c.place.get("securityContext", "runAsUser").text()
					if !c.Native && needsNetwork(c) && !isProxyUser(user) {
						r.add(c.place, c.Name, "proxy", x.name)
						return
					}
				}
			}
		},
	},
	{
		ID: "JM206", Severity: Error,
		Title:   "Istio holds the application, and a failed wait stays failed",
		Message: "holdApplicationUntilProxyStarts with a classic proxy and restartPolicy {policy}: if the wait fails once, the pod is stuck",
		Why: `The wait is a postStart hook of the proxy's container. When it fails, the kubelet kills the proxy, and
with restartPolicy OnFailure or Never does not bring the pod back to a state in which it could go on.`,
		Fix:   goNative + "remove that setting, and " + wrapIt,
		Links: []string{"https://github.com/istio/istio/issues/45627"},
		check: func(p *pod, r *reporter) {
			x, ok := p.proxyOf("istio")
			at := p.annotation(mesh.IstioConfig)
			if ok && !x.native.Yes && (p.restartPolicy == "Never" || p.restartPolicy == "OnFailure") && holds(at.text()) {
				r.add(at, "", "policy", p.restartPolicy, "annotation", p.nativeFix(x.name))
			}
		},
	},
	{
		ID: "JM208", Severity: Error,
		Title:   "native sidecars on a Kubernetes release without them",
		Message: "{asked} asks for a native sidecar, which Kubernetes {version} does not know",
		Why: `Native sidecars are on by default since Kubernetes 1.29. Before that the field restartPolicy of an init
container is dropped: the proxy is an ordinary init container then, and the pod never leaves Init.`,
		Fix:   "upgrade, or leave the proxy classic and wrap the command with `jobmesh inject`",
		Links: []string{"https://github.com/kubernetes/enhancements/blob/master/keps/sig-node/753-sidecar-containers/kep.yaml"},
		check: func(p *pod, r *reporter) {
			oldest := p.profile.oldest()
			if !oldest.Before(native.Sidecars.Major, native.Sidecars.Minor) {
				return
			}
			for _, c := range p.inits {
				if c.Native {
					r.add(c.place.get("restartPolicy"), c.Name, "asked", "init container `"+c.Name+"`", "version", oldest.String())
					return
				}
			}
			for _, x := range p.proxies {
				d := native.Wanted(x.mesh, p.installation(x.mesh), p.injector(x.mesh))
				// A mesh's default is not a request: only an annotation or a setting is
				// reported.
				if d.Yes && (strings.Contains(d.By, "annotation") || strings.Contains(d.By, "setting")) {
					r.add(p.meta.get("annotations"), "", "asked", d.By, "version", oldest.String())
					return
				}
			}
		},
	},
}

// These are the annotation and the driver with which GKE mounts buckets, and the address that the
// program asks for credentials.
const (
	gcsfuseAnnotation = "gke-gcsfuse/volumes"
	gcsfuseDriver     = "gcsfuse.csi.storage.gke.io"
	metadataServer    = "169.254.169.254"
)

// mountsTooEarly reports the sidecar of GKE's gcsfuse beside a classic istio-proxy. The sidecar
// asks the metadata server before the proxy is up, and the proxy gets that traffic.
func (p *pod) mountsTooEarly(r *reporter) {
	x, meshed := p.proxyOf("istio")
	asked := p.annotation(gcsfuseAnnotation)
	volumes := p.spec.get("volumes")
	mounts := slices.ContainsFunc(manifest.Items(volumes.node), func(n *yamlNode) bool {
		return manifest.Text(manifest.Get(n, "csi", "driver")) == gcsfuseDriver
	})
	if !meshed || x.native.Yes || asked.text() != "true" && !mounts {
		return
	}
	for _, name := range rowOf("istio").SkipNetworks {
		if value := p.annotations[name]; strings.Contains(value, metadataServer) || value == "*" {
			return
		}
	}
	if asked.node == nil {
		asked = volumes
	}
	r.saying("the sidecar of gcsfuse asks the metadata server ("+metadataServer+") before `{proxy}` is up, which that traffic is redirected to",
		"use a native sidecar, which starts first, or annotate the pod template with "+rowOf("istio").SkipNetworks[0]+": "+metadataServer+"/32").
		add(asked, "", "proxy", x.name)
}

// needsNetwork tells whether an init container is useless without a network. It decides by the
// command, and by the name of the container where the command is not known.
func needsNetwork(c container) bool {
	return c.reading.Network || script.MayNeedNetwork(c.Name) && !c.reading.Prepares()
}

// nativeProxy returns the mesh's proxy where that is a native sidecar.
func (p *pod) nativeProxy() (proxy, bool) {
	i := slices.IndexFunc(p.proxies, func(x proxy) bool { return x.native.Yes })
	if i < 0 || p.windows {
		return proxy{}, false
	}
	return p.proxies[i], true
}

// deadline returns the place of activeDeadlineSeconds of the Job, of the object that makes the
// pods, or of the pod.
func (p *pod) deadline() place {
	for _, path := range [][]any{{"spec"}, {"spec", "runPolicy"}} {
		if at := p.root.get(path...).get("activeDeadlineSeconds"); at.node != nil {
			return at
		}
	}
	if at := p.job.get("activeDeadlineSeconds"); at.node != nil {
		return at
	}
	if at := p.spec.get("activeDeadlineSeconds"); at.node != nil {
		return at
	}
	return p.job.get("activeDeadlineSeconds")
}

// waitsFor returns the mesh whose proxy a container waits for, and "" where it waits for none.
func waitsFor(c container) string {
	if w := c.reading.Wrapper; w != nil && w.Waits {
		if len(w.Meshes) == 0 {
			return "istio" // these are scuttle and envoy-preflight
		}
		return w.Meshes[0]
	}
	for _, loop := range c.reading.WaitsFor {
		for _, m := range mesh.All() {
			if slices.ContainsFunc(m.ReadyPorts(), func(port string) bool { return strings.Contains(loop, port) }) {
				return m.Name
			}
		}
	}
	return ""
}

// without says why the pod certainly gets no proxy of a mesh, and "" where that is not certain.
func (p *pod) without(name string) string {
	m, read := rowOf(name), p.injector(name)
	read.Default = true
	if d := native.Injected(name, read); !d.Yes && m.Annotation != "" && !m.Inject.WhenAsked {
		return d.By
	}
	return ""
}

// optedOut tells whether the pod is kept out of a mesh.
func (p *pod) optedOut() bool {
	return slices.ContainsFunc(native.Meshes(), func(name string) bool { return p.without(name) != "" })
}

// excludesTraffic tells whether some traffic of the pod bypasses the proxy.
func (p *pod) excludesTraffic() bool {
	for _, m := range mesh.All() {
		for _, name := range append([]string{m.SkipPorts.Key}, m.SkipNetworks...) {
			if p.annotations[name] != "" {
				return true
			}
		}
	}
	return false
}

// isProxyUser tells whether a user id is that of a proxy, whose traffic is not redirected.
func isProxyUser(id string) bool {
	return slices.ContainsFunc(mesh.All(), func(m mesh.Mesh) bool { return m.User != 0 && strconv.Itoa(m.User) == id })
}

// holds reads holdApplicationUntilProxyStarts in the YAML of an annotation.
func holds(config string) bool {
	_, after, found := strings.Cut(config, "holdApplicationUntilProxyStarts")
	return found && strings.HasPrefix(strings.TrimLeft(after, `"': `), "true")
}
