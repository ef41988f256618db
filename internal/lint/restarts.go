package lint

import (
	"slices"
	"strconv"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/wrapflags"
)

const restartRules = "https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5307-container-restart-policy"

// restarts are the rules for containers that the kubelet starts again in the same pod, because
// of a restartPolicy or restartPolicyRules of the container.
var restarts = []Rule{
	{
		ID: "JM115", Severity: Error,
		Title:   "the proxy is stopped before the container is started again",
		Message: "container `{container}` stops `{proxy}` and may be started again after that ({why}); it has no network then",
		Why: `A container with restartPolicyRules, or a restartPolicy of its own, is started again in the same pod. A classic
proxy that was stopped when it ended does not come back, and the second run waits for it, or fails. Where the wrapper was
told --restart-codes, the finding names the first code that is missing there.`,
		Fix:   "do not stop the proxy on the codes after which the container is started again: jobmesh-wrap takes them as --restart-codes, and `jobmesh inject` writes them",
		Links: []string{restartRules},
		check: func(p *pod, r *reporter) {
			for _, x := range p.proxies {
				if x.native.Yes || p.hangsOn(x.name) {
					continue
				}
				for _, c := range p.work() {
					if why := p.startedAgain(c); why != "" && p.stops(c, x.mesh).outcome == script.Always {
						r.add(c.place, c.Name, "proxy", x.name, "why", why)
						return
					}
				}
			}
		},
	},
	{
		ID: "JM209", Severity: Warning,
		Title:   "RestartAllContainers gives nobody time to end",
		Message: "a rule of container `{container}` restarts all containers at once: {what} ends without its grace period",
		Why: `The action RestartAllContainers (Kubernetes 1.36) ends every container of the pod at once. Neither
terminationGracePeriodSeconds nor a preStop hook counts, so connections are cut and what is not written is lost.`,
		Fix:   "use the action Restart, which starts that container again alone, or see to it that every container may be killed at any time",
		Links: []string{"https://github.com/kubernetes/enhancements/tree/master/keps/sig-node/5532-restart-all-containers-on-container-exits"},
		check: func(p *pod, r *reporter) {
			what := ""
			for _, c := range slices.Concat(p.apps, p.inits) {
				if c.place.get("lifecycle", "preStop").node != nil {
					what = "`" + c.Name + "`"
				}
			}
			if len(p.proxies) > 0 {
				what = "`" + p.proxies[0].name + "`"
			}
			for _, c := range slices.Concat(p.inits, p.apps) {
				rules := c.place.get("restartPolicyRules")
				for i := range manifest.Items(rules.node) {
					if at := rules.get(i, "action"); at.text() == restartAll && what != "" {
						r.add(at, c.Name, "what", what)
						return
					}
				}
			}
		},
	},
	{
		ID: "JM215", Severity: Error,
		Title:   "restart rules in a cluster that does not have them",
		Message: "container `{container}` has {asked}, {lacks}",
		Why: `An ordinary container may have a restartPolicy and restartPolicyRules of its own since Kubernetes 1.35, and a
rule the action RestartAllContainers since 1.36. An older API server drops the fields, and an older kubelet does not read
them: the container is not started again in its pod. A wrapper that was told the exit codes of the rules (--restart-codes)
waits for that second run, leaves the proxy alone, and the pod never ends. An older API server refuses a pod with an action
that it does not know. Where Kubernetes is new enough, the scheduler takes a pod with RestartAllContainers only to a node
that declares the feature RestartAllContainersOnContainerExits (status.declaredFeatures), and without one the pod stays
Pending.`,
		Fix:   "let the Job start the work again, with backoffLimit, in a new pod; or raise Kubernetes, and turn the feature on, in the whole cluster",
		Links: []string{restartRules, "https://kubernetes.io/docs/reference/command-line-tools-reference/feature-gates/"},
		check: func(p *pod, r *reporter) {
			for _, c := range slices.Concat(p.inits, p.apps) {
				rules, policy := c.place.get("restartPolicyRules"), c.place.get("restartPolicy")
				at, asked := rules, "restartPolicyRules"
				if at.node == nil {
					at, asked = policy, "a restartPolicy of its own"
				}
				if at.node == nil || c.Native && rules.node == nil {
					continue
				}
				if oldest, since := p.profile.oldest(), native.RestartRules.Default; oldest.Before(since.Major, since.Minor) {
					r.add(at, c.Name, "asked", asked, "lacks", "which Kubernetes "+oldest.String()+" does not know")
					return
				}
				if lacks := p.withoutRestartAll(); lacks != "" {
					for i := range manifest.Items(rules.node) {
						if at := rules.get(i, "action"); at.text() == restartAll {
							r.add(at, c.Name, "asked", "a rule with the action "+restartAll, "lacks", lacks)
							return
						}
					}
				}
			}
		},
	},
}

// restartAll is the action of a rule that starts all containers of the pod again.
const restartAll = "RestartAllContainers"

// withoutRestartAll says why the cluster does not have that action, in the words of a relative
// clause; empty where it has it, or where nobody has said enough.
func (p *pod) withoutRestartAll() string {
	f, server := native.RestartAll, p.profile.Kubernetes
	switch {
	case server.Before(f.Default.Major, f.Default.Minor):
		return "which the API server of Kubernetes " + server.String() + " refuses"
	case p.profile.lacks(f):
		return "for which no node declares the feature " + f.Gate + ": its pods stay Pending"
	}
	return ""
}

// exitCodes is the number of exit codes that a container can have on Linux: 0 to 255.
const exitCodes = 256

// startedAgain says why, and after which exit code, the kubelet may start a container again in
// the same pod although it has stopped the proxy. It returns "" where there is no such code.
func (p *pod) startedAgain(c container) string {
	if c.place.get("restartPolicyRules").node == nil && c.place.get("restartPolicy").node == nil {
		return ""
	}
	stops, keeps := c.reading.Outcome, wrapflags.Codes{}
	if w := c.reading.Wrapper; w != nil {
		stops, keeps = w.Stops, w.Keeps
	}
	for code := range exitCodes {
		if stops == script.OnSuccess && code > 0 {
			break
		}
		if why := c.againAfter(code); why != "" && !keeps.Has(code) {
			return why + ", exit code " + strconv.Itoa(code)
		}
	}
	return ""
}

// againAfter names the field of the container because of which it is started again after an
// exit code: its rules, or else its restartPolicy. It returns "" where it is not started again.
func (c container) againAfter(code int) string {
	rules := c.place.get("restartPolicyRules")
	for i := range manifest.Items(rules.node) {
		values, listed := rules.get(i, "exitCodes", "values"), false
		for _, v := range manifest.Items(values.node) {
			listed = listed || manifest.Text(v) == strconv.Itoa(code)
		}
		switch operator := rules.get(i, "exitCodes", "operator").text(); {
		case operator == "In" && listed, operator == "NotIn" && !listed && values.node != nil:
			return "restartPolicyRules" // both actions of a rule start the container again
		}
	}
	if c.place.get("restartPolicy").text() == "OnFailure" && code > 0 {
		return "restartPolicy: OnFailure"
	}
	return ""
}
