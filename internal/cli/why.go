package cli

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/look"
	"github.com/jobmesh/jobmesh/internal/policy"
	"github.com/jobmesh/jobmesh/internal/why"
)

type whyOptions struct {
	cluster *cluster.Flags
	output  output
	program string
}

func newWhy(streams Streams, l linked) *cobra.Command {
	o := whyOptions{cluster: cluster.NewFlags(), program: programOf(l)}
	cmd := &cobra.Command{
		Use:   "why NAME|KIND/NAME",
		Short: "Say why a Job of a cluster does not end",
		Long: `Why looks at one Job, CronJob, Pod, Workflow or other object whose pods are
meant to end, and says what it does: finished, running, stuck, or running and
going to hang. It names the container that ended, with its exit code; the
container that still runs, and who put it there; what would have prevented that;
and the command that ends it now.

Programs of your own that run beside the work are in the key helpers of
jobmesh.yaml, which is read from the current folder.

It only reads, in a few requests. Where it lacks a right, it says what it leaves
out; jobmesh rbac why prints the rights that it uses. Nothing of jobmesh has to
be installed in the cluster.

Exit code 1 means stuck or going to hang.`,
		Example: `  kubectl jobmesh why migrate
  kubectl jobmesh why -n prod cronjob/nightly
  jobmesh why pod/migrate-x7k2p -o json`,
		Args: func(cmd *cobra.Command, args []string) error {
			switch len(args) {
			case 0:
				return fault.New(fault.Usage, errors.New("why needs the name of a Job, or of another object"), cmd.CommandPath()+" NAME", cmd.CommandPath()+" cronjob/NAME")
			case 1:
				return nil
			}
			return noArguments(cmd, args[1:])
		},
		RunE: func(cmd *cobra.Command, args []string) error { return runWhy(cmd.Context(), streams, o, args[0]) },
		ValidArgsFunction: func(cmd *cobra.Command, args []string, word string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return completeObjects(cmd.Context(), o.cluster, word)
		},
	}
	o.cluster.Register(cmd.Flags(), false)
	o.output.register(cmd, resultFormats)
	return cmd
}

// programOf returns the name by which the user has called jobmesh.
func programOf(l linked) string {
	if l.program == KubectlPlugin {
		return "kubectl jobmesh"
	}
	return "jobmesh"
}

// completionLimit is how long a shell waits for names. A cluster that does not answer, or a
// credential plugin that asks the user, must not block the line that is being typed.
const completionLimit = 2 * time.Second

// completeObjects completes the names of Jobs and CronJobs, and kinds.
func completeObjects(ctx context.Context, flags *cluster.Flags, word string) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(ctx, completionLimit)
	defer cancel()
	offered := make(chan []string, 1)
	go func() { offered <- namesOf(ctx, flags, word) }() // a credential plugin cannot be cancelled by a context
	select {
	case names := <-offered:
		return names, cobra.ShellCompDirectiveNoFileComp
	case <-ctx.Done():
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
}

// namesOf returns the names that begin with a word, and nothing where they cannot be read.
func namesOf(ctx context.Context, flags *cluster.Flags, word string) []string {
	c, err := flags.Connect()
	if err != nil {
		return nil
	}
	typed, _, kinds := strings.Cut(word, "/")
	var names []string
	if jobs, err := c.Jobs(ctx, c.Namespace()); err == nil && (!kinds || typed == "job") {
		for _, j := range jobs {
			names = append(names, j.Name, "job/"+j.Name)
		}
	}
	if cronJobs, err := c.CronJobs(ctx, c.Namespace()); err == nil && (!kinds || typed == "cronjob") {
		for _, j := range cronJobs {
			names = append(names, j.Name, "cronjob/"+j.Name)
		}
	}
	return slices.DeleteFunc(names, func(name string) bool {
		return !strings.HasPrefix(name, word) || strings.Contains(name, "/") != kinds
	})
}

func runWhy(ctx context.Context, streams Streams, o whyOptions, text string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	target, err := look.Parse(text)
	if err != nil {
		return err
	}
	file, err := readSettings("")
	if err != nil {
		return err
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	facts, notes, err := look.Why(ctx, c, target)
	if err != nil {
		return err
	}
	facts.Program, facts.Helpers, facts.Policies = o.program, file.helpers, policy.New(library.LibraryChart, facts.Installed)
	verdict, err := why.Judge(facts)
	if err != nil {
		return err
	}
	for _, text := range notes {
		note(streams)(text)
	}
	if !o.output.isText() {
		err = o.output.print(streams.Out, verdict)
	} else {
		err = printVerdict(streams, verdict)
	}
	if err == nil && verdict.Bad() {
		return fault.New(fault.Findings, errors.New(objectWords(verdict.Object.Kind, verdict.Object.Namespace, verdict.Object.Name)+": "+string(verdict.Verdict)+", "+string(verdict.Reason)))
	}
	return err
}

func objectWords(kind, namespace, name string) string { return kind + " " + namespace + "/" + name }
