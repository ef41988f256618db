package policy

import (
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/jobmesh/jobmesh/internal/lint"
)

// A Scope says in which namespaces the policies hold.
type Scope struct {
	// All is every namespace; Labelled those that are known to have the label.
	All, Labelled bool
	// Names are further ones.
	Names []string
}

// The words for a Scope.
const (
	all      = "all"
	labelled = "labelled"
	none     = "none"
)

// Words are those that name a Scope; names of namespaces, with commas between them, are another
// way to write one.
func Words() []string { return []string{all, labelled, none} }

// ParseScope reads a Scope.
func ParseScope(text string) (Scope, error) {
	switch text {
	case all:
		return Scope{All: true}, nil
	case labelled:
		return Scope{Labelled: true}, nil
	case none:
		return Scope{}, nil
	}
	s := Scope{Labelled: true}
	for name := range strings.SplitSeq(text, ",") {
		name = strings.TrimSpace(name)
		if len(validation.IsDNS1123Label(name)) > 0 || slices.Contains(Words(), name) {
			return Scope{}, fmt.Errorf("%q is not a list of namespaces, nor one of %s", text, strings.Join(Words(), ", "))
		}
		s.Names = append(s.Names, name)
	}
	return s, nil
}

// Has tells whether the policies hold in a namespace, of which that is known.
func (s Scope) Has(name string, ns lint.Namespace) bool {
	return s.All || s.Labelled && ns.OptedIn() || slices.Contains(s.Names, name)
}

// Said tells whether somebody has said where the policies hold, beside the namespaces themselves.
func (s Scope) Said() bool { return s.All || len(s.Names) > 0 }
