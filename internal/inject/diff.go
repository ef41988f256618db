package inject

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/jobmesh/jobmesh/internal/manifest"
	"github.com/jobmesh/jobmesh/internal/patch"
)

// diff appends to into the changes that turn before into after, the value at path. Base is the
// number of leading keys of path that lead to the object. The chart never removes a key, so a
// removed key is an error.
func diff(into []patch.Change, before, after any, path manifest.Path, base int) ([]patch.Change, error) {
	switch after := after.(type) {
	case map[string]any:
		if before, isMap := before.(map[string]any); isMap {
			return diffMaps(into, before, after, path, base)
		}
		if before == nil {
			for _, key := range sorted(after) {
				into = append(into, patch.Change{Op: patch.AddKey, Path: path, Base: base, Key: key, Value: after[key]})
			}
			return into, nil
		}
	case []any:
		before, isList := before.([]any)
		if isList && len(before) == len(after) {
			return diffItems(into, before, after, path, base)
		}
		if isList && len(before) == 0 {
			return append(into, patch.Change{Op: patch.Append, Path: path, Base: base, Value: after}), nil
		}
		if isList && len(after) > len(before) {
			added := len(after) - len(before)
			if reflect.DeepEqual(after[added:], before) {
				return append(into, patch.Change{Op: patch.Prepend, Path: path, Base: base, Value: after[:added]}), nil
			}
			if reflect.DeepEqual(after[:len(before)], before) {
				return append(into, patch.Change{Op: patch.Append, Path: path, Base: base, Value: after[len(before):]}), nil
			}
			if at := insertion(before, after); at >= 0 {
				change := patch.Change{Op: patch.Insert, Path: path, Base: base, At: at, Value: after[at : at+added]}
				if at == len(before) {
					change.Op = patch.Append
				}
				// The items in front of the inserted ones keep their places.
				changes, err := diffItems(into, before, slices.Delete(slices.Clone(after), at, at+added), path, base)
				return append(changes, change), err
			}
		}
	}
	if reflect.DeepEqual(before, after) {
		return into, nil
	}
	return append(into, patch.Change{Op: patch.Set, Path: path, Base: base, Value: after}), nil
}

// insertion returns the index at which after has additional items that before does not have.
// The items in front of that index have to keep their names, and those behind it have to be
// equal. For any other difference it returns -1.
func insertion(before, after []any) int {
	at := 0
	for at < len(before) && nameOf(before[at]) != "" && nameOf(before[at]) == nameOf(after[at]) {
		at++
	}
	if at == 0 || !reflect.DeepEqual(before[at:], after[at+len(after)-len(before):]) {
		return -1
	}
	return at
}

func nameOf(item any) string {
	m, _ := item.(map[string]any)
	name, _ := m["name"].(string)
	return name
}

func diffMaps(into []patch.Change, before, after map[string]any, path manifest.Path, base int) ([]patch.Change, error) {
	for key := range before {
		if _, stays := after[key]; !stays {
			return nil, fmt.Errorf("the library chart removed %s", path.Join(key))
		}
	}
	var err error
	for _, key := range sorted(after) {
		old, had := before[key]
		if !had {
			into = append(into, patch.Change{Op: patch.AddKey, Path: path, Base: base, Key: key, Value: after[key]})
			continue
		}
		if into, err = diff(into, old, after[key], path.Join(key), base); err != nil {
			return nil, err
		}
	}
	return into, nil
}

func diffItems(into []patch.Change, before, after []any, path manifest.Path, base int) ([]patch.Change, error) {
	var err error
	for i := range after {
		if into, err = diff(into, before[i], after[i], path.Join(i), base); err != nil {
			return nil, err
		}
	}
	return into, nil
}
