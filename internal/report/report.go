// Package report writes findings in several formats, for people and for programs. Each format
// is one file.
package report

import (
	"fmt"
	"io"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// A Writer takes findings in order, and is flushed at the end.
type Writer interface {
	// Write takes one finding.
	Write(lint.Finding) error
	// Flush writes the rest, and the problems of the summary.
	Flush(Summary) error
}

// A Summary counts what a run has read and found.
type Summary struct {
	Files    int `json:"files"`
	Objects  int `json:"objects"`
	Errors   int `json:"errors"`
	Warnings int `json:"warnings"`
	Infos    int `json:"infos"`
	// Unread is the number of Problems.
	Unread   int       `json:"unread"`
	Problems []Problem `json:"problems,omitempty"`
}

// Count adds a finding.
func (s *Summary) Count(f lint.Finding) {
	switch f.Severity {
	case lint.Error:
		s.Errors++
	case lint.Warning:
		s.Warnings++
	default:
		s.Infos++
	}
}

// AtLeast returns the number of findings with that severity or a worse one.
func (s Summary) AtLeast(limit lint.Severity) int {
	n := s.Errors
	if lint.Warning.AtLeast(limit) {
		n += s.Warnings
	}
	if lint.Info.AtLeast(limit) {
		n += s.Infos
	}
	return n
}

// A Problem is a file, or a document of one, that could not be read.
type Problem struct {
	File string `json:"file"`
	// Line is 0 where the whole file could not be read.
	Line  int    `json:"line"`
	Cause string `json:"cause"`
}

// Formats are the names of the formats.
func Formats() []string { return []string{"text", "json", "yaml", "sarif", "github"} }

// New returns the writer of a format. The parameter version is the version of jobmesh, and
// color is for the format text. An unknown format is an error.
func New(format string, out io.Writer, version string, color bool) (Writer, error) {
	switch format {
	case "text":
		return &text{out: out, paint: painter(color), told: map[string]bool{}}, nil
	case "json", "yaml":
		return &object{out: out, format: format}, nil
	case "sarif":
		return &sarif{out: out, version: version}, nil
	case "github":
		return &github{out: out}, nil
	}
	return nil, fmt.Errorf("output %q is unknown: text, json, yaml, sarif or github", format)
}

// objectName names an object in the way that messages do.
func objectName(o lint.Object) string {
	name := o.Kind
	if o.Namespace != "" {
		name += "/" + o.Namespace
	}
	if o.Name == "" {
		return name + "/(no name)"
	}
	return name + "/" + o.Name
}
