package report

import (
	"io"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// object writes one object, as json or yaml; docs/lint.schema.json describes it.
type object struct {
	out      io.Writer
	format   string
	findings []jsonFinding
}

type jsonFinding struct {
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
}

func (w *object) Write(f lint.Finding) error {
	w.findings = append(w.findings, jsonFinding{
		f.Rule.ID, f.Severity, f.Object, f.Container, f.FieldPath, f.File, f.Line, f.Column, f.Message, f.Fix,
	})
	return nil
}

func (w *object) Flush(s Summary) error {
	if w.findings == nil {
		w.findings = []jsonFinding{} // a list even where it is empty
	}
	return Encode(w.out, w.format, struct {
		Findings []jsonFinding `json:"findings"`
		Summary  Summary       `json:"summary"`
	}{w.findings, s})
}
