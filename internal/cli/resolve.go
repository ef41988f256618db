package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/jobmesh/jobmesh/internal/entrypoint"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/registry"
	"github.com/jobmesh/jobmesh/internal/report"
)

type resolveOptions struct {
	images    []string
	kinds     []string
	lockFile  string
	update    bool
	check     bool
	plainHTTP bool
	empty     bool
	output    output
}

func newResolve(streams Streams) *cobra.Command {
	var o resolveOptions
	cmd := &cobra.Command{
		Use:   "resolve [FILE|DIR|-]...",
		Short: "Record what the images of Jobs run",
		Long: `Resolve reads manifests and looks up, for each container without a command, what
its image runs: ENTRYPOINT and CMD, on every Linux platform of the image. A
wrapper in front of the command has to know this, and neither a template nor
jobmesh inject can ask a registry.

The answers are written to jobmesh.lock.yaml, with the digest of the image. Put
the file into the chart, beside Chart.yaml, and commit it. An image that is in
the file is looked up again only with --update, so a second run needs no
network. Entries without a digest were written by hand, and stay as they are.

With --check nothing is written: exit code 3 says that an image is not in the
file, or that its tag has another digest now.

With -o params the answers are also printed in the form of the value images of
the chart jobmesh-policy.

Credentials are those of docker and podman. Nothing is written unless every image
could be resolved. Without arguments the manifests come from stdin.`,
		Example: `  helm template . --set jobmesh.enabled=false | jobmesh resolve
  jobmesh resolve --check manifests/
  jobmesh resolve --image redis:7 --lock-file charts/shop/jobmesh.lock.yaml
  jobmesh resolve --image redis:7 -o params >images.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runResolve(cmd.Context(), streams, cmd.InOrStdin(), args, o)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVar(&o.images, "image", nil, "an image to resolve, with or without manifests; repeatable")
	flags.StringSliceVar(&o.kinds, "kinds", nil, "further kinds whose containers are resolved, such as Deployment")
	flags.StringVar(&o.lockFile, "lock-file", lockfile.FileName, "lock file; with - it is written to stdout, and none is read")
	flags.BoolVar(&o.update, "update", false, "look up the images in the lock file again")
	flags.BoolVar(&o.check, "check", false, "write nothing; exit code 3 if the lock file is not up to date")
	allowEmpty(cmd, &o.empty)
	flags.BoolVar(&o.plainHTTP, "plain-http", false, "allow plain HTTP to a registry that is not on this machine")
	o.output.register(cmd, append(slices.Clone(resultFormats), paramsFormat))
	_ = cmd.MarkFlagFilename("lock-file", "yaml", "yml") // fails only for a flag that does not exist
	return cmd
}

func runResolve(ctx context.Context, streams Streams, stdin io.Reader, args []string, o resolveOptions) error {
	if err := o.output.check("the lock file goes where --lock-file says: --lock-file " + o.output.format); err != nil {
		return err
	}
	if o.lockFile == "-" && !o.output.isText() {
		return fault.New(fault.Usage, fmt.Errorf("--lock-file - and --output %s contradict each other: both write to stdout", o.output.format))
	}
	if o.check && o.update {
		return fault.New(fault.Usage, errors.New("--check contradicts --update: it writes nothing"))
	}
	if o.check && o.lockFile == "-" {
		return fault.New(fault.Usage, errors.New("--check needs a lock file: --lock-file - names none"))
	}
	lock := &lockfile.Lock{}
	if o.lockFile != "-" {
		// This is checked before a registry is asked: without a place for the answers, none are
		// needed.
		if _, err := os.Stat(filepath.Dir(o.lockFile)); err != nil {
			return fault.New(fault.LocalIO, err, "choose another file with --lock-file")
		}
		var err error
		if lock, err = lockfile.Load(o.lockFile); err != nil {
			return err
		}
	}
	uses, mistakes, err := usesIn(stdin, args, o)
	if err != nil {
		return err
	}
	lookup, err := entrypoint.NewLookup(registry.New(o.plainHTTP))
	if err != nil {
		return err
	}
	show := func(done, total int, image string) { progress(streams, "%d/%d %s", done, total, image) }
	var outcomes []entrypoint.Outcome
	var failed []error
	if o.check {
		outcomes, failed = entrypoint.Check(ctx, lock, lookup, uses, show)
	} else {
		outcomes, failed = entrypoint.Resolve(ctx, lock, lookup, uses, o.update, show)
	}
	progress(streams, "")
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := fault.Join(append(mistakes, failed...), waysOut(failed, o)...); err != nil {
		return err
	}
	if len(uses) == 0 {
		note(streams)("every container has a command: there is nothing to resolve")
	}
	if o.check || len(uses) == 0 && o.lockFile != "-" {
		return o.resolved(streams, outcomes, false)
	}
	return o.writeLock(streams, lock, outcomes)
}

// usesIn reads the manifests. It returns the mistakes in documents beside the uses in the other
// documents.
func usesIn(stdin io.Reader, args []string, o resolveOptions) (uses []entrypoint.Use, mistakes []error, err error) {
	if len(args) == 0 && len(o.images) == 0 {
		if file, ok := stdin.(*os.File); ok && term.IsTerminal(int(file.Fd())) {
			return nil, nil, fault.New(fault.Usage, errors.New("no manifests given, and stdin is a terminal"),
				"jobmesh resolve FILE, or jobmesh resolve --image IMAGE")
		}
		args = []string{manifest.Stdin}
	}
	for _, image := range o.images {
		uses = append(uses, entrypoint.Use{Image: image})
	}
	files, err := manifest.Files(args)
	if err != nil {
		return nil, nil, err
	}
	read := 0
	err = manifest.Read(files, stdin, func(d *manifest.Document) error {
		read += d.Count()
		if d.Err != nil {
			code := fault.LocalIO
			if wrong := (*manifest.Error)(nil); errors.As(d.Err, &wrong) {
				code = fault.Usage
			}
			mistakes = append(mistakes, fault.New(code, errors.New(sentence(d.Err))))
		}
		for _, object := range d.Objects() {
			uses = append(uses, entrypoint.Uses(object, o.kinds)...)
		}
		return nil
	})
	if err == nil && len(mistakes) == 0 && len(args) > 0 && read == 0 && !o.empty {
		return nil, nil, nothingRead(args)
	}
	return uses, mistakes, err
}

// waysOut returns hints for images that could not be resolved.
func waysOut(failed []error, o resolveOptions) []string {
	if len(failed) == 0 {
		return nil
	}
	if o.check && slices.ContainsFunc(failed, func(err error) bool { return fault.Code(err) == fault.Input }) {
		return []string{"jobmesh resolve --update with the same arguments writes " + o.lockFile + " anew"}
	}
	file := o.lockFile
	if file == "-" {
		file = lockfile.FileName
	}
	return []string{
		`set command in the container, as in command: ["/app", "serve"]`,
		"or write it into " + file + `, as in {image: registry.example.com/app:1, entrypoint: ["/app"], cmd: ["serve"]}`,
	}
}

func (o resolveOptions) writeLock(streams Streams, lock *lockfile.Lock, outcomes []entrypoint.Outcome) error {
	if o.lockFile == "-" {
		text, err := lock.Encode()
		if err != nil {
			return err
		}
		_, err = streams.Out.Write(text)
		return err
	}
	changed, err := lock.Write(o.lockFile)
	if err != nil {
		return fault.New(fault.LocalIO, err, "choose another file with --lock-file")
	}
	if !changed {
		note(streams)(o.lockFile + " is up to date")
	}
	return o.resolved(streams, outcomes, changed)
}

// resolveResult is what resolve prints as data; docs/resolve.schema.json describes it.
type resolveResult struct {
	LockFile string          `json:"lockFile"`
	Changed  bool            `json:"changed"`
	Images   []resolvedImage `json:"images"`
}

type resolvedImage struct {
	Image      string            `json:"image"`
	Status     entrypoint.Status `json:"status"`
	Digest     string            `json:"digest"`
	Entrypoint []string          `json:"entrypoint"`
	Cmd        []string          `json:"cmd"`
}

// paramsFormat is the format of the value images of the chart jobmesh-policy.
const paramsFormat = "params"

// policyValues are the values of that chart for images, by reference.
type policyValues struct {
	Images map[string]policyImage `json:"images"`
}

type policyImage struct {
	Entrypoint []string `json:"entrypoint"`
	Cmd        []string `json:"cmd"`
}

// valuesOf returns the values for the images that were resolved.
func valuesOf(outcomes []entrypoint.Outcome) policyValues {
	values := policyValues{Images: map[string]policyImage{}}
	for _, of := range outcomes {
		reference := of.Image
		if of.Digest != "" && !strings.Contains(reference, "@") {
			reference += "@" + of.Digest
		}
		values.Images[reference] = policyImage{append([]string{}, of.Entrypoint...), append([]string{}, of.Cmd...)}
	}
	return values
}

// resolved prints what each image runs. The parameter changed says whether the lock file was
// written.
func (o resolveOptions) resolved(streams Streams, outcomes []entrypoint.Outcome, changed bool) error {
	if o.output.isText() {
		return printOutcomes(streams.Out, outcomes)
	}
	if o.output.format == paramsFormat {
		return report.Encode(streams.Out, "yaml", valuesOf(outcomes))
	}
	result := resolveResult{LockFile: o.lockFile, Changed: changed, Images: []resolvedImage{}} // an empty list, not null
	for _, of := range outcomes {
		result.Images = append(result.Images, resolvedImage{
			of.Image, of.Status, of.Digest, append([]string{}, of.Entrypoint...), append([]string{}, of.Cmd...),
		})
	}
	return o.output.print(streams.Out, result)
}

// printOutcomes prints one line for each image: whether it was resolved, its name, its digest,
// and what it runs.
func printOutcomes(out io.Writer, outcomes []entrypoint.Outcome) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, i := range outcomes {
		digest := i.Digest
		if digest == "" {
			digest = "by hand"
		}
		if _, err := fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", i.Status, i.Image, digest, strings.TrimSpace(i.Command.String())); err != nil {
			return err
		}
	}
	return w.Flush()
}
