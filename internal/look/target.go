// Package look reads from a cluster what a verdict needs, in as few requests as possible. What may
// not be read is left out, and a note says so.
package look

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jobmesh/jobmesh/internal/fault"
	"github.com/jobmesh/jobmesh/internal/kind"
	"github.com/jobmesh/jobmesh/internal/nearest"
)

// A Target is an object that the user asks about.
type Target struct {
	// Row is the kind; it is nil if only a name was given.
	Row  *kind.Kind
	Name string
}

// short are the short names that kubectl knows for kinds.
var short = map[string]string{"cj": "cronjob", "po": "pod", "wf": "workflow", "cwf": "cronworkflow", "vcjob": "job.batch.volcano.sh"}

// Judged returns the kinds that can be asked about: those that make pods which are meant to end.
func Judged() []*kind.Kind {
	var rows []*kind.Kind
	for i := range kind.Table {
		if k := &kind.Table[i]; ends(k) && !strings.HasSuffix(k.Kind, "Template") {
			rows = append(rows, k)
		}
	}
	return rows
}

// ends tells whether a kind has any pods that are meant to end, as far as the table says it.
func ends(k *kind.Kind) bool {
	return slices.ContainsFunc(k.Templates, func(t kind.Template) bool { return t.Pods == kind.End || t.Pods == kind.ByPolicy })
}

// Words returns the names of these kinds as people type them.
func Words() []string {
	var words []string
	for _, k := range Judged() {
		words = append(words, word(k))
	}
	return words
}

// wordOf returns a kind as people type it. A kind that is not in the table of kinds has its group
// after its name.
func wordOf(group, name string) string {
	if row := kind.Of(group, name); row != nil {
		return word(row)
	}
	return strings.Trim(strings.ToLower(name)+"."+group, ".")
}

// word returns a kind in lower case. Its group is added if another kind has the same name.
func word(k *kind.Kind) string {
	for i := range kind.Table {
		if other := &kind.Table[i]; other.Kind == k.Kind {
			if other == k {
				break
			}
			return strings.ToLower(k.Kind) + "." + k.Group
		}
	}
	return strings.ToLower(k.Kind)
}

// Parse reads NAME or KIND/NAME.
func Parse(text string) (Target, error) {
	word, name, typed := strings.Cut(text, "/")
	if !typed {
		word, name = "", text
	}
	if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
		return Target{}, fault.New(fault.Usage, fmt.Errorf("%q is not the name of an object", text), "give a NAME, or a KIND/NAME such as cronjob/nightly")
	}
	if !typed {
		return Target{Name: name}, nil
	}
	row, err := byWord(word)
	return Target{Row: row, Name: name}, err
}

func byWord(text string) (*kind.Kind, error) {
	wanted := strings.ToLower(text)
	if long, ok := short[wanted]; ok {
		wanted = long
	}
	plain, group, grouped := strings.Cut(wanted, ".")
	var other *kind.Kind
	for i := range kind.Table {
		k := &kind.Table[i]
		singular := strings.ToLower(k.Kind)
		if plain != singular && plain != singular+"s" || grouped && group != k.Group {
			continue
		}
		if ends(k) {
			return k, nil
		}
		other = k
	}
	if other != nil {
		return nil, notAsked(other)
	}
	hints := []string{"the kinds are " + strings.Join(Words(), ", "), "a name alone, without a kind, finds what Jobs and pods are owned by"}
	if near, ok := nearest.Guess(wanted, Words()); ok {
		hints = append([]string{"did you mean " + near + "?"}, hints...)
	}
	return nil, fault.New(fault.Usage, fmt.Errorf("kind %q is unknown", text), hints...)
}

// notAsked returns the error for a kind that cannot be asked about.
func notAsked(k *kind.Kind) error {
	hint := "ask about one of " + strings.Join(Words(), ", ")
	for _, t := range k.Templates {
		if t.Pods == kind.Unjudged {
			return fault.New(fault.Usage, fmt.Errorf("%s: whether its pods end cannot be said: %s", k.Kind, t.Why), "ask about one of its pods: pod/NAME", hint)
		}
	}
	return fault.New(fault.Usage, fmt.Errorf("%s: its pods are meant to run until somebody deletes them", k.Kind), hint)
}
