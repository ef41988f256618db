package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/jobmesh/jobmesh/internal/cluster"
	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/look"
	"github.com/jobmesh/jobmesh/internal/rescue"
	"github.com/jobmesh/jobmesh/internal/running"
)

// rescuers is the number of pods that are handled at the same time.
const rescuers = 12

type rescueOptions struct {
	cluster   *cluster.Flags
	output    output
	yes       bool
	olderThan time.Duration
	via       string
	image     string
}

// rescueResult is what jobmesh rescue prints; docs/rescue.schema.json describes it.
type rescueResult struct {
	Pods []rescuedPod `json:"pods"`
}

type rescuedPod struct {
	Namespace string        `json:"namespace"`
	Name      string        `json:"name"`
	Action    rescue.Action `json:"action"`
	Via       rescue.Via    `json:"via"`
	Why       string        `json:"why"`
	// Result is empty where nothing was done.
	Result string `json:"result"`

	// tried is set where it was to be ended, and was looked at again.
	tried bool
	err   error
}

func newRescue(streams Streams, l linked) *cobra.Command {
	o := rescueOptions{cluster: cluster.NewFlags()}
	cmd := &cobra.Command{
		Use:   "rescue [NAME|KIND/NAME]...",
		Short: "End the proxies of pods whose work is done",
		Long: `Rescue looks for pods in which only proxies and helpers still run: every other
container has ended, and will not be started again. It ends what is left, so
that the Job completes, or fails, with the exit code of the work. It shows what
it would do; with --yes it does it.

It sends each proxy that proxy's own stop request, through a port-forward. With
--via exec it runs the proxy's own client, or kill, in the container. With --via
ephemeral it adds a container with jobmesh-wrap stop, which stays in the pod's
spec. It sends a signal only to a program that is known to end with 0 on it:
with any other code the pod would fail, and its Job would run again.

Programs of your own that run beside the work are in the key helpers of
jobmesh.yaml, which is read from the current folder.

It reads each pod again right before it acts. It never deletes a pod, because
the Job would start the work again. It can be repeated safely, also beside
another rescue.

Exit code 1 means that a pod was shown and not ended, was refused, failed, or
was asked to stop and still drains.`,
		Example: `  kubectl jobmesh rescue
  kubectl jobmesh rescue -n prod migrate --yes
  jobmesh rescue -A --older-than 10m --yes -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			return runRescue(cmd.Context(), streams, o, l, typed(cmd, args), args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, _ []string, word string) ([]string, cobra.ShellCompDirective) {
			return completeObjects(cmd.Context(), o.cluster, word)
		},
	}
	o.cluster.Register(cmd.Flags(), true)
	o.output.register(cmd, resultFormats)
	flags := cmd.Flags()
	flags.BoolVar(&o.yes, "yes", false, "do it")
	flags.DurationVar(&o.olderThan, "older-than", 0, "only pods whose work ended at least so long ago, such as 10m")
	flags.StringVar(&o.via, "via", rescue.Vias()[0], "way to the container: "+strings.Join(rescue.Vias(), ", "))
	flags.StringVar(&o.image, "image", "", "image of jobmesh-wrap for --via ephemeral (default that of inject)")
	complete(cmd, "via", rescue.Vias())
	return cmd
}

// wrapper returns the image for --via ephemeral: the one that the user has named, or the one
// that inject would write. It is empty where no digest is known.
func (o rescueOptions) wrapper(l linked, file settings) (string, error) {
	if o.image != "" || rescue.Via(o.via) != rescue.Ephemeral {
		return o.image, nil
	}
	image, err := wrapperImage(l, file)
	if err != nil || image.Repository == "" || image.Digest == "" {
		return "", err
	}
	return path.Join(image.Registry, image.Repository) + at(image.Digest), nil
}

func runRescue(ctx context.Context, streams Streams, o rescueOptions, l linked, again string, args []string) error {
	if err := o.output.check(); err != nil {
		return err
	}
	if !slices.Contains(rescue.Vias(), o.via) {
		return unknownWord("via", o.via, rescue.Vias())
	}
	if o.olderThan < 0 {
		return fault.New(fault.Usage, fmt.Errorf("--older-than %s is before now", o.olderThan), "--older-than 10m")
	}
	var targets []look.Target
	for _, arg := range args {
		t, err := look.Parse(arg)
		if err != nil {
			return err
		}
		targets = append(targets, t)
	}
	file, err := readSettings("")
	if err != nil {
		return err
	}
	image, err := o.wrapper(l, file)
	if err != nil {
		return err
	}
	c, err := o.cluster.Connect()
	if err != nil {
		return err
	}
	found, err := look.Pods(ctx, c, targets)
	if err != nil {
		return err
	}
	if text := look.ClockNote(c); text != "" {
		note(streams)(text)
	}
	e := &rescue.Ender{
		Cluster: c, Linter: lint.New(lint.Profile{Helpers: file.helpers}, nil), Nodes: found.Nodes, Image: image,
		Options: rescue.Options{Now: c.Now(), OlderThan: o.olderThan, Via: rescue.Via(o.via)},
	}
	result := planned(e, found.Pods)
	if o.yes {
		if err := endAll(ctx, streams, e, result.Pods); err != nil {
			return err
		}
	}
	if o.output.isText() {
		err = printRescue(streams.Out, result, len(targets) > 0)
	} else {
		err = o.output.print(streams.Out, result)
	}
	if err != nil {
		return err
	}
	return rescueVerdict(streams, result, o.yes, again)
}

// typed is the command as it was typed, to be pasted with more behind it.
func typed(cmd *cobra.Command, args []string) string {
	words := []string{cmd.CommandPath()}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		switch {
		case f.Name == "output": // a format is not what is to be done
		case f.Value.Type() == "bool":
			words = append(words, "--"+f.Name)
		default:
			words = append(words, "--"+f.Name+"="+quoted(f.Value.String()))
		}
	})
	return strings.Join(append(words, args...), " ")
}

// plain is what a shell reads as it stands.
var plain = regexp.MustCompile(`^[A-Za-z0-9._/:@=,+-]+$`)

// quoted is a word for a shell.
func quoted(word string) string {
	if plain.MatchString(word) {
		return word
	}
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}

// planned decides for each pod, in the order of their names.
func planned(e *rescue.Ender, pods []corev1.Pod) rescueResult {
	result := rescueResult{Pods: []rescuedPod{}}
	for i := range pods {
		one := rescuedPod{Namespace: pods[i].Namespace, Name: pods[i].Name}
		read, err := running.Read(&pods[i], running.NodeOf(&pods[i], e.Nodes), e.Linter)
		if err != nil {
			one.Action, one.Via, one.Why = rescue.Refuse, e.Options.Via, "it cannot be read: "+err.Error()
		} else {
			plan := rescue.Decide(&read, e.Options)
			one.Action, one.Via, one.Why = plan.Action, plan.Via, plan.Why
		}
		result.Pods = append(result.Pods, one)
	}
	slices.SortFunc(result.Pods, func(a, b rescuedPod) int {
		return cmp.Or(strings.Compare(a.Namespace, b.Namespace), strings.Compare(a.Name, b.Name))
	})
	return result
}

// endAll ends the pods that are to be ended. A failure with one pod is the result of that pod;
// an error is returned only after an interruption.
func endAll(ctx context.Context, streams Streams, e *rescue.Ender, pods []rescuedPod) error {
	total := 0
	for _, p := range pods {
		if p.Action == rescue.End {
			total++
		}
	}
	var done atomic.Int32
	var show sync.Mutex
	var group errgroup.Group
	group.SetLimit(rescuers)
	for i := range pods {
		p := &pods[i]
		if p.Action != rescue.End {
			continue
		}
		group.Go(func() error {
			out, err := e.End(ctx, p.Namespace, p.Name)
			if err != nil && ctx.Err() == nil {
				err = e.Cluster.Explain(err, "Pod "+p.Namespace+"/"+p.Name, "rescue")
				out.Action, out.Via, out.Why, out.Result, out.Err = rescue.End, p.Via, p.Why, err.Error(), err
			}
			p.Action, p.Via, p.Why, p.Result, p.tried, p.err = out.Action, out.Via, out.Why, out.Result, true, out.Err
			n := done.Add(1)
			show.Lock()
			defer show.Unlock()
			progress(streams, "%d of %d: %s/%s", n, total, p.Namespace, p.Name)
			return ctx.Err()
		})
	}
	err := group.Wait()
	progress(streams, "")
	return err
}

// printRescue prints a line for each pod that is stuck, and for each that was until it was
// looked at again; with all, also for each other pod.
func printRescue(out io.Writer, r rescueResult, all bool) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, p := range r.Pods {
		if p.Action == rescue.Skip && !all && !p.tried {
			continue
		}
		what := p.Why
		if p.Result != "" {
			what = p.Result + "; " + p.Why
		}
		_, _ = fmt.Fprintf(w, "%s\t%s/%s\t%s\n", p.Action, p.Namespace, p.Name, what) // Flush has the error
	}
	return w.Flush()
}

// rescueVerdict returns the exit code as an error. The parameter again is the command that the
// user has typed.
func rescueVerdict(streams Streams, r rescueResult, did bool, again string) error {
	var shown, refused, failed, asked, ended, denied int
	for _, p := range r.Pods {
		switch {
		case p.Action == rescue.Refuse:
			refused++
		case p.Action == rescue.End && !did:
			shown++
		case p.err != nil:
			failed++
			if fault.Code(p.err) == fault.Auth {
				denied++
			}
		case p.Result == rescue.Asked:
			asked++
		case p.Action == rescue.End:
			ended++
		}
	}
	pods := fmt.Sprintf("%s looked at", plural(len(r.Pods), "pod"))
	switch {
	case shown > 0 && refused > 0:
		return fault.New(fault.Findings, fmt.Errorf("%s, %d can be ended, %d refused", pods, shown, refused), again+" --yes ends what can be")
	case shown > 0:
		return fault.New(fault.Findings, fmt.Errorf("%s, %d can be ended", pods, shown), again+" --yes does it")
	case failed > 0 && denied == failed && ended+asked == 0:
		return fault.New(fault.Auth, fmt.Errorf("%s, %d may not be ended", pods, failed), "jobmesh rbac rescue prints the rights that this needs")
	case failed+refused+asked > 0:
		counts := []string{pods, fmt.Sprintf("%d ended", ended), fmt.Sprintf("%d refused", refused), fmt.Sprintf("%d failed", failed)}
		if asked > 0 {
			counts = slices.Insert(counts, 2, fmt.Sprintf("%d asked and not ended yet", asked))
		}
		return fault.New(fault.Findings, errors.New(strings.Join(counts, ", ")))
	}
	if ended == 0 {
		streams.say("jobmesh: %s, none has to be ended", pods)
	} else {
		streams.say("jobmesh: %s, %d ended", pods, ended)
	}
	return nil
}
