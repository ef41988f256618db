package cli

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/look"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/policy"
	"github.com/jobmesh/jobmesh/internal/report"
	"github.com/jobmesh/jobmesh/internal/running"
	"github.com/jobmesh/jobmesh/internal/survey"
)

// liveOptions are those of jobmesh lint --cluster.
type liveOptions struct {
	on      bool
	cluster *cluster.Flags
	profile string
}

// onlyLive returns the flags that have a meaning only with --cluster.
func onlyLive() []string { return append(cluster.Names(), "write-profile") }

// onlyFiles are the flags whose values a cluster provides itself.
var onlyFiles = []string{"mesh", "mesh-version", "native", "kube-version", "min-kubelet", "declared-features", "post-renderer", "policy", "config"}

// writing are the flags that change files.
var writing = []string{"fix", "diff"}

func (o *liveOptions) register(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVar(&o.on, "cluster", false, "judge the Jobs of a cluster instead of files")
	flags.StringVar(&o.profile, "write-profile", "", "with --cluster: `FILE` for the meshes and versions that were found, for lint without it")
	o.cluster = cluster.NewFlags()
	o.cluster.Register(flags, true)
}

// unused refuses the flags that need --cluster where --cluster is not given.
func (o *liveOptions) unused(changed func(string) bool) error {
	for _, name := range onlyLive() {
		if name != "cluster" && changed(name) {
			return fault.New(fault.Usage, fmt.Errorf("--%s is for --cluster", name), "jobmesh lint --cluster --"+name+" ...")
		}
	}
	return nil
}

// runLive judges a cluster.
func (o lintOptions) runLive(ctx context.Context, streams Streams, version string, changed func(string) bool, args []string) error {
	if len(args) > 0 {
		return fault.New(fault.Usage, fmt.Errorf("%s: files are not read with --cluster", args[0]), "jobmesh lint "+args[0])
	}
	for _, name := range onlyFiles {
		if changed(name) {
			return fault.New(fault.Usage, fmt.Errorf("--%s: with --cluster the cluster says that itself", name), "leave it out")
		}
	}
	for _, name := range writing {
		if changed(name) {
			return fault.New(fault.Usage, fmt.Errorf("--%s: with --cluster lint only reads, and there are no files to put right", name),
				"jobmesh lint --"+name+" FILE")
		}
	}
	said, err := o.profile.load(o.failOn, changed, nil)
	if err != nil {
		return err
	}
	c, err := o.live.cluster.Connect()
	if err != nil {
		return err
	}
	facts, notes, err := look.Survey(ctx, c)
	if err != nil {
		return err
	}
	for _, text := range notes {
		note(streams)(text)
	}
	note(streams)(seen(&facts))
	if text := appliedBy(&facts); text != "" {
		note(streams)(text)
	}
	if o.live.profile != "" {
		if err := writeProfile(o.live.profile, &facts); err != nil {
			return err
		}
	}
	facts.Helpers, facts.Lock, facts.Policies = said.Helpers, said.Lock, policy.New(library.LibraryChart, facts.Installed)
	findings, managed, err := survey.Judge(facts)
	if err != nil {
		return err
	}
	run := &lintRun{findings: findings, summary: report.Summary{Objects: len(facts.CronJobs) + len(facts.Jobs) + len(facts.Others) + len(facts.Pods)}}
	for _, f := range run.findings {
		run.summary.Count(f)
	}
	for _, o := range managed {
		run.leftTo(o, "the cluster that is judged is this one; --context names another")
	}
	run.notes(note(streams))
	if err := run.write(streams.Out, o.output.format, version, colored(streams.Out)); err != nil {
		return err
	}
	return run.verdict(streams, said.failOn)
}

// appliedBy says who applies the policies of jobmesh-policy, where a namespace asks for them.
func appliedBy(f *survey.Facts) string {
	if len(f.Labelled) == 0 {
		return ""
	}
	jobs := "the Jobs of " + namespaceWords(f.Labelled)
	label := "the label " + lint.PolicyLabel
	switch f.Engine {
	case running.InAPIServer:
		return jobs + " are judged as jobmesh-policy changes their pods"
	case running.Presumed:
		return "mutating admission policies may not be read, so jobmesh-policy is presumed to change the pods of " + namespaceWords(f.Labelled) + ", as " + label + " says"
	case running.InKyverno:
		return jobs + " are judged as they are written: what Kyverno makes of their pods is not known"
	case running.TooOld:
		return deadLabel(f.Labelled, "in this cluster")
	}
	return fmt.Sprintf("%s of %s does nothing, since jobmesh-policy is not installed in this cluster: %s", label, namespaceWords(f.Labelled), asWritten)
}

// seen says what was read, and what is presumed about it.
func seen(f *survey.Facts) string {
	text := fmt.Sprintf("looked at %s, %s, %s and %s of other kinds", plural(len(f.CronJobs), "CronJob"), plural(len(f.Jobs), "Job"),
		plural(len(f.Pods), "pod"), plural(len(f.Others), "object"))
	settings := profileOf(f)
	if settings[0].value == "" {
		text += "; no proxy of a mesh was seen"
	}
	for _, s := range settings {
		if s.value != "" && s.key != policyKey { // which has a note of its own
			text += "; " + s.key + ": " + s.value
		}
	}
	return text
}

type setting struct{ key, value string }

// profileOf describes the cluster with the keys of jobmesh.yaml.
func profileOf(f *survey.Facts) []setting {
	name := f.Main()
	in := f.Installations()[name]
	settings := []setting{{key: "mesh", value: name}, {key: "meshVersion"}, {key: "native"}, {key: "kubeVersion"}, {key: "minKubelet"}, {key: declaredKey}, {key: policyKey}}
	if name != "" && in.Version.Known() {
		settings[1].value = in.Version.String()
	}
	if in.Native == native.True || in.Native == native.False {
		settings[2].value = string(in.Native)
	}
	if f.Server.Known() {
		settings[3].value = f.Server.String()
	}
	if oldest := running.Oldest(f.Nodes).Kubelet; oldest.Known() {
		settings[4].value = oldest.String()
	}
	if features, said := running.Declared(f.Nodes); said {
		settings[5].value = cmp.Or(strings.Join(features, ","), noFeature)
	}
	if f.Engine.Changes() {
		names := slices.Sorted(maps.Keys(f.Labelled))
		names = slices.DeleteFunc(names, func(name string) bool { return slices.Contains(policy.Words(), name) }) // it means another thing there
		settings[6].value = strings.Join(names, ",")
	}
	return settings
}

func writeProfile(file string, f *survey.Facts) error {
	text := "# What jobmesh lint --cluster has found. Without it, lint judges files for this cluster.\n"
	for _, s := range profileOf(f) {
		if s.value != "" {
			text += fmt.Sprintf("%s: %q\n", s.key, s.value)
		}
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		return fault.New(fault.LocalIO, err)
	}
	return nil
}
