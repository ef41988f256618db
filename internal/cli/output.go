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

// output is the flag --output of a verb, which is always a format.
type output struct {
	format  string
	allowed []string
}

// resultFormats are the formats of a verb with one result: lines for people, or data.
var resultFormats = []string{"text", "json", "yaml"}

// register adds the flag. The first format is the default.
func (o *output) register(cmd *cobra.Command, formats []string) {
	o.allowed = formats
	cmd.Flags().StringVarP(&o.format, "output", "o", formats[0], "format: "+strings.Join(formats, ", "))
	complete(cmd, "output", formats)
}

// check refuses a format that the verb does not support.
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

// complete registers words for the completion of a flag.
func complete(cmd *cobra.Command, flag string, words []string) {
	_ = cmd.RegisterFlagCompletionFunc(flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return words, cobra.ShellCompDirectiveNoFileComp
	}) // fails only for a flag that does not exist
}

func unknownWord(flag, word string, words []string, hints ...string) error {
	return fault.New(fault.Usage, fmt.Errorf("--%s %q is unknown", flag, word),
		meant("", word, words, append([]string{"it is one of " + strings.Join(words, ", ")}, hints...)...)...)
}
