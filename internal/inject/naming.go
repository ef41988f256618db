package inject

import (
	"regexp"
	"strings"

	"github.com/jobmesh/jobmesh/internal/lint"
	"github.com/jobmesh/jobmesh/internal/manifest"
)

// firstNamed matches the part of a chart's message that names a container as an example. The
// chart cannot know which containers do the work.
var firstNamed = regexp.MustCompile(`containers: \[[^\]]*\]`)

// naming returns a message of the chart with the names of the containers that do the work,
// where the message asks which ones they are.
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
