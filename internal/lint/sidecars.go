package lint

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// nativeSidecars is the page of Kubernetes about native sidecars.
const nativeSidecars = "https://kubernetes.io/docs/concepts/workloads/pods/sidecar-containers/"

// sidecars are the rules for native sidecars that the author has written, where a field has
// another meaning in initContainers than in containers.
var sidecars = []Rule{
	{
		ID: "JM210", Severity: Warning,
		Title:   "nobody waits for the native sidecar",
		Message: "native sidecar `{proxy}` has no startupProbe: container `{container}` starts before it is ready",
		Why: `The kubelet starts what comes after a native sidecar as soon as that has started, or, where it has a
startupProbe, as soon as that has succeeded. Without one the first calls of the command may fail. Dapr's injector
writes none.`,
		Fix:   "give the sidecar a startupProbe, or wrap the command, which waits for the proxy: `jobmesh inject`",
		Links: []string{nativeSidecars, "https://github.com/dapr/dapr/blob/v1.18.1/pkg/injector/patcher/sidecar.go"},
		check: func(p *pod, r *reporter) {
			work := p.work()
			if len(work) == 0 || slices.ContainsFunc(work, func(c container) bool {
				return c.reading.Wrapper != nil && c.reading.Wrapper.Waits || len(c.reading.WaitsFor) > 0
			}) {
				return
			}
			if p.treatment.Native { // which wraps as well, where that can be
				r = r.saying("", "give `{proxy}` a readinessProbe, of which "+byPolicy+" makes the startupProbe")
			}
			for _, c := range p.inits {
				if c.Native && c.place.get("startupProbe").node == nil && (isProxyContainer(c.Name) || p.servesOthers(c)) {
					r.add(c.place, work[0].Name, "proxy", c.Name)
					return
				}
			}
			if x, ok := p.proxyOf("dapr"); ok && x.native.Yes && !x.written && !p.probedByPolicy(x) {
				r.add(work[0].place, work[0].Name, "proxy", x.name)
			}
		},
	},
	{
		ID: "JM211", Severity: Warning,
		Title:   "a native sidecar is waited for before it has a network",
		Message: "native sidecar `{container}` starts before `{proxy}`, through which its traffic goes; if its startupProbe needs that, the pod stays in Init",
		Why: `Everything behind a native sidecar waits for its startupProbe. A classic proxy of a mesh starts after all init
containers, and a native one that stands further down after those above it: until then what the sidecar sends goes nowhere
where the traffic is redirected already, and past the mesh elsewhere. Some programs listen only when they have reached their
server; one that ends instead is started again, as often as it takes.`,
		Fix:   goNative + "leave out the startupProbe and wrap the command, which waits for the proxy: `jobmesh inject`",
		Links: []string{nativeSidecars, "https://istio.io/latest/docs/setup/additional-setup/cni/"},
		check: probedTooEarly,
	},
	{
		ID: "JM212", Severity: Error,
		Title:   "a native sidecar stands behind the init container that needs it",
		Message: "init container `{container}` needs `{proxy}` ({why}), which starts only when `{container}` has ended",
		Why: `Init containers are started one after the other, in the order of the list. A native sidecar serves those that
stand behind it. One that stands in front of it fails, or waits for ever, and the pod stays in Init.`,
		Fix:   "put `{proxy}` in front of `{container}` in initContainers",
		Links: []string{nativeSidecars, "https://github.com/GoogleCloudPlatform/cloud-sql-proxy/pull/2371"},
		check: needsLaterSidecar,
	},
	{
		ID: "JM213", Severity: Warning,
		Title:   "a probe or hook of a native sidecar means something else there",
		Message: "the preStop hook of native sidecar `{container}` sleeps for {seconds} s when the work has ended; the Job is not complete before that",
		Why: `Among the containers a preStop hook with a sleep lets a proxy outlive the others when the pod is deleted. The
kubelet ends a native sidecar only when the containers have ended, and runs the hook then: it makes every Job longer. And a
probe that asks another container asks one that is not there yet: containers start when the startupProbe of each native
sidecar has succeeded.`,
		Fix:   "take the hook out: a native sidecar outlives the containers by itself",
		Links: []string{nativeSidecars, "https://kubernetes.io/docs/concepts/containers/container-lifecycle-hooks/"},
		check: meansSomethingElse,
	},
	{
		ID: "JM214", Severity: Warning,
		Title:   "a native sidecar may be killed before it is done",
		Message: "native sidecar `{container}` may take {needs} s to end ({why}), and the pod gives it {grace} s",
		Why: `A native sidecar is asked to end when the containers have ended, and killed when terminationGracePeriodSeconds is
over. When the pod is deleted it gets what the containers have left of that. A log shipper loses then what it has not sent.`,
		Fix:   "raise terminationGracePeriodSeconds above {needs}, or shorten {why}",
		Links: []string{nativeSidecars, "https://github.com/kubernetes/enhancements/blob/master/keps/sig-node/753-sidecar-containers/README.md"},
		check: killedTooSoon,
	},
}

// servesOthers tells whether a container runs a helper that is a proxy for the other
// containers.
func (p *pod) servesOthers(c container) bool {
	h := p.helperOf(c)
	return h != nil && h.Mesh != ""
}

// written returns the native sidecars in the manifest, without the proxies of meshes.
func (p *pod) written() []container {
	return slices.DeleteFunc(slices.Clone(p.inits), func(c container) bool { return !c.Native || isProxyContainer(c.Name) })
}

// probedTooEarly reports native sidecars whose startup probe has to succeed before the proxy of
// a mesh starts, without which they have no network.
func probedTooEarly(p *pod, r *reporter) {
	if p.excludesTraffic() {
		return
	}
	for _, x := range p.proxies {
		at := slices.IndexFunc(p.inits, func(c container) bool { return c.Name == x.name })
		if rowOf(x.mesh).User == 0 || x.native.Yes && at < 0 { // Istio, Linkerd and Kuma put a native proxy first
			continue
		}
		for i, c := range p.inits {
			user := c.place.get("securityContext", "runAsUser").text()
			if !c.Native || isProxyContainer(c.Name) || isProxyUser(user) || x.native.Yes && i > at {
				continue
			}
			probe := c.place.get("startupProbe")
			if probe.node == nil || !p.servesOthers(c) && !needsNetwork(c) {
				continue
			}
			if x.native.Yes {
				r = r.saying("", "put `{container}` behind `{proxy}` in initContainers")
			}
			r.add(probe, c.Name, "proxy", x.name, "annotation", p.nativeFix(x.name))
			return
		}
	}
}

// needsLaterSidecar reports init containers that call a native sidecar which starts later.
func needsLaterSidecar(p *pod, r *reporter) {
	for i, c := range p.inits {
		for _, later := range p.inits[i:] {
			if c.Native || !later.Native || isProxyContainer(later.Name) {
				continue
			}
			if why := p.calls(c, later); why != "" {
				r.add(c.place, c.Name, "proxy", later.Name, "why", why)
				return
			}
		}
	}
}

var (
	// loopback matches an address of the pod itself, with the port behind it where there is
	// one.
	loopback = regexp.MustCompile(`(?:^|[^\w.-])(?:localhost|127\.0\.0\.1)(?::(\d+))?(?:$|[^\w.-])`)
	// listening matches the ways in which helpers are given a port to listen on.
	listening = regexp.MustCompile(`(?:[?&,-]port[ =]|tcp:(?:[\w.]*:)?)(\d+)`)
	number    = regexp.MustCompile(`\d+`)
)

// databasePorts are the ports of the databases. cloud-sql-proxy listens on the port of its
// database unless it is given another one.
var databasePorts = []string{"5432", "3306", "1433"}

// calls says how a container calls another container of its pod: at a port, or at a socket in a
// volume that both mount. It returns "" where no such call is known.
func (p *pod) calls(c, other container) string {
	text := c.text()
	if h := p.helperOf(other); h != nil && slices.ContainsFunc(h.Programs, func(name string) bool { return strings.Contains(text, name) }) {
		return "" // the container starts such a server itself
	}
	ports := p.listensOn(other)
	for _, m := range loopback.FindAllStringSubmatch(text, -1) {
		said := []string{m[1]}
		if m[1] == "" { // the port may stand elsewhere
			said = number.FindAllString(text, -1)
		}
		for _, port := range said {
			if slices.Contains(ports, port) {
				return "port " + port
			}
		}
	}
	line := strings.Join(other.argv, " ")
	for i := range manifest.Items(c.place.get("volumeMounts").node) {
		mount := c.place.get("volumeMounts", i)
		path := mount.get("mountPath").text()
		for j := range manifest.Items(other.place.get("volumeMounts").node) {
			its := other.place.get("volumeMounts", j)
			socket := its.get("mountPath").text()
			if its.get("name").text() == mount.get("name").text() && len(path) > 1 && strings.Contains(text, path+"/") &&
				(strings.Contains(line, "-unix-socket="+socket) || strings.Contains(line, "-unix-socket "+socket) || strings.Contains(line, "-dir="+socket)) {
				return "the socket in " + path
			}
		}
	}
	return ""
}

// text returns what a container runs and the values of its environment variables, one on each
// line.
func (c container) text() string {
	words := slices.Clone(c.words)
	for _, e := range manifest.Items(c.place.get("env").node) {
		words = append(words, manifest.Text(manifest.Get(e, "value")))
	}
	return strings.Join(words, "\n")
}

// listensOn returns the ports on which a container is known to listen.
func (p *pod) listensOn(c container) []string {
	var ports []string
	for i := range manifest.Items(c.place.get("ports").node) {
		ports = append(ports, c.place.get("ports", i, "containerPort").text())
	}
	for _, m := range listening.FindAllStringSubmatch(strings.Join(c.argv, " "), -1) {
		ports = append(ports, m[1])
	}
	if h := p.helperOf(c); len(ports) == 0 && h != nil && h.Mesh == "cloud-sql-proxy" {
		return databasePorts
	}
	return ports
}

// meansSomethingElse reports hooks and probes that do harm in a native sidecar.
func meansSomethingElse(p *pod, r *reporter) {
	for _, c := range p.written() {
		if hook := c.place.get("lifecycle", "preStop"); c.sleeps() > 0 && c.sleeps() < p.grace() { // for a longer sleep JM214 says more
			r.add(hook, c.Name, "seconds", strconv.Itoa(c.sleeps()))
		}
		for _, name := range []string{"startupProbe", "livenessProbe"} {
			port, other := p.asksOther(c, c.place.get(name))
			if other == "" {
				continue
			}
			severity, what := Error, "which starts only when that has succeeded: the pod stays in Init"
			if name == "livenessProbe" {
				severity, what = Warning, "which starts after it: the sidecar is killed and started again until then"
			}
			r.saying("the {probe} of native sidecar `{container}` asks port {port} of container `{other}`, "+what,
				"let the probe ask the sidecar itself").
				addAs(severity, c.place.get(name), c.Name, "probe", name, "port", port, "other", other)
		}
	}
}

// asksOther returns the other container whose port a probe asks. It returns "" where the port
// is the container's own, or where that is not known.
func (p *pod) asksOther(c container, probe place) (port, other string) {
	for _, kind := range []string{"httpGet", "tcpSocket", "grpc"} {
		if at := probe.get(kind); at.node != nil && at.get("host").node == nil {
			port = at.get("port").text()
		}
	}
	has := func(c container) bool {
		return slices.ContainsFunc(manifest.Items(c.place.get("ports").node), func(n *yamlNode) bool {
			return manifest.Text(manifest.Get(n, "containerPort")) == port
		})
	}
	if port == "" || has(c) || slices.Contains(p.listensOn(c), port) || strings.Contains(c.text(), port) {
		return "", ""
	}
	if i := slices.IndexFunc(p.apps, has); i >= 0 {
		return port, p.apps[i].Name
	}
	return "", ""
}

// defaultGrace is the default of terminationGracePeriodSeconds, in seconds.
const defaultGrace = 30

// grace returns the number of seconds that the pod has to end.
func (p *pod) grace() int {
	if seconds, err := strconv.Atoi(p.spec.get("terminationGracePeriodSeconds").text()); err == nil {
		return seconds
	}
	return defaultGrace
}

var sleep = regexp.MustCompile(`^\s*(?:/bin/|/usr/bin/)?sleep\s+(\d+)s?\s*$`)

// sleeps returns how many seconds the preStop hook of a container sleeps, where it does nothing
// else, and 0 otherwise.
func (c container) sleeps() int {
	hook := c.place.get("lifecycle", "preStop")
	said := hook.get("sleep", "seconds").text()
	var words []string
	for _, word := range manifest.Items(hook.get("exec", "command").node) {
		words = append(words, manifest.Text(word))
	}
	if len(words) == 3 && script.IsShell(words[0]) && words[1] == "-c" {
		words = words[2:]
	}
	if m := sleep.FindStringSubmatch(strings.Join(words, " ")); m != nil {
		said = m[1]
	}
	seconds, _ := strconv.Atoi(said) // 0 where it is not a number
	return seconds
}

// killedTooSoon reports native sidecars that are given less time to end than their flags allow
// them to take.
func killedTooSoon(p *pod, r *reporter) {
	for _, c := range p.written() {
		needs, why := c.takes(p.helperOf(c))
		if s := c.sleeps(); s > needs {
			needs, why = s, "its preStop hook"
		}
		if needs >= p.grace() && needs > 0 {
			at := p.spec.get("terminationGracePeriodSeconds")
			if at.node == nil {
				at = c.place
			}
			r.add(at, c.Name, "needs", strconv.Itoa(needs), "why", why, "grace", strconv.Itoa(p.grace()))
		}
	}
}

// takes returns how many seconds a helper may take to end, and the flag that says so.
func (c container) takes(h *sidecar.Helper) (seconds int, flag string) {
	if h == nil {
		return 0, ""
	}
	for _, name := range h.Takes {
		value, given := c.flag(strings.TrimLeft(name, "-"), true)
		if !given {
			value = c.env[h.Variable(name)]
		}
		length, err := time.ParseDuration(value)
		if plain, plainErr := strconv.Atoi(value); plainErr == nil {
			length, err = time.Duration(plain)*time.Second, nil
		}
		if s := int(length.Seconds()); err == nil && s > seconds {
			seconds, flag = s, name
		}
	}
	return seconds, flag
}

// canMove tells whether jobmesh inject makes a native sidecar of a container. It returns false
// where Kubernetes or the kind does not allow that. It also returns false where the container
// names of one pod could be wrong for another pod of the same object, and where the command is
// wrapped already, with settings that lint does not know.
func (p *pod) canMove(c container) bool {
	row := p.template.Row
	treats := row.Inject == kind.Always || row.Inject == kind.Hook &&
		(p.template.EndsByPolicy() || p.root.get("metadata", "annotations", helmHook).node != nil)
	return treats && row.Form == kind.PodTemplate && len(p.object.PodTemplates()) == 1 &&
		!p.profile.oldest().Before(native.Sidecars.Major, native.Sidecars.Minor) &&
		len(validation.IsDNS1123Label(c.Name)) == 0 && !p.wrapped()
}

// helperHang reports a helper that never exits, with the command that moves it.
func (p *pod) helperHang(h hang, r *reporter) {
	c := h.container
	switch x, classic := p.classicProxy(); {
	case !p.canMove(c):
		r = r.saying("", moveIt)
	case classic:
		r = r.saying("", "`jobmesh inject --set mesh="+x.mesh+" --set sidecars={{proxy}}` moves `{proxy}` to initContainers with restartPolicy: Always (Kubernetes 1.29 or newer), and wraps the command")
	default:
		r = r.moving(c.Name)
	}
	r.add(c.place, c.Name, "proxy", h.proxy, "note", h.note)
}
