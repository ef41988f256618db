// Package results keeps what the tests have shown beside which proxy, in a file from which documentation is generated.
// A run of the tests compares its results with the file, or writes the file.
package results

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
)

// A Result is what one test has shown about one proxy.
type Result struct {
	Mesh     string `json:"mesh"`
	Version  string `json:"version"`
	Real     bool   `json:"real"` // it is not a stand-in
	Sidecar  string `json:"sidecar"`
	Delivery string `json:"delivery,omitempty"` // of the wrapper; empty without a wrapper
	By       string `json:"by,omitempty"`       // the way in which the Job was wrapped
	Shows    string `json:"shows"`
	Test     string `json:"test"`
	All      bool   `json:"all,omitempty"` // only a run of all combinations shows it
}

// A Run has the results of a run of the tests.
type Run struct {
	Found []Result
	Whole bool // all tests have run
	All   bool // all combinations have run
}

// Read returns the results of a file. A file that does not exist has none.
func Read(file string) ([]Result, error) {
	content, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var all []Result
	if err := json.Unmarshal(content, &all); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return all, nil
}

// Write writes each result on its own line.
func Write(file string, all []Result) error {
	var b bytes.Buffer
	b.WriteString("[")
	for i, r := range all {
		line, err := json.Marshal(r)
		if err != nil {
			return err
		}
		b.WriteString(strings.Repeat(",", min(i, 1)) + "\n  ")
		b.Write(line)
	}
	b.WriteString("\n]\n")
	return os.WriteFile(file, b.Bytes(), 0o644)
}

// Merge replaces the kept results of those tests that have run by the results of the run.
func (run Run) Merge(kept []Result) []Result {
	ran := map[string]bool{}
	for _, r := range run.Found {
		ran[r.Test] = true
	}
	all := slices.Clone(run.Found)
	for _, r := range kept {
		if !ran[r.Test] || r.All && !run.All {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(a, b Result) int { return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	return slices.Compact(all)
}

// Compare reports results of the run that are not kept, and kept results that a whole run should have shown and has
// not.
func (run Run) Compare(kept []Result) error {
	var faults []error
	for _, r := range run.Found {
		if !slices.Contains(kept, r) {
			faults = append(faults, fmt.Errorf("shown, and not kept: %+v", r))
		}
	}
	for _, r := range kept {
		if run.Whole && (run.All || !r.All) && !slices.Contains(run.Found, r) {
			faults = append(faults, fmt.Errorf("kept, and not shown: %+v", r))
		}
	}
	return errors.Join(faults...)
}
