package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/jobmesh/jobmesh/internal/mesh"
	"github.com/jobmesh/jobmesh/internal/script"
	"github.com/jobmesh/jobmesh/internal/sidecar"
)

// helperRow is a row of the table of helpers as the templates read it.
type helperRow struct {
	Name           string    `json:"name"`
	Image          string    `json:"image"`
	Program        string    `json:"program"`
	Subcommand     string    `json:"subcommand,omitempty"`
	Once           []string  `json:"once,omitempty"`
	OnceVariables  []string  `json:"onceVariables,omitempty"`
	Mesh           string    `json:"mesh,omitempty"`
	TermFlag       string    `json:"termFlag,omitempty"`
	VariablePrefix string    `json:"variablePrefix,omitempty"`
	Probe          *probeRow `json:"probe,omitempty"`
}

type probeRow struct {
	Path  string   `json:"path"`
	Port  int      `json:"port"`
	Needs []string `json:"needs,omitempty"`
	Moved []string `json:"moved,omitempty"`
}

// helperWords has what is the same for all helpers.
type helperWords struct {
	Shells []string `json:"shells"`
	Once   []string `json:"once"`
	Yes    []string `json:"yes"`
}

const helperTemplateText = `{{/*
The helpers, a row each, of which the first that fits a container is meant. JSON, because
fromJson is ten times faster than fromYaml.

  image           a regular expression for its image, without digest, in small letters
  program         one for a command line or a script that runs its program; subcommand is one
                  that the words have to match beside that
  once            arguments with which it does something once and ends, and onceVariables,
                  which say the same
  mesh            its row in the table of meshes
  termFlag        the flag with which it ends with 0 on SIGTERM, where it needs one.
                  variablePrefix opens the names of the variables that say the same as flags
  probe           where the kubelet can ask whether it is ready, given the flags of needs and
                  none of those of moved
*/}}
{{- define "jobmesh._helpers" -}}
%s
{{- end -}}

{{/*
What is the same for all helpers: shells whose scripts are looked into, arguments with which
every program says something and ends, and words that say yes in a variable. JSON.
*/}}
{{- define "jobmesh._helpers.words" -}}
%s
{{- end -}}
`

// helperTemplate returns the table of helpers that the chart's templates read.
func helperTemplate() ([]byte, error) {
	var rows []string
	for _, h := range sidecar.All() {
		row, err := helperRowOf(&h)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		line, err := jsonLine(row)
		if err != nil {
			return nil, err
		}
		rows = append(rows, "  "+line)
	}
	words, err := jsonLine(helperWords{Shells: script.Shells(), Once: sidecar.OnceForAll(), Yes: mesh.TruthyWords()})
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(nil, helperTemplateText, "[\n"+strings.Join(rows, ",\n")+"\n]", words), nil
}

// jsonLine returns a value as JSON on one line, with <, > and & as they are.
func jsonLine(value any) (string, error) {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	err := encoder.Encode(value)
	return strings.TrimSpace(b.String()), err
}

func helperRowOf(h *sidecar.Helper) (helperRow, error) {
	row := helperRow{
		Name: h.Name, Image: sidecar.ImagePattern(h.Images), Program: sidecar.ProgramPattern(h.Programs), Subcommand: h.SubcommandPattern(),
		Once: h.Once, OnceVariables: h.OnceVariables, Mesh: h.Mesh, VariablePrefix: h.VariablePrefix,
	}
	for _, e := range h.Ends {
		if e.Signal == "SIGTERM" && e.Code == 0 {
			row.TermFlag = e.Needs
			break
		}
	}
	if h.Probe == nil {
		return row, nil
	}
	u, err := url.Parse(h.ReadyURLs()[0])
	if err != nil {
		return row, err
	}
	port, err := strconv.Atoi(u.Port())
	row.Probe = &probeRow{Path: u.Path, Port: port, Needs: h.Probe.Needs, Moved: h.Probe.Moved}
	return row, err
}
