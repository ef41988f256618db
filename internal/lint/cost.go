package lint

import (
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/nearest"
	"github.com/jobmesh/jobmesh/internal/pages"
	"github.com/jobmesh/jobmesh/internal/script"
)

// cost are the rules for what a hanging Job costs, and for what is left over in a manifest.
var cost = []Rule{
	{
		ID: "JM601", Severity: Error,
		Title:   "after the first run this CronJob never runs again",
		Message: "after the first run this CronJob never runs again: the Job will hang ({rule}), and concurrencyPolicy is Forbid",
		Why: `With Forbid a run is skipped while the one before is active, and a Job that hangs is active for ever, unless
activeDeadlineSeconds ends it.`,
		Fix:   "fix {rule}; an activeDeadlineSeconds on the jobTemplate ends what hangs for another reason",
		Links: []string{"https://github.com/hashicorp/vault-k8s/issues/133", "https://github.com/dapr/dapr/issues/1439"},
		check: func(p *pod, r *reporter) {
			at := p.root.get("spec", "concurrencyPolicy")
			if rule := p.hanging(); rule != "" && p.object.Kind == "CronJob" && at.text() == "Forbid" && p.deadline().node == nil {
				r.add(at, "", "rule", rule)
			}
		},
	},
	{
		ID: "JM602", Severity: Warning,
		Title:   "one more stuck pod each schedule",
		Message: "one more stuck pod each schedule: the Job will hang ({rule}), and concurrencyPolicy is {policy}",
		Why: `With Allow, which is the default, each run starts beside those that hang. With Replace there is one pod at
most, since each run ends the one before: that hides the hang, and this rule does not report it.`,
		Fix:   "fix {rule}; an activeDeadlineSeconds on the jobTemplate ends what hangs for another reason",
		Links: []string{"https://github.com/SREGym/SREGym/pull/814"},
		check: func(p *pod, r *reporter) {
			at := p.root.get("spec", "concurrencyPolicy")
			rule := p.hanging()
			if rule == "" || p.object.Kind != "CronJob" || at.text() != "" && at.text() != "Allow" || p.deadline().node != nil {
				return
			}
			r.add(at, "", "rule", rule, "policy", "Allow")
		},
	},
	{
		ID: "JM603", Severity: Warning,
		Title:   "a release that waits for a Job that hangs",
		Message: "the release will time out: this {hook} will hang ({rule})",
		Why:     `Helm and Argo CD wait for a hook to complete before they go on, and fail when it does not.`,
		Fix:     "fix {rule}",
		Links:   []string{"https://github.com/cert-manager/cert-manager/pull/4414", "https://github.com/prometheus-community/helm-charts/issues/479", "https://github.com/argoproj/argo-cd/issues/27407"},
		check: func(p *pod, r *reporter) {
			for _, key := range []string{helmHook, argoHook} {
				at := p.root.get("metadata", "annotations", key)
				if rule := p.hanging(); rule != "" && at.text() != "" && at.text() != "Skip" {
					waits, hook := waitsForHook(key, at.text())
					r.saying(waits+": this {hook} will hang ({rule})", "").add(at, "", "hook", hook, "rule", rule)
					return
				}
			}
		},
	},
	{
		ID: "JM604", Severity: Warning,
		Title:   "a Job that hangs keeps its quota",
		Message: "this Job will hang ({rule}) and keep its share of queue `{queue}`",
		Why:     `Kueue gives the quota of a workload back when it has finished, and a Job that hangs has not.`,
		Fix:     "fix {rule}",
		Links:   []string{"https://kueue.sigs.k8s.io/docs/tasks/run/jobs/"},
		check: func(p *pod, r *reporter) {
			for _, at := range []place{p.root.get("metadata", "labels", kueueQueue), p.root.get("spec", "jobTemplate", "metadata", "labels", kueueQueue)} {
				if rule := p.hanging(); rule != "" && at.text() != "" {
					r.add(at, "", "queue", at.text(), "rule", rule)
					return
				}
			}
		},
	},
	{
		ID: "JM605", Severity: Info,
		Title:   "the wrapper is no longer needed",
		Message: "`{wrapper}` in container `{container}` is not needed any more: the proxy is a native sidecar ({by})",
		Why: `A native sidecar starts before the containers and is stopped after them. A wrapper beside it only costs
its start; one that stops the proxy itself makes the kubelet start that again.`,
		Fix:   "take the wrapper out (`jobmesh inject --uninject`, or mode: native in the chart) once all clusters have native sidecars",
		Links: []string{nativeSidecars},
		check: func(p *pod, r *reporter) {
			x, ok := p.nativeProxy()
			if !ok || p.treatment.Wrapped { // what a policy does nobody can take out of a manifest
				return
			}
			for _, c := range p.apps {
				w := c.reading.Wrapper
				if w != nil && (p.wrapperStops(*w, x.mesh).outcome != script.Never || w.Waits && waitsFor(c) == x.mesh) {
					r.mending(unwrapped(c)...).add(p.commandOf(c), c.Name, "wrapper", w.Name, "by", x.native.By)
					return
				}
			}
		},
	},
	{
		ID: "JM607", Severity: Info,
		Title:   "a suppression without a reason",
		Message: "`{key}` gives no reason",
		Why:     `The value of the annotation is for whoever finds it in a year: why the rule does not hold here.`,
		Fix:     `say why: {key}: "the proxy is stopped by the application"`,
		Links:   []string{pages.URL("lint.md")},
		check: func(p *pod, r *reporter) {
			for _, s := range annotationsThatIgnore(p) {
				if s.reason == "" {
					r.add(s.at, "", "key", Prefix+s.id)
				}
			}
		},
	},
	{
		ID: "JM608", Severity: Warning,
		Title:   "a suppression of a rule that does not exist",
		Message: "`{key}` suppresses nothing: rule `{id}` is unknown, did you mean `{nearest}`?",
		Why:     `A misspelt id leaves the rule on, and the next reader believes it off.`,
		Fix:     "rename it to " + Prefix + "{nearest}",
		Links:   []string{pages.URL("lint.md")},
		check: func(p *pod, r *reporter) {
			var ids []string
			for _, s := range annotationsThatIgnore(p) {
				if ids == nil {
					for _, rule := range slices.Concat(Rules(), Elsewhere()) {
						ids = append(ids, rule.ID)
					}
				}
				if !slices.Contains(ids, s.id) {
					r.add(s.at, "", "key", Prefix+s.id, "id", s.id, "nearest", nearest.Word(strings.ToUpper(s.id), ids))
				}
			}
		},
	},
}

// waitsForHook returns what waits for a hook, and what the hook is called.
func waitsForHook(key, value string) (waits, hook string) {
	if key == argoHook {
		return "the sync will not end", "Argo CD hook"
	}
	for event := range strings.SplitSeq(value, ",") {
		if !strings.HasPrefix(strings.TrimSpace(event), "test") {
			return "the release will time out", "Helm hook"
		}
	}
	return "`helm test` will time out", "test"
}

// hanging returns the id of a rule by which the Job will hang and which is not suppressed, and
// "" where the Job will not hang.
func (p *pod) hanging() string {
	ignored := suppressions(p)
	for _, h := range p.hangs {
		if _, ok := ignored[h.rule]; !ok {
			return h.rule
		}
	}
	return ""
}
