package inject

import (
	"regexp"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// immutable are kinds whose pods cannot be changed once they are there.
var immutable = []string{"Job", "Pod", "JobSet"}

// liveNote is what to know of an object that was read from a cluster, "" for any other.
func liveNote(o manifest.Object) string {
	if !slices.Contains(immutable, o.Kind) || manifest.Get(o.Node, "metadata", "uid") == nil {
		return ""
	}
	return "it is there already, and the pods of a " + o.Kind + " cannot be changed (JM512): kubectl replace --force -f FILE deletes it and makes it again"
}

// firstNamed matches where the chart names a container as an example: it does not know
// which of them do the work.
var firstNamed = regexp.MustCompile(`containers: \[[^\]]*\]`)

// naming puts the containers that do the work into a message of the chart that asks which
// they are.
func naming(o manifest.Object, mistake string) string {
	if !strings.Contains(mistake, "set containers: all") {
		return mistake
	}
	var names []string
	for _, part := range lint.New(lint.Profile{}, nil).Parts(o) {
		if part.Work {
			names = append(names, part.Name)
		}
	}
	if len(names) == 0 {
		return mistake
	}
	return firstNamed.ReplaceAllLiteralString(mistake, "containers: ["+strings.Join(names, ", ")+"]")
}
