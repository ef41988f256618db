// Package changelog reads CHANGELOG.md, which has the form of https://keepachangelog.com:
//
//	## [Unreleased]
//
//	### Added
//
//	- One change, in a line or several.
//
//	## [1.2.3] - 2026-11-23
//
// What is published with a release is derived from it: its date, and what Artifact Hub
// shows as its changes.
package changelog

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Unreleased is the heading of the changes that the next release will have.
const Unreleased = "Unreleased"

// A Release is one section of the file.
type Release struct {
	// Version is empty for the changes that are not released yet.
	Version string
	// Date is the date of the release, at midnight UTC.
	Date    time.Time
	Changes []Change
}

// A Change is one item of a section.
type Change struct {
	// Kind is one of Kinds.
	Kind string
	// Text is Markdown in one line.
	Text string
}

// Kinds are the headings under which changes stand.
var Kinds = []string{"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}

var heading = regexp.MustCompile(`^## \[([^\]]+)\](?: - (\d{4}-\d{2}-\d{2}))?$`)

// Parse returns the sections in the order of the file, the newest first. An error names the
// line.
func Parse(text string) ([]Release, error) {
	var releases []Release
	kind, number := "", 0
	for line := range strings.Lines(text) {
		number++
		line = strings.TrimRight(line, "\r\n")
		fail := func(format string, args ...any) ([]Release, error) {
			return nil, fmt.Errorf("line %d: %s", number, fmt.Sprintf(format, args...))
		}
		if len(releases) == 0 && !strings.HasPrefix(line, "## ") {
			continue // the text above the first section
		}
		switch {
		case strings.HasPrefix(line, "## "):
			r, err := section(line)
			if err != nil {
				return fail("%v", err)
			}
			if slices.ContainsFunc(releases, func(other Release) bool { return other.Version == r.Version }) {
				return fail("%q stands here for the second time", line)
			}
			releases, kind = append(releases, r), ""
		case strings.HasPrefix(line, "### "):
			if kind = strings.TrimPrefix(line, "### "); !slices.Contains(Kinds, kind) {
				return fail("%q is not one of %s", kind, strings.Join(Kinds, ", "))
			}
		case strings.HasPrefix(line, "- "):
			if kind == "" {
				return fail("a change has to stand under one of %s", strings.Join(Kinds, ", "))
			}
			last := &releases[len(releases)-1]
			last.Changes = append(last.Changes, Change{kind, strings.TrimSpace(line[2:])})
		case strings.HasPrefix(line, "  ") && len(releases[len(releases)-1].Changes) > 0:
			changes := releases[len(releases)-1].Changes
			changes[len(changes)-1].Text += " " + strings.TrimSpace(line)
		case strings.TrimSpace(line) != "":
			return fail("%q is neither a heading nor a change", line)
		}
	}
	return releases, nil
}

func section(line string) (r Release, err error) {
	parts := heading.FindStringSubmatch(line)
	switch {
	case parts == nil:
		return r, fmt.Errorf("%q is not of the form ## [1.2.3] - 2026-11-23", line)
	case parts[1] == Unreleased && parts[2] == "":
		return r, nil
	case parts[2] == "":
		return r, fmt.Errorf("version %s has no date", parts[1])
	}
	r.Version = parts[1]
	if r.Date, err = time.Parse(time.DateOnly, parts[2]); err != nil {
		return r, fmt.Errorf("%s is not a date", parts[2])
	}
	return r, nil
}

// Of returns the section of a version.
func Of(releases []Release, version string) (Release, bool) {
	i := slices.IndexFunc(releases, func(r Release) bool { return r.Version == version })
	if i < 0 {
		return Release{}, false
	}
	return releases[i], true
}

// Move turns the unreleased changes into the section of a version, and adds an empty section
// for the next changes. It fails where there are no unreleased changes, or where the version
// has a section already.
func Move(text, version string, date time.Time) (string, error) {
	releases, err := Parse(text)
	if err != nil {
		return "", err
	}
	if _, there := Of(releases, version); there {
		return "", fmt.Errorf("has a section for %s already", version)
	}
	next, found := Of(releases, "")
	if !found {
		return "", fmt.Errorf("has no section ## [%s]", Unreleased)
	}
	if len(next.Changes) == 0 {
		return "", fmt.Errorf("has no change under ## [%s]", Unreleased)
	}
	old := "## [" + Unreleased + "]\n"
	return strings.Replace(text, old, old+"\n## ["+version+"] - "+date.Format(time.DateOnly)+"\n", 1), nil
}
