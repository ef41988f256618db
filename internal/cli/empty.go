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

// allowEmpty adds the flag for input that may hold nothing.
func allowEmpty(cmd *cobra.Command, allowed *bool) {
	cmd.Flags().BoolVar(allowed, "allow-empty", false, "accept input without any Kubernetes object in it")
}

// nothingRead is the error for input without an object. Most often the command that
// should have written it has failed, and the shell goes on.
func nothingRead(args []string) error {
	where := strings.Join(args, ", ")
	hints := []string{"--allow-empty, if that is as it should be"}
	if slices.Contains(args, manifest.Stdin) {
		where = strings.Join(append(slices.DeleteFunc(slices.Clone(args), func(a string) bool { return a == manifest.Stdin }), "stdin"), ", ")
		hints = append([]string{"did the command before the pipe fail? bash goes on then, unless told: set -o pipefail"}, hints...)
	}
	for _, arg := range args {
		if isFile(filepath.Join(arg, "Chart.yaml")) {
			hints = append([]string{fmt.Sprintf("%s is a chart: helm template %s >rendered.yaml", arg, arg)}, hints...)
		}
	}
	return fault.New(fault.Usage, fmt.Errorf("%s: there is no Kubernetes object to read", where), hints...)
}
