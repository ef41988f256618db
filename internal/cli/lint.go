package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"
	"golang.org/x/term"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/printable"
	"github.com/jobmesh/jobmesh/internal/report"
)

type lintOptions struct {
	profile profileOptions
	output  output
	failOn  string
	explain string
	list    bool
	empty   bool
	live    liveOptions
	fix     bool
	diff    bool
}

func newLint(version string, streams Streams) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint [FILE|DIR|-]...",
		Short: "Say whether Jobs will finish, and what helps",
		Long: `Lint reads manifests and answers for each Job, CronJob, JobSet, ScaledJob,
Workflow and Pod that is meant to end: will it start, will it finish, and is its
result kept? A finding names the object, the field, the line and the fix.

Flags, or jobmesh.yaml in the current folder, describe the cluster for which
lint judges. With --mesh the pods are in that mesh unless they opt out; without
it, only what a manifest itself says counts. Lint reads the labels and
annotations of namespaces among the manifests, too. What nobody has said is
presumed to be the newest supported version, and a line on stderr says so.
With --policy it judges Jobs as jobmesh-policy changes their pods. It does so without
the flag for a namespace among the manifests that has the label
jobmesh.dev/inject: enabled.

It reads files, folders (*.yaml, *.yml, *.json) and stdin, and asks neither a
cluster nor a registry. With --cluster it reads the templates and pods of a
cluster instead, judges them for its meshes and nodes, and also says what is
stuck; it changes nothing there. A ResourceList on stdin, from kustomize, is
returned with the findings in results; its functionConfig describes the cluster
with the keys of jobmesh.yaml. The annotation jobmesh.dev/ignore-JM101: "the
reason", on an object or on its pod template, suppresses a rule there.

With --fix, lint corrects the files: it moves labels and annotations from the
wrong place, corrects misspelt ones, and removes wrappers that a native sidecar
has made superfluous. All other bytes stay. With --diff it prints these changes
instead of the findings, and writes nothing.

Exit code 1 means findings at or above --fail-on.`,
		Example: `  helm template . | jobmesh lint --mesh linkerd --mesh-version 2.19
  jobmesh lint --mesh istio --mesh-version 1.29 --kube-version 1.35 --output sarif manifests/ > lint.sarif
  jobmesh lint --cluster -A
  jobmesh lint --mesh linkerd --diff manifests/
  jobmesh lint --mesh istio --policy manifests/
  jobmesh lint --explain JM101`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runLint(cmd.Context(), streams, version, o, cmd.Flags().Changed, args)
		},
	}
	flags := cmd.Flags()
	o.profile.register(cmd)
	o.output.register(cmd, report.Formats())
	o.live.register(cmd)
	flags.StringVar(&o.failOn, "fail-on", "error", "lowest severity of a finding that gives exit code 1: "+strings.Join(lint.Severities(), ", "))
	flags.StringVar(&o.explain, "explain", "", "print the page of a rule, such as JM101, and nothing else")
	flags.BoolVar(&o.list, "list-rules", false, "print the list of rules, and nothing else")
	flags.BoolVar(&o.fix, "fix", false, "correct in the files what has one mechanical fix, and report the rest")
	flags.BoolVar(&o.diff, "diff", false, "print what --fix would change as a unified diff, and write nothing")
	allowEmpty(cmd, &o.empty)
	var ids []string
	for _, r := range slices.Concat(lint.Rules(), lint.Elsewhere()) {
		ids = append(ids, r.ID+"\t"+r.Title)
	}
	complete(cmd, "fail-on", lint.Severities())
	complete(cmd, "explain", ids)
	return cmd
}

func runLint(ctx context.Context, streams Streams, version string, o lintOptions, changed func(string) bool, args []string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	color := colored(streams.Out)
	if o.list {
		return o.rules(streams, lint.Rules()...)
	}
	if o.explain != "" {
		rule, err := lint.ByID(o.explain)
		if err != nil {
			return fault.New(fault.Usage, err, "jobmesh lint --list-rules")
		}
		if o.output.isText() {
			return report.Explain(streams.Out, rule, color)
		}
		return o.rules(streams, rule)
	}
	if o.live.on {
		return o.runLive(ctx, streams, version, changed, args)
	}
	if err := o.live.unused(changed); err != nil {
		return err
	}
	if len(args) == 0 {
		if streams.InTerminal {
			return fault.New(fault.Usage, errors.New("lint has nothing to read: no FILE, and stdin is a terminal"),
				"jobmesh lint manifests/", "helm template . | jobmesh lint")
		}
		args = []string{manifest.Stdin}
	}
	run := &lintRun{held: map[string]*rewound{}}
	defer run.close()
	files := run.files(args)
	if err := run.hold(files, streams.In); err != nil {
		return err
	}
	var list *manifest.Document
	if stdin := run.held[manifest.Stdin]; stdin != nil && len(files) == 1 {
		list = resourceList(stdin.whole)
	}
	profile, err := o.profile.load(o.failOn, changed, functionConfig(list))
	if err != nil {
		return err
	}
	namespaces := run.namespaces(files)
	run.admission = newAdmission(profile, namespaces)
	if o.fix || o.diff {
		if err := run.mend(ctx, streams, o, lint.New(profile.Profile, namespaces), files); err != nil {
			return err
		}
	}
	linter := lint.New(profile.Profile, namespaces) // a new one, because the doubts of the first one do not hold any more
	if err := run.check(ctx, linter, files); err != nil {
		return err
	}
	if presumed := profile.Presumed(); presumed != "" && run.read > 0 {
		note(streams)(presumed)
	}
	for _, text := range run.admission.notes() {
		note(streams)(text)
	}
	run.doubts(streams, linter.Doubts())
	run.notes(note(streams))
	switch {
	case o.diff: // the differences are all that is printed
	case list != nil && !changed("output"):
		err = report.ResourceList(streams.Out, list, run.findings)
	default:
		err = run.write(streams.Out, o.output.format, version, color)
	}
	if err != nil {
		return err
	}
	if run.read == 0 && len(run.failures) == 0 && !o.empty {
		return nothingRead(args)
	}
	return run.verdict(streams, profile.failOn)
}

// rules prints rules in the requested format.
func (o lintOptions) rules(streams Streams, rules ...*lint.Rule) error {
	switch o.output.format {
	case "text":
		return report.List(streams.Out, rules)
	case "json", "yaml":
		return o.output.print(streams.Out, report.RulesOf(rules))
	}
	return fault.New(fault.Usage, fmt.Errorf("--output %s is a format for findings, not for rules", o.output.format), "--output json")
}

// colored tells whether output to a stream is coloured: it is on a terminal, unless NO_COLOR is
// set (no-color.org).
func colored(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"
}

// A lintRun is the state of one call of lint.
type lintRun struct {
	// held are the inputs that can be read only once: stdin and pipes, as in jobmesh lint
	// <(helm template .).
	held     map[string]*rewound
	findings []lint.Finding
	summary  report.Summary
	failures []error
	// read is the number of Kubernetes objects that were read.
	read int
	// passed are the objects of which lint cannot say whether their pods end, or where they
	// run.
	passed []passed
	// seen are the objects that were read, by kind and name. named are the objects, which may
	// be missing, to which workflows refer for their templates.
	seen  []string
	named []named
	// admission is what the policies of the cluster do; nil for none.
	admission *admission
	// waiting are documents that were read and not judged yet, and size is how long their text is.
	waiting []*manifest.Document
	size    int
}

func (l *lintRun) fail(file string, line int, err error) {
	if of := (*fs.PathError)(nil); errors.As(err, &of) {
		file = of.Path
	}
	l.failures = append(l.failures, err)
	cause := sentence(err)
	cause = strings.TrimPrefix(cause, fmt.Sprintf("%s:%d: ", file, line))
	l.summary.Problems = append(l.summary.Problems, report.Problem{File: file, Line: line, Cause: strings.TrimPrefix(cause, file+": ")})
	l.summary.Unread++
}

func (l *lintRun) check(ctx context.Context, linter *lint.Linter, files []string) error {
	l.summary.Files = len(files)
	for _, file := range files {
		if err := l.scan(file, func(d *manifest.Document) error { return l.keep(ctx, linter, d) }); err != nil {
			return err
		}
	}
	if err := l.flush(ctx, linter); err != nil {
		return err
	}
	order := slices.Clone(files)
	if i := slices.Index(order, manifest.Stdin); i >= 0 {
		order[i] = "stdin"
	}
	lint.Sort(l.findings, order)
	for _, f := range l.findings {
		l.summary.Count(f)
	}
	return nil
}

// doubts prints in one line which containers lint could not judge.
func (l *lintRun) doubts(streams Streams, doubts []lint.Doubt) {
	if len(doubts) == 0 {
		return
	}
	first, more := doubts[0], ""
	if n := len(doubts) - 1; n > 0 {
		more = fmt.Sprintf(", nor of %s more", plural(n, "container"))
	}
	note(streams)(fmt.Sprintf("cannot tell whether container %s of %s stops its proxy (%s:%d): %s decides%s; no finding is reported for that",
		printable.Text(first.Container), printable.Text(first.Object), printable.Text(first.File), first.Line, printable.Text(first.What), more))
}

// keep takes a document for judgement. Those with objects that policies change are asked about
// together, which costs least.
func (l *lintRun) keep(ctx context.Context, linter *lint.Linter, d *manifest.Document) error {
	if l.waiting == nil && !l.admission.concerns(d) {
		return l.document(ctx, linter, d, nil)
	}
	l.waiting, l.size = append(l.waiting, d), l.size+len(d.Text)
	if len(l.waiting) < maxWaiting && l.size < maxWaitingText {
		return ctx.Err()
	}
	return l.flush(ctx, linter)
}

// Bounds of what waits to be judged: documents, and bytes of text.
const (
	maxWaiting     = 512
	maxWaitingText = 1 << 20
)

// flush judges the documents that wait.
func (l *lintRun) flush(ctx context.Context, linter *lint.Linter) error {
	admitted, err := l.admission.admit(l.waiting...)
	if err != nil {
		return err
	}
	for _, d := range l.waiting {
		if err := l.document(ctx, linter, d, admitted); err != nil {
			return err
		}
	}
	l.waiting, l.size = nil, 0
	return nil
}

func (l *lintRun) document(ctx context.Context, linter *lint.Linter, d *manifest.Document, admitted admitted) error {
	if d.Err != nil {
		line, err := 0, d.Err
		if e := (*manifest.Error)(nil); errors.As(d.Err, &e) {
			line, err = e.Line, fault.New(fault.Usage, d.Err)
		}
		l.fail(d.File, line, err)
		return ctx.Err()
	}
	l.read += d.Count()
	for _, o := range d.Objects() {
		l.summary.Objects++
		l.findings = append(l.findings, admitted.check(linter, o)...)
		for _, why := range lint.Unjudged(o) {
			l.passOver(o, "not judged: "+why)
		}
		l.leftTo(o, "the cluster that is judged is the one that --mesh, --kube-version and the other flags describe")
		if o.KindOf() != nil {
			l.seen = append(l.seen, o.Kind+"/"+o.Name)
		}
		for _, name := range o.Elsewhere() {
			l.named = append(l.named, named{o.String(), name})
		}
	}
	return ctx.Err()
}

// leftTo notes an object that another controller than that of its kind runs. The text judged
// says for which cluster it is judged all the same.
func (l *lintRun) leftTo(o manifest.Object, judged string) {
	if by := lint.ManagedBy(o); by != "" {
		l.passOver(o, "run by "+by+" (managedBy), which may do so in another cluster: "+judged)
	}
}

// passOver notes an object whose pods are not judged, or not with certainty. One line is
// printed for each kind and reason.
func (l *lintRun) passOver(o manifest.Object, why string) {
	kind := o.APIVersion + " " + o.Kind + " " + why
	i := slices.IndexFunc(l.passed, func(p passed) bool { return p.kind == kind })
	if i < 0 {
		l.passed = append(l.passed, passed{kind: kind, first: o.String(), why: why})
		return
	}
	l.passed[i].more++
}

// notes prints what was not judged, or not with certainty: kinds, objects that other
// controllers run, and templates that are not among the manifests.
func (l *lintRun) notes(note func(string)) {
	for _, p := range l.passed {
		note(p.String())
	}
	for _, n := range l.named {
		if !slices.Contains(l.seen, n.template) {
			note(fmt.Sprintf("%s: not judged: the templates of %s, which is not among the manifests", printable.Text(n.workflow), printable.Text(n.template)))
		}
	}
}

// A named is a workflow with the template, of another object, to which it refers.
type named struct{ workflow, template string }

// A passed is a kind of objects for which a line is printed beside the findings.
type passed struct {
	kind, first, why string
	more             int
}

func (p passed) String() string {
	if p.more > 0 {
		return fmt.Sprintf("%s and %d more: %s", printable.Text(p.first), p.more, printable.Text(p.why))
	}
	return fmt.Sprintf("%s: %s", printable.Text(p.first), printable.Text(p.why))
}

func (l *lintRun) write(out io.Writer, format, version string, color bool) error {
	w, err := report.New(format, out, version, color)
	if err != nil {
		return fault.New(fault.Usage, err)
	}
	for _, f := range l.findings {
		if err := w.Write(f); err != nil {
			return err
		}
	}
	return w.Flush(l.summary)
}

// verdict returns the exit code as an error, and prints one line for each input that could not
// be read.
func (l *lintRun) verdict(streams Streams, failOn lint.Severity) error {
	s := l.summary
	counted := fmt.Sprintf("%s, %s, %s in %s", plural(s.Errors, "error"), plural(s.Warnings, "warning"),
		plural(s.Infos, "note"), plural(s.Objects, "object"))
	if s.Files > 0 { // a cluster has no files
		counted += " of " + plural(s.Files, "file")
	}
	if len(l.failures) > 0 {
		_, _ = fmt.Fprintln(streams.Err, "jobmesh: "+counted) // a failed message does not change the verdict
		for _, err := range l.failures[:len(l.failures)-1] {
			streams.say("jobmesh: %s", sentence(err))
		}
		last := l.failures[len(l.failures)-1]
		if slices.ContainsFunc(l.failures, func(err error) bool { return strings.Contains(err.Error(), manifest.Unrendered) }) {
			last = fault.New(fault.Code(last), last, append(fault.Hints(last), "helm template . | jobmesh lint")...)
		}
		return last
	}
	if s.AtLeast(failOn) == 0 {
		_, _ = fmt.Fprintln(streams.Err, "jobmesh: "+counted)
		return nil
	}
	return fault.New(fault.Findings, errors.New(counted), "jobmesh lint --explain "+l.worst()+" says more")
}

// worst returns the id of the first finding of the highest severity.
func (l *lintRun) worst() string {
	best := l.findings[0]
	for _, f := range l.findings {
		if f.Severity != best.Severity && f.Severity.AtLeast(best.Severity) {
			best = f
		}
	}
	return best.Rule.ID
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// resourceList returns the document where the text is what kustomize passes to a function, and
// nil for any other text.
func resourceList(text []byte) *manifest.Document {
	if !bytes.Contains(text, []byte("ResourceList")) {
		return nil
	}
	var documents []*manifest.Document
	_ = manifest.Scan("stdin", bytes.NewReader(text), func(d *manifest.Document) error {
		documents = append(documents, d)
		return nil
	}) // an error could only come from visit, which returns none
	if len(documents) != 1 || documents[0].Root == nil {
		return nil
	}
	root := documents[0].Root
	if manifest.Text(manifest.Get(root, "kind")) != "ResourceList" ||
		!strings.HasPrefix(manifest.Text(manifest.Get(root, "apiVersion")), "config.kubernetes.io/") {
		return nil
	}
	return documents[0]
}

// functionConfig returns the settings of a function: the data of a ConfigMap, or the spec of
// any other object.
func functionConfig(list *manifest.Document) map[string]string {
	settings := map[string]string{}
	if list == nil {
		return settings
	}
	config := manifest.Get(list.Root, "functionConfig")
	for _, field := range []string{"data", "spec"} {
		manifest.Each(manifest.Get(config, field), func(key, value *yaml.Node) { settings[key.Value] = manifest.Text(value) })
	}
	return settings
}
