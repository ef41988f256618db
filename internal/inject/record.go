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
		return patch.Format([]patch.Undo{u}) == itself // recorded adds it to every record
	})
	return version + "\n" + patch.Format(undos) + "\n"
}

// itself is the line that takes out the record. It is the same for every record, and so is
// not written into any.
var itself = "+ /metadata/annotations/" + strings.ReplaceAll(Record, "/", "~1")

// recorded returns how the injection of an object is undone, from its record. It returns
// false where the object has no record.
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
