package inject

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// Record is the annotation of an injected object. Its first line is the version that
// wrote it; each other one says what was added (+) or replaced (=), as a path from the
// object. It is all that is needed to undo the injection, so that no copy of the input
// has to be kept.
const Record = "jobmesh/injected"

func recordOf(version string, undos []patch.Undo) string {
	undos = slices.DeleteFunc(slices.Clone(undos), func(u patch.Undo) bool {
		return patch.Format([]patch.Undo{u}) == itself // goes without saying
	})
	return version + "\n" + patch.Format(undos) + "\n"
}

// itself is how the record is undone.
var itself = "+ /metadata/annotations/" + strings.ReplaceAll(Record, "/", "~1")

// recorded returns what the record of an object says; false where it has none.
func recorded(o manifest.Object) ([]patch.Undo, bool, error) {
	n := manifest.Get(o.Node, "metadata", "annotations", Record)
	if n == nil {
		return nil, false, nil
	}
	_, lines, _ := strings.Cut(manifest.Text(n), "\n")
	undos, err := patch.Parse(itself + "\n" + lines)
	if err != nil {
		return nil, true, fmt.Errorf("annotation %s is damaged: %w", Record, err)
	}
	return undos, true, nil
}
