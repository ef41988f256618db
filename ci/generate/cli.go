package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/jobmesh/jobmesh/internal/cli"
	"github.com/jobmesh/jobmesh/internal/fault"
)

// cliPage returns the reference of the command line, made from the commands themselves.
func cliPage() ([]byte, error) {
	root := cli.New("devel", cli.SystemStreams())
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	var b strings.Builder
	b.WriteString("# jobmesh\n")
	describe(&b, root)
	b.WriteString("\n## Exit codes\n\n| code | meaning |\n| --- | --- |\n| 0 | done, or nothing to do |\n")
	for _, c := range fault.Codes {
		fmt.Fprintf(&b, "| %d | %s |\n", c.Code, c.Meaning)
	}
	b.WriteString("\nResults go to stdout, as data where a verb has `-o` ([output.md](output.md)). stderr carries\none line of cause and `hint:` lines.\n")
	return []byte(b.String()), nil
}

func describe(b *strings.Builder, cmd *cobra.Command) {
	if cmd.Hidden || cmd.Name() == "help" {
		return
	}
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(b, "\n## %s\n\n```\n%s\n\n%s```\n", cmd.CommandPath(), strings.TrimSpace(text), cmd.UsageString())
	if cmd.Name() == "completion" {
		return // the pages of the four shells would be the same
	}
	for _, child := range cmd.Commands() {
		describe(b, child)
	}
}
