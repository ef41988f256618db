package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/report"
)

// output is the flag --output of a verb: a format, in every verb that has it.
type output struct {
	format  string
	allowed []string
}

// resultFormats are those of verbs with one result: lines for people, and data.
var resultFormats = []string{"text", "json", "yaml"}

// register adds the flag. The first format is the default.
func (o *output) register(cmd *cobra.Command, formats []string) {
	o.allowed = formats
	cmd.Flags().StringVarP(&o.format, "output", "o", formats[0], "format: "+strings.Join(formats, ", "))
	complete(cmd, "output", formats)
}

// check refuses a format that the verb does not have.
func (o *output) check(hints ...string) error {
	if slices.Contains(o.allowed, o.format) {
		return nil
	}
	return unknownWord("output", o.format, o.allowed, hints...)
}

func (o *output) isText() bool { return o.format == "text" }

// print writes a result as data.
func (o *output) print(out io.Writer, result any) error {
	return report.Encode(out, o.format, result)
}

// complete offers words for a flag.
func complete(cmd *cobra.Command, flag string, words []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that is not there
}

func unknownWord(flag, word string, words []string, hints ...string) error {
	return fault.New(fault.Usage, fmt.Errorf("--%s %q is unknown", flag, word),
		meant("", word, words, append([]string{"it is one of " + strings.Join(words, ", ")}, hints...)...)...)
}
