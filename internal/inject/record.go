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
const Record = "jobmesh.dev/injected"

// recordOf01 is the name that the annotation had in jobmesh 0.1. It is still read.
const recordOf01 = "jobmesh/injected"

func recordOf(version string, undos []patch.Undo) string {
	undos = slices.DeleteFunc(slices.Clone(undos), func(u patch.Undo) bool {
		return patch.Format([]patch.Undo{u}) == removal(Record) // recorded adds it to every record
	})
	return version + "\n" + patch.Format(undos) + "\n"
}

// removal is the line that takes out the record itself. It is the same for every record,
// and so is not written into any.
func removal(record string) string {
	return "+ /metadata/annotations/" + strings.ReplaceAll(record, "/", "~1")
}

// recorded returns how the injection of an object is undone, from its record. It returns
// false where the object has no record.
func recorded(o manifest.Object) ([]patch.Undo, bool, error) {
	for _, record := range []string{Record, recordOf01} {
		n := manifest.Get(o.Node, "metadata", "annotations", record)
		if n == nil {
			continue
		}
		_, lines, _ := strings.Cut(manifest.Text(n), "\n")
		undos, err := patch.Parse(removal(record) + "\n" + lines)
		if err != nil {
			return nil, true, fmt.Errorf("annotation %s is damaged: %w", record, err)
		}
		return undos, true, nil
	}
	return nil, false, nil
}
