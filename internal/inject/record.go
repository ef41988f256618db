package inject

import (
	"fmt"
	"slices"
	"strings"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// Record is the name of the annotation that inject leaves on an injected object. The first line
// of its value is the version of the format. Each other line says what was added (+) or
// replaced (=), as a path from the object, or which container was moved (>). The record is
// enough to undo the injection, so no copy of the input has to be kept.
const Record = "jobmesh.dev/injected"

// recordOf01 is the name that jobmesh 0.1 gave the annotation. It is still read.
const recordOf01 = "jobmesh/injected"

func recordOf(version string, undos []patch.Undo, moves []patch.Move) string {
	undos = slices.DeleteFunc(slices.Clone(undos), func(u patch.Undo) bool {
		return patch.Format([]patch.Undo{u}) == removal(Record) // recorded adds it to every record
	})
	record := version + "\n" + patch.Format(undos) + "\n"
	for _, m := range moves {
		record += m.String() + "\n"
	}
	return record
}

// removal returns the line that removes the record itself. All records would have the same
// line, so none has it.
func removal(record string) string {
	return "+ /metadata/annotations/" + strings.ReplaceAll(record, "/", "~1")
}

// recorded returns how the injection of an object is undone, as its record says: first the
// additions are removed, then the moves are taken back. The bool is false where the object has
// no record.
func recorded(o manifest.Object) ([]patch.Undo, []patch.Move, bool, error) {
	for _, record := range []string{Record, recordOf01} {
		n := manifest.Get(o.Node, "metadata", "annotations", record)
		if n == nil {
			continue
		}
		_, lines, _ := strings.Cut(manifest.Text(n), "\n")
		var moves []patch.Move
		additions := removal(record) + "\n"
		for line := range strings.Lines(lines) {
			if m, isMove := patch.ParseMove(line); isMove {
				moves = append(moves, m)
				continue
			}
			additions += line
		}
		undos, err := patch.Parse(additions)
		if err != nil {
			return nil, nil, true, fmt.Errorf("annotation %s is damaged: %w", record, err)
		}
		return undos, moves, true, nil
	}
	return nil, nil, false, nil
}
