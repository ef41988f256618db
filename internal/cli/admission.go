package cli

import (
	"fmt"
	"maps"
	"slices"

	"go.yaml.in/yaml/v3"

	library "github.com/jobmesh/jobmesh"
	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/native"
	"github.com/jobmesh/jobmesh/internal/policy"
	"github.com/jobmesh/jobmesh/internal/printable"
)

// An admission is what the policies of jobmesh-policy do to the objects of one call of lint.
type admission struct {
	scope      policy.Scope
	namespaces map[string]lint.Namespace
	policies   *policy.Policies
	// tooOld is the version of a cluster that has no policies, where namespaces ask for them.
	tooOld string
	// met are the namespaces of objects that were judged as the policies change their pods, and
	// unlabelled those of them whose manifest does not have the label.
	met, unlabelled map[string]bool
}

// newAdmission returns that of a profile, with what the manifests say about namespaces.
func newAdmission(p profile, namespaces map[string]lint.Namespace) *admission {
	a := &admission{
		scope: p.policy, namespaces: namespaces, policies: policy.New(library.LibraryChart, policy.Default()),
		met: map[string]bool{}, unlabelled: map[string]bool{},
	}
	if p.Kubernetes.Before(native.Policies.Major, native.Policies.Minor) {
		a.scope, a.tooOld = policy.Scope{}, p.Kubernetes.String()
	}
	return a
}

// has tells whether the policies hold in the namespace of an object.
func (a *admission) has(o manifest.Object) bool {
	return a != nil && a.scope.Has(o.Namespace, a.namespaces[o.Namespace]) && o.KindOf() != nil
}

// concerns tells whether the policies change objects of a document.
func (a *admission) concerns(d *manifest.Document) bool {
	return d.Err == nil && slices.ContainsFunc(d.Objects(), a.has)
}

// admitted are objects as the policies change their pods, by the node that was written.
type admitted map[*yaml.Node]lint.Admitted

// admit asks the policies about the objects of documents.
func (a *admission) admit(documents ...*manifest.Document) (admitted, error) {
	var objects []manifest.Object
	for _, d := range documents {
		if d.Err != nil {
			continue
		}
		for _, o := range d.Objects() {
			if a.has(o) {
				objects = append(objects, o)
			}
		}
	}
	return a.admitObjects(objects...)
}

// admitObjects asks the policies about objects in namespaces where they hold.
func (a *admission) admitObjects(objects ...manifest.Object) (admitted, error) {
	if len(objects) == 0 {
		return nil, nil
	}
	all, err := a.policies.Admit(objects)
	if err != nil {
		return nil, err
	}
	found := admitted{}
	for i, o := range objects {
		if len(all[i].Templates) == 0 {
			continue // as of a Deployment
		}
		found[o.Node] = all[i]
		a.met[o.Namespace] = true
		if ns, known := a.namespaces[o.Namespace]; known && !ns.OptedIn() {
			a.unlabelled[o.Namespace] = true
		}
	}
	return found, nil
}

// check judges an object as the policies change its pods, or as it is written.
func (a admitted) check(linter *lint.Linter, o manifest.Object) []lint.Finding {
	if as, changed := a[o.Node]; changed {
		return linter.CheckAdmitted(o, as)
	}
	return linter.Check(o)
}

// notes say for which namespaces the policies were presumed, and where they cannot be.
func (a *admission) notes() []string {
	var notes []string
	if len(a.met) > 0 && !a.scope.Said() {
		notes = append(notes, fmt.Sprintf("the Jobs of %s are judged as jobmesh-policy changes their pods, since %s has the label %s; --policy=none judges them as they are written",
			namespaceWords(a.met), each(a.met), lint.PolicyLabel))
	}
	if len(a.unlabelled) > 0 {
		notes = append(notes, fmt.Sprintf("the manifest of %s does not have the label %s, without which jobmesh-policy leaves its Jobs alone",
			namespaceWords(a.unlabelled), lint.PolicyLabel))
	}
	if a.tooOld == "" {
		return notes
	}
	asking := map[string]bool{}
	for name, ns := range a.namespaces {
		if ns.OptedIn() {
			asking[name] = true
		}
	}
	if len(asking) > 0 {
		notes = append(notes, deadLabel(asking, "on Kubernetes "+a.tooOld))
	}
	return notes
}

// asWritten says that policies change nothing.
const asWritten = "the Jobs there are judged as they are written"

// deadLabel says that a server is too old for the policies that namespaces ask for.
func deadLabel(names map[string]bool, where string) string {
	return fmt.Sprintf("the label %s of %s does nothing %s, since mutating admission policies came with Kubernetes %s: %s",
		lint.PolicyLabel, namespaceWords(names), where, native.Policies, asWritten)
}

// namespaceWords names the first of some namespaces, and how many more there are.
func namespaceWords(names map[string]bool) string {
	sorted := slices.Sorted(maps.Keys(names))
	text := "namespace " + printable.Text(sorted[0])
	if n := len(sorted) - 1; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return text
}

func each(names map[string]bool) string {
	if len(names) > 1 {
		return "each"
	}
	return "it"
}
