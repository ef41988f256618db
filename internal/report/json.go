package report

import (
	"io"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// object writes one object, as json or yaml; docs/lint.schema.json describes it.
type object struct {
	out      io.Writer
	format   string
	findings []Finding
}

// A Finding is one of lint as programs read it.
type Finding struct {
	Rule      string        `json:"rule"`
	Severity  lint.Severity `json:"severity"`
	Object    lint.Object   `json:"object"`
	Container string        `json:"container"`
	FieldPath string        `json:"fieldPath"`
	File      string        `json:"file"`
	Line      int           `json:"line"`
	Column    int           `json:"column"`
	Message   string        `json:"message"`
	Fix       string        `json:"fix"`
	// Observed is set where a cluster shows it, and not a manifest.
	Observed bool `json:"observed,omitempty"`
}

// DataOf returns a finding as programs read it.
func DataOf(f lint.Finding) Finding {
	return Finding{
		f.Rule.ID, f.Severity, f.Object, f.Container, f.FieldPath, f.File, f.Line, f.Column, f.Message, f.Fix, f.Observed,
	}
}

func (w *object) Write(f lint.Finding) error {
	w.findings = append(w.findings, DataOf(f))
	return nil
}

func (w *object) Flush(s Summary) error {
	if w.findings == nil {
		w.findings = []Finding{} // a list even where it is empty
	}
	return Encode(w.out, w.format, struct {
		Findings []Finding `json:"findings"`
		Summary  Summary   `json:"summary"`
	}{w.findings, s})
}
