// Package lint answers, from manifests and a description of the cluster, whether a
// Job will start there and finish, and what to change where it will not.
//
// A rule is one Go value in the file of its family: finish (JM1xx), start (JM2xx),
// place (JM3xx), result (JM4xx), injection (JM5xx) and cost (JM6xx). Ids never
// change their meaning, and none is used twice.
package lint

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/nearest"
)

// Severity says how bad a finding is.
type Severity string

// The severities.
const (
	// Error: the Job will not finish, will not start, or loses its result.
	Error Severity = "error"
	// Warning: it may, or information is lost.
	Warning Severity = "warning"
	// Info: worth knowing.
	Info Severity = "info"
)

// Severities are the severities, the worst first.
func Severities() []string { return []string{string(Error), string(Warning), string(Info)} }

// AtLeast tells whether a severity is that one or worse.
func (s Severity) AtLeast(limit Severity) bool {
	all := Severities()
	return slices.Index(all, string(s)) <= slices.Index(all, string(limit))
}

// A Rule is what is looked for, with all that there is to say about it.
type Rule struct {
	ID       string
	Severity Severity
	// Title says in a few words what is wrong.
	Title string
	// Message is that of a finding; the words in braces are filled in.
	Message string
	// Why says what happens and when, for somebody who sees it for the first time.
	Why string
	// Fix is what to change; the words in braces are filled in.
	Fix string
	// Look says who finds it and how, where lint cannot: see Elsewhere.
	Look string
	// Shell are the commands to look with.
	Shell string
	// Links lead to where it has happened, or is documented.
	Links []string

	check func(*pod, *reporter)
}

// Rules are the rules that lint checks, by id.
func Rules() []*Rule { return all }

// Elsewhere are rules whose ids lint knows, and which only a cluster or a registry can
// answer.
func Elsewhere() []*Rule { return others }

var all, others []*Rule

func init() { // a rule speaks of the others, so no initializer
	for _, family := range [][]Rule{finish, restarts, start, sidecars, placeRules, result, injection, cost} {
		for i := range family {
			all = append(all, &family[i])
		}
	}
	for i := range elsewhere {
		others = append(others, &elsewhere[i])
	}
	slices.SortFunc(all, func(a, b *Rule) int { return strings.Compare(a.ID, b.ID) })
}

// ByID returns a rule, whatever the case of its id.
func ByID(id string) (*Rule, error) {
	var ids []string
	for _, r := range slices.Concat(all, others) {
		if strings.EqualFold(r.ID, id) {
			return r, nil
		}
		ids = append(ids, r.ID)
	}
	if near, ok := nearest.Guess(strings.ToUpper(id), ids); ok {
		return nil, fmt.Errorf("rule %q is unknown, did you mean %s?", id, near)
	}
	return nil, fmt.Errorf("rule %q is unknown", id)
}

var braces = regexp.MustCompile(`\{(\w+)\}`)

// Placeholders returns a text of a rule with the words to be filled in as people
// write them in manuals: PROXY for {proxy}.
func Placeholders(text string) string {
	return braces.ReplaceAllStringFunc(strings.ReplaceAll(text, "{note}", ""), func(w string) string {
		return strings.ToUpper(w[1 : len(w)-1])
	})
}
