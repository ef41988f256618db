// Package cli is the command line of jobmesh: one verb a file, results on
// stdout, everything else on stderr.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/nearest"
	"github.com/jobmesh/jobmesh/internal/secret"
)

// Streams are where a verb reads and writes.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// InTerminal is set when In is one, so that nothing is waited for there.
	InTerminal bool
	// Terminal is set when Err is one, so that progress may be shown on it.
	Terminal bool
	// Columns are those of that terminal, 0 where there is none.
	Columns int
}

// SystemStreams are those of the process.
func SystemStreams() Streams {
	stderr := helmStderr()
	if stderr == nil {
		stderr = os.Stderr
	}
	s := Streams{
		In: os.Stdin, Out: os.Stdout, Err: stderr,
		InTerminal: term.IsTerminal(int(os.Stdin.Fd())),
		Terminal:   term.IsTerminal(int(stderr.Fd())),
	}
	if s.Terminal {
		s.Columns, _, _ = term.GetSize(int(stderr.Fd())) // 0 where it does not say
	}
	return s
}

// An Option is something the build knows that not every build does.
type Option func(*linked)

// linked is what the program was linked with, and what it was called by.
type linked struct{ imageRepository, imageDigest, commit, program string }

// Image names and pins the image that inject writes, as the packed chart does. An empty
// repository is that of the chart, an empty digest leaves the tag.
func Image(repository, digest string) Option {
	return func(l *linked) { l.imageRepository, l.imageDigest = repository, digest }
}

// Commit names the sources where Go has not noted it in the program.
func Commit(commit string) Option { return func(l *linked) { l.commit = commit } }

// KubectlPlugin is the name under which kubectl finds the program.
const KubectlPlugin = "kubectl-jobmesh"

// CalledAs is the name that the program was called by.
func CalledAs(path string) Option { return func(l *linked) { l.program = filepath.Base(path) } }

// Run runs the command line and returns the exit code.
func Run(ctx context.Context, args []string, version string, streams Streams, known ...Option) int {
	if streams.In != nil {
		streams.In = interruptible(ctx, streams.In)
	}
	hideTyped(args)
	streams.Err = secret.NewWriter(streams.Err)
	root := New(version, streams, known...)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	if typed := (*fault.Error)(nil); !errors.As(err, &typed) && isUsage(err) {
		err = fault.New(fault.Usage, err, "jobmesh --help lists the commands")
	}
	if ctx.Err() != nil {
		err = fault.New(fault.Interrupted, errors.New("interrupted; what was there before is as it was"))
	}
	for line := range strings.Lines(sentence(err)) {
		streams.say("jobmesh: %s", strings.TrimSuffix(line, "\n"))
	}
	streams.hint(fault.Hints(err)...)
	return fault.Code(err)
}

// hideTyped has the passwords masked that stand in arguments and in the addresses of
// proxies: what is wrong with one is told with the text of it.
func hideTyped(args []string) {
	for _, arg := range args {
		secret.HideUserInfo(arg)
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		secret.HideUserInfo(os.Getenv(name))
		secret.HideUserInfo(os.Getenv(strings.ToLower(name)))
	}
}

// isUsage recognises the errors that cobra makes itself, which have no type.
func isUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command ") || strings.HasPrefix(err.Error(), "accepts ")
}

// sentence puts the object first: of "open FILE: cause" only the name of the
// system call goes.
func sentence(err error) string {
	var path *fs.PathError
	var link *os.LinkError
	switch {
	case errors.As(err, &path):
		return path.Path + ": " + path.Err.Error()
	case errors.As(err, &link):
		return link.New + ": " + link.Err.Error()
	}
	return err.Error()
}

// New returns the root command. The reference in docs is generated from it.
func New(version string, streams Streams, known ...Option) *cobra.Command {
	var l linked
	for _, option := range known {
		option(&l)
	}
	root := &cobra.Command{
		Use:   "jobmesh",
		Short: "Any Job, in any mesh, finishes",
		Long: `jobmesh builds what makes Kubernetes Jobs finish in a service mesh: the image
of a small wrapper around the Job's command, and a Helm library chart that is
pinned to it. For manifests that nobody wrote for it, inject adds the same.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !streams.InTerminal {
				// Whoever sends manifests does not want the help in their place.
				return fault.New(fault.Usage, errors.New("no command was given"), "helm template . | jobmesh inject", "jobmesh --help lists the commands")
			}
			return cmd.Help()
		},
	}
	if l.program == KubectlPlugin {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl jobmesh"}
	}
	// A closure over root: cobra's own check gives an error without a code.
	root.Args = func(_ *cobra.Command, args []string) error { return unknownCommand(root, args) }
	root.PersistentPreRunE = refuseEmpty
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// The flags behind a command that is misspelt are read as those of the root.
		if args := cmd.Flags().Args(); cmd == root && len(args) > 0 {
			return unknownCommand(root, args)
		}
		return unknownFlag(cmd, err)
	})
	root.SetVersionTemplate("jobmesh {{.Version}}\n")
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.AddCommand(
		newBuild(version, streams), newPublish(streams), newVerify(streams),
		newInject(streams, l), newLint(version, streams), newResolve(streams), newFunction(streams, version, l), newLock(streams),
		newTry(version, streams, l), newVersion(streams, version, l),
		newWhy(streams, l), newRescue(streams, l), newRBAC(streams),
	)
	root.SetHelpCommand(newHelp(root))
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() == "completion" { // which shows its help for a shell that it does not know
			cmd.Short = "Generate the completion of a shell"
			cmd.Args, cmd.RunE = cobra.ArbitraryArgs, func(cmd *cobra.Command, args []string) error {
				if len(args) == 0 {
					return cmd.Help()
				}
				return unknownCommand(cmd, args)
			}
		}
		cmd.Long = foldText(cmd.Long, streams.columns())
	}
	root.Long = foldText(root.Long, streams.columns())
	root.SetUsageTemplate(strings.NewReplacer(
		".FlagUsages", fmt.Sprintf(".FlagUsagesWrapped %d", streams.columns()),
		" for more information about a command.", " for more.",
	).Replace(root.UsageTemplate()))
	return root
}

// newHelp is cobra's help verb, but that it refuses what there is no help about.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, args)
			}
			cmd.InitDefaultHelpFlag() // so that it is listed
			return cmd.Help()
		},
	}
}

// unknownCommand is the error for arguments where a command has to be; nil for none.
func unknownCommand(parent *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range parent.Commands() {
		names = append(names, c.Name())
	}
	return fault.New(fault.Usage, fmt.Errorf("command %q is unknown", args[0]),
		meant("", args[0], names, parent.CommandPath()+" --help lists the commands")...)
}

// meant puts a hint with the word that somebody may have meant before other hints, where
// there is such a word. prefix stands before it, as -- does before a flag.
func meant(prefix, word string, words []string, hints ...string) []string {
	if near, ok := nearest.Guess(word, words); ok {
		return append([]string{"did you mean " + prefix + near + "?"}, hints...)
	}
	return hints
}

// unknownFlag gives a mistake in flags its code, and names the flag that may be meant.
func unknownFlag(cmd *cobra.Command, err error) error {
	hints := []string{cmd.CommandPath() + " --help lists the flags"}
	if name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --"); unknown {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		hints = meant("--", name, names, hints...)
	}
	return fault.New(fault.Usage, err, hints...)
}

// refuseEmpty refuses flags without a value, which scripts give where a variable is
// not set: --key "$KEY" would check no signature, and --sign-key "$KEY" make none.
func refuseEmpty(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			if values = list.GetSlice(); len(values) == 0 {
				values = []string{""}
			}
		}
		// A --set that sets nothing is none to Helm either.
		if f.Name != "set" && slices.Contains(values, "") {
			err = fault.New(fault.Usage, fmt.Errorf("flag --%s has no value", f.Name), "give it one, or leave it out")
		}
	})
	return err
}

// noArguments refuses arguments with the exit code of a usage error.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fault.New(fault.Usage, fmt.Errorf("argument %q is one too many", args[0]), cmd.CommandPath()+" --help shows the usage")
}
