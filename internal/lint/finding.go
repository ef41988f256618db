package lint

import (
	"cmp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// An Object names what a finding is about.
type Object struct {
	Kind      string `json:"kind"`
	Namespace string `json:"namespace"`
	// Name is metadata.name, or metadata.generateName.
	Name string `json:"name"`
}

// A Finding is one place where a rule applies.
type Finding struct {
	Rule     *Rule
	Severity Severity
	Object   Object
	// Container is empty where the finding is about the whole pod.
	Container string
	FieldPath string
	File      string
	// Line and Column count from 1.
	Line, Column int
	Message      string
	Fix          string
	// Mends are the changes in the text, in this order, that put it right. There are none
	// where a person has to decide.
	Mends []patch.Mend
	// Moves are the containers of the object that have to become native sidecars to put it
	// right. There are none where more than that is needed.
	Moves []string
	// Observed is set where this was seen in a cluster, and not in a manifest.
	Observed bool
}

// Observe returns a finding about an object that was seen in a cluster. Where no fix is given
// it gets that of its rule. To call it with an id that no rule has is a mistake of the caller.
func Observe(id string, o Object, container, message, fix string) Finding {
	rule, err := ByID(id)
	if err != nil {
		panic(err)
	}
	return Finding{Rule: rule, Severity: rule.Severity, Object: o, Container: container, Message: message, Fix: cmp.Or(fix, rule.Fix), Observed: true}
}

// Sort puts findings in the order of the files as they were read, then by place
// and rule.
func Sort(findings []Finding, files []string) {
	order := map[string]int{}
	for i, f := range files {
		if _, seen := order[f]; !seen {
			order[f] = i
		}
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(order[a.File], order[b.File]), strings.Compare(a.File, b.File),
			cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column), strings.Compare(a.Rule.ID, b.Rule.ID))
	})
}

// A place is a field of an object. The node is nil where the field is not there.
type place struct {
	node *yaml.Node
	path manifest.Path
}

func (p place) text() string { return manifest.Text(p.node) }

// get returns the place of a field below this one.
func (p place) get(steps ...any) place {
	return place{manifest.Get(p.node, steps...), p.path.Join(steps...)}
}

// reporter collects the findings of one rule about one pod.
type reporter struct {
	rule *Rule
	pod  *pod
	into *[]Finding
	// message and fix replace those of the rule where they are not empty.
	message, fix string
	mends        []patch.Mend
	moves        []string
}

// saying returns a reporter with another message and fix than those of the rule.
func (r *reporter) saying(message, fix string) *reporter {
	other := *r
	other.message, other.fix = message, fix
	return &other
}

// moving returns a reporter whose findings are put right by making native sidecars of these
// containers.
func (r *reporter) moving(names ...string) *reporter {
	other := *r
	other.moves = names
	return &other
}

// add reports a place. words are pairs of a name that stands in braces in the rule's texts,
// and the text to put there.
func (r *reporter) add(at place, container string, words ...string) {
	r.addAs(r.rule.Severity, at, container, words...)
}

func (r *reporter) addAs(severity Severity, at place, container string, words ...string) {
	pairs := []string{"{container}", container, "{object}", r.pod.object.String()}
	for i := 0; i+1 < len(words); i += 2 {
		pairs = append(pairs, "{"+words[i]+"}", words[i+1])
	}
	proxy := ""
	if i := slices.Index(words, "proxy"); i >= 0 {
		proxy = words[i+1]
	}
	fix := r.pod.within(cmp.Or(r.fix, r.rule.Fix), proxy)
	if i := slices.Index(words, "annotation"); i < 0 || words[i+1] == "" {
		fix = strings.ReplaceAll(fix, goNative, "")
	}
	if i := slices.Index(words, "optOut"); i < 0 || words[i+1] == "" {
		fix = strings.ReplaceAll(fix, stayOut, "")
	}
	fill := strings.NewReplacer(pairs...)
	o := r.pod.object
	line, column := r.pod.position(at)
	*r.into = append(*r.into, Finding{
		Rule: r.rule, Severity: severity,
		Object:    Object{Kind: o.Kind, Namespace: o.Namespace, Name: cmp.Or(o.Name, o.GenerateName)},
		Container: container, FieldPath: o.Path.Join(r.pod.admission.pathOf(o, at.path)...).String(),
		File: o.Document.File, Line: line, Column: column,
		Message: r.pod.leaves(r.rule, fill.Replace(r.pod.called(cmp.Or(r.message, r.rule.Message)))), Fix: fill.Replace(fix),
		Mends: below(o.Path, r.mends), Moves: r.moves,
	})
}

// below returns mends whose paths start at the document instead of the object.
func below(object manifest.Path, mends []patch.Mend) []patch.Mend {
	all := slices.Clone(mends)
	for i := range all {
		all[i].Path = object.Join(all[i].Path...)
	}
	return all
}

// position returns the line and column of a place, or where it is missing those of the
// nearest thing around it that is there.
func (p *pod) position(at place) (line, column int) {
	if at.node != nil {
		return at.node.Line, at.node.Column
	}
	for path := at.path; len(path) > 0; path = path[:len(path)-1] {
		if n := manifest.Get(p.object.Node, path...); n != nil {
			return n.Line, n.Column
		}
	}
	return p.object.Node.Line, p.object.Node.Column
}
