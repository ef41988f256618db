package lint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/pages"
	"github.com/jobmesh/jobmesh/internal/script"
)

// wrapIt is the fix that works for every proxy that accepts a stop request.
const wrapIt = useWrapper + endsThere

const useWrapper = "pipe the manifest through `jobmesh inject`, or use the library chart: "

// executorWaits says what the wrapper does in the pods of Argo Workflows, and endsThere says
// what it does elsewhere.
const (
	endsThere     = "the wrapper stops the proxy when the command has ended"
	executorWaits = "the wrapper only waits for the proxy there, and Argo's executor ends it, after its own container `" + argoWait + "`"
)

// ownShutdown is the fix for several containers that need one proxy.
const ownShutdown = "let one place own the shutdown: wrap all of them (containers: all) and take the calls out of their scripts; the last one to end stops the proxy"

// goNative opens a fix where the mesh and the cluster can have native sidecars. Elsewhere a fix
// is printed without it.
const goNative = "turn native sidecars on for this pod (annotation {annotation}), or "

// moveIt is the fix for a helper that can become a native sidecar.
const moveIt = "move `{proxy}` to initContainers with restartPolicy: Always (Kubernetes 1.29 or newer)"

// annotate returns the fix that consists of one annotation.
func annotate(key, value string) string {
	return "annotate the pod template with " + key + ": " + value
}

// within returns the part of a fix that can be done for this kind of object.
func (p *pod) within(fix, proxy string) string {
	row := p.template.Row
	if row.Sidecars == kind.Controller {
		fix = p.underExecutor(fix, proxy)
	}
	if row.Fills != "" && slices.ContainsFunc(p.work(), func(c container) bool { return !c.command }) {
		fix = strings.ReplaceAll(fix, wrapIt, "keep the proxy out of these pods; "+row.Fills+" writes their command, which leaves nothing to wrap")
	}
	if n := len(row.Path); n > 1 && !slices.Contains([]string{"spec", "jobTargetRef"}, row.Path[n-2]) {
		fix = strings.ReplaceAll(fix, "on the Job to", "in the pod spec to")
	}
	if p.template.Row.Inject == kind.Never {
		fix = strings.ReplaceAll(fix, "pipe the manifest through `jobmesh inject`, or use the library chart", "render the pod spec with the library chart (jobmesh.podSpec)")
	}
	// Inject leaves alone a pod that opts out of another mesh, unless it is told which mesh the
	// pod is in.
	if x, classic := p.classicProxy(); classic && p.optedOut() {
		fix = strings.ReplaceAll(fix, "`jobmesh inject`", "`jobmesh inject --set mesh="+x.mesh+"`")
	}
	return fix
}

// underExecutor returns a fix as it applies to the pods of Argo Workflows. There the executor
// ends the proxy, if it can, and needs the proxy until then.
func (p *pod) underExecutor(fix, proxy string) string {
	fix = strings.ReplaceAll(fix, ownShutdown, "take the call out; "+wrapIt)
	i := slices.IndexFunc(mesh.All(), func(m mesh.Mesh) bool { return m.Container == proxy })
	if i < 0 {
		return fix
	}
	switch m := mesh.All()[i]; {
	case !m.Redirects():
		return strings.ReplaceAll(fix, "`jobmesh inject`", "`jobmesh inject --set mesh="+m.Name+"`")
	case !m.Shell && m.KillCommand == "":
		return strings.ReplaceAll(fix, wrapIt, "keep the proxy out of these pods: Argo's executor cannot end it, and needs it until its own container `"+argoWait+"` has ended")
	}
	return strings.ReplaceAll(fix, endsThere, executorWaits)
}

// classicProxy returns the first proxy that is an ordinary container.
func (p *pod) classicProxy() (proxy, bool) {
	i := slices.IndexFunc(p.proxies, func(x proxy) bool { return !x.native.Yes })
	if i < 0 {
		return proxy{}, false
	}
	return p.proxies[i], true
}

// stayOut is the fix for Jobs that do not need the proxy.
const stayOut = "; where the work only talks to the API server, keep the proxy out ({optOut})"

// optOutOf returns what keeps a proxy, given by its container name, out of a pod, in words to
// paste.
func optOutOf(proxy string) string {
	for _, m := range mesh.All() {
		if m.Container == proxy && len(m.Inject.OptOut) > 0 && !m.Inject.WhenAsked {
			level := "annotation"
			if m.Inject.OptOut[0] == mesh.PodLabel {
				level = "label"
			}
			return level + " " + m.Inject.Key + ": " + strconv.Quote(m.Inject.No[0])
		}
	}
	return ""
}

// finish are the rules for Jobs that will not finish.
var finish = []Rule{
	{
		ID: "JM101", Severity: Error,
		Title:   "the proxy outlives the Job",
		Message: "proxy `{proxy}` will outlive container `{container}`; the Job stays active{note}",
		Why: `A Job is complete when all ordinary containers of its pod have ended. The proxy of a mesh is one of
them unless it is a native sidecar, and it serves until it is told to stop. Nothing in this pod tells it.`,
		Fix: goNative + wrapIt + stayOut,
		Links: []string{
			"https://github.com/linkerd/linkerd2/issues/7425", "https://github.com/istio/istio/issues/6324",
			nativeSidecars,
		},
		check: outlives("JM101"),
	},
	{
		ID: "JM102", Severity: Error,
		Title:   "Linkerd's proxy refuses to stop",
		Message: "the proxy will refuse the shutdown request of container `{container}`; the Job stays active",
		Why: `Since Linkerd 2.16 the proxy's /shutdown endpoint is off unless the pod, its namespace or the
installation turns it on. The request is answered with 404, most callers ignore that, and the proxy runs on.`,
		Fix:   annotate(rowOf("linkerd").StopNeeds.Key, rowOf("linkerd").StopNeeds.Value),
		Links: []string{"https://github.com/linkerd/linkerd2/issues/12951", "https://github.com/linkerd/linkerd2/pull/12705"},
		check: outlives("JM102"),
	},
	{
		ID: "JM105", Severity: Error,
		Title:   "a classic istio-proxy is written into the Job",
		Message: "proxy `istio-proxy` was written into this manifest in classic form; it will outlive container `{container}`{note}",
		Why: `istioctl kube-inject, run on files, writes the proxy as an ordinary container even with a release of
Istio whose webhook would make it a native sidecar. The Job hangs wherever it is applied.`,
		Fix: "run kube-inject again with ENABLE_NATIVE_SIDECARS=true in its environment, or let the webhook inject this Job, or " + wrapIt,
		Links: []string{
			"https://github.com/istio/istio/blob/master/istioctl/pkg/kubeinject/kubeinject.go",
			"https://istio.io/latest/docs/setup/additional-setup/sidecar-injection/",
		},
		check: outlives("JM105"),
	},
	{
		ID: "JM106", Severity: Error,
		Title:   "a helper container never exits",
		Message: "container `{proxy}` never exits by itself; when the others have ended the Job stays active{note}",
		Why: `A database proxy, a log shipper or a collector beside the work runs until it is stopped. As an ordinary
container it keeps the pod, and with it the Job, running. As a native sidecar it is stopped with the pod.`,
		Fix: "`jobmesh inject --set mode=native --set sidecars={{proxy}}` moves `{proxy}` to initContainers with restartPolicy: Always (Kubernetes 1.29 or newer), and so does jobmesh lint --fix in the file",
		Links: []string{
			"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/pull/2371", "https://github.com/SREGym/SREGym/pull/814",
		},
		check: neverExits,
	},
	{
		ID: "JM107", Severity: Error,
		Title:   "daprd outlives the Job",
		Message: "`{proxy}` will outlive container `{container}`; the Job stays active{note}",
		Why: `Dapr injects an ordinary container where the pod asks for it. It ends when its shutdown API is called,
and nothing in this pod calls that.`,
		Fix:   goNative + "call " + rowOf("dapr").Stop + " when the work is done, whatever its result, or " + wrapIt,
		Links: []string{"https://github.com/dapr/dapr/issues/5006", "https://github.com/dapr/dapr/issues/9422"},
		check: outlives("JM107"),
	},
	{
		ID: "JM108", Severity: Error,
		Title:   "consul-dataplane outlives the Job",
		Message: "`{proxy}` will outlive container `{container}`; the Job stays active{note}",
		Why: `Consul injects an ordinary container. It ends on a request to its graceful shutdown endpoint, and nothing
in this pod sends one.`,
		Fix:   goNative + wrapIt,
		Links: []string{"https://github.com/hashicorp/consul-k8s/issues/3919", "https://github.com/hashicorp/consul-k8s/pull/4678"},
		check: outlives("JM108"),
	},
	{
		ID: "JM109", Severity: Error,
		Title:   "vault-agent outlives the Job",
		Message: "`{proxy}` will outlive container `{container}`; the Job stays active{note}",
		Why: `Vault's injector adds an init container that fetches the secrets and an ordinary container that keeps
them fresh. A Job rarely needs the second one, which never ends.`,
		Fix:   annotate(rowOf("vault-agent").Inject.InitOnly.Key, `"true"`),
		Links: []string{"https://github.com/hashicorp/vault-k8s/issues/133"},
		check: outlives("JM109"),
	},
	{
		ID: "JM111", Severity: Error,
		Title:   "one container stops the proxy that others still need",
		Message: "container `{other}` loses the network when `{container}` has ended and stopped `{proxy}`",
		Why: `All containers of a pod share one proxy. The first that stops it takes the network away from those that
still work, and they fail at random. A script that stops it before its own work takes the network from itself.`,
		Fix:   ownShutdown,
		Links: []string{pages.URL("chart.md")},
		check: func(p *pod, r *reporter) {
			if p.stopsTooSoon(r) {
				return
			}
			work := p.work()
			if p.template.Row.Sidecars == kind.Controller {
				p.takesNetwork(r)
				return
			}
			if len(work) < 2 {
				return
			}
			for _, x := range p.proxies {
				_, by := p.ends(x.mesh)
				if x.native.Yes || rowOf(x.mesh).Rule == "" || len(by) == 0 || p.hangsOn(x.name) {
					continue
				}
				for _, c := range by {
					if w := c.reading.Wrapper; w != nil && w.Coordinated && len(by) == len(work) && !callsToStop(c, x.mesh) {
						continue
					}
					other := slices.IndexFunc(work, func(o container) bool { return o.Name != c.Name })
					if other >= 0 {
						r.add(c.place, c.Name, "other", work[other].Name, "proxy", x.name)
						return
					}
				}
			}
		},
	},
	{
		ID: "JM112", Severity: Error,
		Title:   "the proxy is stopped only after success",
		Message: "container `{container}` stops `{proxy}` only when its command succeeds; a failing run leaves the proxy up, so the Job neither fails nor retries",
		Why: `After && or under set -e the call that stops the proxy is skipped when the command fails, and an exit
above it skips it too. The failing run, which somebody should hear of, is the one that hangs.`,
		Fix:   "use an EXIT trap, which keeps the exit code, or " + wrapIt,
		Links: []string{"https://github.com/defenseunicorns/uds-core/issues/687", "https://github.com/apache/superset/pull/41396"},
		check: func(p *pod, r *reporter) {
			for _, x := range p.proxies {
				best, by := p.ends(x.mesh)
				row := rowOf(x.mesh)
				if x.native.Yes || row.Rule == "" || best.outcome != script.OnSuccess || p.hangsOn(x.name) && !p.hangsBy(row.StopNeeds.Rule) || p.byExecutor(x) {
					continue
				}
				r.saying(early(by[0])).add(p.commandOf(by[0]), by[0].Name, "proxy", x.name)
				return
			}
			p.successOnlyUnmeshed(r)
		},
	},
	{
		ID: "JM114", Severity: Error,
		Title:   "a container is started again whenever it ends",
		Message: "container `{container}` is started again whenever it ends (restartPolicy {policy}): the Job stays active",
		Why: `A pod is over when its ordinary containers have ended and nobody starts them again. restartPolicy: Always makes
a native sidecar of an init container; on an ordinary one, which Kubernetes takes since 1.35, it has no end. For a Pod
it is the default, also for one that is a hook or a test.`,
		Fix:   "write restartPolicy: Never, or, for a sidecar, move the container to initContainers",
		Links: []string{"https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#restart-policy", "https://helm.sh/docs/topics/chart_tests/"},
		check: func(p *pod, r *reporter) {
			for _, c := range p.apps {
				if at := c.place.get("restartPolicy"); at.text() == "Always" {
					r.add(at, c.Name, "policy", "Always")
					return
				}
			}
			if p.object.Kind == "Pod" && p.restartPolicy != "Never" && p.restartPolicy != "OnFailure" && len(p.apps) > 0 {
				policy := cmp.Or(p.restartPolicy, "Always, the default")
				r.add(p.spec.get("restartPolicy"), p.apps[0].Name, "policy", policy)
			}
		},
	},
	{
		ID: "JM116", Severity: Error,
		Title:   "the wrapper refuses this command line",
		Message: "container `{container}` never runs its command: `{wrapper}` refuses the command line ({words})",
		Why: `A flag, a value or a variable that the wrapper does not take is a usage error: it says so and exits at
once (jobmesh-wrap with 64, linkerd-await with 2). The command is not started, and a proxy that nobody asks to stop
outlives it, so that the Job fails or hangs each time it runs.`,
		Fix: "correct what it names; " + pages.URL("wrapper.md") + " has the flags and variables of jobmesh-wrap, and says how those of linkerd-await and scuttle are read",
		Links: []string{
			pages.URL("wrapper.md"), "https://github.com/linkerd/linkerd-await",
		},
		check: func(p *pod, r *reporter) {
			for _, c := range slices.Concat(p.inits, p.apps) {
				for _, refused := range c.reading.Refusals {
					r.add(p.commandOf(c), c.Name, "wrapper", refused.Wrapper, "words", refused.Text)
				}
			}
		},
	},
	{
		ID: "JM117", Severity: Error,
		Title:   "the stop endpoint is not on",
		Message: "container `{container}` asks `{proxy}` to stop, which serves that request only with {flag}; the Job stays active",
		Why: `A helper that is asked where it does not listen refuses the connection, or answers that there is no such page.
Most callers ignore that, and the helper runs on.`,
		Fix: "add {flag} to the args of `{proxy}`, or move it to initContainers with restartPolicy: Always (Kubernetes 1.29 or newer)",
		Links: []string{
			"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/1941", "https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/828",
		},
		check: asksInVain,
	},
}

// early returns the words of JM112 for a script that may exit before it reaches the stop.
func early(c container) (message, fix string) {
	if c.reading.Early == "" {
		return "", ""
	}
	return "container `{container}` stops `{proxy}` only when it gets past `" + c.reading.Early + "`; a run that ends there leaves the proxy up, so the Job neither ends nor retries", ""
}

// stopsTooSoon reports a script that stops the proxy before the script's own work.
func (p *pod) stopsTooSoon(r *reporter) bool {
	r = r.saying("container `{container}` stops `{proxy}` before its own work, which has no network then",
		"stop the proxy behind the work: in an EXIT trap, which keeps the exit code; or "+wrapIt)
	for _, c := range p.work() {
		if !c.reading.TooSoon {
			continue
		}
		for _, x := range p.proxies {
			if !x.native.Yes && rowOf(x.mesh).Rule != "" && p.stops(c, x.mesh).outcome != script.Never {
				r.add(p.commandOf(c), c.Name, "proxy", x.name)
				return true
			}
		}
		if !p.meshed() && !p.optedOut() && len(p.proxies) == 0 {
			r.add(p.commandOf(c), c.Name, "proxy", "the proxy")
			return true
		}
	}
	return false
}

// neverExits reports a container that runs beside the work, or at its end, and never exits.
func neverExits(p *pod, r *reporter) {
	for _, h := range p.hangs {
		switch {
		case h.rule != "JM106":
		case h.endless == "":
			p.helperHang(h, r)
		case h.alone:
			r.saying("container `{proxy}` never exits: `{endless}` has no end; the Job stays active",
				"take `{endless}` out of the command; what has to run beside the work belongs into initContainers, with restartPolicy: Always").
				add(p.commandOf(h.container), h.container.Name, "proxy", h.proxy, "endless", h.endless)
		default:
			r.saying("container `{proxy}` never exits: `{endless}` has no end; when the others have ended the Job stays active",
				moveIt+", or let it end when the work has ended, for example by a file in a volume that both mount").
				add(p.commandOf(h.container), h.container.Name, "proxy", h.proxy, "endless", h.endless)
		}
	}
}

// asksInVain reports requests to stop that a helper does not accept.
func asksInVain(p *pod, r *reporter) {
	for _, h := range p.hangs {
		if h.rule != "JM117" {
			continue
		}
		helper := p.helperOf(h.container)
		say := r.saying("container `{container}` asks `{proxy}` to stop, and {title} has no request for that; the Job stays active",
			"move `{proxy}` to initContainers with restartPolicy: Always (Kubernetes 1.29 or newer), or use a newer release of it, with the flag that serves the request")
		words := []string{"proxy", h.proxy, "title", helper.Title}
		for _, e := range helper.Ends {
			if e.Signal == "" && e.Needs != "" {
				say = r
				words = append(words, "flag", e.Needs)
				break
			}
		}
		say.add(h.container.place, h.by, words...)
	}
}

// callsToStop tells whether the command itself stops the proxy of a mesh, with or without a
// wrapper around it.
func callsToStop(c container, mesh string) bool {
	return c.reading.Outcome != script.Never && slices.ContainsFunc(c.reading.Stops, func(s script.Stop) bool {
		return s.Mesh == "" || s.Mesh == mesh
	})
}

// successOnlyUnmeshed reports a script that stops a proxy only after success, where nothing
// says yet that there is a proxy: the author had a reason to write the call.
func (p *pod) successOnlyUnmeshed(r *reporter) {
	if p.meshed() || p.optedOut() {
		return
	}
	for _, c := range p.work() {
		if w := c.reading.Wrapper; w != nil && w.Stops == script.Always {
			continue // the wrapper stops the proxy whatever the script does
		}
		if c.reading.Shell && p.enough(c.reading.Outcome) == script.OnSuccess {
			r.saying(early(c)).add(p.commandOf(c), c.Name, "proxy", "the proxy")
			return
		}
	}
}

// outlives returns the check that reports the hangs of one rule.
func outlives(rule string) func(*pod, *reporter) {
	return func(p *pod, r *reporter) {
		for _, h := range p.hangs {
			if h.rule != rule {
				continue
			}
			at := h.container.place
			if rule == "JM102" {
				at = p.commandOf(h.container)
			}
			r.add(at, h.container.Name, "proxy", h.proxy, "note", h.note, "annotation", p.nativeFix(h.proxy), "optOut", optOutOf(h.proxy))
			return
		}
	}
}

// nativeFix returns what asks a mesh for a native sidecar, in words to paste. It is empty where
// that release of the mesh has no such annotation, or where Kubernetes has no native sidecars.
func (p *pod) nativeFix(proxy string) string {
	i := slices.IndexFunc(mesh.All(), func(m mesh.Mesh) bool { return m.Container == proxy })
	if i < 0 || p.profile.oldest().Before(native.Sidecars.Major, native.Sidecars.Minor) {
		return ""
	}
	m := mesh.All()[i]
	for _, w := range m.Native.Words { // the newest annotation that this release reads wins
		if !p.version(m.Name).Before(w.Since.Major, w.Since.Minor) {
			return w.Name + `: "true"`
		}
	}
	return ""
}

// hangsOn tells whether the pod hangs because of this proxy.
func (p *pod) hangsOn(proxy string) bool {
	return slices.ContainsFunc(p.hangs, func(h hang) bool { return h.proxy == proxy })
}

// hangsBy tells whether the pod hangs by this rule.
func (p *pod) hangsBy(rule string) bool {
	return slices.ContainsFunc(p.hangs, func(h hang) bool { return h.rule == rule })
}

// commandOf returns the place of a container's command: the word that has the call, where there
// is one.
func (p *pod) commandOf(c container) place {
	for _, field := range []string{"source", "args", "command"} {
		list := c.place.get(field)
		if list.node == nil {
			continue
		}
		for i := range list.node.Content {
			word := list.get(i)
			if script.MayStop(word.text()) {
				return p.lineOf(word)
			}
		}
	}
	if command := c.place.get("command"); command.node != nil {
		return command
	}
	return c.place
}

// lineOf returns the line of a literal block that has the call which stops the proxy, as a
// place of its own. It returns the block itself where that line cannot be found.
func (p *pod) lineOf(block place) place {
	if block.node.Style&yaml.LiteralStyle == 0 {
		return block
	}
	d := p.object.Document
	first := block.node.Line - d.Line + 1 // the first line of the block is below the line with the bar
	lines := strings.Split(string(d.Text), "\n")
	for i := first; i < len(lines) && i <= first+strings.Count(block.node.Value, "\n"); i++ {
		if script.MayStop(lines[i]) {
			at := *block.node
			at.Line = d.Line + i
			at.Column = 1 + len(lines[i]) - len(strings.TrimLeft(lines[i], " "))
			return place{&at, block.path}
		}
	}
	return block
}
