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
}

// SystemStreams are those of the process.
func SystemStreams() Streams {
	stderr := helmStderr()
	if stderr == nil {
		stderr = os.Stderr
	}
	return Streams{
		In: os.Stdin, Out: os.Stdout, Err: stderr,
		InTerminal: term.IsTerminal(int(os.Stdin.Fd())),
		Terminal:   term.IsTerminal(int(stderr.Fd())),
	}
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
		_, _ = fmt.Fprintf(streams.Err, "jobmesh: %s\n", strings.TrimSuffix(line, "\n")) // nobody is left to tell
	}
	for _, hint := range fault.Hints(err) {
		_, _ = fmt.Fprintf(streams.Err, "hint: %s\n", hint)
	}
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
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	if l.program == KubectlPlugin {
		root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl jobmesh"}
	}
	// A closure over root: cobra's own check gives an error without a code.
	root.Args = func(_ *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		hints := []string{"jobmesh --help lists the commands"}
		if near := root.SuggestionsFor(args[0]); len(near) > 0 {
			hints = append([]string{"did you mean " + strings.Join(near, " or ") + "?"}, hints...)
		}
		return fault.New(fault.Usage, fmt.Errorf("command %q is unknown", args[0]), hints...)
	}
	root.PersistentPreRunE = refuseEmpty
	root.SuggestionsMinimumDistance = 2
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return fault.New(fault.Usage, err, cmd.CommandPath()+" --help lists the flags")
	})
	root.SetVersionTemplate("jobmesh {{.Version}}\n")
	root.SetOut(streams.Out)
	root.SetErr(streams.Err)
	root.AddCommand(
		newBuild(version, streams), newPublish(streams), newVerify(streams),
		newInject(streams, l), newLint(version, streams), newResolve(streams), newFunction(streams, version, l), newLock(streams),
		newTry(version, streams, l), newVersion(streams, version, l),
	)
	return root
}

// refuseEmpty refuses flags without a value, which scripts give where a variable is
// not set: --key "$KEY" would check no signature, and --sign-key "$KEY" make none.
func refuseEmpty(cmd *cobra.Command, _ []string) (err error) {
	cmd.Flags().Visit(func(f *pflag.Flag) {
		values := []string{f.Value.String()}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			values = list.GetSlice()
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
