package cli

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/inject"
	"github.com/jobmesh/jobmesh/internal/lockfile"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
	"github.com/jobmesh/jobmesh/internal/printable"
	"github.com/jobmesh/jobmesh/internal/regular"
)

type injectOptions struct {
	values   []string
	set      []string
	lock     string
	report   string
	uninject bool
	strict   bool
	empty    bool
	// helpValues says that the user asks for the list of settings, and for nothing else.
	helpValues bool
}

func newInject(streams Streams, l linked) *cobra.Command {
	var o injectOptions
	cmd := &cobra.Command{
		Use:   "inject [FILE|DIR|-]...",
		Short: "Make the Jobs of any manifests finish",
		Long: `Inject reads Kubernetes manifests and writes them to stdout, with the wrapper in
every Job, CronJob and other pod that is meant to end. It does what the library
chart does, and takes the chart's values. Every other byte stays: comments,
order, quotes, indentation, other documents. A second run changes nothing, and
--uninject restores the input.

Inject reads files, folders (their *.yaml, *.yml and *.json) and - for stdin, in
the given order; without arguments it reads stdin. Objects that are left as they
are, because their pods opt out, use the host's network or run on Windows, are
named on stderr. All mistakes are listed, and after a mistake nothing is
written. Input without any object is a mistake, unless --allow-empty is given.
Inject asks neither a cluster nor a registry.

The wrapper's image is the one that this program was built with. Where that was
published elsewhere, ` + imageVariable + `=REPOSITORY[@DIGEST] or the key image in
jobmesh.yaml (registry, repository, digest) names the place; --set image... wins
over both.`,
		Example: `  jobmesh inject job.yaml | kubectl apply -f -
  helm template shop | jobmesh inject --set mesh=linkerd | kubectl apply -f -
  jobmesh inject --uninject injected.yaml`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if o.helpValues {
				return printValues(streams)
			}
			return runInject(cmd.Context(), streams, l, args, o)
		},
	}
	flags := cmd.Flags()
	flags.StringArrayVarP(&o.values, "values", "f", nil, "file with values of the library chart, or of a chart that uses it; repeatable")
	flags.StringArrayVar(&o.set, "set", nil, "value, as in mesh=linkerd; repeatable")
	flags.BoolVar(&o.helpValues, "help-values", false, "print the values of the library chart, each with its default and a description")
	flags.StringVar(&o.lock, "lock", "", "file with the commands of images, as jobmesh resolve writes it (default "+lockfile.FileName+" in this folder, if it exists)")
	flags.BoolVar(&o.uninject, "uninject", false, "remove what inject has added")
	allowEmpty(cmd, &o.empty)
	flags.BoolVar(&o.strict, "strict", false, "exit with 1 if an object was left as it is")
	flags.StringVar(&o.report, "report", "", "report each object on stderr, one line each: text or json")
	_ = cmd.RegisterFlagCompletionFunc("report", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("set", completeSetting)
	_ = cmd.MarkFlagFilename("values", "yaml", "yml", "json") // these fail only for a flag that does not exist
	_ = cmd.MarkFlagFilename("lock", "yaml")
	return cmd
}

// printValues prints the chart's file of values, which describes each of them.
func printValues(streams Streams) error {
	text, err := library.LibraryChart.ReadFile("library-chart/values.yaml")
	if err == nil {
		_, err = streams.Out.Write(text)
	}
	return err
}

// completeSetting completes the names of the library chart's values, and the meshes behind
// mesh=.
func completeSetting(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	name, _, hasName := strings.Cut(begun, "=")
	if !hasName {
		var names []string
		for _, s := range inject.Settings(library.LibraryChart) {
			names = append(names, s.Name+"=")
		}
		return names, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	var values []string
	for _, s := range inject.Settings(library.LibraryChart) {
		if s.Name == name {
			for _, word := range s.Words {
				values = append(values, name+"="+word)
			}
		}
	}
	return values, cobra.ShellCompDirectiveNoFileComp
}

func runInject(ctx context.Context, streams Streams, l linked, args []string, o injectOptions) error {
	if o.report != "" && o.report != "text" && o.report != "json" {
		return fault.New(fault.Usage, fmt.Errorf("--report %q is neither text nor json", o.report))
	}
	if len(args) == 0 {
		if streams.InTerminal {
			return fault.New(fault.Usage, errors.New("no manifests: name a file or a folder, or send them to stdin"),
				"jobmesh inject job.yaml", "helm template . | jobmesh inject")
		}
		args = []string{manifest.Stdin}
	}
	files, err := manifest.Files(args)
	if err != nil {
		return err
	}
	values, err := inject.ReadValues(o.values, o.set)
	if err != nil {
		return err
	}
	lock, err := readLock(o)
	if err != nil {
		return err
	}
	file, err := readSettings("")
	if err != nil {
		return err
	}
	image, err := wrapperImage(l, file)
	if err != nil {
		return err
	}
	injector, err := inject.New(inject.Options{
		Library: library.LibraryChart, Image: image, Values: values, From: valuesFrom(o), Lock: lock, Uninject: o.uninject,
	})
	if err != nil {
		return err
	}
	// Most of the memory that is allocated here is garbage a moment later. The default rate of
	// collection costs a quarter of the time.
	debug.SetGCPercent(250)
	spool := &spool{}
	defer spool.remove()
	result, err := injector.Run(ctx, files, streams.In, spool)
	if err == nil {
		err = ctx.Err() // Ctrl-C also ends the program that writes the input
	}
	if err != nil {
		return err
	}
	if len(result.Mistakes) > 0 {
		return reportMistakes(streams, result.Mistakes)
	}
	if result.Objects == 0 && !o.empty {
		return nothingRead(args)
	}
	skipped := reportNotes(streams, result.Notes, o.report)
	if err := spool.copyTo(streams.Out); err != nil && !errors.Is(err, syscall.EPIPE) {
		return fault.New(fault.LocalIO, fmt.Errorf("stdout: %w", err))
	}
	if o.strict && skipped > 0 {
		return fault.New(fault.Findings, fmt.Errorf("--strict: %s left unchanged", plural(skipped, "object")))
	}
	return nil
}

// valuesFrom returns what messages call the source of the values: the file, where there is only
// one.
func valuesFrom(o injectOptions) string {
	if len(o.values) == 1 && len(o.set) == 0 {
		return "values " + o.values[0]
	}
	return "values"
}

// readLock returns the text of the lock file, which the chart reads, and nil where there is
// none.
func readLock(o injectOptions) ([]byte, error) {
	name := cmp.Or(o.lock, lockfile.FileName)
	text, err := regular.ReadFile(name, lockfile.MaxSize)
	if o.lock == "" && (o.uninject || errors.Is(err, fs.ErrNotExist)) {
		return nil, nil
	}
	if err == nil {
		// The chart also reads the file, but its messages cannot name a line of it.
		_, err = lockfile.Load(name)
	}
	return text, err
}

// reportMistakes prints all mistakes, and returns an error with their number.
func reportMistakes(streams Streams, mistakes []inject.Mistake) error {
	code := 0
	for _, m := range mistakes {
		streams.say("jobmesh: %s", mistakeText(m))
		var place *manifest.Error
		if errors.As(m.Err, &place) || m.Object != "" {
			code = fault.Usage
		}
	}
	if code == 0 {
		code = fault.LocalIO
	}
	return fault.New(code, fmt.Errorf("inject: %s; nothing was written", plural(len(mistakes), "mistake")), hintsFor(mistakes)...)
}

// injectHints are things to try, each with a part of the mistake that it is for.
var injectHints = []struct{ says, hint string }{
	{manifest.Unrendered, "helm template . | jobmesh inject"},
	{"has no command", "jobmesh resolve writes the commands of images into " + lockfile.FileName},
	{"name those that decide", "jobmesh inject --set containers=all"},
	{"name those that decide", "jobmesh inject --set sidecars=known moves the containers that serve the others and never end"},
	{"set mountPath", "jobmesh inject --set mountPath=/opt/jobmesh"},
	{patch.ErrChanged.Error(), "restore what the annotation " + inject.Record + " (in 0.1: jobmesh/injected) lists, or remove by hand what it lists, and the annotation"},
}

func hintsFor(mistakes []inject.Mistake) []string {
	var hints []string
	for _, known := range injectHints {
		if slices.ContainsFunc(mistakes, func(m inject.Mistake) bool { return strings.Contains(m.Error(), known.says) }) {
			hints = append(hints, known.hint)
		}
	}
	return hints
}

// mistakeText returns a mistake with the file and line in front where the mistake is about an
// object. The text of other mistakes has them already.
func mistakeText(m inject.Mistake) string {
	if m.Object == "" {
		return sentence(m.Err)
	}
	return fmt.Sprintf("%s (%s:%d)", m, printable.Text(m.File), m.Line)
}

// reportNotes writes the notes, and returns the number of objects that were left as they are.
func reportNotes(streams Streams, notes []inject.Note, format string) int {
	skipped := 0
	w := bufio.NewWriter(streams.Err)
	for _, note := range notes {
		if note.Action == inject.Skipped {
			skipped++
		}
		switch {
		case format == "json":
			line, err := json.Marshal(note)
			if err == nil { // cannot fail: a note holds strings and a number
				fmt.Fprintf(w, "%s\n", line)
			}
		case format == "text", note.Action == inject.Skipped, note.Action == inject.Noted:
			fmt.Fprintf(w, "jobmesh: %s\n", note)
		}
	}
	_ = w.Flush() // a failed message does not fail the verb
	return skipped
}

// A spool holds the output until it is known to be complete: the first spoolMemory bytes in
// memory, longer output in a file.
type spool struct {
	memory strings.Builder
	file   *os.File
}

const spoolMemory = 16 << 20

func (s *spool) Write(p []byte) (int, error) {
	if s.file == nil && s.memory.Len()+len(p) <= spoolMemory {
		return s.memory.Write(p)
	}
	if s.file == nil {
		var err error
		if s.file, err = os.CreateTemp("", "jobmesh-inject-"); err != nil {
			return 0, err
		}
		// An open file needs no name. Without the name nothing is left behind, however the
		// program ends. Where the system does not allow that, remove does it.
		_ = os.Remove(s.file.Name())
		if _, err := s.file.WriteString(s.memory.String()); err != nil {
			return 0, err
		}
		s.memory.Reset()
	}
	return s.file.Write(p)
}

func (s *spool) copyTo(w io.Writer) error {
	if s.file == nil {
		_, err := io.WriteString(w, s.memory.String())
		return err
	}
	if _, err := s.file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err := io.Copy(w, s.file)
	return err
}

func (s *spool) remove() {
	if s.file != nil {
		_ = s.file.Close()
		_ = os.Remove(s.file.Name()) // the system clears its temporary folder too
	}
}
