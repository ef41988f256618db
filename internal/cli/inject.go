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
	// helpValues asks for the settings, and for nothing else.
	helpValues bool
}

func newInject(streams Streams, l linked) *cobra.Command {
	var o injectOptions
	cmd := &cobra.Command{
		Use:   "inject [FILE|DIR|-]...",
		Short: "Make the Jobs of any manifests finish",
		Long: `Inject reads Kubernetes manifests and writes them to stdout, with the wrapper in
every Job, CronJob and other pod that ends. It does what the library chart does
and takes its values. Everything else stays to the byte: comments, order, quotes,
indentation, other documents. Injecting twice is injecting once, and --uninject
gives the input back.

Files, folders (their *.yaml, *.yml and *.json) and - for stdin are read in their
order; without any, stdin. What is left as it is, because its pods opt out, use
the host's network or run on Windows, is named on stderr. After a mistake nothing
is written, and all mistakes are listed. Input without any object is one, unless
--allow-empty says otherwise. Neither a cluster nor a registry is asked.

The wrapper's image is the one that this program was built with. Where it has been
published elsewhere, ` + imageVariable + `=REPOSITORY[@DIGEST] or image in jobmesh.yaml
(registry, repository, digest) says so, and --set image... wins over both.`,
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
	flags.BoolVar(&o.helpValues, "help-values", false, "print the values of the library chart with their defaults, each with what it does")
	flags.StringVar(&o.lock, "lock", "", "file with the commands of images, as jobmesh resolve writes it (default "+lockfile.FileName+" of this folder, if it is there)")
	flags.BoolVar(&o.uninject, "uninject", false, "take out what inject has put in")
	allowEmpty(cmd, &o.empty)
	flags.BoolVar(&o.strict, "strict", false, "exit with 1 where something was left as it is")
	flags.StringVar(&o.report, "report", "", "say on stderr what became of each object: text, or json, a line each")
	_ = cmd.RegisterFlagCompletionFunc("report", cobra.FixedCompletions([]string{"text", "json"}, cobra.ShellCompDirectiveNoFileComp))
	_ = cmd.RegisterFlagCompletionFunc("set", completeSetting)
	_ = cmd.MarkFlagFilename("values", "yaml", "yml", "json") // these fail only for a flag that is not there
	_ = cmd.MarkFlagFilename("lock", "yaml")
	return cmd
}

// printValues prints the file that says what each value is.
func printValues(streams Streams) error {
	text, err := library.LibraryChart.ReadFile("library-chart/values.yaml")
	if err == nil {
		_, err = streams.Out.Write(text)
	}
	return err
}

// completeSetting offers the values of the library chart, and behind mesh= what mesh may
// be.
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
	// Most of what is allocated here is garbage a moment later: collecting it as often
	// as by default costs a quarter of the time.
	debug.SetGCPercent(250)
	spool := &spool{}
	defer spool.remove()
	result, err := injector.Run(ctx, files, streams.In, spool)
	if err == nil {
		err = ctx.Err() // Ctrl-C ends those who write our input too
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
		return fault.New(fault.Findings, fmt.Errorf("--strict: %d left as they are", skipped))
	}
	return nil
}

// valuesFrom is how mistakes in values name them: by the file, where all are in one.
func valuesFrom(o injectOptions) string {
	if len(o.values) == 1 && len(o.set) == 0 {
		return "values " + o.values[0]
	}
	return "values"
}

// readLock returns the text of the lock file, for the chart; nil where there is none.
func readLock(o injectOptions) ([]byte, error) {
	name := cmp.Or(o.lock, lockfile.FileName)
	text, err := regular.ReadFile(name, lockfile.MaxSize)
	if o.lock == "" && (o.uninject || errors.Is(err, fs.ErrNotExist)) {
		return nil, nil
	}
	if err == nil {
		// The chart reads it for an image without a command, and cannot name its lines.
		_, err = lockfile.Load(name)
	}
	return text, err
}

// reportMistakes lists all mistakes, and returns their number as the error.
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

// injectHints are things to try, by what a mistake says.
var injectHints = []struct{ says, hint string }{
	{manifest.Unrendered, "helm template . | jobmesh inject"},
	{"has no command", "jobmesh resolve writes the commands of images into " + lockfile.FileName},
	{"name those that decide", "jobmesh inject --set containers=all"},
	{"name those that decide", "jobmesh inject --set sidecars=known moves those that serve the others and never end"},
	{"set mountPath", "jobmesh inject --set mountPath=/opt/jobmesh"},
	{patch.ErrChanged.Error(), "put back what the annotation " + inject.Record + " (of 0.1: jobmesh/injected) names, or take out by hand what it names, and it"},
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

// mistakeText adds the place to a mistake of an object; others open with it.
func mistakeText(m inject.Mistake) string {
	if m.Object == "" {
		return sentence(m.Err)
	}
	return fmt.Sprintf("%s (%s:%d)", m, printable.Text(m.File), m.Line)
}

// reportNotes writes the notes, and returns how many objects were left as they are.
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
			if err == nil { // strings and a number
				fmt.Fprintf(w, "%s\n", line)
			}
		case format == "text", note.Action == inject.Skipped, note.Action == inject.Noted:
			fmt.Fprintf(w, "jobmesh: %s\n", note)
		}
	}
	_ = w.Flush() // notes are a courtesy
	return skipped
}

// A spool holds the output until it is known to be complete: in memory, and from
// spoolMemory on in a file.
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
		// An open file needs no name, and so nothing is left whatever ends the program, as a
		// closed pipe does. Systems that do not allow it have remove.
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
