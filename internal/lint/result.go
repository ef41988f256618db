package lint

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/mesh"
)

// result are the rules for Jobs that lose their result, or report a wrong one.
var result = []Rule{
	{
		ID: "JM401", Severity: Error,
		Title:   "the exit code is that of the call that stops the proxy",
		Message: "the exit code of container `{container}` becomes that of `{tool}`: a failed run looks successful",
		Why: `A shell ends with the code of its last command. When that is the call that stops the proxy, the code of
the work is lost, and Kubernetes neither retries nor reports a run that failed.`,
		Fix:   "keep the code (`rc=$?` before the call, `exit $rc` after it), or use an EXIT trap, or " + wrapIt,
		Links: []string{"https://github.com/istio/istio/issues/11659", "https://github.com/apache/superset/pull/41396"},
		check: func(p *pod, r *reporter) {
			for _, c := range p.work() {
				switch {
				case len(c.reading.Stops) == 0:
				case c.reading.LosesCode:
					r.add(p.commandOf(c), c.Name, "tool", c.reading.Stops[0].Tool)
				case c.reading.NoCode != "":
					r.saying("the exit code of container `{container}` is one of the shell's: `"+c.reading.NoCode+"` is given no number, so that a run that succeeds looks failed",
						"").add(p.commandOf(c), c.Name)
				}
			}
		},
	},
	{
		ID: "JM402", Severity: Warning,
		Title:   "the image has no program for the call",
		Message: "container `{container}` stops the proxy with `{tool}`, which image {image} does not have",
		Why:     `The call fails, the proxy runs on, and the message is one line in the log of a container that has ended.`,
		Fix:     "use an image that has `{tool}`, or " + wrapIt,
		Links:   []string{"https://github.com/otherguy/k8s-controller-sidecars"},
		check: func(p *pod, r *reporter) {
			for _, c := range p.work() {
				for _, call := range c.reading.Stops {
					if lacks(c.image, call.Tool) && !installs(c) {
						r.add(p.commandOf(c), c.Name, "tool", call.Tool, "image", c.image)
						break
					}
				}
			}
		},
	},
	{
		ID: "JM403", Severity: Warning,
		Title:   "a failure policy that may read the proxy's exit code",
		Message: "this onExitCodes rule names no container, and may match the exit code of `{proxy}`",
		Why: `The rule looks at all containers of the pod, init containers too. When the work fails, a proxy that was
killed with 137 or 143 can match a rule that was meant for the work.`,
		Fix:   "add containerName: {work}",
		Links: []string{"https://github.com/kubernetes/kubernetes/pull/111113", "https://kubernetes.io/docs/tasks/job/pod-failure-policy/"},
		check: func(p *pod, r *reporter) {
			work := p.work()
			if len(p.proxies) == 0 || len(work) == 0 {
				return
			}
			rules := p.job.get("podFailurePolicy", "rules")
			for i := range manifest.Items(rules.node) {
				at := rules.get(i, "onExitCodes")
				if at.node != nil && at.get("containerName").text() == "" {
					r.add(at, "", "proxy", p.proxies[0].name, "work", work[0].Name)
				}
			}
		},
	},
	{
		ID: "JM404", Severity: Warning,
		Title:   "restarts of a native sidecar count as failures of the Job",
		Message: "restarts of `{proxy}` count against backoffLimit {limit}",
		Why: `With restartPolicy OnFailure the Job's failures are the restarts of all its containers, native sidecars
included. A proxy or helper that is started again twice can fail a Job whose work is well.`,
		Fix:   "use restartPolicy: Never, or raise backoffLimit",
		Links: []string{"https://github.com/kubernetes/enhancements/blob/master/keps/sig-node/753-sidecar-containers/README.md"},
		check: func(p *pod, r *reporter) {
			at := p.job.get("backoffLimit")
			limit, err := strconv.Atoi(at.text())
			if err != nil || p.restartPolicy != "OnFailure" || limit > 2 || p.windows {
				return
			}
			if x, ok := p.nativeProxy(); ok {
				r.add(at, "", "proxy", x.name, "limit", at.text())
			} else if helpers := p.written(); len(helpers) > 0 {
				r.add(at, "", "proxy", helpers[0].Name, "limit", at.text())
			}
		},
	},
	{
		ID: "JM405", Severity: Warning,
		Title:   "the proxy is killed instead of asked",
		Message: "container `{container}` kills the proxy with `{tool}`; a killed proxy ends with 143, which fails a classic pod",
		Why: `All containers of a pod have to end with 0 for the pod to succeed. A proxy that dies of a signal does not,
so that a Job whose work succeeded fails.`,
		Fix:   "use the proxy's shutdown endpoint, or " + wrapIt,
		Links: []string{"https://github.com/GoogleCloudPlatform/cloud-sql-proxy/issues/262"},
		check: func(p *pod, r *reporter) {
			p.killedFromOutside(r)
			if _, native := p.nativeProxy(); native || !p.sharesProcesses() {
				return
			}
			for _, c := range p.work() {
				for _, call := range c.reading.Stops {
					if call.Signal && !p.survives(call.Mesh) {
						r.add(p.commandOf(c), c.Name, "tool", call.Tool)
						break
					}
				}
			}
		},
	},
	{
		ID: "JM406", Severity: Info,
		Title:   "the pod's grace is shorter than the proxy's drain",
		Message: "the pod has {grace} s to end, and `{proxy}` drains for up to {drain} s; connections may be cut",
		Why: `When a pod is deleted or reaches its deadline, the kubelet kills what is left after
terminationGracePeriodSeconds, and sidecars get what the containers leave of it.`,
		Fix:   "raise terminationGracePeriodSeconds above {drain}, or lower the drain",
		Links: []string{"https://linkerd.io/2/tasks/graceful-shutdown/"},
		check: func(p *pod, r *reporter) {
			// Only an annotation that somebody has written is judged, because the two defaults
			// do not fit for any pod.
			x, ok := p.proxyOf("linkerd")
			at := p.spec.get("terminationGracePeriodSeconds")
			drain, written := rowOf("linkerd").Grace.Seconds, false
			if d, err := time.ParseDuration(p.annotations[mesh.LinkerdGrace]); err == nil {
				drain, written = int(d.Seconds()), true
			}
			grace, err := strconv.Atoi(at.text())
			switch {
			case at.node == nil && written:
				grace, at = 30, p.annotation(mesh.LinkerdGrace)
			case err != nil:
				return
			}
			if ok && grace < drain {
				r.add(at, "", "grace", strconv.Itoa(grace), "proxy", x.name, "drain", strconv.Itoa(drain))
			}
		},
	},
}

// killedFromOutside reports helpers that another program ends with a signal after which they do
// not exit with 0.
func (p *pod) killedFromOutside(r *reporter) {
	r = r.saying("`{by}` ends container `{container}` with {signal}, after which it ends with {code}: the pod fails, although its work has succeeded",
		"{flag}move `{container}` to initContainers with restartPolicy: Always (Kubernetes 1.29 or newer)")
	for _, c := range p.apps {
		s, h := p.supervised(c), p.helperOf(c)
		if s == nil || s.Signal == "" || h == nil {
			continue
		}
		code, known := h.CodeAfter(s.Signal, func(needs string) bool { return c.hasSet(h, needs) })
		if !known || code == 0 {
			continue
		}
		flag := ""
		if needs := h.WithZero(s.Signal); needs != "" {
			flag = "add " + needs + " to its arguments, or "
		}
		r.add(c.place, c.Name, "by", s.Name, "signal", s.Signal, "code", strconv.Itoa(code), "flag", flag)
	}
}

// survives tells whether the program that a signal ends is a helper that exits with 0 then.
func (p *pod) survives(name string) bool {
	for _, c := range p.apps {
		if h := p.helperOf(c); h != nil && cmp.Or(h.Mesh, h.Name) == name {
			code, known := h.CodeAfter("SIGTERM", func(needs string) bool { return c.hasSet(h, needs) })
			return known && code == 0
		}
	}
	return false
}

// bare are images that have neither a shell nor an HTTP client, or a shell and only some
// clients.
var bare = []struct {
	image string // a part of the image's name
	lacks []string
}{
	{"distroless", []string{"curl", "wget", "sh", "bash"}},
	{"cgr.dev/chainguard/", []string{"curl", "wget"}},
	{"/busybox:", []string{"curl"}},
	{"/alpine:", []string{"curl"}},
	{"/debian:", []string{"curl", "wget"}},
	{"/ubuntu:", []string{"curl", "wget"}},
	{"/scratch:", []string{"curl", "wget", "sh", "bash"}},
}

// lacks tells whether an image is known not to have a program.
func lacks(image, tool string) bool {
	image, _, _ = strings.Cut(image, "@")
	for _, official := range []string{"docker.io/library/", "index.docker.io/library/", "docker.io/", "library/"} {
		image = strings.TrimPrefix(image, official)
	}
	if !strings.Contains(image, "/") { // an official image
		name, tag, _ := strings.Cut(image, ":")
		image = "/" + name + ":" + tag
	}
	for _, b := range bare {
		official := strings.HasPrefix(b.image, "/")
		if official && strings.HasPrefix(image, b.image) || !official && strings.Contains(image, b.image) {
			// -debug images have busybox, -dev images a package manager.
			debug := strings.Contains(image, "debug") || strings.Contains(image, "-dev")
			return slices.Contains(b.lacks, tool) && (!debug || tool == "curl" && strings.Contains(image, "distroless"))
		}
	}
	return false
}

// installs tells whether a container installs programs before it does its work.
func installs(c container) bool {
	return slices.ContainsFunc(c.reading.Programs, func(name string) bool {
		return slices.Contains([]string{"apk", "apt-get", "apt", "yum", "dnf", "microdnf"}, name)
	})
}
