package inject

import (
	"regexp"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

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
