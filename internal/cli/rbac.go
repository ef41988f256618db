package cli

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"sigs.k8s.io/yaml"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/look"
)

func newRBAC(streams Streams) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "rbac " + strings.Join(look.Verbs(), "|"),
		Short: "Print the role that a verb needs in a cluster",
		Long: `Rbac prints a ClusterRole with the rights that a verb needs in a cluster, for
kubectl apply. Bind it in one namespace with a RoleBinding, or in all namespaces
with a ClusterRoleBinding; nodes, namespaces and policies can only be read with
the latter. A comment says what each rule is for. A verb that lacks a right says
what it leaves out.`,
		Example: `  jobmesh rbac why | kubectl apply -f -
  kubectl create rolebinding on-call-jobmesh -n prod --clusterrole jobmesh-why --group on-call`,
		ValidArgs: look.Verbs(),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return fault.New(fault.Usage, errors.New("rbac needs a verb"), "it is one of "+strings.Join(look.Verbs(), ", "))
			}
			if len(args) > 1 {
				return noArguments(cmd, args[1:])
			}
			return printRole(streams, args[0])
		},
	}
	return cmd
}

func printRole(streams Streams, verb string) error {
	if !slices.Contains(look.Verbs(), verb) {
		return fault.New(fault.Usage, fmt.Errorf("verb %q does not use a cluster", verb),
			meant("", verb, look.Verbs(), "it is one of "+strings.Join(look.Verbs(), ", "))...)
	}
	rights := append(slices.Clone(look.Rights[verb]), look.Custom(verb)...)
	if verb == "rescue" {
		rights = append(rights, look.RescueVia["exec"], look.RescueVia["ephemeral"])
	}
	text, err := yaml.Marshal(look.RoleOf(verb, rights))
	if err != nil {
		return err
	}
	// The rules are printed in the order of the rights, each with its purpose.
	var b strings.Builder
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "- apiGroups:") {
			fmt.Fprintf(&b, "# %s\n", rights[n].For)
			n++
		}
		b.WriteString(line)
	}
	_, err = fmt.Fprint(streams.Out, b.String())
	return err
}
