package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/changelog"
)

// fromChangelog returns the outputs that contain facts about this version, from its section in
// CHANGELOG.md.
func fromChangelog() []output {
	var outputs []output
	for _, path := range glob("images/*/image.yaml") {
		outputs = append(outputs, created(path))
	}
	for _, path := range glob(chart+"/Chart.yaml", "charts/*/Chart.yaml") {
		outputs = append(outputs, region(path, "changes", "CHANGELOG.md", hubChanges))
	}
	return outputs
}

// thisRelease returns the section of this version. A version that somebody has given to sources
// of their own has no section: then the changes are the unreleased ones, and the date is that
// of the newest release.
func thisRelease() (changelog.Release, error) {
	text, err := os.ReadFile("CHANGELOG.md")
	if err != nil {
		return changelog.Release{}, err
	}
	releases, err := changelog.Parse(string(text))
	if err != nil {
		return changelog.Release{}, fmt.Errorf("CHANGELOG.md: %w", err)
	}
	found, there := changelog.Of(releases, jobmesh.Version)
	if there {
		return found, nil
	}
	own := changelog.Release{Version: jobmesh.Version}
	for _, r := range releases {
		if r.Version == "" {
			own.Changes = r.Changes
		} else if own.Date.IsZero() {
			own.Date = r.Date
		}
	}
	if own.Date.IsZero() {
		return own, errors.New("CHANGELOG.md: has no release")
	}
	return own, nil
}

// created writes the date of an image. The date follows the version, not the clock.
func created(path string) output {
	line := regexp.MustCompile(`(?m)^created: .*$`)
	return output{path, func(old []byte) ([]byte, error) {
		found, err := thisRelease()
		if err != nil {
			return nil, err
		}
		if n := len(line.FindAll(old, -1)); n != 1 {
			return nil, fmt.Errorf("has %d lines %q, not one", n, "created:")
		}
		return line.ReplaceAll(old, fmt.Appendf(nil, "created: %q # written by make generate from CHANGELOG.md", found.Date.Format(time.RFC3339))), nil
	}}
}

// hubChanges returns the annotation in which Artifact Hub looks for the changes of a release:
// https://artifacthub.io/docs/topics/annotations/helm/.
func hubChanges() ([]byte, error) {
	found, err := thisRelease()
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	b.WriteString("artifacthub.io/changes: |\n")
	for _, change := range found.Changes {
		text, err := json.Marshal(change.Text) // YAML reads this as the same text
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(&b, "  - kind: %s\n    description: %s\n", strings.ToLower(change.Kind), text)
	}
	return []byte(b.String()), nil
}
