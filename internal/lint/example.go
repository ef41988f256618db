package lint

import (
	"embed"
	"strings"

	"github.com/rogpeppe/go-internal/txtar"
)

// scenarios are the files with which the rules are tested, and of which their pages are made.
//
//go:embed testdata/rules/*.txtar
var scenarios embed.FS

// An Example is a manifest that a rule reports, and a corrected one that it does not report.
type Example struct {
	// Flags describe the cluster, as flags of jobmesh lint.
	Flags        string
	Wrong, Right string
	// Lock is the content of jobmesh.lock.yaml; it is empty where the rule does not need it.
	Lock string
}

// ExampleOf returns the example of a rule.
func ExampleOf(r *Rule) Example {
	var e Example
	text, err := scenarios.ReadFile("testdata/rules/" + r.ID + ".txtar")
	if err != nil {
		return e // a test reads all examples
	}
	archive := txtar.Parse(text)
	for _, f := range archive.Files {
		switch f.Name {
		case "wrong.yaml":
			e.Wrong = string(f.Data)
		case "right.yaml":
			e.Right = string(f.Data)
		case "lock.yaml":
			e.Lock = string(f.Data)
		}
	}
	for _, line := range strings.Split(string(archive.Comment), "\n") {
		words := strings.Fields(line)
		if n := len(words); n > 2 && words[0] == "finds" && strings.Contains(words[1], r.ID) && words[n-1] == "wrong.yaml" {
			e.Flags = strings.Join(words[2:n-1], " ")
			return e
		}
	}
	return e
}
