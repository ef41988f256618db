package report

import (
	"encoding/json"
	"io"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// jsonWriter writes one object; docs/lint.schema.json describes it.
type jsonWriter struct {
	out      io.Writer
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

func (w *jsonWriter) Write(f lint.Finding) error {
	w.findings = append(w.findings, jsonFinding{
		f.Rule.ID, f.Severity, f.Object, f.Container, f.FieldPath, f.File, f.Line, f.Column, f.Message, f.Fix,
	})
	return nil
}

func (w *jsonWriter) Flush(s Summary) error {
	if w.findings == nil {
		w.findings = []jsonFinding{} // a list even where it is empty
	}
	return encode(w.out, struct {
		Findings []jsonFinding `json:"findings"`
		Summary  Summary       `json:"summary"`
	}{w.findings, s})
}

func encode(out io.Writer, v any) error {
	e := json.NewEncoder(out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	return e.Encode(v)
}
