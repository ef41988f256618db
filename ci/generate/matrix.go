package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
)

// resultsFile is what `make e2e` has shown; the tests there compare it with each run, and write it with -update.
const resultsFile = "tests/e2e/results.json"

// A shown is one result of a test beside a proxy.
type shown struct {
	Mesh, Version string
	Real          bool
	Sidecar       string
	Delivery, By  string
	Shows         string
	All           bool
}

// A matrixRow is the results with one kind of sidecar and one delivery.
type matrixRow struct {
	mesh, version     string
	real              bool
	sidecar, delivery string
}

func (s shown) row() matrixRow {
	return matrixRow{s.Mesh, s.Version, s.Real, s.Sidecar, cmp.Or(deliveryNames[s.Delivery], "none")}
}

// deliveryNames are the deliveries in words.
var deliveryNames = map[string]string{"initContainer": "init container", "imageVolume": "image volume", "inImage": "in the image"}

// matrix returns the table of the results beside each proxy: real proxies come first.
func matrix() (string, error) {
	content, err := os.ReadFile(resultsFile)
	if err != nil {
		return "", err
	}
	var results []shown
	if err := json.Unmarshal(content, &results); err != nil {
		return "", fmt.Errorf("%s: %w", resultsFile, err)
	}
	byRow := map[matrixRow][]shown{}
	for _, s := range results {
		byRow[s.row()] = append(byRow[s.row()], s)
	}
	rows := make([]matrixRow, 0, len(byRow))
	for row := range byRow {
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b matrixRow) int {
		if a.real != b.real {
			return map[bool]int{true: -1, false: 1}[a.real]
		}
		return cmp.Or(strings.Compare(a.mesh, b.mesh), strings.Compare(a.sidecar, b.sidecar), strings.Compare(b.delivery, a.delivery))
	})
	var b strings.Builder
	b.WriteString("| beside | version | sidecar | delivery | shown |\n| --- | --- | --- | --- | --- |\n")
	for _, row := range rows {
		what := "real"
		if !row.real {
			what = "stand-in"
		}
		fmt.Fprintf(&b, "| %s, %s | %s | %s | %s | %s |\n", row.mesh, what, row.version, row.sidecar, row.delivery, cell(sums(byRow[row])))
	}
	return b.String(), nil
}

// sums returns the results in words, each with the ways in which the Job was made; results that
// only a longer run shows come last.
func sums(results []shown) string {
	always := waysOf(results, false)
	if more := waysOf(results, true); more != "" {
		return strings.TrimPrefix(always+"; with `MESHES=all` also: "+more, "; ")
	}
	return always
}

func waysOf(results []shown, all bool) string {
	byWhat := map[string][]string{}
	for _, s := range results {
		if s.All == all && !slices.Contains(byWhat[s.Shows], s.By) {
			byWhat[s.Shows] = append(byWhat[s.Shows], s.By)
		}
	}
	var parts []string
	for what, by := range byWhat {
		slices.Sort(by)
		if names := strings.Join(by, ", "); names != "" {
			what += " (" + names + ")"
		}
		parts = append(parts, what)
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}
