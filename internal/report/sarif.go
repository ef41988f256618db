package report

import (
	"io"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/pages"
)

// sarif writes SARIF 2.1.0, which code scanning reads.
type sarif struct {
	out     io.Writer
	version string
	results []sarifResult
}

const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)

type sarifText struct {
	Text string `json:"text"`
}

type sarifRule struct {
	ID                   string            `json:"id"`
	Name                 string            `json:"name"`
	ShortDescription     sarifText         `json:"shortDescription"`
	FullDescription      sarifText         `json:"fullDescription"`
	Help                 sarifText         `json:"help"`
	HelpURI              string            `json:"helpUri"`
	DefaultConfiguration map[string]string `json:"defaultConfiguration"`
}

type sarifResult struct {
	RuleID    string          `json:"ruleId"`
	RuleIndex int             `json:"ruleIndex"`
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

type sarifLocation struct {
	Physical struct {
		Artifact struct {
			URI string `json:"uri"`
		} `json:"artifactLocation"`
		Region *sarifRegion `json:"region,omitempty"`
	} `json:"physicalLocation"`
	Logical []sarifLogical `json:"logicalLocations,omitempty"`
}

type sarifRegion struct {
	StartLine   int `json:"startLine"`
	StartColumn int `json:"startColumn,omitempty"`
}

type sarifLogical struct {
	Name               string `json:"name,omitempty"`
	FullyQualifiedName string `json:"fullyQualifiedName"`
}

type sarifNotification struct {
	Level     string          `json:"level"`
	Message   sarifText       `json:"message"`
	Locations []sarifLocation `json:"locations"`
}

func (s *sarif) Write(f lint.Finding) error {
	index := 0
	for i, r := range lint.Rules() {
		if r == f.Rule {
			index = i
		}
	}
	at := location(f.File, f.Line, f.Column)
	at.Logical = []sarifLogical{{f.Container, objectName(f.Object) + ": " + f.FieldPath}}
	s.results = append(s.results, sarifResult{
		RuleID: f.Rule.ID, RuleIndex: index, Level: level(f.Severity),
		Message:   sarifText{objectName(f.Object) + ": " + f.Message + "\nFix: " + f.Fix},
		Locations: []sarifLocation{at},
	})
	return nil
}

func level(s lint.Severity) string {
	if s == lint.Info {
		return "note"
	}
	return string(s)
}

func location(file string, line, column int) sarifLocation {
	var l sarifLocation
	l.Physical.Artifact.URI = (&url.URL{Path: filepath.ToSlash(file)}).String()
	if line > 0 {
		l.Physical.Region = &sarifRegion{line, column}
	}
	return l
}

func (s *sarif) Flush(sum Summary) error {
	var rules []sarifRule
	for _, r := range lint.Rules() {
		rules = append(rules, sarifRule{
			ID: r.ID, Name: camel(r.Title), ShortDescription: sarifText{r.Title}, FullDescription: sarifText{r.Why},
			Help: sarifText{"Fix: " + lint.Placeholders(r.Fix)}, HelpURI: pages.URL("rules/" + r.ID + ".md"),
			DefaultConfiguration: map[string]string{"level": level(r.Severity)},
		})
	}
	notifications := []sarifNotification{}
	for _, p := range sum.Problems {
		notifications = append(notifications, sarifNotification{"error", sarifText{p.Cause}, []sarifLocation{location(p.File, p.Line, 0)}})
	}
	if s.results == nil {
		s.results = []sarifResult{}
	}
	return encode(s.out, map[string]any{
		"$schema": sarifSchema, "version": "2.1.0",
		"runs": []any{map[string]any{
			"tool": map[string]any{"driver": map[string]any{
				"name": "jobmesh", "version": s.version, "informationUri": "https://github.com/jobmesh/jobmesh", "rules": rules,
			}},
			"invocations": []any{map[string]any{
				"executionSuccessful": len(sum.Problems) == 0, "toolExecutionNotifications": notifications,
			}},
			"columnKind": "unicodeCodePoints",
			"results":    s.results,
		}},
	})
}

// camel turns a title into the name that SARIF wants: TheProxyOutlivesTheJob.
func camel(title string) string {
	var b strings.Builder
	for _, w := range strings.FieldsFunc(title, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9')
	}) {
		b.WriteString(strings.ToUpper(w[:1]) + w[1:])
	}
	return b.String()
}
