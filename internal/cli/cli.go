// Package cli is the command line of jobmesh. Each verb is one file. A verb writes its result
// to stdout, and everything else to stderr.
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

// Streams are the input and the outputs of a verb.
type Streams struct {
	In  io.Reader
	Out io.Writer
	Err io.Writer
	// InTerminal says that In is a terminal; a verb then does not wait for input on it.
	InTerminal bool
	// Terminal says that Err is a terminal, so that progress may be shown on it.
	Terminal bool
	// Columns is the width of that terminal in characters, 0 where Err is not a terminal.
	Columns int
}

// SystemStreams returns the standard streams of the process.
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
		s.Columns, _, _ = term.GetSize(int(stderr.Fd())) // 0 where the terminal does not know its width
	}
	return s
}

// An Option is a fact that is known only when the program is linked or started.
type Option func(*linked)

// linked holds what the options say: what was linked into the program, and the name by which it
// was called.
type linked struct{ imageRepository, imageDigest, commit, program string }

// Image names and pins the image that inject writes, as the packed chart does. An empty
// repository keeps the one of the chart; an empty digest leaves the tag.
func Image(repository, digest string) Option {
	return func(l *linked) { l.imageRepository, l.imageDigest = repository, digest }
}

// Commit names the commit of the sources, for a build into which Go has not written it.
func Commit(commit string) Option { return func(l *linked) { l.commit = commit } }

// KubectlPlugin is the file name under which kubectl finds the program as a plugin.
const KubectlPlugin = "kubectl-jobmesh"

// CalledAs says by which path the program was called.
func CalledAs(path string) Option { return func(l *linked) { l.program = filepath.Base(path) } }

// Run runs one command line and returns its exit code.
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
		err = fault.New(fault.Interrupted, errors.New("interrupted; what existed before is unchanged"))
	}
	for line := range strings.Lines(sentence(err)) {
		streams.say("jobmesh: %s", strings.TrimSuffix(line, "\n"))
	}
	streams.hint(fault.Hints(err)...)
	return fault.Code(err)
}

// hideTyped masks the passwords in arguments and in proxy addresses in everything that is
// printed from now on, because error messages quote such values.
func hideTyped(args []string) {
	for _, arg := range args {
		secret.HideUserInfo(arg)
	}
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		secret.HideUserInfo(os.Getenv(name))
		secret.HideUserInfo(os.Getenv(strings.ToLower(name)))
	}
}

// isUsage recognises the usage errors that cobra makes itself, which have no type.
func isUsage(err error) bool {
	return strings.HasPrefix(err.Error(), "unknown command ") || strings.HasPrefix(err.Error(), "accepts ")
}

// sentence returns the text of an error with the object first: from "open FILE: cause" it
// removes the name of the system call.
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

// New returns the root command. The command-line reference in docs is generated from it.
func New(version string, streams Streams, known ...Option) *cobra.Command {
	var l linked
	for _, option := range known {
		option(&l)
	}
	root := &cobra.Command{
		Use:   "jobmesh",
		Short: "Any Job, in any mesh, finishes",
		Long: `jobmesh builds what makes Kubernetes Jobs finish in a service mesh: the image of
a small wrapper around the Job's command, and a Helm library chart that is
pinned to it. The verb inject makes the same change in manifests that do not use
the chart; lint says which Jobs need it.`,
		Version:       version,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !streams.InTerminal {
				// A program that sends manifests must not get the help text in their place.
				return fault.New(fault.Usage, errors.New("no command was given"), "helm template . | jobmesh inject", "jobmesh --help lists the commands")
			}
			return cmd.Help()
		},
	}
	if l.program == KubectlPlugin {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl jobmesh"}
	}
	// Cobra's own check would return an error without an exit code.
	root.Args = func(_ *cobra.Command, args []string) error { return unknownCommand(root, args) }
	root.PersistentPreRunE = refuseEmpty
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		// Flags behind a misspelt command are parsed as flags of the root command.
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
		if cmd.Name() == "completion" { // it shows its help for a shell that it does not know
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

// newHelp returns the help verb. Other than cobra's, it refuses an argument without a help
// text.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(root, args)
			}
			cmd.InitDefaultHelpFlag() // adds --help to the listed flags
			return cmd.Help()
		},
	}
}

// unknownCommand returns the error for arguments in the place of a command, and nil where there
// are none.
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

// meant puts a hint in front of the other hints that names the word which may be meant, where
// one is near enough. The prefix stands in front of that word, as -- does in front of a flag.
func meant(prefix, word string, words []string, hints ...string) []string {
	if near, ok := nearest.Guess(word, words); ok {
		return append([]string{"did you mean " + prefix + near + "?"}, hints...)
	}
	return hints
}

// unknownFlag gives a mistake in flags its exit code, and names the flag that may be meant.
func unknownFlag(cmd *cobra.Command, err error) error {
	hints := []string{cmd.CommandPath() + " --help lists the flags"}
	if name, unknown := strings.CutPrefix(err.Error(), "unknown flag: --"); unknown {
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		hints = meant("--", name, names, hints...)
	}
	return fault.New(fault.Usage, err, hints...)
}

// refuseEmpty refuses flags with an empty value. Scripts pass one where a variable is not set:
// with --key "$KEY" no signature would be checked, and with --sign-key "$KEY" none would be
// made.
func refuseEmpty(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			if values = list.GetSlice(); len(values) == 0 {
				values = []string{""}
			}
		}
		// Helm ignores an empty --set, too.
		if f.Name != "set" && slices.Contains(values, "") {
			err = fault.New(fault.Usage, fmt.Errorf("flag --%s has no value", f.Name), "give it a value, or leave the flag out")
		}
	})
	return err
}

// noArguments refuses arguments with the exit code of a usage error.
func noArguments(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return fault.New(fault.Usage, fmt.Errorf("argument %q is not expected", args[0]), cmd.CommandPath()+" --help shows the usage")
}
