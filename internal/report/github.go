package report

import (
	"fmt"
	"io"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/printable"
)

// github writes workflow commands, which GitHub shows as annotations beside the lines.
type github struct{ out io.Writer }

func (g *github) Write(f lint.Finding) error {
	level := map[lint.Severity]string{lint.Error: "error", lint.Warning: "warning", lint.Info: "notice"}[f.Severity]
	_, err := fmt.Fprintf(g.out, "::%s file=%s,line=%d,col=%d,title=%s::%s\n", level, property(f.File), f.Line, f.Column,
		property(f.Rule.ID+" "+f.Rule.Title), data(objectName(f.Object)+": "+f.Message+"\nfix: "+f.Fix))
	return err
}

func (g *github) Flush(s Summary) error {
	for _, p := range s.Problems {
		if _, err := fmt.Fprintf(g.out, "::error file=%s,line=%d,title=cannot be read::%s\n", property(p.File), max(p.Line, 1), data(p.Cause)); err != nil {
			return err
		}
	}
	return nil
}

// data and property escape text as the toolkit of GitHub's runner does.
var (
	dataEscapes     = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A")
	propertyEscapes = strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C")
)

func data(s string) string     { return dataEscapes.Replace(printable.Lines(s)) }
func property(s string) string { return propertyEscapes.Replace(printable.Text(s)) }
