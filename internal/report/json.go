package report

import (
	"io"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// object writes one JSON or YAML object; docs/lint.schema.json describes it.
type object struct {
	out      io.Writer
	format   string
	findings []Finding
}

// A Finding is a finding of lint as data.
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
	// Observed says that the finding comes from a cluster and not from a manifest.
	Observed bool `json:"observed,omitempty"`
}

// DataOf returns a finding as data.
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
		w.findings = []Finding{} // an empty list, not null
	}
	return Encode(w.out, w.format, struct {
		Findings []Finding `json:"findings"`
		Summary  Summary   `json:"summary"`
	}{w.findings, s})
}
