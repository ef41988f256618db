package cli

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// allowEmpty adds the flag that accepts input without any object.
func allowEmpty(cmd *cobra.Command, allowed *bool) {
	cmd.Flags().BoolVar(allowed, "allow-empty", false, "accept input without any Kubernetes object in it")
}

// nothingRead returns the error for input without an object. In most cases the command that
// should have written the input has failed, and the shell has gone on.
func nothingRead(args []string) error {
	where := strings.Join(args, ", ")
	hints := []string{"--allow-empty accepts that"}
	if slices.Contains(args, manifest.Stdin) {
		where = strings.Join(append(slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == manifest.Stdin }), "stdin"), ", ")
		hints = append([]string{"did the command before the pipe fail? bash then goes on, unless it is told: set -o pipefail"}, hints...)
	}
	for _, arg := range args {
		if isFile(filepath.Join(arg, "Chart.yaml")) {
			hints = append([]string{fmt.Sprintf("%s is a chart: helm template %s >rendered.yaml", arg, arg)}, hints...)
		}
	}
	return fault.New(fault.Usage, fmt.Errorf("%s: there is no Kubernetes object to read", where), hints...)
}
