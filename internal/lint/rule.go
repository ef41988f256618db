// Package lint answers, from manifests and a description of the cluster, whether a Job will
// start there and finish, and what to change where it will not.
//
// A rule is one Go value in the file of its family: finish (JM1xx), start (JM2xx), place
// (JM3xx), result (JM4xx), injection (JM5xx) and cost (JM6xx). An id never changes its meaning,
// and is never used again for another rule.
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

// These are all severities.
const (
	// Error means that the Job will not finish, will not start, or loses its result.
	Error Severity = "error"
	// Warning means that this may happen, or that information is lost.
	Warning Severity = "warning"
	// Info means that the finding is worth knowing.
	Info Severity = "info"
)

// Severities returns all severities, the worst first.
func Severities() []string { return []string{string(Error), string(Warning), string(Info)} }

// AtLeast tells whether a severity is as bad as the limit, or worse.
func (s Severity) AtLeast(limit Severity) bool {
	all := Severities()
	return slices.Index(all, string(s)) <= slices.Index(all, string(limit))
}

// A Rule is one thing that lint looks for, with everything that is to be said about it.
type Rule struct {
	ID       string
	Severity Severity
	// Title says in a few words what is wrong.
	Title string
	// Message is the message of a finding; the words in braces are replaced.
	Message string
	// Why says what happens and when, for a reader who meets it for the first time.
	Why string
	// Fix says what to change; the words in braces are replaced.
	Fix string
	// Look says who finds the problem, and how, where lint cannot: see Elsewhere.
	Look string
	// Shell has the commands that show the problem.
	Shell string
	// Links lead to places where the problem has occurred, or is documented.
	Links []string

	check func(*pod, *reporter)
}

// Rules returns the rules that lint checks, in the order of their ids.
func Rules() []*Rule { return all }

// Elsewhere returns the rules whose ids lint knows, but which only a cluster or a registry can
// answer.
func Elsewhere() []*Rule { return others }

var all, others []*Rule

func init() { // an initializer would be a cycle, because the checks of some rules read the list
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

// ByID returns a rule; the case of the id does not matter. It returns an error, with the rule
// that may be meant, where there is no such rule.
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

// Placeholders returns a text of a rule with the words in braces as manuals write them: PROXY
// for {proxy}.
func Placeholders(text string) string {
	return braces.ReplaceAllStringFunc(strings.ReplaceAll(text, "{note}", ""), func(w string) string {
		return strings.ToUpper(w[1 : len(w)-1])
	})
}
