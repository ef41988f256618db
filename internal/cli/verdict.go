package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/jobmesh/jobmesh/internal/printable"
	"github.com/jobmesh/jobmesh/internal/why"
)

// These are the colours of the verdicts, as numbers of ANSI escape sequences.
var verdictColors = map[why.Word]string{why.Stuck: "31", why.WillHang: "33", why.Running: "36", why.Finished: "32"}

// printVerdict prints the paragraph, and what to do.
func printVerdict(streams Streams, v why.Verdict) error {
	head := string(v.Verdict)
	if colored(streams.Out) {
		head = "\x1b[1;" + verdictColors[v.Verdict] + "m" + head + "\x1b[0m"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s (%s)\n", head, v.Reason)
	fmt.Fprintln(&b, fold(printable.Text(strings.Join(v.Text, " ")), streams.columns()))
	if len(v.Fix) > 0 {
		b.WriteString("\nwhat to do:\n")
		for _, fix := range v.Fix {
			fmt.Fprintf(&b, "  %s\n", printable.Text(fix)) // not folded, because the user may copy it
		}
	}
	_, err := io.WriteString(streams.Out, b.String())
	return err
}
